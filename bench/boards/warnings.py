"""What a board warns of: entries that are not believed, and numbers to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median, stdev

from bench.boards.answers import Answers
from bench.boards.cells import Cell, answered
from bench.boards.crossed import Line, difference
from bench.boards.lines import Lines
from bench.boards.seen import Release
from bench.boards.strongest import strongest
from bench.planning.coverage import CONTROL_DEFENSE
from bench.results.flags import REACHES, Flag
from bench.threat.access import TeacherGrant

DISHONEST = (
    Flag.OFF_SIMPLEX,
    Flag.CHANGING,
    Flag.BATCH,
    Flag.NOISE,
    Flag.SHIFT,
    Flag.QUOTA,
)
"""Flags of rows for which an entry has no rank."""
NOISY, LEAST = 3.0, 0.02
"""An entry whose seeds spread by `NOISY` times the board's median, and by `LEAST`."""


def caught(released: Sequence[Release], cells: Sequence[Cell], lines: Lines) -> str:
    """Why an entry has no rank whatever its numbers, in words; mostly empty."""
    flags = {flag for one in released for flag in one.row.flags}
    seen = flags | {flag for cell in cells for flag in cell.flags}
    words = [str(flag) for flag in DISHONEST if flag in seen]
    if lines.scene.access.teacher is TeacherGrant.WEIGHTS and Flag.DECOY in flags:
        words.append(str(Flag.DECOY))
    words += sorted(flag for flag in flags if flag.startswith(REACHES))
    return "; ".join(words)


def of_entry(
    released: Sequence[Release],
    cells: Sequence[Cell],
    lines: Lines,
    teacher: Answers | None,
) -> list[str]:
    """Warnings of a defense and of its cells, each once, in words.

    Args:
        released: Its released teachers.
        cells: Its attacks.
        lines: Of the board.
        teacher: What the released teachers answer.
    """
    words = {flag for one in released for flag in one.row.flags}
    for cell in cells:
        words |= {f"{cell.attack}: {flag}" for flag in cell.flags}
        words |= {f"{cell.attack}: {status}" for status in cell.troubles.values()}
        words |= {f"{cell.attack}: {flag}" for flag in _of_cell(cell, lines, teacher)}
    return sorted(words | set(_of_all(cells, lines)))


def _of_cell(cell: Cell, lines: Lines, teacher: Answers | None) -> Iterable[str]:
    if cell.answers is None:
        return
    if teacher is not None and above(cell.answers, teacher):
        yield "above its teacher"
    floor = lines.floor
    if floor is not None and above(floor, cell.answers):
        yield "did not work: below a constant answer"
    elif cell.defense == CONTROL_DEFENSE:
        yield from _idle(cell.answers, lines)
    values = cell.by_seed.values()
    if floor is not None and len(values) > 1:
        low, high = min(values), max(values)
        if low < floor + 0.05 and high > floor + 0.2:
            yield "collapsed at some seeds"
    plain = lines.plain.get(cell.attack)
    longer = lines.longer_by_label.get((cell.defense, cell.attack))
    if longer and longer.answers and cell.accuracy:
        gain = difference(longer.answers, cell.answers).estimate
        half = cell.accuracy.high - cell.accuracy.value
        if gain.resolved and gain.value > half:
            points = f"{100 * gain.value:+.1f} points with twice the steps"
            yield f"not converged: {points}"
    known = plain.answers if plain else None
    if known and set(known.environments) != set(cell.answers.environments):
        yield "measured in another environment than none"


def _idle(answers: Answers, lines: Lines) -> Iterable[str]:
    """Of an attack on the undefended teacher; one seed tells nothing."""
    floor, zero = lines.floor, lines.zero.answers
    if len(answers.seeds) < 2:
        return
    if floor is not None and not above(answers, floor):
        yield "does not work on none"
    elif lines.tells and zero is not None and not above(answers, zero):
        yield "no better on none than no teacher"


def _of_all(cells: Sequence[Cell], lines: Lines) -> Iterable[str]:
    labels = [c for c in cells if c.asks == TeacherGrant.HARD_LABELS]
    hard = strongest(answered(labels))
    soft = strongest(answered(c for c in cells if c not in labels))
    if hard and soft and above(hard.answers, soft.answers):
        yield "hard labels beat confidences: these mislead or are masked"


def noisy(by_seed: Mapping[str, Mapping[int, float]]) -> dict[str, list[str]]:
    """Warnings by defense for those whose seeds spread far more than the others'.

    Args:
        by_seed: W of each defense, seed by seed.
    """
    spreads = {n: stdev(w.values()) for n, w in by_seed.items() if len(w) > 1}
    most = max(LEAST, NOISY * median(spreads.values())) if spreads else LEAST
    words = ["noisy: its seeds spread far more than others'"]
    return {name: words for name, spread in spreads.items() if spread > most}


def above(first: Line, second: Line) -> bool:
    """Whether `first` is resolved to be the more accurate."""
    gap = difference(first, second).estimate
    return gap.resolved and gap.value > 0
