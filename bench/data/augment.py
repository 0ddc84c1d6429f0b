"""Random changes of whole batches of images, on the device that holds them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


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

    @property
    def still(self) -> int:
        """The code that leaves an image as it is."""
        span = 2 * self.pad + 1
        return ((self.rotate * span + self.pad) * span + self.pad) * (1 + self.flip)

    def apply(self, pixels: Tensor, code: Tensor) -> Tensor:
        """Change each of `(B, C, H, W)` as its `code` in `(B,)` says.

        Code = ((turn * span + top) * span + left) * (1 + flip) + flipped, where
        span = 2 pad + 1 and the angle is turn - rotate degrees.
        """
        span = 2 * self.pad + 1
        shift = code // (1 + self.flip)
        if self.rotate:
            pixels = rotated(pixels, shift // span**2 - self.rotate)
        if self.pad:
            pixels = cropped(pixels, self.pad, shift // span % span, shift % span)
        if self.flip:
            mirrored = (code % 2 == 1)[:, None, None, None]
            pixels = torch.where(mirrored, pixels.flip(3), pixels)
        return pixels


def cropped(pixels: Tensor, pad: int, top: Tensor, left: Tensor) -> Tensor:
    """Cut `(B, C, H, W)` out of itself, padded with `pad` zeros on every side.

    Each image's cut begins at its `top` and `left` in `(B,)`.
    """
    height, width = pixels.shape[2:]
    padded = F.pad(pixels, (pad,) * 4)
    cuts = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, C, span, span, H, W)
    return cuts[torch.arange(len(pixels), device=top.device), :, top, left]


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
