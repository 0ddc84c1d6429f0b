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
    quantile,
    ratio,
    seeds_to_separate,
    share,
)


def drawn(n: int, centre: float, spread: float, seed: int) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(centre, spread, n).tolist()
    return values


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_mean_is_scipys(n: int, seed: int) -> None:
    values = drawn(n, 0.9, 0.05, seed)

    found = mean(values)

    low, high = stats.t.interval(0.95, n - 1, fmean(values), stats.sem(values))
    assert found.value == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.n == n


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_the_quantile_leaves_two_and_a_half_percent_above_it(n: int) -> None:
    assert stats.t.sf(quantile(n), n - 1) == pytest.approx(0.025)


def test_one_value_alone_has_no_interval() -> None:
    assert mean([0.7]) == Estimate(0.7, -inf, inf, 1)
    assert not mean([0.7]).resolved


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert mean([0.25, 0.25, 0.25]) == Estimate(0.25, 0.25, 0.25, 3)


@pytest.mark.parametrize(
    ("low", "high", "resolved"),
    [
        (0.1, 0.2, True),
        (-0.2, -0.1, True),
        (-0.1, 0.1, False),
        (0.0, 0.1, False),
        (-0.1, 0.0, False),
    ],
)
def test_an_estimate_is_resolved_when_its_interval_excludes_zero(
    low: float, high: float, resolved: bool
) -> None:
    assert Estimate((low + high) / 2, low, high, 3).resolved is resolved


def test_the_interval_of_a_share_stays_a_share() -> None:
    high, low = share([0.9, 0.99, 0.999]), share([0.1, 0.01, 0.001])

    assert high.high == 1.0
    assert low.low == 0.0
    assert high.low == mean([0.9, 0.99, 0.999]).low
    assert low.high == mean([0.1, 0.01, 0.001]).high
    assert high.value == pytest.approx(0.963)


def test_a_share_of_one_seed_can_be_anything() -> None:
    assert share([0.4]) == Estimate(0.4, 0.0, 1.0, 1)


def test_a_share_whose_interval_lies_inside_is_its_mean() -> None:
    values = [0.5, 0.51, 0.52]

    assert share(values) == mean(values)


def test_the_t_interval_covers_its_target_about_95_times_in_100() -> None:
    generator = np.random.default_rng(0)

    covered = 0
    for sample in generator.normal(0.3, 0.2, (2000, 3)).tolist():
        found = mean(sample)
        covered += found.low <= 0.3 <= found.high

    assert 0.94 < covered / 2000 < 0.96


def borderline(tops: list[float], bottoms: list[float], r: float) -> tuple[float, ...]:
    """The ends of the t interval of mean(tops - r bottoms)."""
    rests = [top - r * bottom for top, bottom in zip(tops, bottoms, strict=True)]
    half = stats.t.ppf(0.975, len(rests) - 1) * stdev(rests) / sqrt(len(rests))
    return fmean(rests) - half, fmean(rests) + half


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("seed", range(4))
def test_both_ends_of_a_ratio_are_at_the_border_of_being_resolved(
    n: int, seed: int
) -> None:
    tops, bottoms = drawn(n, 0.1, 0.03, seed), drawn(n, 0.3, 0.02, seed + 50)

    found = ratio(tops, bottoms)

    assert found is not None
    for end in (found.low, found.high):
        nearest = min(borderline(tops, bottoms, end), key=abs)
        assert nearest == pytest.approx(0, abs=1e-9)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("seed", range(4))
def test_a_ratio_holds_what_is_not_resolved_and_nothing_else(seed: int) -> None:
    tops, bottoms = drawn(4, 0.1, 0.03, seed), drawn(4, 0.3, 0.02, seed + 50)

    found = ratio(tops, bottoms)

    assert found is not None
    width = found.high - found.low
    inside = np.linspace(found.low, found.high, 9)[1:-1].tolist()
    outside = [found.low - width / 100, found.high + width / 100, -9.0, 9.0]
    for r, held in [(r, True) for r in inside] + [(r, False) for r in outside]:
        low, high = borderline(tops, bottoms, r)
        assert bool(low <= 0 <= high) is held


