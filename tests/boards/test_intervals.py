"""Intervals against scipy, against their own definitions, and against simulation."""

from __future__ import annotations

from math import inf, sqrt
from statistics import fmean, stdev

import numpy as np
import pytest
from scipy import stats

from bench.boards.intervals import (
    Estimate,
    mean,
    proportion,
    quantile,
    ratio,
    seeds_to_separate,
)


def drawn(n: int, centre: float, spread: float, seed: int) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(centre, spread, n).tolist()
    return values


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_the_interval_of_a_mean_is_scipys(n: int) -> None:
    values = drawn(n, 0.9, 0.05, n)

    found = mean(values)

    low, high = stats.t.interval(0.95, n - 1, fmean(values), stats.sem(values))
    assert (found.value, found.n) == (pytest.approx(np.mean(values)), n)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert stats.t.sf(quantile(n), n - 1) == pytest.approx(0.025)


def test_one_value_alone_has_no_interval_and_equal_ones_have_no_width() -> None:
    assert mean([0.7]) == Estimate(0.7, -inf, inf, 1)
    assert proportion([0.4]) == Estimate(0.4, 0.0, 1.0, 1)
    assert mean([0.25, 0.25, 0.25]) == Estimate(0.25, 0.25, 0.25, 3)


def test_an_estimate_is_resolved_when_its_interval_excludes_zero() -> None:
    for low, high in ((0.1, 0.2), (-0.2, -0.1)):
        assert Estimate((low + high) / 2, low, high, 3).resolved
    for low, high in ((-0.1, 0.1), (0.0, 0.1), (-0.1, 0.0)):
        assert not Estimate((low + high) / 2, low, high, 3).resolved


def test_the_interval_of_a_proportion_stays_one() -> None:
    high, low = proportion([0.9, 0.99, 0.999]), proportion([0.1, 0.01, 0.001])

    assert (high.low, high.high) == (mean([0.9, 0.99, 0.999]).low, 1.0)
    assert (low.low, low.high) == (0.0, mean([0.1, 0.01, 0.001]).high)
    assert high.value == pytest.approx(0.963)
    assert proportion([0.5, 0.51, 0.52]) == mean([0.5, 0.51, 0.52])


def borderline(tops: list[float], bottoms: list[float], r: float) -> tuple[float, ...]:
    """The ends of the t interval of mean(tops - r bottoms)."""
    rests = [top - r * bottom for top, bottom in zip(tops, bottoms, strict=True)]
    half = stats.t.ppf(0.975, len(rests) - 1) * stdev(rests) / sqrt(len(rests))
    return fmean(rests) - half, fmean(rests) + half


@pytest.mark.parametrize("n", [3, 4, 10])
@pytest.mark.parametrize("seed", range(3))
def test_a_ratio_holds_what_is_not_resolved_and_nothing_else(n: int, seed: int) -> None:
    tops, bottoms = drawn(n, 0.1, 0.03, seed), drawn(n, 0.3, 0.02, seed + 50)

    found = ratio(tops, bottoms)

    assert found is not None
    for end in (found.low, found.high):
        nearest = min(borderline(tops, bottoms, end), key=abs)
        assert nearest == pytest.approx(0, abs=1e-9)
    width = found.high - found.low
    inside = np.linspace(found.low, found.high, 9)[1:-1].tolist()
    outside = [found.low - width / 100, found.high + width / 100, -9.0, 9.0]
    for r, held in [(r, True) for r in inside] + [(r, False) for r in outside]:
        low, high = borderline(tops, bottoms, r)
        assert bool(low <= 0 <= high) is held


def spelt(found: Estimate | None) -> tuple[float, float, float, int]:
    assert found is not None
    return found.value, found.low, found.high, found.n


def test_a_ratio_is_of_means_scales_and_is_exact_where_both_move_together() -> None:
    tops, plain, both = [0.1, 0.14, 0.18], mean([0.1, 0.14, 0.18]), [0.5, 0.6, 0.55]

    scaled = spelt(ratio(tops, [0.5] * 3))
    ends = (plain.value / 0.5, plain.low / 0.5, plain.high / 0.5)

    assert spelt(ratio([0.1, 0.3, 0.2], both))[0] == pytest.approx(0.2 / 0.55)
    assert scaled == pytest.approx((*ends, 3))
    assert spelt(ratio(both, both)) == pytest.approx((1, 1, 1, 3), abs=1e-6)
    assert ratio([0.0] * 3, both) == Estimate(0, 0, 0, 3)


@pytest.mark.parametrize(
    ("tops", "bottoms"),
    [
        ([0.1, 0.2, 0.3], [-0.3, -0.31, -0.29]),
        ([0.1, 0.2, 0.3], [0.3, -0.1, 0.1]),
        ([0.1, 0.2, 0.3], [0.0, 0.0, 0.0]),
        ([0.2], [0.5]),
        ([], []),
    ],
    ids=["negative", "perhaps zero", "zero", "one pair", "no pair"],
)
def test_a_ratio_says_nothing(tops: list[float], bottoms: list[float]) -> None:
    assert ratio(tops, bottoms) is None


def test_fiellers_interval_covers_its_target_about_95_times_in_100() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(0, 0.02, (1000, 4))
    tops = 0.1 + shared + generator.normal(0, 0.02, (1000, 4))
    pairs = zip(tops.tolist(), (0.4 + shared).tolist(), strict=True)

    told = [one for one in (ratio(a, b) for a, b in pairs) if one is not None]

    covered = sum(one.low <= 0.25 <= one.high for one in told)
    assert len(told) > 990
    assert 0.93 < covered / len(told) < 0.97


@pytest.mark.parametrize(
    "differences",
    [
        [0.1, 0.12, 0.08],
        [0.1, 0.2, 0.0],
        [-0.1, -0.2, 0.05],
        [0.01, 0.2, -0.1, 0.05],
        drawn(10, 0.1, 0.4, 3),
    ],
)
def test_the_seeds_to_separate_are_the_fewest_that_resolve(
    differences: list[float],
) -> None:
    effect = abs(fmean(differences)) / stdev(differences)

    needed = seeds_to_separate(differences)

    assert needed == next(
        n for n in range(2, 10_000) if stats.t.ppf(0.975, n - 1) / sqrt(n) < effect
    )
    assert mean(differences).resolved is (needed <= len(differences))
    assert needed == seeds_to_separate([-d for d in differences])


@pytest.mark.parametrize(
    ("differences", "needed"),
    [([0.1] * 3, 2), ([], None), ([0.1], None), ([0.1, -0.1], None), ([0.0] * 3, None)],
)
def test_equal_differences_need_two_seeds_and_none_need_no_number(
    differences: list[float], needed: int | None
) -> None:
    assert seeds_to_separate(differences) == needed
