"""What a protocol asks for under one access, and what of it is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.boards.cells import Cell
from bench.boards.lines import Lines
from bench.boards.seen import name_of
from bench.entry_points import grants
from bench.planning.coverage import CONTROL_ATTACK
from bench.planning.protocol import Protocol
from bench.plugins.spec import short_name, split
from bench.threat.access import Access, ImageGrant, Needs, TeacherGrant


@dataclass(frozen=True)
class Panel:
    """The attacks and seeds that a ranked entry has met."""

    attacks: frozenset[str]
    """Names of those that can be run under the access, without the controls."""
    seeds: int

    @classmethod
    def of(cls, protocol: Protocol, access: Access) -> Panel:
        """That of `protocol` under `access`.

        What an attack needs is read from its source; one that is not installed here is
        asked for by nobody.
        """
        known = grants("bench.attacks")
        names = {short_name("attack", split(spec)[0]) for spec in protocol.attacks}
        fitting = set()
        for name in names - {CONTROL_ATTACK}:
            teacher, images = known.get(name, ("", ""))
            if teacher in set(TeacherGrant) and images in set(ImageGrant):
                needs = Needs(TeacherGrant(teacher), ImageGrant(images))
                if access.suffices(needs):
                    fitting.add(name)
        return cls(frozenset(fitting), protocol.seeds)

    def lacking(self, cells: Sequence[Cell], lines: Lines, is_control: bool) -> str:
        """What is missing of an entry with these `cells`, in words; mostly empty."""
        words = []
        met = _met(one.attack for one in lines.controls)
        met |= _met(cell.attack for cell in cells)
        if absent := sorted(self.attacks - met):
            words.append(f"no {', '.join(absent)}")
        seeds = _seeds(lines)
        if seeds < self.seeds:
            words.append(f"{seeds} of {self.seeds} seeds")
        done, of = self.coverage(cells, lines, is_control)
        if done < of and not absent:
            words.append(f"{done} of {of} students")
        return "; ".join(words)

    def coverage(
        self, cells: Sequence[Cell], lines: Lines, is_control: bool
    ) -> tuple[int, int]:
        """Students that ended well, of how many the entry rests on.

        A seed missing from a control counts as missing for every defense. An attack
        that does not apply to the network asks for none.
        """
        attacks, seeds = {cell.attack for cell in lines.grid}, _seeds(lines)
        met = _met(one.attack for one in (*lines.controls, *lines.attacked))
        attacks |= self.attacks - met
        idle = {cell.attack for cell in cells if not cell.applies}
        of = seeds * len(attacks - idle)
        of += sum(seeds - len(cell.by_seed) for cell in lines.zeros)
        if not is_control:
            of += sum(_short(lines.plain.get(attack), seeds) for attack in attacks)
        return sum(len(cell.by_seed) for cell in cells), of


def _met(labels: Iterable[str]) -> set[str]:
    """Names of the attacks in `labels`.

    An attack as its options stand is no panel's: a tuned one may be far stronger.
    """
    return {name_of(label) for label in labels if "untuned" not in label}


def _short(cell: Cell | None, seeds: int) -> int:
    """Seeds that a control lacks."""
    if cell is None:
        return seeds
    return seeds - len(cell.by_seed) if cell.applies else 0


def _seeds(lines: Lines) -> int:
    """Seeds that are there at all."""
    return len({one.row.seed for one in (*lines.attacked, *lines.controls)})
