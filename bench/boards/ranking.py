"""The order of entries, and which places the data leave to each.

All pairs of the entries that may have a rank, the undefended teacher among them, are
compared together. Holm's procedure (S. Holm, A simple sequentially rejective multiple
test procedure, Scand. J. Stat. 6, 1979) holds the chance that any pair of equals is
parted at `ERROR`, whatever the spreads and however the pairs depend on each other.

An entry that is surely below the undefended teacher has a rank: from one more than the
number of those that are surely lower to the number of those that are not surely higher.
So noise widens it, and buys nothing.

With n seeds and m pairs the first pair that is parted must differ by Student's t of
`ERROR` / m with n - 1 degrees of freedom, times the standard error. `POWER` has the
chance that one pair that differs by so many standard deviations of its paired
difference is parted at the first step on a board of 15.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
from scipy.stats import t as student_t

from bench.boards.answers import Answers
from bench.boards.crossed import ERROR, Crossed, difference
from bench.boards.entry import Entry
from bench.boards.warnings import noisy
from bench.planning.coverage import CONTROL_DEFENSE

POWER = {5: {2: 0.06, 4: 0.40, 8: 0.97}, 10: {2: 0.75, 4: 1.0, 8: 1.0}}
"""By seeds and differences in standard deviations; a test holds it."""
NOT_BELIEVED, BEYOND = "not believed", "beyond the utility allowance"
"""Why an entry has neither rank nor immunity."""
SMALLEST = 1e-12
"""Errors below it are not told apart."""


def ranked(
    entries: Iterable[Entry], official: bool, tells: bool, allowance: float
) -> list[Entry]:
    """Lowest W first, each with its rank or the words for why it has none.

    Args:
        entries: Of one board.
        official: Whether the board ranks at all.
        tells: Whether U is resolved above Z.
        allowance: Accuracy that the protocol lets a defense cost.
    """
    ordered = sorted(entries, key=_weakness)
    noise = noisy({e.defense: e.by_seed for e in ordered})
    stands = {e.defense: _standing(e, official, tells, allowance) for e in ordered}
    compared = [
        e for e in ordered if e.answers and (e.is_control or not stands[e.defense])
    ]
    apart = parted(compared)
    fit = []
    for entry in compared:
        if entry.is_control:
            continue
        if not tells:
            stands[entry.defense] = "this data cannot tell"
        elif not official:
            continue
        elif (CONTROL_DEFENSE, entry.defense) in apart:
            fit.append(entry)
        elif (entry.defense, CONTROL_DEFENSE) in apart:
            stands[entry.defense] = "copied better than without a defense"
        else:
            stands[entry.defense] = "no effect shown"
    names = [entry.defense for entry in fit]
    ranks = rank_intervals(names, apart)
    needed = _needed(fit, apart)
    return [
        replace(
            entry,
            flags=[*entry.flags, *noise.get(entry.defense, ())],
            immunity=None if _is_out(stands[entry.defense]) else entry.immunity,
            standing=stands[entry.defense],
            rank=ranks.get(entry.defense),
            of=len(fit),
            seeds_needed=needed.get(entry.defense),
        )
        for entry in ordered
    ]


def _standing(entry: Entry, official: bool, tells: bool, allowance: float) -> str:
    """Why `entry` can have no rank, as far as it alone tells; mostly empty."""
    if entry.is_control:
        return "control"
    if not official:
        return "not ranked"
    if entry.caught:
        return f"{NOT_BELIEVED}: {entry.caught}"
    if not entry.complete:
        return f"preliminary: {entry.lacking}"
    cost = entry.utility_cost
    if cost is not None and cost.high > allowance:
        return BEYOND
    return ""


def _is_out(standing: str) -> bool:
    """Whether what it loses or does makes immunity mean nothing."""
    return standing == BEYOND or standing.startswith(NOT_BELIEVED)


def parted(entries: Sequence[Entry]) -> set[tuple[str, str]]:
    """Pairs (higher, lower) of defenses whose W surely differ, by Holm's procedure.

    Both readings of W must part them.
    """
    return _parted([(e.defense, e.answers) for e in entries]) & _parted(
        [(e.defense, e.outright) for e in entries]
    )


def _parted(lines: Sequence[tuple[str, Answers | None]]) -> set[tuple[str, str]]:
    pairs = [
        (name, other, difference(first, second))
        for (name, first), (other, second) in combinations(lines, 2)
        if first is not None and second is not None
    ]
    return {
        (first, second) if gap.values[0] > 0 else (second, first)
        for first, second, gap in holm(pairs)
    }


def holm(pairs: Sequence[tuple[str, str, Crossed]]) -> list[tuple[str, str, Crossed]]:
    """Those of `pairs` that are resolved while the error of all together is held."""
    kept = []
    errors = [(error_of(gap), place) for place, (_, _, gap) in enumerate(pairs)]
    for step, (error, place) in enumerate(sorted(errors)):
        if error > ERROR / (len(pairs) - step):
            break
        kept.append(pairs[place])
    return kept


def error_of(gap: Crossed) -> float:
    """The error at which `gap` is just resolved, between `SMALLEST` and 1: its p."""
    if gap.n < 2 or not gap.values[0]:
        return 1.0
    noisy = [(df, float(part[0, 0])) for df, part in gap.parts if part[0, 0] > 0]
    if len(noisy) < 2:  # one source: Student's t itself
        [(df, variance)] = noisy or [(1, 0.0)]
        size = abs(float(gap.values[0])) / max(variance, 1e-300) ** 0.5
        return max(SMALLEST, 2 * float(student_t.sf(size, df)))
    low, high = np.log(SMALLEST), 0.0
    if gap.beyond(SMALLEST):
        return SMALLEST
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if gap.beyond(np.exp(middle)) else (middle, high)
    return float(np.exp(high))


def rank_intervals(
    names: Sequence[str], apart: set[tuple[str, str]]
) -> dict[str, tuple[int, int]]:
    """The best and the worst place of each, given the pairs (higher, lower)."""
    ranks = {}
    for name in names:
        lower = sum((name, other) in apart for other in names)
        higher = sum((other, name) in apart for other in names)
        ranks[name] = (1 + lower, len(names) - higher)
    return ranks


def _needed(
    fit: Sequence[Entry], apart: set[tuple[str, str]]
) -> Mapping[str, int | None]:
    """About how many seeds would part each entry from the one before it."""
    pairs = max(1, len(fit) * (len(fit) + 1) // 2)
    found = {}
    for before, entry in pairwise(fit):
        if (entry.defense, before.defense) in apart:
            continue
        if before.answers is not None and entry.answers is not None:
            gap = difference(entry.answers, before.answers)
            found[entry.defense] = gap.seeds_needed(ERROR / pairs)
    return found


def _weakness(entry: Entry) -> float:
    """W; whatever is not known stands last."""
    return entry.student_accuracy.value if entry.student_accuracy else 2.0
