"""Intervals over seeds and images, against their definitions and by simulation."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from boarding import mean as plain_mean
from boarding import proportion, ratio
from scipy import stats

from bench.boards.answers import Answers, answers_of
from bench.boards.crossed import Crossed, difference, mean, share
from bench.boards.intervals import spanned
from bench.boards.ranking import POWER, error_of, holm, parted, rank_intervals
from bench.boards.strongest import strongest
from bench.testing.rows import steal_row

Numbers = np.ndarray


def answers(right: Numbers, where: str = "here") -> Answers:
    """`right` is `(n, N)`, or `(n,)` where only shares are known."""
    right = right[:, None] if right.ndim == 1 else right
    n = len(right)
    return Answers(tuple(range(n)), right.astype(float), (where,) * n)


def drawn(rng: np.random.Generator, n: int, images: int, seed_sd: float) -> Numbers:
    """Right or wrong by how easy an image is and how good a seed's network."""
    easy = rng.normal(1.5, 1.5, images)
    good = rng.normal(0, seed_sd, (n, 1))
    chance = 1 / (1 + np.exp(-(easy + good)))
    return rng.random((n, images)) < chance


def test_of_shares_alone_the_intervals_are_students_and_fiellers() -> None:
    top, middle = np.array([0.95, 0.96, 0.94]), np.array([0.70, 0.72, 0.69])
    bottom = np.array([0.10, 0.12, 0.11])
    u, w, z = map(answers, (top, middle, bottom))

    assert mean(u) == proportion(top.tolist())
    assert difference(u, w).estimate == plain_mean((top - middle).tolist())
    assert share(u, w, z) == ratio((top - middle).tolist(), (top - bottom).tolist())
    assert difference(u, 0.1).estimate == plain_mean((top - 0.1).tolist())
    assert share(z, w, u) is None  # upside down


def test_the_variance_is_that_of_a_two_way_analysis() -> None:
    right = drawn(np.random.default_rng(0), 4, 60, 0.5).astype(float)
    n, images = right.shape

    found = difference(answers(right), 0.0)

    rows, columns = right.mean(axis=1), right.mean(axis=0)
    rest = right - rows[:, None] - columns + right.mean()
    ms_seed = images * rows.var(ddof=1)
    ms_image = n * columns.var(ddof=1)
    ms_rest = (rest**2).sum() / ((n - 1) * (images - 1))
    expected = (max(ms_seed, ms_rest) + max(ms_image - ms_rest, 0)) / (n * images)
    total = sum(float(part[0, 0]) for _, part in found.parts)
    assert total == pytest.approx(expected)


def test_one_seed_has_the_interval_of_its_images_and_resolves_nothing() -> None:
    right = np.repeat([1.0, 0.0], [80, 20])[None]

    found = mean(answers(right))

    half = stats.t.ppf(0.975, 99) * np.std(right, ddof=1) / 10
    assert (found.high - found.value, found.n) == (pytest.approx(half), 1)
    assert not found.resolved


@pytest.mark.parametrize("seed_sd", [0.0, 0.3])
def test_intervals_cover_what_other_seeds_and_images_would_say(seed_sd: float) -> None:
    rng = np.random.default_rng(1)
    easy = rng.normal(1.5, 1.5, 200_000)
    noise = seed_sd * np.random.default_rng(2).normal(size=200_000)
    truth = float((1 / (1 + np.exp(-(easy + noise)))).mean())

    inside = 0
    for _ in range(400):
        found = mean(answers(drawn(rng, 5, 200, seed_sd)))
        inside += found.low <= truth <= found.high

    assert inside / 400 > 0.93


def test_environments_are_never_paired_by_seed() -> None:
    rng = np.random.default_rng(3)
    luck = rng.normal(0, 0.1, 5)
    first, second = 0.8 + luck, 0.7 + luck

    together = difference(answers(first), answers(second)).estimate
    apart = difference(answers(first), answers(second, "there")).estimate

    assert together.resolved and together.high - together.low < 1e-6
    assert not apart.resolved and apart.value == pytest.approx(0.1)


def test_choosing_among_equals_adds_nothing_to_w() -> None:
    rng = np.random.default_rng(4)
    gaps, widths = [], []
    for _ in range(150):
        attacks = {f"a{k}": answers(drawn(rng, 5, 100, 0.3)) for k in range(8)}
        best = strongest(attacks)
        assert best is not None
        truth = np.mean([one.accuracy for one in attacks.values()])
        gaps.append(best.answers.accuracy - truth)
        found = mean(best.answers)
        widths.append(found.high - found.low)

    assert abs(np.mean(gaps)) < np.mean(widths) / 10
    highest = strongest({"low": answers(np.zeros((3, 9))), "high": attacks["a0"]})
    assert highest is not None and highest.name == "high"


