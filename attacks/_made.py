"""What data-free attacks do with the images that they make."""

from __future__ import annotations

from collections import deque

import torch
import torch.nn.functional as F
from torch import Tensor

KEPT = 512
"""Images that an attack shows at its end: as many as tuning compares students on."""


class Latest:
    """The images that were made last."""

    def __init__(self) -> None:
        """None so far."""
        self._batches: deque[Tensor] = deque()

    def add(self, images: Tensor) -> None:
        """Take in `(B, C, H, W)`, and forget what is too old to be shown."""
        self._batches.appendleft(images.detach())
        while sum(map(len, self._batches)) - len(self._batches[-1]) >= KEPT:
            self._batches.pop()

    def images(self) -> Tensor:
        """Up to `KEPT` of them, `(N, C, H, W)`, the latest batch first."""
        return torch.cat(list(self._batches))[:KEPT]


def shifted(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each of `(B, C, H, W)` moved by -`most` to `most` pixels each way, at random.

    What moves in is black. With 0 they stay, and nothing is drawn.
    """
    if most == 0:
        return images
    count, channels, height, width = images.shape
    device = images.device
    start = torch.randint(
        2 * most + 1, (2, count, 1), generator=generator, device=device
    )
    rows = start[0] + torch.arange(height, device=device)  # (B, H)
    columns = start[1] + torch.arange(width, device=device)  # (B, W)
    every = torch.arange(count, device=device)[:, None, None, None]
    channel = torch.arange(channels, device=device)[:, None, None]
    padded = F.pad(images, (most,) * 4)
    moved: Tensor = padded[
        every, channel, rows[:, None, :, None], columns[:, None, None]
    ]
    return moved
