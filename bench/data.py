"""Data sets as uint8 tensors on the device, cut into shares and augmented in batches.

Shapes: N images, B batch, C channels, H x W pixels. Pixels are uint8 in here and
float in [0, 1] in everything that leaves through a grant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UnknownName


class Batch(NamedTuple):
    """What a training step sees."""

    pixels: Tensor
    """`(B, C, H, W)`, float in [0, 1], augmented."""
    labels: Tensor
    """`(B,)`; -1 where the grant has none."""
    view: Tensor
    """`(B,)`, names image and augmentation together: equal views, equal pixels."""


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


@dataclass(frozen=True)
class Images:
    """N images with their classes, on one device."""

    pixels: Tensor
    """`(N, C, H, W)`, uint8."""
    labels: Tensor
    """`(N,)`, int64."""

    def __len__(self) -> int:
        return len(self.labels)

    def as_float(self) -> Tensor:
        """All pixels in [0, 1], `(N, C, H, W)`."""
        return self.pixels.float() / 255

    def to(self, device: torch.device) -> Images:
        """The same images on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def batches(
        self, size: int, augment: Augmentation, generator: torch.Generator
    ) -> Iterator[Batch]:
        """One epoch in the order and under the augmentations that `generator` draws."""
        count, device = len(self), self.pixels.device
        order = torch.randperm(count, generator=generator, device=device)
        codes = torch.randint(
            augment.codes, (count,), generator=generator, device=device
        )
        for rows, code in zip(order.split(size), codes.split(size), strict=True):
            if len(rows) == 1 < min(size, count):
                continue
            changed = augment.apply(self.pixels[rows], code)
            view = rows * augment.codes + code
            yield Batch(changed.float() / 255, self.labels[rows], view)

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

    @property
    def shape(self) -> tuple[int, int, int]:
        """One image, `(C, H, W)`."""
        channels, height, width = self.train.pixels.shape[1:]
        return channels, height, width

    @property
    def fingerprint(self) -> str:
        """16 hex digits from every pixel and label, in order."""
        digest = sha256()
        for images in (self.train, self.test):
            for tensor in (images.pixels, images.labels):
                digest.update(str(tuple(tensor.shape)).encode())
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits of 8x8 pixels with 17 grey levels.

    From the test set of the UCI Optical Recognition of Handwritten Digits data. The
    split is ours: 70 % to train on, 30 % to test on, stratified, always the same.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    grey = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    parts = train_test_split(
        grey, labels.astype(np.int64), test_size=0.3, stratify=labels, random_state=0
    )
    train_pixels, test_pixels, train_labels, test_labels = map(torch.from_numpy, parts)
    train = Images(train_pixels, train_labels)
    spread, centre = torch.std_mean(train.as_float(), dim=(0, 2, 3))
    return Dataset(
        name="digits",
        classes=tuple("0123456789"),
        train=train,
        test=Images(test_pixels, test_labels),
        augment=Augmentation(pad=1),
        mean=tuple(centre.tolist()),
        std=tuple(spread.tolist()),
    )


def _photograph_patches() -> Images:
    """Grey 8x8 patches of the two photographs that scikit-learn bundles, 2,000 each.

    The photographs are averaged over 8x8 blocks first: a patch then shows 64 x 64
    pixels of the original, edges and shapes rather than a plain wall.
    """
    from sklearn.datasets import load_sample_images

    patches = []
    for photo in load_sample_images().images:
        grey = torch.from_numpy(photo.copy()).float().mean(2)[None, None]
        small = F.avg_pool2d(grey, 8)  # (1, 1, H/8, W/8)
        cut = F.unfold(small, kernel_size=8)[0].T.reshape(-1, 1, 8, 8)
        chosen = np.linspace(0, len(cut) - 1, 2000).round()
        patches.append(cut[torch.from_numpy(chosen).long()])
    pixels = torch.cat(patches).round().to(torch.uint8)
    return Images(pixels, torch.zeros(len(pixels), dtype=torch.long))


SETS: dict[str, Callable[[], Dataset]] = {"digits": _digits}
SURROGATES: dict[str, Callable[[], Images]] = {"digits": _photograph_patches}
"""Other people's images, by the data set that they stand in for."""


@cache
def load(name: str) -> Dataset:
    """The data set called `name`, on the CPU; read once a process.

    Raises:
        UnknownName: there is none.
    """
    if name not in SETS:
        raise UnknownName.among("data set", name, SETS, "bench list")
    return SETS[name]()


@cache
def surrogate(name: str) -> Images:
    """Images of the shape of data set `name` that come from elsewhere.

    Raises:
        UnknownName: none are known for it.
    """
    if name not in SURROGATES:
        raise UnknownName.among("surrogate for", name, SURROGATES, "bench list")
    return SURROGATES[name]()
