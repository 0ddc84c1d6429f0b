"""Vanilla distillation: its loss, what it asks, and that it teaches."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from torch import Tensor, nn

from attacks._distillation import soft_loss
from attacks.kd import VanillaKD
from bench.data import Augmentation, Images
from bench.errors import BudgetExhausted, Diverged
from bench.plugins.base import Attack, Run
from bench.recipe import Recipe
from bench.threat.grants import Ledger, SoftLabels, TrainImages
from bench.threat.replies import Replies

MakeRun = Callable[..., Run]
LONG = Recipe(epochs=30, batch=16, rate=0.05, schedule="constant")
ONE_BATCH = Recipe(epochs=1, batch=48, rate=0.05, schedule="constant")


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


class Service:
    """Answers as `network` does and remembers what it was asked."""

    def __init__(
        self, network: nn.Module, images: TrainImages, budget: int | None = None
    ):
        self.network = network
        self.asked: list[Tensor] = []
        self.ledger = Ledger(budget)
        owned, augment = images._Dealer__images, images._Dealer__augment
        known = Replies(self._answer, owned, augment)
        self.door = SoftLabels(self._answer, self.ledger, known)

    def _answer(self, images: Tensor) -> Tensor:
        self.asked.append(images)
        return self.network(images).log_softmax(dim=1)

    @property
    def answered(self) -> int:
        return sum(len(images) for images in self.asked)


def steal(
    attack: Attack, run: Run, teacher: nn.Module, images: TrainImages
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    service = Service(teacher, images, attack.queries)
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

    (_, _, losses) = run._harness.heard[0]
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


def test_a_plain_image_is_paid_for_once_however_many_epochs(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    run = make_run(recipe=Recipe(epochs=4, batch=16, schedule="constant"))

    _, service = steal(VanillaKD(), run, toy_teacher, TrainImages(toy_images))

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

    _, service = steal(VanillaKD(), run, toy_teacher, images)

    assert service.ledger.queries == distinct


def test_it_stops_before_it_overspends(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    attack, images = VanillaKD(queries=40), TrainImages(toy_images)
    service = Service(toy_teacher, images, attack.queries)
    run = make_run()

    with pytest.raises(BudgetExhausted, match="16 images with 8 left"):
        attack.steal(run.network("mlp"), service.door, images, run)

    assert service.ledger.queries == 32
    assert service.answered == 32


def test_a_budget_of_every_view_is_enough(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    attack = VanillaKD(queries=len(toy_images))

    _, service = steal(attack, make_run(), toy_teacher, TrainImages(toy_images))

    assert service.door.remaining == 0


def test_it_repeats_to_the_bit(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    images = TrainImages(toy_images, Augmentation(pad=1))

    first, _ = steal(VanillaKD(), make_run(seed=1), toy_teacher, images)
    second, _ = steal(VanillaKD(), make_run(seed=1), toy_teacher, images)
    other, _ = steal(VanillaKD(), make_run(seed=2), toy_teacher, images)

    same = second.state_dict()
    assert all(torch.equal(v, same[k]) for k, v in first.state_dict().items())
    assert not torch.equal(first[1].weight, other[1].weight)


def test_replies_of_nan_end_as_diverged(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    with torch.no_grad():
        toy_teacher[1].bias.fill_(float("nan"))

    with pytest.raises(Diverged, match="epoch 1 became nan"):
        steal(VanillaKD(), make_run(), toy_teacher, TrainImages(toy_images))
