"""How images are changed, and which view of each an epoch shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import rotate

from bench.data import PLAIN, Augmentation, ViewPlan


def noise(count: int, channels: int, height: int, width: int) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    shape = (count, channels, height, width)
    return torch.randint(1, 256, shape, generator=draw, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("pad", "flip"), [(0, False), (0, True), (1, False), (1, True), (2, True)]
)
def test_augmentation_equals_padding_cropping_and_flipping_one_by_one(
    pad: int, flip: bool
) -> None:
    augment, span, flips = Augmentation(pad, flip), 2 * pad + 1, 1 + flip
    codes = torch.arange(augment.codes)
    pixels = noise(len(codes), 2, 3, 4)

    changed = augment.apply(pixels, codes)

    assert augment.codes == span * span * flips
    assert changed.dtype == torch.uint8
    for image, result, code in zip(pixels, changed, codes.tolist(), strict=True):
        top, left = divmod(code // flips, span)
        padded = np.pad(image.numpy(), ((0, 0), (pad, pad), (pad, pad)))
        expected = padded[:, top : top + 3, left : left + 4]
        expected = expected[:, :, ::-1] if flip and code % 2 == 1 else expected
        assert np.array_equal(result.numpy(), expected)


@pytest.mark.parametrize(
    ("augment", "size", "count"),
    [
        (Augmentation(pad=1, flip=True), 4, 18),
        (Augmentation(pad=1, flip=True, rotate=2), 64, 5 * 9 * 2),
    ],
)
def test_every_code_is_another_picture(
    augment: Augmentation, size: int, count: int
) -> None:
    pixels = torch.arange(1, size * size + 1).view(1, 1, size, size)

    made = augment.apply(
        pixels.expand(augment.codes, -1, -1, -1), torch.arange(augment.codes)
    )

    assert len(made.flatten(1).unique(dim=0)) == augment.codes == count


@pytest.mark.parametrize(("height", "width"), [(64, 64), (7, 7), (8, 5)])
def test_rotation_equals_torchvisions_of_one_image_at_a_time(
    height: int, width: int
) -> None:
    augment, pixels = Augmentation(rotate=20), noise(41, 3, height, width)

    changed = augment.apply(pixels, torch.arange(augment.codes))

    assert changed.dtype == torch.uint8
    for angle, image, result in zip(range(-20, 21), pixels, changed, strict=True):
        photo = Image.fromarray(image.permute(1, 2, 0).numpy())
        expected = np.asarray(rotate(photo, angle)).transpose(2, 0, 1)
        assert np.mean(result.numpy() == expected) > 0.999
    assert torch.equal(changed[20], pixels[20])


def test_rotation_comes_before_crop_and_flip() -> None:
    both = Augmentation(pad=1, flip=True, rotate=3)
    turn, rest = Augmentation(rotate=3), Augmentation(pad=1, flip=True)
    codes = torch.arange(both.codes)
    pixels = noise(len(codes), 1, 6, 6)

    expected = rest.apply(turn.apply(pixels, codes // rest.codes), codes % rest.codes)

    assert torch.equal(both.apply(pixels, codes), expected)


def test_the_plain_augmentation_leaves_every_image_as_it_is() -> None:
    pixels = noise(2, 1, 4, 4)

    assert PLAIN.codes == 1
    assert torch.equal(PLAIN.apply(pixels, torch.zeros(2, dtype=torch.long)), pixels)


def test_a_view_plan_shows_one_view_of_each_image() -> None:
    augment = Augmentation(pad=2, flip=True)

    views = ViewPlan(augment, seed=0).views(epoch=4, count=1000)

    assert views.dtype == torch.int64
    assert torch.equal(views // augment.codes, torch.arange(1000))
    assert len((views % augment.codes).unique()) == augment.codes == 50
    assert ViewPlan(PLAIN, seed=3).views(5, 7).tolist() == [*range(7)]


def test_equal_view_plans_agree_whatever_else_is_drawn_and_others_do_not() -> None:
    augment = Augmentation(pad=4, flip=True)
    torch.manual_seed(1)
    first = ViewPlan(augment, seed=1).views(0, 500)
    torch.manual_seed(2)
    before = torch.get_rng_state()

    assert torch.equal(ViewPlan(augment, seed=1).views(0, 500), first)
    assert torch.equal(torch.get_rng_state(), before)
    for seed, epoch in ((2, 0), (1, 1)):
        other = ViewPlan(augment, seed).views(epoch, 500)
        assert int((other == first).sum()) < 25  # by chance a view in 162 is the same
