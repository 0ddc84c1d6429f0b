"""The images that an attacker is granted, dealt in batches.

Shapes: N images, B batch, C channels, H x W pixels. Pixels are float in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from bench.data import PLAIN, Augmentation, Batch, Images, ViewPlan
from bench.threat.access import ImageGrant


class _Dealer:
    """Deals images in batches, augmented."""

    __slots__ = ("__augment", "__epoch", "__images", "__still", "__views")

    def __init__(
        self,
        images: Images,
        augment: Augmentation = PLAIN,
        views: ViewPlan | None = None,
        still: Tensor | None = None,
    ) -> None:
        """Deal `images`, each changed by `augment` whenever it is dealt.

        Args:
            images: To be dealt.
            augment: Random changes.
            views: Says which view of each image an epoch shows; None leaves that to
                the generator of each epoch.
            still: Rows of the images that are dealt at all, as they are, in every
                epoch; None deals all of them, augmented.
        """
        self.__images = self._told(images)
        self.__augment = augment
        self.__views = views
        self.__still = still
        self.__epoch = 0

    @staticmethod
    def _told(images: Images) -> Images:
        """What the attacker learns of `images`."""
        return images

    def __len__(self) -> int:
        return len(self.__images if self.__still is None else self.__still)

    @property
    def pixels(self) -> Tensor:
        """All images as they are, `(N, C, H, W)`."""
        return self._own().as_float()

    @property
    def views(self) -> int:
        """How many different views `batches` can deal."""
        return len(self) * self.__augment.codes

    def _own(self) -> Images:
        """The images that are dealt."""
        if self.__still is None:
            return self.__images
        pixels, labels = self.__images.pixels, self.__images.labels
        return Images(pixels[self.__still], labels[self.__still])

    def few(self, count: int, generator: torch.Generator) -> Self:
        """At most `count` of these images, drawn at random, dealt without augmentation.

        So an attacker who may ask `count` times asks about each of them once.
        """
        rows = torch.arange(len(self), device=generator.device)
        if self.__still is not None:
            rows = self.__still
        order = torch.randperm(len(self), generator=generator, device=rows.device)
        chosen = rows[order[:count]].sort().values
        return type(self)(self.__images, self.__augment, still=chosen)

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch in a fresh order, each image under a fresh augmentation.

        A last batch of a single image is left out: BatchNorm cannot train on it.

        Args:
            size: B, images a batch.
            generator: Draws the order, and the augmentation where nothing else lays it
                down; on the device of the images.
        """
        shown = None
        if self.__still is not None:
            shown = self.__still * self.__augment.codes + self.__augment.still
        elif self.__views is not None:
            shown = self.__views.views(self.__epoch, len(self))
            self.__epoch += 1
        yield from self.__images.batches(size, self.__augment, generator, shown)

    def in_order(self, size: int) -> Iterator[Tensor]:
        """All images as they are, `(B, C, H, W)`, `size` at a time."""
        for pixels in self._own().pixels.split(size):
            yield pixels.float() / 255


class TrainImages(_Dealer):
    """A share of the teacher's own training set, with its labels."""

    __slots__ = ()
    grant: ClassVar = ImageGrant.TRAIN_IMAGES

    @property
    def labels(self) -> Tensor:
        """Classes of `pixels`, `(N,)`."""
        # A copy: on the CPU the images are those that later tasks are dealt as well.
        return self._own().labels.clone()


class SurrogateImages(_Dealer):
    """Other people's images. Every label they are dealt with is -1."""

    __slots__ = ()
    grant: ClassVar = ImageGrant.SURROGATE_IMAGES

    @staticmethod
    def _told(images: Images) -> Images:
        """Nothing of their classes."""
        return Images(images.pixels, torch.full_like(images.labels, -1))


@dataclass(frozen=True)
class NoImages:
    """Nothing; the attacker must make its own images."""

    grant: ClassVar = ImageGrant.NO_IMAGES