@pytest.mark.parametrize("gap", [0, 1])
@pytest.mark.parametrize("n", [5, 10])
def test_attacks_near_each_other_neither_part_equals_nor_narrow_w(
    n: int, gap: int
) -> None:
    """Eight attacks a defense, seven of them `gap` standard deviations weaker."""
    rng, boards, false, inside = np.random.default_rng(n + gap), 100, 0, 0
    for _ in range(boards):
        entries: list[Any] = []
        for name in "abcde":
            shares = 0.5 + rng.normal(0, 0.01, (8, n))
            shares[1:] -= gap / 100
            best = strongest({str(k): answers(one) for k, one in enumerate(shares)})
            assert best is not None
            known = {"answers": best.answers, "outright": best.outright}
            entries.append(SimpleNamespace(defense=name, **known))
            w = spanned(mean(best.answers), mean(best.outright))
            inside += w.low <= 0.5 <= w.high
        false += bool(parted(entries))

    assert false / boards <= 0.05 + 2 * (0.05 * 0.95 / boards) ** 0.5
    assert inside / boards / 5 > 0.93


def test_rows_hold_the_answers() -> None:
    right = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0])
    row = steal_row(
        accuracy=float(right.mean()),
        correct=np.packbits(right).tobytes(),
        predictions=bytes(9),
    )

    found = answers_of([row])

    assert found is not None
    assert found.right.tolist() == [right.tolist()]
    assert answers_of([]) is None


# All pairs together


def smallest_p(w: Numbers) -> Numbers:
    """The least p of all paired t tests, for `(boards, D, n)`: Holm's first step."""
    boards, count, n = w.shape
    least = np.ones(boards)
    for i in range(count):
        gaps = w[:, i : i + 1] - w[:, i + 1 :]
        if gaps.shape[1]:
            t = gaps.mean(2) / (gaps.std(2, ddof=1) / np.sqrt(n))
            least = np.minimum(least, 2 * stats.t.sf(np.abs(t), n - 1).min(1))
    return least


def pairs_of(w: Numbers) -> list[tuple[str, str, Crossed]]:
    lines = [answers(one) for one in w]
    return [
        (str(i), str(j), difference(lines[i], lines[j]))
        for i in range(len(w))
        for j in range(i + 1, len(w))
    ]


@pytest.mark.parametrize("spreads", ["equal", "unequal"])
@pytest.mark.parametrize("count", [5, 15, 50])
def test_equals_are_parted_on_at_most_one_board_in_twenty(
    count: int, spreads: str
) -> None:
    rng, boards, n = np.random.default_rng(count), 600, 5
    sd = np.ones(count)
    if spreads == "unequal":
        sd[::2] = 5
    w = 70 + rng.normal(0, 1, (boards, count, n)) * sd[:, None]
    w += rng.normal(0, 2, (boards, 1, n))  # what a seed's teacher gives to all

    parted = smallest_p(w) <= 0.05 / (count * (count - 1) / 2)

    assert parted.mean() <= 0.05 + 3 * (0.05 * 0.95 / boards) ** 0.5


def test_holms_procedure_is_the_one_that_was_simulated() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        w = rng.normal(0.7, 0.01, (6, 5))
        w[0] += rng.choice([0, 0.1])
        pairs = pairs_of(w)

        errors = [error_of(gap) for _, _, gap in pairs]

        assert min(errors) == pytest.approx(float(smallest_p(w[None])[0]), rel=1e-4)
        assert bool(holm(pairs)) is (min(errors) <= 0.05 / 15)


@pytest.mark.parametrize("sd", [10, 20, 40])
def test_who_is_much_worse_and_noisy_is_never_first_alone(sd: int) -> None:
    rng, alone = np.random.default_rng(sd), 0
    for _ in range(40):
        w = rng.normal(70, 1, (6, 5))
        w[0] = rng.normal(90, sd, 5)
        apart = {
            (a, b) if gap.values[0] > 0 else (b, a) for a, b, gap in holm(pairs_of(w))
        }
        ranks = rank_intervals([str(k) for k in range(6)], apart)
        alone += ranks["0"] == (1, 1)

    assert alone == 0


def test_the_power_that_is_stated_is_that_of_the_first_step() -> None:
    for n, told in POWER.items():
        needed = stats.t.isf(0.05 / 120 / 2, n - 1)  # 15 entries and none: 120 pairs
        for effect, power in told.items():
            found = stats.nct.sf(needed, n - 1, effect * np.sqrt(n))
            assert found == pytest.approx(power, abs=0.01)


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        ((), {"a": (1, 3), "b": (1, 3), "c": (1, 3)}),
        ((("c", "a"),), {"a": (1, 2), "b": (1, 3), "c": (2, 3)}),
        ((("c", "a"), ("c", "b"), ("b", "a")), {"a": (1, 1), "b": (2, 2), "c": (3, 3)}),
    ],
)
def test_a_rank_spans_the_places_that_are_not_excluded(
    apart: Sequence[tuple[str, str]], expected: dict[str, tuple[int, int]]
) -> None:
    assert rank_intervals(["a", "b", "c"], set(apart)) == expected
