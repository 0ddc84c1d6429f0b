"""One defense on one board: what its cells and its released teachers come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.boards import warnings
from bench.boards.answers import Answers, answers_of
from bench.boards.cells import Cell, answered, of_one_text
from bench.boards.crossed import difference, mean, share
from bench.boards.intervals import Estimate, spanned
from bench.boards.lines import Lines
from bench.boards.panel import Panel
from bench.boards.seen import Release
from bench.boards.strongest import Strongest, strongest
from bench.planning.coverage import CONTROL_DEFENSE
from bench.results.rows import ProtectRow, TeacherRow
from bench.threat.access import TeacherGrant

VANILLA = ("kd[untuned]", "kd")
"""The attack that papers print, as it stands; naive damage is measured with the first
of these that is there."""


@dataclass(frozen=True)
class Entry:
    """One defense on one board."""

    defense: str
    teacher_accuracy: Estimate | None
    utility_cost: Estimate | None
    """Accuracy lost by what the attacker meets: replies, or a network whose weights he
    holds."""
    strongest: str
    """The attack behind W; empty when there is none yet."""
    student_accuracy: Estimate | None
    """W."""
    by_seed: Mapping[int, float]
    """W, seed by seed."""
    at_zero: bool
    """W is Z itself: the teacher is no use."""
    gain: Estimate | None
    """The strongest attack that uses the teacher, minus Z."""
    immunity: Estimate | None
    """None when it is not resolved, and where W is Z itself."""
    naive_damage: Estimate | None
    cells: Sequence[Cell]
    coverage: tuple[int, int]
    """Tasks that ended well, of how many; a zero line that lacks seeds lacks here."""
    lacking: str
    """What the protocol asks for and is not there, in words; empty if nothing is."""
    caught: str
    """Why it is believed in nothing, in words; mostly empty."""
    flags: Sequence[str]
    answers: Answers | None = field(default=None, repr=False, compare=False)
    """Those behind W."""
    outright: Answers | None = field(default=None, repr=False, compare=False)
    """Those of the attack with the highest mean."""
    standing: str = ""
    """Why it has no rank, in words; empty where it has one."""
    rank: tuple[int, int] | None = None
    """The best and the worst place that the data do not exclude."""
    of: int = 0
    """How many have a rank."""
    seeds_needed: int | None = None
    """About how many seeds would part it from the entry before it."""

    @property
    def is_control(self) -> bool:
        """It is the undefended teacher."""
        return self.defense == CONTROL_DEFENSE

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return not self.lacking


def entry_of(
    defense: str,
    lines: Lines,
    panel: Panel,
    released: Iterable[Release],
    teachers: Mapping[str, TeacherRow],
) -> Entry:
    """The entry of one defense, not ranked yet.

    Args:
        defense: Its label.
        lines: Of the board.
        panel: What the protocol asks for under this access.
        released: The released teachers of all defenses, on the board's ground.
        teachers: The undefended ones by key.
    """
    cells = [cell for cell in lines.grid if cell.defense == defense]
    own = of_one_text(one for one in released if one.defense == defense)
    rows = [one.row for one in own if one.row.accuracy is not None]
    best = strongest(answered([*cells, *lines.zeros]))
    teaching = strongest(answered(cells))
    at_zero = best is not None and _is_zero(best, lines)
    is_control = defense == CONTROL_DEFENSE
    return Entry(
        defense=defense,
        teacher_accuracy=_of(answers_of(rows)),
        utility_cost=_utility_cost(rows, teachers, lines),
        strongest=best.name if best else "",
        student_accuracy=(
            spanned(mean(best.answers), mean(best.outright)) if best else None
        ),
        by_seed=best.by_seed if best else {},
        at_zero=at_zero,
        gain=_gain(teaching, lines),
        immunity=None if is_control or at_zero else _immunity(best, lines),
        naive_damage=None if is_control else _naive_damage(cells, lines),
        cells=cells,
        coverage=panel.coverage(cells, lines, is_control),
        lacking=panel.lacking(cells, lines, is_control),
        caught=warnings.caught(own, cells, lines),
        flags=warnings.of_entry(own, cells, lines, answers_of(rows)),
        answers=best.answers if best else None,
        outright=best.outright if best else None,
    )


def _is_zero(best: Strongest, lines: Lines) -> bool:
    """Whether no attack on this defense does better than no teacher."""
    zero = lines.zero.answers
    if isinstance(zero, float):
        return best.answers.accuracy <= zero
    return best.name in {cell.attack for cell in lines.zeros}


def _of(answers: Answers | None) -> Estimate | None:
    return mean(answers) if answers else None


def _gain(teaching: Strongest | None, lines: Lines) -> Estimate | None:
    zero, outright = lines.zero.answers, lines.zero.outright
    if teaching is None or zero is None or outright is None:
        return None
    return spanned(
        difference(teaching.answers, zero).estimate,
        difference(teaching.outright, outright).estimate,
    )


def _immunity(best: Strongest | None, lines: Lines) -> Estimate | None:
    top, zero = lines.ceiling, lines.zero
    if best is None or not lines.tells:
        return None
    crossed = outright = None
    if top.answers is not None and zero.answers is not None:
        crossed = share(top.answers, best.answers, zero.answers)
    if top.outright is not None and zero.outright is not None:
        outright = share(top.outright, best.outright, zero.outright)
    return spanned(crossed, outright) if crossed and outright else None


def _naive_damage(cells: Iterable[Cell], lines: Lines) -> Estimate | None:
    own = {cell.attack: cell for cell in cells}
    name = next((v for v in VANILLA if v in own and v in lines.plain), None)
    if name is None or not lines.scene.access.labelled:
        return None
    before, after = lines.plain[name].answers, own[name].answers
    if before is None or after is None or not set(before.seeds) & set(after.seeds):
        return None
    return difference(before, after).estimate


def _utility_cost(
    rows: Sequence[ProtectRow], teachers: Mapping[str, TeacherRow], lines: Lines
) -> Estimate | None:
    pairs = [(teachers[row.parent], row) for row in rows if row.parent in teachers]
    pairs = [(t, row) for t, row in pairs if t.accuracy is not None]
    pairs.sort(key=lambda pair: pair[1].seed)  # as answers stand
    before = answers_of(teacher for teacher, _ in pairs)
    after = answers_of(row for _, row in pairs)
    if before is None or after is None:
        return None
    if lines.scene.access.teacher is TeacherGrant.WEIGHTS:
        leaked = [row.network_accuracy for _, row in pairs]
        if None not in leaked and leaked != [row.accuracy for _, row in pairs]:
            after = after.in_place(leaked)  # type: ignore[arg-type]
            before = before.in_shares()
    return difference(before, after).estimate
