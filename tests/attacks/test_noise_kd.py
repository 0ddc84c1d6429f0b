"""Distillation on noise: the noise, the loss, and what it asks."""

from __future__ import annotations

from collections.abc import Callable

import naive
import pytest
import torch
from service import Service, stolen
from torch import nn

from attacks.noise_kd import NoiseKD
from bench.errors import BadOption
from bench.plugins.registry import resolve
from bench.testing.run import NotedRun

MakeRun = Callable[..., NotedRun]
BRIEF = {"iterations": 3, "batch_size": 16}


def steal(run: NotedRun, teacher: nn.Module, **options: float | str) -> Service:
    """Whom the student of `run` asked."""
    return stolen(NoiseKD(**{**BRIEF, **options}), run, teacher)[1]


def test_uniform_noise_is_uniform(make_run: MakeRun, toy_teacher: nn.Module) -> None:
    service = steal(make_run(), toy_teacher, batch_size=256, distribution="uniform")

    pixels = torch.cat(service.asked)
    shares = pixels.flatten().histc(bins=4, min=0, max=1) / pixels.numel()
    assert pixels.shape == (768, 1, 8, 8)
    assert float(pixels.min()) >= 0 and float(pixels.max()) <= 1
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.02, rtol=0)


def test_normal_noise_is_normal_and_clipped(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    service = steal(make_run(), toy_teacher, batch_size=256, distribution="normal")

    pixels = torch.cat(service.asked)
    inside = pixels[(pixels > 0) & (pixels < 1)]
    assert (float(pixels.min()), float(pixels.max())) == (0.0, 1.0)
    assert len(inside) / pixels.numel() == pytest.approx(0.9545, abs=0.01)
    assert float(pixels.mean()) == pytest.approx(0.5, abs=0.01)
    middle = ((pixels > 0.25) & (pixels < 0.75)).float().mean()
    assert float(middle) == pytest.approx(0.6827, abs=0.01)


def test_another_distribution_is_refused() -> None:
    with pytest.raises(BadOption, match="distribution=poisson"):
        resolve("attack", "noise_kd[distribution=poisson]", {})


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_the_loss_equals_a_naive_one(
    tau: float, make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run()

    service = steal(run, toy_teacher, iterations=1, tau=tau)

    (_, _, losses) = run.told[0]
    (asked,) = service.asked
    expected = naive.soft_loss(untaught(asked), toy_teacher(asked), tau)
    assert losses["loss"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_every_image_is_a_query_and_drawn_by_the_runs_own_generator(
    distribution: str, make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    asked = []

    for seed in (0, 1):
        run = make_run()
        run.generator.manual_seed(seed)
        service = steal(run, toy_teacher, batch_size=9, distribution=distribution)
        assert service.ledger.queries == 27
        assert [len(images) for images in service.asked] == [9] * 3
        asked += service.asked

    assert len(torch.cat(asked).unique(dim=0)) == 54
