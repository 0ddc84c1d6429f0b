"""Distillation on other people's images: the loss, what it asks, that it teaches."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from torch import Tensor, nn

from attacks.surrogate_kd import SurrogateKD
from bench.data import Augmentation, Images
from bench.errors import BudgetExhausted, Diverged
from bench.plugins.base import Run
from bench.recipe import Recipe
from bench.threat.grants import Ledger, SoftLabels, SurrogateImages
from bench.threat.replies import Replies

MakeRun = Callable[..., Run]
LONG = Recipe(epochs=40, batch=16, rate=0.05, schedule="constant")
ONE_BATCH = Recipe(epochs=1, batch=64, rate=0.05, schedule="constant")


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


class Service:
    """Answers as `network` does and counts what it was asked."""

    def __init__(
        self, network: nn.Module, images: SurrogateImages, budget: int | None = None
    ):
        self.network = network
        self.answered = 0
        self.ledger = Ledger(budget)
        owned, augment = images._Dealer__images, images._Dealer__augment
        known = Replies(self._answer, owned, augment)
        self.door = SoftLabels(self._answer, self.ledger, known)

    def _answer(self, images: Tensor) -> Tensor:
        self.answered += len(images)
        return self.network(images).log_softmax(dim=1)


def steal(
    attack: SurrogateKD, run: Run, teacher: nn.Module, images: SurrogateImages
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    service = Service(teacher, images, attack.queries)
    attack.steal(student, service.door, images, run)
    return student, service


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_the_loss_equals_a_naive_one(
    tau: float, make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run(recipe=ONE_BATCH)

    steal(SurrogateKD(tau=tau), run, toy_teacher, SurrogateImages(others))

    (_, _, losses) = run._harness.heard[0]
    pixels = others.as_float()
    expected = naive_loss(untaught(pixels), toy_teacher(pixels), tau)
    assert losses["loss"] == pytest.approx(expected, abs=1e-4)


def test_a_plain_image_is_paid_for_once_however_many_epochs(
    make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    run = make_run(recipe=Recipe(epochs=4, batch=16, schedule="constant"))

    _, service = steal(SurrogateKD(), run, toy_teacher, SurrogateImages(others))

    assert service.ledger.queries == 64


def test_an_epoch_pays_for_each_view_that_is_new(
    make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    images = SurrogateImages(others, Augmentation(pad=1, flip=True))
    run = make_run(recipe=Recipe(epochs=5, batch=16, schedule="constant"))
    replay = torch.Generator().manual_seed(run.seed)
    dealt = [b.view for _ in range(5) for b in images.batches(16, replay)]
    distinct = len(torch.cat(dealt).unique())
    assert 64 < distinct < 5 * 64

    _, service = steal(SurrogateKD(), run, toy_teacher, images)

    assert service.ledger.queries == distinct


def test_it_stops_before_it_overspends(
    make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    attack, images = SurrogateKD(queries=40), SurrogateImages(others)
    service, run = Service(toy_teacher, images, attack.queries), make_run()

    with pytest.raises(BudgetExhausted, match="16 images with 8 left"):
        attack.steal(run.network("mlp"), service.door, images, run)

    assert service.ledger.queries == service.answered == 32


def test_a_budget_of_every_view_is_enough(
    make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    attack = SurrogateKD(queries=64)

    _, service = steal(attack, make_run(), toy_teacher, SurrogateImages(others))

    assert service.door.remaining == 0


def test_it_repeats_to_the_bit(
    make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    images = SurrogateImages(others, Augmentation(pad=1))

    first, second, other = (
        steal(SurrogateKD(), make_run(seed=seed), toy_teacher, images)[0].state_dict()
        for seed in (1, 1, 2)
    )

    assert all(torch.equal(v, second[k]) for k, v in first.items())
    assert not torch.equal(first["1.weight"], other["1.weight"])


def test_replies_of_nan_end_as_diverged(
    make_run: MakeRun, others: Images, toy_teacher: nn.Module
) -> None:
    with torch.no_grad():
        toy_teacher[1].bias.fill_(float("nan"))

    with pytest.raises(Diverged, match="epoch 1 became nan"):
        steal(SurrogateKD(), make_run(), toy_teacher, SurrogateImages(others))


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
