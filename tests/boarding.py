"""What tests of boards share: accuracies of the controls, and a look at one board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import pytest
from scipy.stats import t as student_t

from bench.boards.board import Board, boards
from bench.boards.entry import Entry
from bench.boards.intervals import Estimate
from bench.errors import Status
from bench.results.rows import Row, StealRow
from bench.testing.protocol import PROTOCOL

Z = [0.80, 0.81, 0.79]
"""Of the zero line, a seed each."""
U = [0.95, 0.96, 0.95]
"""Of the ceiling."""


class Near(Estimate):
    """An estimate that equals another up to rounding."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Estimate):
            return False
        mine = (self.value, self.low, self.high, self.n)
        theirs = (other.value, other.low, other.high, other.n)
        return mine == pytest.approx(theirs, abs=1e-9)

    __hash__ = Estimate.__hash__


def mean(values: Sequence[float]) -> Near:
    """With Student's t over seeds, the test images not counted."""
    n = len(values)
    half = float(student_t.ppf(0.975, n - 1)) * stdev(values) / sqrt(n) if n > 1 else 0
    return Near(fmean(values), fmean(values) - half, fmean(values) + half, n)


def proportion(values: Sequence[float]) -> Near:
    """The same, cut at 0 and 1."""
    free = mean(values)
    return Near(free.value, max(0.0, free.low), min(1.0, free.high), free.n)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Near:
    """Fieller's interval over seeds, by its definition: what is not resolved from 0.

    The ends are searched for by halving.
    """
    value = fmean(tops) / fmean(bottoms)

    def unresolved(r: float) -> bool:
        rests = [a - r * b for a, b in zip(tops, bottoms, strict=True)]
        return abs(fmean(rests)) <= mean(rests).high - fmean(rests)

    ends = []
    for way in (-1, 1):
        inside, outside = value, value + way * 100
        for _ in range(100):
            middle = (inside + outside) / 2
            inside, outside = (
                (middle, outside) if unresolved(middle) else (inside, middle)
            )
        ends.append(inside)
    return Near(value, *ends, len(tops))


def only(rows: Iterable[Row], **changes: Any) -> Board:
    (board,) = boards(rows, PROTOCOL.model_copy(update=changes))
    return board


def entry(board: Board, defense: str) -> Entry:
    return next(entry for entry in board.entries if entry.defense == defense)


def failed(row: StealRow, status: str = Status.FAILED) -> StealRow:
    return replace(row, status=status, reason="why", accuracy=None)


def later(row: Row, **changes: Any) -> Any:
    """`row`, made again an hour later."""
    return replace(row, started=row.started + timedelta(hours=1), **changes)
