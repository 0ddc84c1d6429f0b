"""Attacks that ask: what they pay for, and what they do when nothing remains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from service import Service
from torch import nn

from attacks.kd import VanillaKD
from attacks.label_kd import LabelKD
from attacks.noise_kd import NoiseKD
from attacks.surrogate_kd import SurrogateKD
from bench.data import PLAIN, Augmentation, Images
from bench.errors import Skipped
from bench.testing.run import NotedRun
from bench.threat.grants import HardLabels, SoftLabels
from bench.threat.images import SurrogateImages, TrainImages

MakeRun = Callable[..., NotedRun]
DEALT = [
    (VanillaKD, SoftLabels, TrainImages),
    (LabelKD, HardLabels, TrainImages),
    (SurrogateKD, SoftLabels, SurrogateImages),
]
MOVED = Augmentation(pad=1, flip=True)


def stolen(
    attack: Any,
    grant: Any,
    images: Any,
    run: NotedRun,
    teacher: nn.Module,
    budget: int | None = None,
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    service = Service(teacher, images, budget, grant)
    attack.steal(student, service.door, images, run)
    return student, service


@pytest.mark.parametrize(("cls", "grant", "deal"), DEALT)
def test_a_view_is_paid_for_once_however_many_epochs(
    cls: Any,
    grant: Any,
    deal: Any,
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    plain, moved = deal(toy_images, PLAIN), deal(toy_images, MOVED)

    _, once = stolen(cls(), grant, plain, make_run(), toy_teacher)
    _, more = stolen(cls(), grant, moved, make_run(), toy_teacher)

    assert once.ledger.queries == len(toy_images)
    assert len(toy_images) < more.ledger.queries <= 3 * len(toy_images)


@pytest.mark.parametrize("budget", [2, 17, 48, 1000])
@pytest.mark.parametrize(("cls", "grant", "deal"), DEALT)
def test_a_budget_is_spent_once_on_as_many_images(
    cls: Any,
    grant: Any,
    deal: Any,
    budget: int,
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    run = make_run()
    fresh = make_run().network("mlp")

    student, service = stolen(
        cls(), grant, deal(toy_images, MOVED), run, toy_teacher, budget
    )

    assert service.ledger.queries == min(budget, len(toy_images))
    known = {tuple(p.flatten().tolist()) for p in toy_images.as_float()}
    for batch in service.asked:
        assert all(tuple(p.flatten().tolist()) in known for p in batch)
    pairs = zip(fresh.parameters(), student.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("attack", "grant", "deal"),
    [*((cls(), *more) for cls, *more in DEALT), (NoiseKD(), SoftLabels, None)],
)
def test_a_budget_that_pays_for_no_batch_is_declined(
    attack: Any,
    grant: Any,
    deal: Any,
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    images = deal and deal(toy_images, MOVED)

    with pytest.raises(Skipped, match="1 queries pay for no batch"):
        stolen(attack, grant, images, make_run(), toy_teacher, budget=1)


def test_noise_goes_on_with_what_was_answered(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    states = []
    for iterations in (3, 12):
        run = make_run()
        attack = NoiseKD(iterations=iterations, batch_size=16)
        student, service = stolen(attack, SoftLabels, None, run, toy_teacher, budget=40)
        assert service.answered == service.ledger.queries == 40
        assert [len(batch) for batch in service.asked] == [16, 16, 8]
        states.append(student.state_dict())

    assert any(not torch.equal(v, states[1][k]) for k, v in states[0].items())


def test_noise_that_was_answered_is_shown_in_turn_to_the_end(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    run, shown = make_run(), []
    student = run.network("mlp")
    student.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    service = Service(toy_teacher, None, 40, SoftLabels)

    NoiseKD(iterations=12, batch_size=16).steal(student, service.door, None, run)

    times = [sum(torch.equal(one, batch) for one in shown) for batch in service.asked]
    assert len(shown) == 12 and times == [4, 4, 4]
