"""The user's own images: DIR/train/<class>/* and DIR/test/<class>/*."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.data.augment import Augmentation
from bench.data.cache import Decoded, Source
from bench.data.decode import stacked
from bench.data.images import Images
from bench.errors import BadData, Unfit


@dataclass(frozen=True)
class Part:
    """The image files of one part, each with its class's number."""

    files: Sequence[Path]
    labels: Sequence[int]


def own(size: int) -> Augmentation:
    """Crop by an eighth of the image, as for CIFAR, and flip."""
    return Augmentation(pad=size // 8, flip=True)


def folder(root: Path) -> Source:
    """Your own images: DIR/train/<class>/* and DIR/test/<class>/*.

    The names of the folders are the classes.

    Raises:
        BadData: a folder is empty, or test has a class that train has not.
        Unfit: there is no such folder.
    """
    if not root.is_dir():
        raise Unfit(f"there is no folder {root}")
    classes = tuple(path.name for path in listed(root / "train") if path.is_dir())
    if not classes:
        raise BadData(f"{root / 'train'} holds no folder of images, one a class")
    train, test = (_part(root / name, classes) for name in ("train", "test"))
    return Source(
        files=[*train.files, *test.files],
        decode=lambda: decoded_files(classes, train, test),
        augment=own,
    )


def listed(path: Path) -> list[Path]:
    """What lies in the folder `path`, by name; hidden files are left.

    Raises:
        BadData: it cannot be listed.
    """
    try:
        return sorted(p for p in path.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise BadData(f"cannot read the folder {path}: {error.strerror}") from error


def decoded_files(classes: tuple[str, ...], train: Part, test: Part) -> Decoded:
    """Read and decode every file.

    Raises:
        BadData: a file cannot be read or decoded, or has another size.
    """
    files = [*train.files, *test.files]
    pixels = stacked(_contents(files), len(files))
    cut = len(train.files)
    return Decoded(
        classes,
        Images(pixels[:cut], torch.tensor(train.labels)),
        Images(pixels[cut:], torch.tensor(test.labels)),
    )


def _part(root: Path, classes: Sequence[str]) -> Part:
    files: list[Path] = []
    labels: list[int] = []
    for path in listed(root):
        if not path.is_dir():
            continue
        if path.name not in classes:
            raise BadData(f"{path} is a class that has no images to train on")
        inside = listed(path)
        if not inside:
            raise BadData(f"{path} is empty")
        files += inside
        labels += [classes.index(path.name)] * len(inside)
    if not files:
        raise BadData(f"{root} holds no folder of images, one a class")
    return Part(files, labels)


def _contents(files: Iterable[Path]) -> Iterable[tuple[str, bytes]]:
    for path in files:
        try:
            yield str(path), path.read_bytes()
        except OSError as error:
            raise BadData(f"cannot read {path}: {error.strerror}") from error
