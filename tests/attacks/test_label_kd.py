"""Distillation by first choices: the loss, what it asks, the floor that it is."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from service import Service
from torch import Tensor, nn

from attacks.label_kd import LabelKD
from bench.data import Images
from bench.plugins.run import Run
from bench.recipe import Recipe
from bench.threat.grants import HardLabels
from bench.threat.images import TrainImages

MakeRun = Callable[..., Run]
LONG = Recipe(epochs=30, batch_size=16, lr=0.05, lr_schedule="constant")
ONE_BATCH = Recipe(epochs=1, batch_size=48, lr=0.05, lr_schedule="constant")


def naive_loss(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for z_student, z_teacher in zip(student.tolist(), teacher.tolist(), strict=True):
        named = z_teacher.index(max(z_teacher))
        total -= log(exp(z_student[named]) / sum(exp(z) for z in z_student))
    return total / len(student)


def steal(
    attack: LabelKD, run: Run, teacher: nn.Module, images: TrainImages
) -> tuple[nn.Module, Service]:
    student = run.network("mlp")
    service = Service(teacher, images, grant=HardLabels)
    attack.steal(student, service.door, images, run)
    return student, service


def test_the_loss_equals_a_naive_one(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    untaught = make_run().network("mlp").train()
    run = make_run(recipe=ONE_BATCH)

    steal(LabelKD(), run, toy_teacher, TrainImages(toy_images))

    (_, _, losses) = run.told[0]
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
