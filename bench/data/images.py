"""N images with their classes, cut into shares and dealt in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from bench.data.augment import Augmentation


class Batch(NamedTuple):
    """What a training step sees."""

    pixels: Tensor
    """`(B, C, H, W)`, float in [0, 1], augmented."""
    labels: Tensor
    """`(B,)`; -1 where the grant has none."""
    view: Tensor
    """`(B,)`, names image and augmentation together: equal views, equal pixels."""


@dataclass(frozen=True)
class Images:
    """N images with their classes, on one device."""

    pixels: Tensor
    """`(N, C, H, W)`, uint8."""
    labels: Tensor
    """`(N,)`, int64."""

    def __len__(self) -> int:
        return len(self.labels)

    def at_once(self, device: torch.device) -> int:
        """How many of them a fixed network on `device` is best shown at a time.

        On processors the activations should stay in the cache: with 32 MiB of it
        networks answered 32x32 images 1.3 to 2.8 times as fast in batches of 64 as of
        1000, and 64x64 images over twice as fast in batches of 16.
        """
        if device.type == "cuda":
            return 1000
        return min(500, max(1, 2**16 // self.pixels.shape[2:].numel()))

    def as_float(self) -> Tensor:
        """All pixels in [0, 1], `(N, C, H, W)`."""
        return self.pixels.float() / 255

    def to(self, device: torch.device) -> Images:
        """The same images on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def batches(
        self,
        size: int,
        augment: Augmentation,
        generator: torch.Generator,
        views: Tensor | None = None,
    ) -> Iterator[Batch]:
        """One epoch in the order that `generator` draws.

        Args:
            size: B, images a batch; a last batch of a single image is left out.
            augment: Of each image.
            generator: On the device of the images.
            views: What to show of each image, `(N,)`; None lets `generator` draw it.
        """
        count, device = len(self), self.pixels.device
        order = torch.randperm(count, generator=generator, device=device)
        if views is None:
            codes = torch.randint(
                augment.codes, (count,), generator=generator, device=device
            )
            dealt = order * augment.codes + codes
        else:
            dealt = views.to(device)[order]
        for view in dealt.split(size):
            if len(view) == 1 < min(size, count):
                continue
            labels = self.labels[view // augment.codes]
            yield Batch(self.seen(view, augment), labels, view)

    def seen(self, view: Tensor, augment: Augmentation) -> Tensor:
        """The pixels that each `view` `(B,)` names, `(B, C, H, W)` in [0, 1]."""
        rows, codes = view // augment.codes, view % augment.codes
        return augment.apply(self.pixels[rows], codes).float() / 255

    def share(self, fraction: float, generator: torch.Generator) -> Images:
        """A random `fraction` of each class, at least one image of it, in fixed order.

        Args:
            fraction: In (0, 1].
            generator: Draws the share; on the CPU, so that every device has the same.
        """
        if fraction == 1:
            return self
        labels, kept = self.labels.cpu(), []
        for label in labels.unique():
            rows = (labels == label).nonzero().flatten()
            chosen = torch.randperm(len(rows), generator=generator)
            kept.append(rows[chosen[: max(1, round(fraction * len(rows)))]])
        rows = torch.cat(kept).sort().values.to(self.labels.device)
        return Images(self.pixels[rows], self.labels[rows])
