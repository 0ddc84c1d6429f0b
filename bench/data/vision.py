"""Fashion-MNIST and CIFAR, downloaded, verified and read by torchvision."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.data.augment import Augmentation
from bench.data.cache import Decoded, Source
from bench.data.catalogue import unlabelled
from bench.data.download import fetched
from bench.data.images import Images
from bench.errors import BadData, one_line

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
"""The Nasty Teacher study takes those of CIFAR-10 for CIFAR-100 too."""


def fashion_mnist() -> Source:
    """70,000 articles of clothing from Zalando, 28x28 grey.

    Crop and flip are those of Zhong et al., "Random Erasing Data Augmentation" (AAAI
    2020), whose code trains on this set with RandomCrop(28, padding=4) and a flip.
    """
    return _source("fashion_mnist", "FashionMNIST")


def cifar10() -> Source:
    """60,000 photographs of 10 classes, 32x32 RGB."""
    return _cifar("cifar10", "CIFAR10", other="cifar100")


def cifar100() -> Source:
    """60,000 photographs of 100 classes, 32x32 RGB."""
    return _cifar("cifar100", "CIFAR100", other="cifar10")


def _cifar(name: str, kind: str, other: str) -> Source:
    """One of the two; the images of the `other` are its surrogate."""
    return replace(
        _source(name, kind),
        mean=CIFAR_MEAN,
        std=CIFAR_STD,
        surrogate=partial(unlabelled, other),
    )


def _source(name: str, kind: str) -> Source:
    root = fetched(name, lambda aside: _read(kind, aside, train=True, download=True))
    return Source(
        files=sorted(path for path in root.rglob("*") if path.is_file()),
        decode=lambda: _decode(kind, root),
        augment=lambda _: Augmentation(pad=4, flip=True),
    )


def _decode(kind: str, root: Path) -> Decoded:
    try:
        train, test = (_read(kind, root, train=part) for part in (True, False))
    # A missing file, a wrong checksum, a pickle or an idx file that is none.
    except Exception as error:
        why = one_line(error) or type(error).__name__
        raise BadData(
            f"cannot read {kind} in {root}: {why}; remove the folder to download again"
        ) from error
    return Decoded(tuple(train.classes), _images(train), _images(test))


def _read(kind: str, root: Path, train: bool, download: bool = False) -> Any:
    from torchvision import datasets

    return getattr(datasets, kind)(root, train=train, download=download)


def _images(part: Any) -> Images:
    pixels = torch.from_numpy(np.asarray(part.data))  # (N, H, W) or (N, H, W, C)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return Images(pixels.contiguous(), torch.as_tensor(part.targets).long())
