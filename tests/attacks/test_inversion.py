"""What inversion looks at in images, its targets, and its pool."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import pytest
import torch
from inversion import convolutional, draw, naive_divergence, naive_gap, naive_variation
from torch import nn

from attacks._inversion import (
    Pool,
    Watched,
    balanced,
    bn_gap,
    divergence,
    total_variation,
)
from bench.testing.run import NotedRun

MakeRun = Callable[..., NotedRun]


def watchable() -> nn.Sequential:
    """In eval mode, with statistics that are its own."""
    torch.manual_seed(3)
    network = convolutional()
    network(draw(16, 1, 8, 8).float())
    return network.eval().requires_grad_(False)


def test_the_gap_of_a_layer_equals_a_naive_one() -> None:
    inputs, mean, var = draw(5, 3, 4, 2), draw(3, seed=1), draw(3, seed=2).abs()

    got = bn_gap(inputs, mean, var)

    assert float(got) == pytest.approx(naive_gap(inputs, mean, var), abs=1e-5)


def test_the_inputs_of_every_batchnorm_are_held_against_its_statistics() -> None:
    pixels = draw(7, 1, 8, 8)
    network = watchable().double()

    logits, gap = Watched(network)(pixels)

    before_first = network[0](pixels)
    before_second = network[:4](pixels)
    expected = sum(
        naive_gap(inputs, layer.running_mean, layer.running_var)
        for inputs, layer in ((before_first, network[1]), (before_second, network[4]))
    )
    assert float(gap) == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(logits, network(pixels))


def test_each_call_has_a_gap_of_its_own() -> None:
    watched, pixels = Watched(watchable()), draw(7, 1, 8, 8).float()

    gaps = [float(watched(x)[1]) for x in (pixels, pixels * 5, pixels)]

    assert gaps[0] == gaps[2] != gaps[1]


def test_the_total_variation_equals_a_naive_one() -> None:
    images = draw(2, 3, 5, 4)

    got = total_variation(images)

    assert float(got) == pytest.approx(naive_variation(images), abs=1e-5)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ([[0, 0], [0, 1]], 1 + 1 + 1 + 0),
        ([[0, 1], [0, 0]], 1 + 1 + 0 + 1),
        ([[0, 1], [0, 1]], sqrt(2) + 0 + 1 + 1),
        ([[0, 0], [1, 1]], 0 + sqrt(2) + 1 + 1),
        ([[1, 0], [0, 1]], sqrt(2) + sqrt(2) + 0 + 0),
        ([[1, 1], [1, 1]], 0),
    ],
)
def test_the_total_variation_looks_right_down_and_along_both_diagonals(
    image: list[list[float]], expected: float
) -> None:
    got = total_variation(torch.tensor(image, dtype=torch.float64).view(1, 1, 2, 2))

    assert float(got) == pytest.approx(expected)


def test_the_total_variation_of_a_plain_image_has_a_gradient() -> None:
    image = torch.ones(1, 1, 4, 4, requires_grad=True)

    total_variation(image).backward()

    assert bool(image.grad.isfinite().all())


def test_the_divergence_equals_a_naive_one() -> None:
    student, teacher = draw(6, 5), draw(6, 5, seed=1)

    got = divergence(student, teacher)

    assert float(got) == pytest.approx(naive_divergence(student, teacher), abs=1e-5)


def test_the_divergence_of_opposites_is_log_2_with_a_finite_gradient() -> None:
    student = torch.tensor([[1e4, -1e4]], requires_grad=True)

    got = divergence(student, torch.tensor([[-1e4, 1e4]]))
    got.backward()

    assert float(got.detach()) == pytest.approx(log(2))
    assert bool(student.grad.isfinite().all())


@pytest.mark.parametrize("count", [3, 4, 10, 16])
def test_targets_are_balanced_and_in_random_order(
    count: int, make_run: MakeRun
) -> None:
    run = make_run()

    drawn = [balanced(count, run) for _ in range(20)]

    for targets in drawn:
        times = targets.bincount(minlength=4)
        assert targets.shape == (count,)
        assert int(times.max() - times.min()) <= 1
    assert len({tuple(t.tolist()) for t in drawn}) > 5


def test_the_pool_grows_and_deals_only_what_is_in_it(make_run: MakeRun) -> None:
    run = make_run()
    pool = Pool(8, run)
    lengths = [len(pool)]

    for value in (51, 255):
        pixels = torch.full((4, 1, 8, 8), value, dtype=torch.uint8)
        pool.add(pixels, torch.full((4, 4), float(value)))
        lengths.append(len(pool))
        dealt = [pool.draw(2, run.generator) for _ in range(32)]
        assert {images.shape for images, _ in dealt} == {(2, 1, 8, 8)}
        images, logits = (torch.cat(parts) for parts in zip(*dealt, strict=True))
        assert torch.equal(images[:, 0, 0, 0], logits[:, 0] / 255)
        assert set(logits[:, 0].tolist()) == {51.0, float(value)}

    assert lengths == [0, 4, 8]
    assert pool.pixels.dtype == torch.uint8
