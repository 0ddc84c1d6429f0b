"""Training without a teacher: the loss on labels, and no question asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Never

import pytest
import torch.nn.functional as F

from attacks.scratch import Scratch
from bench.data import Images
from bench.plugins.run import Run
from bench.recipe import Recipe
from bench.threat.images import TrainImages

MakeRun = Callable[..., Run]
ONE_BATCH = Recipe(epochs=1, batch_size=48, lr=0.05, lr_schedule="constant")
LONG = Recipe(epochs=30, batch_size=16, lr=0.05, lr_schedule="constant")


class Untouchable:
    """A teacher that cannot even be looked at."""

    def __getattribute__(self, name: str) -> Never:
        raise AssertionError(f"the teacher was asked for {name}")

    def __call__(self, *_: object) -> Never:
        raise AssertionError("the teacher was asked")


def test_it_ignores_the_teacher_altogether(
    make_run: MakeRun, toy_images: Images
) -> None:
    run = make_run(recipe=LONG)
    student = run.network("mlp")

    Scratch().steal(student, Untouchable(), TrainImages(toy_images), run)

    guess = student(toy_images.as_float()).argmax(dim=1)
    assert float((guess == toy_images.labels).float().mean()) == 1.0
    assert not student.training


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_its_loss_is_torchs_cross_entropy_with_smoothed_labels(
    smoothing: float, make_run: MakeRun, toy_images: Images
) -> None:
    run = make_run(recipe=ONE_BATCH)
    student = run.network("mlp")
    logits = make_run().network("mlp").train()(toy_images.as_float()).detach()
    attack = Scratch(label_smoothing=smoothing)

    attack.steal(student, Untouchable(), TrainImages(toy_images), run)

    (_, _, losses) = run.told[0]
    expected = F.cross_entropy(logits, toy_images.labels, label_smoothing=smoothing)
    assert losses["loss"] == pytest.approx(float(expected), abs=1e-5)


def test_smoothing_spreads_a_share_of_the_label_over_all_classes(
    make_run: MakeRun, toy_images: Images
) -> None:
    run = make_run(recipe=ONE_BATCH)
    student = run.network("mlp")
    log_probs = make_run().network("mlp").train()(toy_images.as_float()).log_softmax(1)
    target = F.one_hot(toy_images.labels, 4) * 0.8 + 0.2 / 4

    Scratch(label_smoothing=0.2).steal(
        student, Untouchable(), TrainImages(toy_images), run
    )

    (_, _, losses) = run.told[0]
    expected = float(-(target * log_probs.detach()).sum(dim=1).mean())
    assert losses["loss"] == pytest.approx(expected, abs=1e-5)
