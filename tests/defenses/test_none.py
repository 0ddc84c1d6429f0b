"""No defense: the teacher is released as it is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn

from bench.data import Images
from bench.testing.run import NotedRun
from bench.threat.images import TrainImages
from defenses.none import NoDefense


def test_it_releases_the_teacher_untouched_trains_nothing_and_draws_nothing(
    make_run: Callable[..., NotedRun], toy_images: Images, toy_teacher: nn.Module
) -> None:
    run, pixels = make_run(), toy_images.as_float()
    state, drawn = deepcopy(toy_teacher.state_dict()), run.generator.get_state()

    released = NoDefense().protect(toy_teacher, TrainImages(toy_images), run)

    assert (released.network, released.answer) == (toy_teacher, None)
    assert all(torch.equal(v, state[k]) for k, v in toy_teacher.state_dict().items())
    assert torch.equal(run.generator.get_state(), drawn)
    assert (run.told, run.built) == ([], [])
    expected = toy_teacher(pixels).softmax(dim=1)
    torch.testing.assert_close(released.reply(pixels).exp(), expected)
