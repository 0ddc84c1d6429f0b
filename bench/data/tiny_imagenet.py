"""Tiny-ImageNet-200 in the layout of the official archive.

tiny-imagenet-200/wnids.txt                      the 200 classes
tiny-imagenet-200/words.txt                      their names
tiny-imagenet-200/train/<wnid>/images/*.JPEG
tiny-imagenet-200/val/images/*.JPEG              tested on: test/ has no labels
tiny-imagenet-200/val/val_annotations.txt        their classes
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.data.augment import Augmentation
from bench.data.cache import Source
from bench.data.download import fetched
from bench.data.folder import Part, decoded_files, listed
from bench.errors import BadData

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
MEAN, STD = (0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262)
"""Those of the Nasty Teacher study, as are rotation and flip."""


def tiny_imagenet() -> Source:
    """110,000 photographs of 200 classes, 64x64 RGB.

    The classes are in order of their WordNet ids.

    Raises:
        BadData: a file or folder of the archive is missing.
        Unfit: it is not here and cannot be downloaded.
    """
    root = fetched("tiny_imagenet", _fetch) / "tiny-imagenet-200"
    wnids = sorted(line[0] for line in _lines(root / "wnids.txt"))
    if not wnids:
        raise BadData(f"{root / 'wnids.txt'} names no class")
    train, test = _train(root / "train", wnids), _val(root / "val", wnids)
    return Source(
        files=[root / "wnids.txt", root / "words.txt", *train.files, *test.files],
        decode=lambda: decoded_files(_words(root / "words.txt", wnids), train, test),
        augment=lambda _: Augmentation(flip=True, rotate=20),
        mean=MEAN,
        std=STD,
    )


def _fetch(aside: Path) -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    download_and_extract_archive(URL, str(aside), md5=MD5, remove_finished=True)


def _train(root: Path, wnids: Sequence[str]) -> Part:
    files: list[Path] = []
    labels: list[int] = []
    for number, wnid in enumerate(wnids):
        found = [p for p in listed(root / wnid / "images") if p.suffix == ".JPEG"]
        if not found:
            raise BadData(f"{root / wnid / 'images'} holds no .JPEG file")
        files += found
        labels += [number] * len(found)
    return Part(files, labels)


def _val(root: Path, wnids: Sequence[str]) -> Part:
    notes, numbers = root / "val_annotations.txt", {w: i for i, w in enumerate(wnids)}
    files: list[Path] = []
    labels: list[int] = []
    for line in _lines(notes):
        if len(line) < 2 or line[1] not in numbers:
            raise BadData(f"{notes} has a line without a known class: {line[0]}")
        files.append(root / "images" / line[0])
        labels.append(numbers[line[1]])
    if not files:
        raise BadData(f"{notes} names no image")
    return Part(files, labels)


def _words(path: Path, wnids: Sequence[str]) -> tuple[str, ...]:
    """Of each class the first of its names, or the wnid where there is none."""
    names = {line[0]: line[1].split(",")[0] for line in _lines(path) if len(line) > 1}
    return tuple(names.get(wnid, wnid) for wnid in wnids)


def _lines(path: Path) -> list[list[str]]:
    """The columns of each line that is not blank."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"cannot read {path}: {error}") from error
    return [line.split("\t") for line in text.splitlines() if line.strip()]