def test_a_ratio_is_that_of_the_means_and_not_the_mean_of_ratios() -> None:
    found = ratio([0.1, 0.3, 0.2], [0.5, 0.6, 0.55])

    assert found is not None
    assert found.value == pytest.approx(0.2 / 0.55)
    assert found.n == 3


def test_a_ratio_by_something_without_spread_is_a_scaled_mean() -> None:
    tops = [0.1, 0.14, 0.18]

    found, plain = ratio(tops, [0.5] * 3), mean(tops)

    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx(
        (plain.value / 0.5, plain.low / 0.5, plain.high / 0.5)
    )


def test_a_ratio_of_a_thing_by_itself_is_one_without_doubt() -> None:
    values = [0.5, 0.6, 0.55]

    found = ratio(values, values)

    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1), abs=1e-6)


def test_a_ratio_of_nothing_by_something_is_zero_without_doubt() -> None:
    found = ratio([0.0, 0.0, 0.0], [0.5, 0.6, 0.55])

    assert found == Estimate(0, 0, 0, 3)


def test_a_ratio_by_negative_numbers_says_nothing() -> None:
    tops, bottoms = drawn(5, 0.1, 0.03, 1), drawn(5, 0.3, 0.02, 2)

    assert ratio(tops, bottoms) is not None
    assert ratio(tops, [-b for b in bottoms]) is None


def test_a_ratio_says_nothing_when_its_denominator_may_be_zero() -> None:
    bottoms = [0.3, -0.1, 0.1]

    assert not mean(bottoms).resolved
    assert ratio([0.1, 0.2, 0.3], bottoms) is None
    assert ratio([0.1, 0.2, 0.3], [0.0, 0.0, 0.0]) is None


@pytest.mark.parametrize("n", [0, 1])
def test_a_ratio_needs_two_pairs(n: int) -> None:
    assert ratio([0.2] * n, [0.5] * n) is None


def test_fiellers_interval_covers_its_target_about_95_times_in_100() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(0, 0.02, (1000, 4))
    tops = 0.1 + shared + generator.normal(0, 0.02, (1000, 4))
    bottoms = 0.4 + shared

    found = [ratio(a, b) for a, b in zip(tops.tolist(), bottoms.tolist(), strict=True)]

    told = [one for one in found if one is not None]
    covered = sum(one.low <= 0.25 <= one.high for one in told)
    assert len(told) > 990
    assert 0.93 < covered / len(told) < 0.97


def enough(n: int, effect: float) -> bool:
    return float(stats.t.ppf(0.975, n - 1)) / sqrt(n) < effect


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

    assert seeds_to_separate(differences) == next(
        n for n in range(2, 10_000) if enough(n, effect)
    )


def test_what_is_resolved_needs_no_more_seeds_than_it_has() -> None:
    differences = [0.1, 0.12, 0.08]

    needed = seeds_to_separate(differences)

    assert mean(differences).resolved
    assert needed is not None
    assert needed <= 3


def test_what_is_not_resolved_needs_more_seeds_than_it_has() -> None:
    differences = [0.1, 0.2, 0.0]

    needed = seeds_to_separate(differences)

    assert not mean(differences).resolved
    assert needed is not None
    assert needed > 3


def test_the_sign_of_a_difference_does_not_matter() -> None:
    differences = [0.1, 0.2, 0.0]

    assert seeds_to_separate([-d for d in differences]) == seeds_to_separate(
        differences
    )


def test_equal_differences_need_two_seeds() -> None:
    assert seeds_to_separate([0.1, 0.1, 0.1]) == 2


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, -0.1], [0.0, 0.0, 0.0]])
def test_no_number_of_seeds_is_told_where_none_is_known(
    differences: list[float],
) -> None:
    assert seeds_to_separate(differences) is None
