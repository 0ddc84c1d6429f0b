"""No defense: the teacher is released as it is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn

from bench.data import Images
from bench.plugins.run import Run
from bench.threat.images import TrainImages
from defenses.none import NoDefense

MakeRun = Callable[..., Run]


def test_it_releases_the_teacher_untouched(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    before = deepcopy(toy_teacher.state_dict())

    released = NoDefense().protect(toy_teacher, TrainImages(toy_images), make_run())

    assert released.network is toy_teacher
    assert released.answer is None
    assert all(torch.equal(v, before[k]) for k, v in toy_teacher.state_dict().items())


def test_the_service_replies_with_the_teachers_own_confidences(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    pixels = toy_images.as_float()

    released = NoDefense().protect(toy_teacher, TrainImages(toy_images), make_run())

    expected = toy_teacher(pixels).exp() / toy_teacher(pixels).exp().sum(1, True)
    torch.testing.assert_close(released.reply(pixels).exp(), expected)


def test_it_trains_nothing_and_draws_nothing(
    make_run: MakeRun, toy_images: Images, toy_teacher: nn.Module
) -> None:
    run = make_run()
    before = run.generator.get_state()

    NoDefense().protect(toy_teacher, TrainImages(toy_images), run)

    assert torch.equal(run.generator.get_state(), before)
    assert run.told == []
    assert run.built == []
