"""Students are compared on what their attacker holds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bench.data import PLAIN, Augmentation, Images
from bench.plugins.base import Released
from bench.worker.validation import VIEWS, validation


class Corner(nn.Module):
    """Names class 1 where the first pixel is bright, else class 0."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.eye(2)[(images[:, 0, 0, 0] > 0.5).long()]


def images(labels: list[int]) -> Images:
    pixels = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    pixels[0] = 255
    return Images(pixels, torch.tensor(labels))


def test_labelled_images_count_in_several_of_their_views() -> None:
    bright, whom = images([1, 0]), Released(Corner())

    assert validation(Corner(), bright, whom, PLAIN) == 1.0
    # A crop that begins above or left of the image begins with black.
    shifts = Augmentation(pad=1)
    assert shifts.codes == VIEWS
    found = validation(Corner(), bright, whom, shifts)
    assert found == pytest.approx((4 / 9 + 1) / 2)
    many = validation(Corner(), bright, whom, Augmentation(pad=4))
    assert many * 2 * VIEWS == pytest.approx(round(many * 2 * VIEWS)) and many < 1


def test_others_images_count_as_they_are_by_agreement() -> None:
    blind, agrees = images([-1, -1]), Released(Corner())

    assert validation(Corner(), blind, agrees, Augmentation(pad=1)) == 1.0
    wrong = Released(nn.Sequential(Corner(), Flip()))
    assert validation(Corner(), blind, wrong, PLAIN) == 0.0


class Flip(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits.flip(1)
