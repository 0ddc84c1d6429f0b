"""Distillation: losses, what they leave out, annealed steps, and that it teaches."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any, Never

import naive
import pytest
import torch
import torch.nn.functional as F
from inversion import draw
from service import agreement, stolen
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from attacks._distillation import AnnealedSGD, soft_loss
from attacks.dafl import DAFL
from attacks.kd import VanillaKD
from attacks.label_kd import LabelKD
from attacks.noise_kd import NoiseKD
from attacks.scratch import Scratch
from attacks.surrogate_kd import SurrogateKD
from bench.data import Images
from bench.plugins.base import Attack
from bench.recipe import Recipe
from bench.testing.run import NotedRun
from bench.threat.images import TrainImages

MakeRun = Callable[..., NotedRun]
ONE_BATCH = Recipe(epochs=1, batch_size=48, lr=0.05, lr_schedule="constant")
LONG = Recipe(epochs=40, batch_size=16, lr=0.05, lr_schedule="constant")


@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0, 20.0])
def test_the_soft_loss_equals_a_naive_one(tau: float) -> None:
    student, teacher = draw(7, 6, seed=3), draw(7, 6, seed=4)

    got = soft_loss(student, teacher, tau)

    expected = naive.soft_loss(student, teacher, tau)
    assert float(got) == pytest.approx(expected, abs=1e-5)


def test_the_soft_loss_takes_log_probabilities_for_logits() -> None:
    student, teacher = draw(5, 3, seed=4), draw(5, 3, seed=5)

    from_logits = soft_loss(student, teacher, 4.0)
    from_replies = soft_loss(student, teacher.log_softmax(dim=1), 4.0)

    torch.testing.assert_close(from_logits, from_replies)
    assert float(soft_loss(teacher + 7, teacher, 4.0)) == pytest.approx(0, abs=1e-12)


def test_the_soft_loss_has_the_gradient_of_its_formula() -> None:
    tau, teacher = 3.0, draw(4, 5, seed=6)
    student = draw(4, 5, seed=7).requires_grad_()

    soft_loss(student, teacher, tau).backward()

    gap = (student / tau).softmax(dim=1) - (teacher / tau).softmax(dim=1)
    torch.testing.assert_close(student.grad, tau * gap.detach() / 4)


def test_a_class_that_the_teacher_rules_out_adds_nothing() -> None:
    student = torch.tensor([[0.3, -0.2, 0.9]], requires_grad=True)
    ruled_out = torch.tensor([[0.75, 0.25, 0.0]]).log()

    got = soft_loss(student, ruled_out, 4.0)
    got.backward()

    nearly = torch.tensor([[log(0.75), log(0.25), -1e9]])
    expected = naive.soft_loss(student.detach(), nearly, 4.0)
    assert float(got.detach()) == pytest.approx(expected, abs=1e-5)
    assert student.grad is not None and bool(student.grad.isfinite().all())


Loss = Callable[[Tensor, Tensor, Tensor], float]
"""Of the logits of student and teacher, and the labels."""


def mixed(alpha: float) -> tuple[Attack[Any, Any], Loss]:
    def loss(mine: Tensor, taught: Tensor, labels: Tensor) -> float:
        hard = naive.cross_entropy(mine, labels)
        return alpha * naive.soft_loss(mine, taught, 2.0) + (1 - alpha) * hard

    return VanillaKD(tau=2.0, alpha=alpha), loss


def first_choice(mine: Tensor, taught: Tensor, labels: Tensor) -> float:
    return naive.cross_entropy(
        mine, torch.tensor([z.index(max(z)) for z in taught.tolist()])
    )


def smoothed(mine: Tensor, taught: Tensor, labels: Tensor) -> float:
    return float(F.cross_entropy(mine, labels, label_smoothing=0.3))


@pytest.mark.parametrize(
    ("attack", "loss"),
    [
        *map(mixed, (0.0, 0.3, 0.9, 1.0)),
        (LabelKD(), first_choice),
        (SurrogateKD(tau=1.0), lambda z, t, _: naive.soft_loss(z, t, 1.0)),
        (SurrogateKD(tau=4.0), lambda z, t, _: naive.soft_loss(z, t, 4.0)),
        (Scratch(), lambda z, _, labels: naive.cross_entropy(z, labels)),
        (Scratch(label_smoothing=0.3), smoothed),
    ],
    ids=lambda value: str(value) if isinstance(value, Attack) else "",
)
def test_the_loss_of_an_attack_equals_a_naive_one(
    attack: Attack[Any, Any],
    loss: Loss,
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run(recipe=ONE_BATCH)

    stolen(attack, run, toy_teacher, toy_images)

    (_, _, losses) = run.told[0]
    mine, taught = (n(toy_images.as_float()).detach() for n in (untaught, toy_teacher))
    expected = loss(mine, taught, toy_images.labels)
    assert losses["loss"] == pytest.approx(expected, abs=1e-4)


def test_with_alpha_0_it_never_asks(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    _, service = stolen(VanillaKD(alpha=0.0), make_run(), toy_teacher, toy_images)

    assert service.asked == []
    assert service.ledger.queries == 0


class Untouchable:
    """A teacher that cannot even be looked at."""

    def __getattribute__(self, name: str) -> Never:
        raise AssertionError(f"the teacher was asked for {name}")

    def __call__(self, *_: object) -> Never:
        raise AssertionError("the teacher was asked")


def test_from_scratch_the_labels_are_learned_and_the_teacher_is_not_even_seen(
    make_run: MakeRun, toy_images: Images
) -> None:
    run = make_run(recipe=LONG)
    student = run.network("mlp")

    Scratch().steal(student, Untouchable(), TrainImages(toy_images), run)

    guess = student(toy_images.as_float()).argmax(dim=1)
    assert torch.equal(guess, toy_images.labels)
    assert not student.training


class Shy(nn.Module):
    """Keeps the first choice of a network, and next to nothing of its confidence."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return (self.network(images) * 1e-3).sinh()


