"""Label smoothing: its loss, and that it takes confidence without accuracy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench.data import Images
from bench.recipe import Recipe
from bench.testing.run import NotedRun
from bench.threat.images import TrainImages
from defenses.label_smoothing import LabelSmoothing

MakeRun = Callable[..., NotedRun]
ONE_BATCH = Recipe(steps=1, batch_size=48, lr=0.05, lr_schedule="constant")
LONG = Recipe(steps=90, batch_size=16, lr=0.05, lr_schedule="constant")


def protect(run: NotedRun, images: Images, epsilon: float) -> nn.Module:
    defense = LabelSmoothing(epsilon=epsilon)
    released = defense.protect(nn.Identity(), TrainImages(images), run)
    assert released.answer is None and not released.network.training
    return released.network


@pytest.mark.parametrize("epsilon", [0.0, 0.2, 1.0])
def test_the_loss_spreads_a_share_of_the_label(
    epsilon: float, make_run: MakeRun, toy_images: Images
) -> None:
    fresh = make_run().network("mlp").train()
    run = make_run(recipe=ONE_BATCH)

    protect(run, toy_images, epsilon)

    logs = fresh(toy_images.as_float()).log_softmax(dim=1).detach()
    target = torch.eye(4)[toy_images.labels] * (1 - epsilon) + epsilon / 4
    expected = float(-(target * logs).sum(dim=1).mean())
    assert run.told[0][2]["loss"] == pytest.approx(expected, abs=1e-5)


def test_confidences_fall_and_accuracy_stays(
    make_run: MakeRun, toy_images: Images
) -> None:
    sure = []
    for epsilon in (0.0, 0.2):
        network = protect(make_run(recipe=LONG), toy_images, epsilon)
        p = network(toy_images.as_float()).softmax(dim=1).detach()
        assert torch.equal(p.argmax(dim=1), toy_images.labels)
        sure.append(float(p.amax(dim=1).mean()))

    plain, smooth = sure
    assert plain > 0.97
    assert smooth == pytest.approx(1 - 0.2 + 0.2 / 4, abs=0.04)
