"""Distillation on other people's images: the loss, what it asks, that it teaches."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from service import Service
from torch import Tensor, nn

from attacks.surrogate_kd import SurrogateKD
from bench.data import Images
from bench.plugins.run import Run
from bench.recipe import Recipe
from bench.threat.images import SurrogateImages

MakeRun = Callable[..., Run]
LONG = Recipe(epochs=40, batch_size=16, lr=0.05, lr_schedule="constant")
ONE_BATCH = Recipe(epochs=1, batch_size=64, lr=0.05, lr_schedule="constant")


@pytest.fixture
def others() -> Images:
    """64 images of noise: nothing that the toy teacher was made for."""
    rng = torch.Generator().manual_seed(8)
    pixels = torch.randint(256, (64, 1, 8, 8), generator=rng, dtype=torch.uint8)
    return Images(pixels, torch.arange(64) % 4)


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
    attack: SurrogateKD, run: Run, teacher: nn.Module, images: SurrogateImages
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    service = Service(teacher, images)
    attack.steal(student, service.door, images, run)
    return student, service


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_the_loss_equals_a_naive_one(
    tau: float, make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run(recipe=ONE_BATCH)

    steal(SurrogateKD(tau=tau), run, toy_teacher, SurrogateImages(others))

    (_, _, losses) = run.told[0]
    pixels = others.as_float()
    expected = naive_loss(untaught(pixels), toy_teacher(pixels), tau)
    assert losses["loss"] == pytest.approx(expected, abs=1e-4)


def test_the_student_comes_to_agree_on_images_that_it_never_saw(
    make_run: MakeRun, others: Images, toy_teacher: nn.Module, toy_images: Images
) -> None:
    pixels = toy_images.as_float()
    taught = toy_teacher(pixels).argmax(dim=1)
    untaught = make_run().network("mlp").eval()

    student, _ = steal(
        SurrogateKD(), make_run(recipe=LONG), toy_teacher, SurrogateImages(others)
    )

    before = float((untaught(pixels).argmax(dim=1) == taught).float().mean())
    after = float((student(pixels).argmax(dim=1) == taught).float().mean())
    assert before < 0.6
    assert after > 0.8
    assert not student.training