@pytest.mark.parametrize(
    ("attack", "change"),
    [(VanillaKD(alpha=1.0), "labels"), (LabelKD(), "labels"), (LabelKD(), "shyness")],
    ids=str,
)
def test_labels_and_confidences_are_read_where_the_loss_has_them_alone(
    attack: Attack[Any, Any],
    change: str,
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    other = Images(toy_images.pixels, toy_images.labels.flip(0))
    changed = (Shy(toy_teacher), toy_images)
    if change == "labels":
        changed = (toy_teacher, other)

    plain, _ = stolen(attack, make_run(), toy_teacher, toy_images)
    same, _ = stolen(attack, make_run(), *changed)

    for a, b in zip(plain.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)


def test_annealed_steps_are_those_of_torchs_sgd() -> None:
    torch.manual_seed(0)
    ours, plain = nn.Linear(3, 2), nn.Linear(3, 2)
    plain.load_state_dict(ours.state_dict())
    annealed = AnnealedSGD(ours, lr=0.1, steps=10)
    sgd = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)

    for step, images in enumerate(torch.rand(10, 4, 3)):
        annealed.minimize(ours(images).square().sum())
        sgd.param_groups[0]["lr"] = 0.1 if step < 4 else 0.01 if step < 8 else 0.001
        sgd.zero_grad()
        plain(images).square().sum().backward()
        sgd.step()

    torch.testing.assert_close(ours.weight, plain.weight)


def test_the_rate_of_a_student_on_noise_drops_at_40_and_80_percent(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    rates: list[float] = []
    handle = register_optimizer_step_pre_hook(
        lambda sgd, *_: rates.append(sgd.param_groups[0]["lr"])
    )

    stolen(NoiseKD(iterations=10, batch_size=16, lr=0.5), make_run(), toy_teacher)
    handle.remove()

    assert rates == pytest.approx([0.5] * 4 + [0.05] * 4 + [0.005] * 2)


def noise() -> Images:
    """64 images that show nothing that the toy teacher was made for."""
    rng = torch.Generator().manual_seed(8)
    pixels = torch.randint(256, (64, 1, 8, 8), generator=rng, dtype=torch.uint8)
    return Images(pixels, torch.arange(64) % 4)


@pytest.mark.parametrize(
    ("attack", "least"),
    [
        (VanillaKD(), 1.0),
        (LabelKD(), 1.0),
        (SurrogateKD(), 0.8),
        (NoiseKD(iterations=200, batch_size=32, distribution="normal"), 0.9),
        (NoiseKD(iterations=200, batch_size=32, distribution="uniform"), 0.9),
        (DAFL(iterations=150, batch_size=32, latent=8, width=8, contrast=4.0), 0.9),
    ],
    ids=str,
)
def test_the_student_comes_to_agree_with_the_teacher_against_the_labels(
    attack: Attack[Any, Any],
    least: float,
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    dealt = noise() if isinstance(attack, SurrogateKD) else toy_images
    taught = toy_teacher(toy_images.as_float()).argmax(dim=1)
    assert not bool((taught == toy_images.labels).any())
    untaught = make_run().network("mlp").eval()

    student, _ = stolen(attack, make_run(recipe=LONG), toy_teacher, dealt)

    assert agreement(untaught, toy_teacher, toy_images) < 0.6
    assert agreement(student, toy_teacher, toy_images) >= least
