"""Random changes of whole batches, on the device that holds them, one gather each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Random crop of the zero-padded image, and random horizontal flip."""

    pad: int = 0
    """Pixels of padding; the crop is as large as the image."""
    flip: bool = False

    @property
    def codes(self) -> int:
        """How many different results one image can have."""
        return (2 * self.pad + 1) ** 2 * (1 + self.flip)

    def apply(self, pixels: Tensor, code: Tensor) -> Tensor:
        """Change each of `(B, C, H, W)` as its `code` in `(B,)` says.

        Code = (top * (2 pad + 1) + left) * (1 + flip) + flipped.
        """
        height, width = pixels.shape[2:]
        span = 2 * self.pad + 1
        shift = code // (1 + self.flip)
        ys = torch.arange(height, device=code.device) + (shift // span)[:, None]
        xs = torch.arange(width, device=code.device) + (shift % span)[:, None]
        if self.flip:
            xs = torch.where((code % 2 == 1)[:, None], xs.flip(1), xs)
        padded = F.pad(pixels, (self.pad,) * 4).permute(0, 2, 3, 1)
        rows = torch.arange(len(pixels), device=code.device)[:, None, None]
        cut = padded[rows, ys[:, :, None], xs[:, None, :]]  # (B, H, W, C)
        return cut.permute(0, 3, 1, 2)


PLAIN = Augmentation()
"""Leaves every image as it is."""
