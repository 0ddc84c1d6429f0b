"""Distillation on noise: the noise, the loss, what it asks, and that it teaches."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from service import Service
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from attacks.noise_kd import NoiseKD
from bench.data import Images
from bench.errors import BadOption
from bench.plugins.registry import resolve
from bench.plugins.run import Run
from bench.threat.images import NoImages

MakeRun = Callable[..., Run]
BRIEF = {"iterations": 3, "batch_size": 16}


def naive_softmax(logits: list[float], tau: float) -> list[float]:
    raised = [exp(z / tau) for z in logits]
    return [r / sum(raised) for r in raised]


def naive_loss(student: Tensor, teacher: Tensor, tau: float) -> float:
    total = 0.0
    for z_student, z_teacher in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = naive_softmax(z_teacher, tau), naive_softmax(z_student, tau)
        total += sum(a * log(a / b) for a, b in zip(p, q, strict=True))
    return tau**2 * total / len(student)


def steal(
    run: Run, teacher: nn.Module, **options: float | str
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    attack = NoiseKD(**{**BRIEF, **options})
    service = Service(teacher)
    attack.steal(student, service.door, NoImages(), run)
    return student, service


def test_uniform_noise_is_uniform(make_run: MakeRun, toy_teacher: nn.Module) -> None:
    _, service = steal(make_run(), toy_teacher, batch_size=256, distribution="uniform")

    pixels = torch.cat(service.asked)
    shares = pixels.flatten().histc(bins=4, min=0, max=1) / pixels.numel()
    assert pixels.shape == (768, 1, 8, 8)
    assert float(pixels.min()) >= 0 and float(pixels.max()) <= 1
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.02, rtol=0)


def test_normal_noise_is_normal_and_clipped(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    _, service = steal(make_run(), toy_teacher, batch_size=256, distribution="normal")

    pixels = torch.cat(service.asked)
    inside = pixels[(pixels > 0) & (pixels < 1)]
    assert (float(pixels.min()), float(pixels.max())) == (0.0, 1.0)
    assert len(inside) / pixels.numel() == pytest.approx(0.9545, abs=0.01)
    assert float(pixels.mean()) == pytest.approx(0.5, abs=0.01)
    middle = ((pixels > 0.25) & (pixels < 0.75)).float().mean()
    assert float(middle) == pytest.approx(0.6827, abs=0.01)


def test_no_noise_is_drawn_twice(make_run: MakeRun, toy_teacher: nn.Module) -> None:
    _, service = steal(make_run(), toy_teacher)

    assert len(torch.cat(service.asked).unique(dim=0)) == 48


def test_another_distribution_is_refused() -> None:
    with pytest.raises(BadOption, match="distribution=poisson"):
        resolve("attack", "noise_kd[distribution=poisson]", {})


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_the_loss_equals_a_naive_one(
    tau: float, make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run()

    _, service = steal(run, toy_teacher, iterations=1, tau=tau)

    (_, _, losses) = run.told[0]
    (asked,) = service.asked
    expected = naive_loss(untaught(asked), toy_teacher(asked), tau)
    assert losses["loss"] == pytest.approx(expected, abs=1e-4)


def test_every_image_is_a_query(make_run: MakeRun, toy_teacher: nn.Module) -> None:
    _, service = steal(make_run(), toy_teacher, iterations=7, batch_size=9)

    assert service.ledger.queries == 63
    assert [len(images) for images in service.asked] == [9] * 7


def test_the_rate_drops_at_40_and_80_percent(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    rates: list[float] = []
    handle = register_optimizer_step_pre_hook(
        lambda o, *_: rates.append(o.param_groups[0]["lr"])
    )

    steal(make_run(), toy_teacher, iterations=10, lr=0.5)
    handle.remove()

    assert rates == pytest.approx([0.5] * 4 + [0.05] * 4 + [0.005] * 2)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_the_noise_comes_from_the_runs_own_generator(
    distribution: str, make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    asked = []

    for seed in (0, 1):
        run = make_run()
        run.generator.manual_seed(seed)
        _, service = steal(run, toy_teacher, distribution=distribution)
        asked.append(service.asked[0])

    assert not torch.equal(*asked)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_the_student_comes_to_agree_on_images_that_nobody_dealt(
    distribution: str, make_run: MakeRun, toy_teacher: nn.Module, toy_images: Images
) -> None:
    pixels = toy_images.as_float()
    taught = toy_teacher(pixels).argmax(dim=1)
    untaught = make_run().network("mlp").eval()

    student, _ = steal(
        make_run(),
        toy_teacher,
        iterations=200,
        batch_size=32,
        distribution=distribution,
    )

    before = float((untaught(pixels).argmax(dim=1) == taught).float().mean())
    after = float((student(pixels).argmax(dim=1) == taught).float().mean())
    assert before < 0.6
    assert after > 0.9
