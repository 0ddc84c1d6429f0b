"""Attacks that ask: what they pay for, and what they do when nothing remains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from service import Service, stolen
from torch import nn

from attacks.kd import VanillaKD
from attacks.label_kd import LabelKD
from attacks.noise_kd import NoiseKD
from attacks.surrogate_kd import SurrogateKD
from bench.data import PLAIN, Augmentation, Images
from bench.errors import Skipped
from bench.plugins.base import Attack
from bench.testing.run import SHORT, NotedRun

MakeRun = Callable[..., NotedRun]
DEALT = [VanillaKD(), LabelKD(), SurrogateKD()]
MOVED = Augmentation(pad=1, flip=True)


@pytest.mark.parametrize("attack", DEALT, ids=lambda attack: type(attack).__name__)
def test_a_view_is_paid_for_once_however_many_epochs(
    attack: Attack[Any, Any],
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    _, once = stolen(attack, make_run(), toy_teacher, toy_images, PLAIN)
    _, more = stolen(attack, make_run(), toy_teacher, toy_images, MOVED)

    assert once.ledger.queries == len(toy_images)
    assert len(toy_images) < more.ledger.queries <= 3 * len(toy_images)


def states(student: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in student.parameters()]


@pytest.mark.parametrize("budget", [2, 17, 48, 1000])
@pytest.mark.parametrize("attack", DEALT, ids=lambda attack: type(attack).__name__)
def test_a_budget_is_spent_on_as_many_images_as_they_are_and_training_goes_on(
    attack: Attack[Any, Any],
    budget: int,
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    taught = []

    for epochs in (3, 5):  # a last batch of one image waits for another epoch
        run = make_run(recipe=replace(SHORT, epochs=epochs))
        student, service = stolen(attack, run, toy_teacher, toy_images, MOVED, budget)
        taught.append(states(student))

        assert service.ledger.queries == min(budget, len(toy_images))
        assert service.door.remaining == max(0, budget - len(toy_images))
        known = {tuple(p.flatten().tolist()) for p in toy_images.as_float()}
        shown = torch.cat(service.asked).flatten(1).tolist()
        assert {tuple(p) for p in shown} <= known
        assert len({tuple(p) for p in shown}) == min(budget, len(toy_images))

    fresh = states(make_run().network("mlp"))
    for one, other in ((fresh, taught[0]), (taught[0], taught[1])):
        assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("attack", [*DEALT, NoiseKD()], ids=lambda a: type(a).__name__)
def test_a_budget_that_pays_for_no_batch_is_declined(
    attack: Attack[Any, Any],
    make_run: MakeRun,
    toy_images: Images,
    toy_teacher: nn.Module,
) -> None:
    with pytest.raises(Skipped, match="1 queries pay for no batch"):
        stolen(attack, make_run(), toy_teacher, toy_images, MOVED, budget=1)


def test_noise_goes_on_with_what_was_answered(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    run, seen = make_run(), []
    student = run.network("mlp")
    student.register_forward_pre_hook(lambda _, images: seen.append(images[0]))
    attack = NoiseKD(iterations=12, batch_size=16)
    service = Service(attack, toy_teacher, budget=40)

    attack.steal(student, service.door, service.images, run)

    assert [len(batch) for batch in service.asked] == [16, 16, 8]
    assert service.ledger.queries == 40
    assert run.told[-1][:2] == (12, 12)
    assert len(seen) == 12
    times = [sum(batch is shown for shown in seen) for batch in service.asked]
    assert sum(times) == 12 and min(times) == 4
