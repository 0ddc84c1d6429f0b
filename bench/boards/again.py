"""Where a published row should end when it is done again somewhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from bench.boards.intervals import quantile
from bench.results.index import question
from bench.results.rows import Row, StealRow


@dataclass(frozen=True)
class Band:
    """Where another run of a row should end, with 95 % confidence."""

    low: float
    high: float
    why: str


def band_of(row: StealRow, rows: Sequence[Row]) -> Band:
    """Where another run of `row` should end in another environment.

    With sister seeds the interval that holds a further draw of a normal sample,
    mean +- t s sqrt(1 + 1/n); else that of a share of N test images,
    p +- 1.96 sqrt(2 p (1 - p) / N).
    """
    known = [
        one.accuracy
        for one in rows
        if isinstance(one, StealRow)
        and question(one) == question(row)
        and one.accuracy is not None
    ]
    if len(known) > 2:
        n = len(known)
        half = quantile(n) * stdev(known) * sqrt(1 + 1 / n)
        centre = fmean(known)
        return Band(centre - half, centre + half, f"as its {n} seeds spread")
    share, images = row.accuracy or 0.0, max(1, len(row.predictions or b""))
    half = 1.96 * sqrt(2 * share * (1 - share) / images)
    return Band(share - half, share + half, f"as {images} test images allow")
