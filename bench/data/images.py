"""N images with their classes: sampled, split, and dealt in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
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
            views: What to show, one view an image that is to be dealt; None deals all
                images and lets `generator` draw what is shown of each.
        """
        count, device = len(self if views is None else views), self.pixels.device
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

    def sample(self, fraction: float, generator: torch.Generator) -> Images:
        """A random `fraction` of each class, at least one image of it, in fixed order.

        Args:
            fraction: In (0, 1].
            generator: Draws them; on the CPU, so that every device has the same.
        """
        if fraction == 1:
            return self
        kept = []
        for rows in self._classes():
            chosen = torch.randperm(len(rows), generator=generator)
            kept.append(rows[chosen[: max(1, round(fraction * len(rows)))]])
        return self._at(torch.cat(kept).sort().values)

    def split(
        self, fraction: float, generator: torch.Generator
    ) -> tuple[Images, Images]:
        """All images in two parts, such as those to fit on and those to validate on.

        The second part holds a random `fraction` of each class. Of two or more images
        of a class, each part has at least one; a lone one stays in the first part,
        unless no class has two: then the images are cut as if they were of one class.
        Both parts keep the order.

        Args:
            fraction: In (0, 1), of the second part.
            generator: Draws it; on the CPU, so that every device has the same.
        """
        classes = self._classes()
        if all(len(rows) < 2 for rows in classes):
            classes = [torch.arange(len(self))]
        second = torch.zeros(len(self), dtype=torch.bool)
        for rows in classes:
            count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
            chosen = torch.randperm(len(rows), generator=generator)
            second[rows[chosen[: max(0, count)]]] = True
        return self._at((~second).nonzero()[:, 0]), self._at(second.nonzero()[:, 0])

    def _classes(self) -> list[Tensor]:
        """The rows of each class, on the CPU; -1, no label, is a class too."""
        labels = self.labels.cpu()
        return [(labels == label).nonzero()[:, 0] for label in labels.unique()]

    def _at(self, rows: Tensor) -> Images:
        rows = rows.to(self.labels.device)
        return Images(self.pixels[rows], self.labels[rows])

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits from every pixel and label, in order; computed once."""
        return fingerprint_of(self)


def fingerprint_of(*parts: Images) -> str:
    """16 hex digits from every pixel and label of all `parts`, in order."""
    digest = sha256()
    for images in parts:
        for tensor in (images.pixels, images.labels):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.cpu().contiguous().view(-1).numpy().data)
    return digest.hexdigest()[:16]
