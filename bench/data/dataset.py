"""What one data set is: images to train and to test on, and what is public of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, replace
from functools import cached_property

import torch

from bench.data.augment import Augmentation
from bench.data.images import Images, fingerprint_of
from bench.seeds import derive


@dataclass(frozen=True)
class Dataset:
    """A data set and what is public about it. `test` is read by the referee alone."""

    name: str
    """What rows call it; `load` gives it the name by which it was found."""
    classes: tuple[str, ...]
    train: Images
    test: Images
    augment: Augmentation
    mean: tuple[float, ...]
    """Of the training pixels, a value a channel, in [0, 1]."""
    std: tuple[float, ...]
    surrogate: Callable[[], Images] | None = None
    """Reads images of the same shape that come from elsewhere; None: none are known."""
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

    def called(self, name: str) -> Dataset:
        """This set under the name `name`."""
        return replace(self, name=name, known=self.__dict__.get("fingerprint", ""))

    def reduced(self, fraction: float) -> Dataset:
        """This set with a `fraction` of its training images, always the same ones."""
        if fraction == 1:
            return self
        chooser = torch.Generator().manual_seed(derive("reduced", fraction))
        train = self.train.sample(fraction, chooser)
        return replace(self, train=train, known=self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits from every pixel and label of the whole set, in order."""
        return fingerprint_of(self.train, self.test)
