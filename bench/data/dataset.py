"""What one data set is: images to train and to test on, and what is public of them."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from functools import cached_property
from hashlib import sha256

import torch

from bench.data.augment import Augmentation
from bench.data.images import Images
from bench.seeds import derive


@dataclass(frozen=True)
class Dataset:
    """A data set and what is public about it. `test` is read by `score.py` alone."""

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    augment: Augmentation
    mean: tuple[float, ...]
    """Of the training pixels, a value a channel, in [0, 1]."""
    std: tuple[float, ...]
    known: InitVar[str] = ""
    """The fingerprint, where it was computed before."""

    def __post_init__(self, known: str) -> None:
        if known:
            self.__dict__["fingerprint"] = known

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image, `(C, H, W)`."""
        channels, height, width = self.train.pixels.shape[1:]
        return channels, height, width

    def reduced(self, share: float) -> Dataset:
        """This set with a `share` of its training images, always the same ones."""
        if share == 1:
            return self
        chooser = torch.Generator().manual_seed(derive("reduced", share))
        train = self.train.share(share, chooser)
        return replace(self, train=train, known=self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits from every pixel and label of the whole set, in order."""
        digest = sha256()
        for images in (self.train, self.test):
            for tensor in (images.pixels, images.labels):
                digest.update(str(tuple(tensor.shape)).encode())
                digest.update(tensor.contiguous().view(-1).numpy().data)
        return digest.hexdigest()[:16]
