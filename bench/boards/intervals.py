"""Means, differences and ratios with 95 % intervals over a handful of seeds.

A seed has its own teacher and its own students, so seeds are the independent units.
With three to ten of them a percentile bootstrap only resamples the same few values and
covers too little; the intervals here are Student's t and, for ratios, Fieller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt
from statistics import fmean, stdev

from scipy.stats import t as student_t

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, from `n` seeds; 0 where it is known exactly."""

    value: float
    low: float
    high: float
    n: int

    @property
    def resolved(self) -> bool:
        """The interval excludes 0."""
        return self.low > 0 or self.high < 0


def quantile(n: int) -> float:
    """Of Student's t with n - 1 degrees of freedom, two-sided at `LEVEL`; n >= 2."""
    return float(student_t.ppf(0.5 + LEVEL / 2, n - 1))


def mean(values: Sequence[float]) -> Estimate:
    """The mean of `values` with Student's t interval; one value alone has none."""
    centre, n = fmean(values), len(values)
    half = quantile(n) * stdev(values) / sqrt(n) if n > 1 else inf
    return Estimate(centre, centre - half, centre + half, n)


def proportion(values: Sequence[float]) -> Estimate:
    """`mean` of proportions: no end of the interval leaves [0, 1]."""
    free = mean(values)
    return Estimate(free.value, max(0.0, free.low), min(1.0, free.high), free.n)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Estimate | None:
    """mean(tops) / mean(bottoms) of paired values with Fieller's interval.

    The interval holds every r for which mean(tops - r bottoms) is not resolved from 0
    (E. C. Fieller, Some problems in interval estimation, J. R. Stat. Soc. B 16, 1954).

    Returns:
        None if the bottoms' mean is not resolved to be above 0: the interval is then
        unbounded, or the ratio upside down. For fewer than two pairs as well.
    """
    n = len(tops)
    if n < 2 or mean(bottoms).low <= 0:
        return None
    a, b, q = fmean(tops), fmean(bottoms), quantile(n) ** 2 / n
    saa, sbb = stdev(tops) ** 2, stdev(bottoms) ** 2
    sab = sum((x - a) * (y - b) for x, y in zip(tops, bottoms, strict=True)) / (n - 1)
    # (a - r b)^2 = q (saa - 2 r sab + r^2 sbb), solved for r
    lead, middle, last = b**2 - q * sbb, a * b - q * sab, a**2 - q * saa
    root = sqrt(max(0.0, middle**2 - lead * last))
    return Estimate(a / b, (middle - root) / lead, (middle + root) / lead, n)


def seeds_to_separate(differences: Sequence[float]) -> int | None:
    """About how many seeds would resolve the mean of `differences` from 0.

    The smallest n with quantile(n) sd / sqrt(n) < |mean|, taking mean and spread as
    they are seen; None where the mean is 0, or there are fewer than two values.
    """
    if len(differences) < 2 or fmean(differences) == 0:
        return None
    effect = abs(fmean(differences)) / max(stdev(differences), 1e-12)
    n = max(2, ceil((1.96 / effect) ** 2))
    while quantile(n) / sqrt(n) >= effect and n < 10_000:
        n += 1
    return n
