"""One defense on one board: what its cells and its released teachers come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.boards.cells import Cell, of_one_text, paired, strongest
from bench.boards.intervals import Estimate, mean, proportion, ratio
from bench.boards.lines import Lines
from bench.boards.seen import Release
from bench.planning.coverage import CONTROL_DEFENSE
from bench.results.rows import ProtectRow, TeacherRow

VANILLA = "kd"
"""The attack that papers print; naive damage is measured with it."""


@dataclass(frozen=True)
class Entry:
    """One defense on one board."""

    defense: str
    teacher_accuracy: Estimate | None
    utility_cost: Estimate | None
    strongest: str
    """The attack behind W; empty when there is none yet."""
    student_accuracy: Estimate | None
    """W."""
    by_seed: Mapping[int, float]
    """W, seed by seed."""
    immunity: Estimate | None
    """None when it is not resolved."""
    naive_damage: Estimate | None
    cells: Sequence[Cell]
    coverage: tuple[int, int]
    """Tasks that ended well, of how many; a zero line that lacks seeds lacks here."""
    flags: Sequence[str]
    group: int | None = None
    """Rank: one group is not resolved from its first entry. None is not ranked."""
    seeds_needed: int | None = None
    """About how many seeds would part it from its group's first."""

    @property
    def is_control(self) -> bool:
        """It is the undefended teacher."""
        return self.defense == CONTROL_DEFENSE

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return self.coverage[0] == self.coverage[1]


def entry_of(
    defense: str,
    lines: Lines,
    released: Iterable[Release],
    teachers: Mapping[str, TeacherRow],
) -> Entry:
    """The entry of one defense, not ranked yet.

    Args:
        defense: Its label.
        lines: Of the board.
        released: The released teachers of all defenses, on the board's ground.
        teachers: The undefended ones by key.
    """
    cells = [cell for cell in lines.grid if cell.defense == defense]
    best = strongest([*cells, *lines.zeros])
    own = of_one_text(one for one in released if one.defense == defense)
    rows = [one.row for one in own]
    is_control = defense == CONTROL_DEFENSE
    return Entry(
        defense=defense,
        teacher_accuracy=_teacher_accuracy(rows),
        utility_cost=_utility_cost(rows, teachers),
        strongest=best.attack if best else "",
        student_accuracy=best.accuracy if best else None,
        by_seed=best.by_seed if best else {},
        immunity=None if is_control else _immunity(best, lines),
        naive_damage=None if is_control else _naive_damage(cells, lines),
        cells=cells,
        coverage=(
            sum(len(cell.by_seed) for cell in cells),
            lines.expected(defense),
        ),
        flags=_flags(cells, rows),
    )


def _immunity(best: Cell | None, lines: Lines) -> Estimate | None:
    top, zero = lines.ceiling, lines.zero.by_seed
    if top is None or best is None or lines.lacking_controls:
        return None
    seeds = [s for s in top.by_seed if s in best.by_seed and s in zero]
    return ratio(
        [top.by_seed[s] - best.by_seed[s] for s in seeds],
        [top.by_seed[s] - zero[s] for s in seeds],
    )


def _naive_damage(cells: Iterable[Cell], lines: Lines) -> Estimate | None:
    own = next((cell for cell in cells if cell.attack == VANILLA), None)
    if own is None or VANILLA not in lines.plain or not lines.scene.access.labelled:
        return None
    lost = paired(lines.plain[VANILLA].by_seed, own.by_seed)
    return mean(lost) if lost else None


def _teacher_accuracy(rows: Iterable[ProtectRow]) -> Estimate | None:
    values = [row.accuracy for row in rows if row.accuracy is not None]
    return proportion(values) if values else None


def _utility_cost(
    rows: Iterable[ProtectRow], teachers: Mapping[str, TeacherRow]
) -> Estimate | None:
    lost = []
    for row in rows:
        before = teachers.get(row.parent)
        if before and before.accuracy is not None and row.accuracy is not None:
            lost.append(before.accuracy - row.accuracy)
    return mean(lost) if lost else None


def _flags(cells: Iterable[Cell], rows: Iterable[ProtectRow]) -> list[str]:
    """Warnings of the defense and of its cells, each once, in words."""
    words = {flag for row in rows for flag in row.flags}
    for cell in cells:
        words |= {f"{cell.attack}: {flag}" for flag in cell.flags}
        words |= {f"{cell.attack}: {status}" for status in cell.troubles.values()}
    return sorted(words)
