"""Distillation by first choices: the loss, what it asks, the floor that it is."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from torch import Tensor, nn

from attacks.label_kd import LabelKD
from bench.data import Augmentation, Images
from bench.errors import BudgetExhausted, Diverged
from bench.plugins.base import Run
from bench.recipe import Recipe
from bench.threat.grants import HardLabels, Ledger, TrainImages
from bench.threat.replies import Replies

MakeRun = Callable[..., Run]
LONG = Recipe(epochs=30, batch=16, rate=0.05, schedule="constant")
ONE_BATCH = Recipe(epochs=1, batch=48, rate=0.05, schedule="constant")


def naive_loss(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for z_student, z_teacher in zip(student.tolist(), teacher.tolist(), strict=True):
        named = z_teacher.index(max(z_teacher))
        total -= log(exp(z_student[named]) / sum(exp(z) for z in z_student))
    return total / len(student)


class Service:
    """Answers as `network` does and counts what it was asked."""

    def __init__(
        self, network: nn.Module, images: TrainImages, budget: int | None = None
    ):
        self.network = network
        self.answered = 0
        self.ledger = Ledger(budget)
        owned, augment = images._Dealer__images, images._Dealer__augment
        known = Replies(self._answer, owned, augment)
        self.door = HardLabels(self._answer, self.ledger, known)

    def _answer(self, images: Tensor) -> Tensor:
        self.answered += len(images)
        return self.network(images).log_softmax(dim=1)


def steal(
    attack: LabelKD, run: Run, teacher: nn.Module, images: TrainImages
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    service = Service(teacher, images, attack.queries)
    attack.steal(student, service.door, images, run)
    return student, service


def test_the_loss_equals_a_naive_one(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run(recipe=ONE_BATCH)

    steal(LabelKD(), run, toy_teacher, TrainImages(toy_images))

    (_, _, losses) = run._harness.heard[0]
    pixels = toy_images.as_float()
    expected = naive_loss(untaught(pixels), toy_teacher(pixels))
    assert losses["loss"] == pytest.approx(expected, abs=1e-5)


def test_it_never_reads_the_labels(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    other = Images(toy_images.pixels, toy_images.labels.flip(0))

    first, _ = steal(LabelKD(), make_run(), toy_teacher, TrainImages(toy_images))
    second, _ = steal(LabelKD(), make_run(), toy_teacher, TrainImages(other))

    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_defense_that_keeps_the_first_choice_changes_nothing(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    class Shy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (toy_teacher(images) * 1e-3).sinh()

    plain, _ = steal(LabelKD(), make_run(), toy_teacher, TrainImages(toy_images))
    shy, _ = steal(LabelKD(), make_run(), Shy(), TrainImages(toy_images))

    for a, b in zip(plain.parameters(), shy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_plain_image_is_paid_for_once_however_many_epochs(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    run = make_run(recipe=Recipe(epochs=4, batch=16, schedule="constant"))

    _, service = steal(LabelKD(), run, toy_teacher, TrainImages(toy_images))

    assert service.ledger.queries == len(toy_images)


def test_an_epoch_pays_for_each_view_that_is_new(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    images = TrainImages(toy_images, Augmentation(pad=1, flip=True))
    run = make_run(recipe=Recipe(epochs=5, batch=16, schedule="constant"))
    replay = torch.Generator().manual_seed(run.seed)
    dealt = [b.view for _ in range(5) for b in images.batches(16, replay)]
    distinct = len(torch.cat(dealt).unique())
    assert len(toy_images) < distinct < 5 * len(toy_images)

    _, service = steal(LabelKD(), run, toy_teacher, images)

    assert service.ledger.queries == distinct


def test_it_stops_before_it_overspends(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    attack, images = LabelKD(queries=40), TrainImages(toy_images)
    service, run = Service(toy_teacher, images, attack.queries), make_run()

    with pytest.raises(BudgetExhausted, match="16 images with 8 left"):
        attack.steal(run.network("mlp"), service.door, images, run)

    assert service.ledger.queries == service.answered == 32


def test_a_budget_of_every_view_is_enough(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    attack = LabelKD(queries=len(toy_images))

    _, service = steal(attack, make_run(), toy_teacher, TrainImages(toy_images))

    assert service.door.remaining == 0


def test_it_repeats_to_the_bit(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    images = TrainImages(toy_images, Augmentation(pad=1))

    first, second, other = (
        steal(LabelKD(), make_run(seed=seed), toy_teacher, images)[0].state_dict()
        for seed in (1, 1, 2)
    )

    assert all(torch.equal(v, second[k]) for k, v in first.items())
    assert not torch.equal(first["1.weight"], other["1.weight"])


def test_a_loss_of_nan_ends_as_diverged(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    run = make_run()
    student, images = run.network("mlp"), TrainImages(toy_images)
    with torch.no_grad():
        student[1].bias.fill_(float("nan"))

    with pytest.raises(Diverged, match="epoch 1 became nan"):
        LabelKD().steal(student, Service(toy_teacher, images).door, images, run)


def test_the_student_comes_to_agree_with_the_teacher_against_the_labels(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    pixels = toy_images.as_float()
    taught = toy_teacher(pixels).argmax(dim=1)
    assert not bool((taught == toy_images.labels).any())
    untaught = make_run().network("mlp").eval()

    student, _ = steal(
        LabelKD(), make_run(recipe=LONG), toy_teacher, TrainImages(toy_images)
    )

    before = float((untaught(pixels).argmax(dim=1) == taught).float().mean())
    after = float((student(pixels).argmax(dim=1) == taught).float().mean())
    assert before < 0.6
    assert after == 1.0
    assert not student.training
