"""Random changes of whole batches, on the device that holds them, one gather each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.seeds import derive


@dataclass(frozen=True)
class Augmentation:
    """Random rotation, crop of the zero-padded image, and horizontal flip, in turn.

    Every choice is one of finitely many, so that a code names the pixels.
    """

    pad: int = 0
    """Pixels of padding; the crop is as large as the image."""
    flip: bool = False
    rotate: int = 0
    """Up to so many degrees either way, in whole degrees."""

    @property
    def codes(self) -> int:
        """How many different results one image can have."""
        return (2 * self.rotate + 1) * (2 * self.pad + 1) ** 2 * (1 + self.flip)

    def apply(self, pixels: Tensor, code: Tensor) -> Tensor:
        """Change each of `(B, C, H, W)` as its `code` in `(B,)` says.

        Code = ((turn * span + top) * span + left) * (1 + flip) + flipped, where
        span = 2 pad + 1 and the angle is turn - rotate degrees.
        """
        span = 2 * self.pad + 1
        shift = code // (1 + self.flip)
        if self.rotate:
            pixels = rotated(pixels, shift // span**2 - self.rotate)
            if not self.pad and not self.flip:
                return pixels
        top, left = shift // span % span, shift % span
        height, width = pixels.shape[2:]
        ys = torch.arange(height, device=code.device) + top[:, None]
        xs = torch.arange(width, device=code.device) + left[:, None]
        if self.flip:
            xs = torch.where((code % 2 == 1)[:, None], xs.flip(1), xs)
        padded = F.pad(pixels, (self.pad,) * 4).permute(0, 2, 3, 1)
        rows = torch.arange(len(pixels), device=code.device)[:, None, None]
        cut = padded[rows, ys[:, :, None], xs[:, None, :]]  # (B, H, W, C)
        return cut.permute(0, 3, 1, 2)


def rotated(pixels: Tensor, angle: Tensor) -> Tensor:
    """Turn each of `(B, C, H, W)` by its `angle` in degrees, counter-clockwise.

    About the centre of the image; the nearest pixel is taken, and black where there is
    none, as torchvision's RandomRotation does unless it is told otherwise.
    """
    height, width = pixels.shape[2:]
    angles, which = angle.unique(return_inverse=True)  # few, and the same for all
    turn = torch.deg2rad(angles.double())[:, None, None]
    cos, sin = turn.cos(), turn.sin()
    ys = torch.arange(height, device=angle.device)[:, None] + 0.5 - height / 2
    xs = torch.arange(width, device=angle.device) + 0.5 - width / 2
    left = (cos * xs - sin * ys + width / 2).floor().long()  # (A, H, W)
    top = (sin * xs + cos * ys + height / 2).floor().long()
    inside = (left >= 0) & (left < width) & (top >= 0) & (top < height)
    source = torch.where(inside, top * width + left, 0).flatten(1)[which][:, None]
    found = pixels.flatten(2).gather(2, source.expand(-1, pixels.shape[1], -1))
    return found.view_as(pixels) * inside[which][:, None]


PLAIN = Augmentation()
"""Leaves every image as it is."""


@dataclass(frozen=True)
class Schedule:
    """Which view of each image an epoch shows, whoever looks and in whatever order.

    All who train on the same images under one schedule meet the same views in the same
    epoch, so that a teacher's replies to an epoch serve every one of them.
    """

    augment: Augmentation
    seed: int

    def views(self, epoch: int, count: int) -> Tensor:
        """The views of `count` images in `epoch`, counted from 0; `(N,)` on the CPU."""
        draw = torch.Generator().manual_seed(derive("epoch", self.seed, epoch))
        codes = torch.randint(self.augment.codes, (count,), generator=draw)
        return torch.arange(count) * self.augment.codes + codes
