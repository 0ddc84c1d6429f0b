"""Vanilla distillation: its loss, what it asks, and that it teaches."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from service import Service
from torch import Tensor, nn

from attacks._distillation import soft_loss
from attacks.kd import VanillaKD
from bench.data import Images
from bench.plugins.base import Attack
from bench.plugins.run import Run
from bench.recipe import Recipe
from bench.threat.images import TrainImages

MakeRun = Callable[..., Run]
LONG = Recipe(epochs=30, batch_size=16, lr=0.05, lr_schedule="constant")
ONE_BATCH = Recipe(epochs=1, batch_size=48, lr=0.05, lr_schedule="constant")


def naive_softmax(logits: list[float], tau: float) -> list[float]:
    raised = [exp(z / tau) for z in logits]
    return [r / sum(raised) for r in raised]


def naive_soft_loss(student: Tensor, teacher: Tensor, tau: float) -> float:
    total = 0.0
    for z_student, z_teacher in zip(student.tolist(), teacher.tolist(), strict=True):
        p = naive_softmax(z_teacher, tau)
        q = naive_softmax(z_student, tau)
        total += sum(a * log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
    return tau**2 * total / len(student)


def naive_cross_entropy(logits: Tensor, labels: Tensor) -> float:
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    return sum(-log(naive_softmax(z, 1.0)[y]) for z, y in rows) / len(logits)


def steal(
    attack: Attack, run: Run, teacher: nn.Module, images: TrainImages
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    service = Service(teacher, images)
    attack.steal(student, service.door, images, run)
    return student, service


@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0, 20.0])
def test_the_soft_loss_equals_a_naive_one(tau: float) -> None:
    rng = torch.Generator().manual_seed(3)
    student = 5 * torch.randn(7, 6, generator=rng, dtype=torch.float64)
    teacher = 5 * torch.randn(7, 6, generator=rng, dtype=torch.float64)

    got = soft_loss(student, teacher, tau)

    assert float(got) == pytest.approx(naive_soft_loss(student, teacher, tau), abs=1e-5)


def test_the_soft_loss_takes_log_probabilities_for_logits() -> None:
    rng = torch.Generator().manual_seed(4)
    student = torch.randn(5, 3, generator=rng)
    teacher = 4 * torch.randn(5, 3, generator=rng)

    from_logits = soft_loss(student, teacher, 4.0)
    from_replies = soft_loss(student, teacher.log_softmax(dim=1), 4.0)

    torch.testing.assert_close(from_logits, from_replies, atol=1e-5, rtol=0)


def test_the_soft_loss_has_the_gradient_of_its_formula() -> None:
    rng = torch.Generator().manual_seed(5)
    tau, teacher = 3.0, torch.randn(4, 5, generator=rng, dtype=torch.float64)
    student = torch.randn(4, 5, generator=rng, dtype=torch.float64, requires_grad=True)

    soft_loss(student, teacher, tau).backward()

    gap = (student / tau).softmax(dim=1) - (teacher / tau).softmax(dim=1)
    torch.testing.assert_close(student.grad, tau * gap.detach() / 4)


def test_the_soft_loss_is_zero_for_a_student_that_agrees() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])

    got = soft_loss(logits + 7.0, logits, 4.0)

    assert float(got) == pytest.approx(0.0, abs=1e-6)


def test_a_class_that_the_teacher_rules_out_adds_nothing() -> None:
    student = torch.tensor([[0.3, -0.2, 0.9]], requires_grad=True)
    ruled_out = torch.tensor([[0.75, 0.25, 0.0]]).log()

    got = soft_loss(student, ruled_out, 4.0)
    got.backward()

    expected = naive_soft_loss(
        student.detach(), torch.tensor([[log(0.75), log(0.25), -1e9]]), 4.0
    )
    assert float(got.detach()) == pytest.approx(expected, abs=1e-5)
    assert bool(student.grad.isfinite().all())


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 1.0])
def test_the_loss_mixes_teacher_and_labels_by_alpha(
    alpha: float, make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run(recipe=ONE_BATCH)
    attack = VanillaKD(tau=2.0, alpha=alpha)

    steal(attack, run, toy_teacher, TrainImages(toy_images))

    (_, _, losses) = run.told[0]
    logits = untaught(toy_images.as_float()).detach()
    taught = toy_teacher(toy_images.as_float()).detach()
    soft = naive_soft_loss(logits, taught, 2.0)
    hard = naive_cross_entropy(logits, toy_images.labels)
    assert losses["loss"] == pytest.approx(alpha * soft + (1 - alpha) * hard, abs=1e-4)


def test_with_alpha_0_it_never_asks(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    attack = VanillaKD(alpha=0.0)

    _, service = steal(attack, make_run(), toy_teacher, TrainImages(toy_images))

    assert service.asked == []
    assert service.ledger.queries == 0


def test_with_alpha_1_it_ignores_the_labels(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    attack = VanillaKD(alpha=1.0)
    other = Images(toy_images.pixels, toy_images.labels.flip(0))

    first, _ = steal(attack, make_run(), toy_teacher, TrainImages(toy_images))
    second, _ = steal(attack, make_run(), toy_teacher, TrainImages(other))

    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_student_comes_to_agree_with_the_teacher_against_the_labels(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    pixels = toy_images.as_float()
    taught = toy_teacher(pixels).argmax(dim=1)
    assert not bool((taught == toy_images.labels).any())
    untaught = make_run().network("mlp").eval()

    student, _ = steal(
        VanillaKD(), make_run(recipe=LONG), toy_teacher, TrainImages(toy_images)
    )

    before = (untaught(pixels).argmax(dim=1) == taught).float().mean()
    after = (student(pixels).argmax(dim=1) == taught).float().mean()
    assert float(before) < 0.6
    assert float(after) == 1.0
    assert not student.training
