"""Data sets that are downloaded, from files in the layout of those who publish them."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision.datasets as vision
from PIL import Image

from bench.data import Augmentation, load, surrogate
from bench.entry_points import installed
from bench.errors import BadData, Unfit

pytestmark = pytest.mark.usefixtures("home")
CIFARS = {"CIFAR10": 10, "CIFAR100": 100}


def noise(seed: int, size: int, channels: int = 3) -> np.ndarray:
    shape = (size, size, channels) if channels == 3 else (size, size)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def jpeg(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def cifar_in(home: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images a file, as the University of Toronto packs them."""
    official = getattr(vision, kind)
    monkeypatch.setattr(official, "_check_integrity", lambda _: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = home / "raw" / kind.lower() / official.base_folder
    key, count = "labels" if kind == "CIFAR10" else "fine_labels", CIFARS[kind]
    for seed, (file, _) in enumerate(official.train_list + official.test_list):
        flat = np.stack([noise(10 * seed + n, 32) for n in range(3)])
        rows = flat.transpose(0, 3, 1, 2).reshape(3, 3072)
        write(folder / file, pickle.dumps({"data": rows, key: [seed, 0, count - 1]}))
    classes = {official.meta["key"]: [f"class {number}" for number in range(count)]}
    write(folder / official.meta["filename"], pickle.dumps(classes))


def idx_in(root: Path) -> None:
    """Four articles to train on, two to test on, as Zalando packs them."""
    for part, count in (("train", 4), ("t10k", 2)):
        pixels = np.stack([noise(n, 28, 1) for n in range(count)])
        head = np.array([2051, count, 28, 28], ">i4").tobytes()
        answers = np.array([2049, count], ">i4").tobytes() + bytes(range(count))
        folder = root / "FashionMNIST" / "raw"
        write(folder / f"{part}-images-idx3-ubyte", head + pixels.tobytes())
        write(folder / f"{part}-labels-idx1-ubyte", answers)


def tiny_in(home: Path) -> list[bytes]:
    """Two classes in the official layout, the last of each part grey; its images."""
    root = home / "raw" / "tiny_imagenet" / "tiny-imagenet-200"
    write(root / "wnids.txt", "n02\nn01\n")
    write(root / "words.txt", "n01\tgoldfish, Carassius auratus\nn02\tbee\nn03\tcow\n")
    made, notes = [], ""
    for label, wnid in enumerate(("n01", "n02")):
        for number in range(3):
            channels = 1 if (label, number) == (1, 2) else 3
            content = jpeg(noise(10 * label + number, 64, channels))
            name = f"{wnid}_{number}.JPEG"
            write(root / "train" / wnid / "images" / name, content)
            made.append(content)
        write(root / "train" / wnid / f"{wnid}_boxes.txt", "")
    for number, label in enumerate((1, 0, 1)):
        content = jpeg(noise(90 + number, 64, 1 if number == 2 else 3))
        write(root / "val" / "images" / f"val_{number}.JPEG", content)
        notes += f"val_{number}.JPEG\t{('n01', 'n02')[label]}\t0\t0\t62\t62\n"
        made.append(content)
    write(root / "val" / "val_annotations.txt", notes)
    return made


@pytest.mark.parametrize("kind", [*CIFARS])
def test_cifar_is_read_as_torchvision_reads_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    cifar_in(home, kind, monkeypatch)

    found = load(kind.lower())

    assert (found.name, found.shape) == (kind.lower(), (3, 32, 32))
    assert found.classes == tuple(f"class {n}" for n in range(CIFARS[kind]))
    assert found.augment == Augmentation(pad=4, flip=True)
    assert (found.mean[0], found.std[0]) == (0.4914, 0.247)
    for train, part in ((True, found.train), (False, found.test)):
        official = getattr(vision, kind)(home / "raw" / kind.lower(), train)
        expected = torch.from_numpy(official.data).permute(0, 3, 1, 2)
        assert torch.equal(part.pixels, expected)
        assert part.labels.tolist() == official.targets


def test_the_two_cifars_stand_in_for_each_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in CIFARS:
        cifar_in(home, kind, monkeypatch)

    for name, other in (("cifar10", "cifar100"), ("cifar100", "cifar10")):
        found = surrogate(name)
        assert torch.equal(found.pixels, load(other).train.pixels)
        assert not found.labels.any()


def test_a_corrupt_cifar_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = home / "raw/cifar10/cifar-10-batches-py/data_batch_2"
    write(bad.with_name("data_batch_1"), b"other")
    with pytest.raises(BadData, match="not found or corrupted"):  # by its checksum
        load("cifar10")

    cifar_in(home, "CIFAR10", monkeypatch)
    write(bad, b"no pickle")
    with pytest.raises(BadData, match=r"cannot read CIFAR10 in .*raw/cifar10"):
        load("cifar10")


def test_fashion_mnist_is_read_from_its_idx_files(home: Path) -> None:
    idx_in(home / "raw/fashion_mnist")

    found = load("fashion_mnist")

    assert found.shape == (1, 28, 28)
    assert found.train.labels.tolist() == [0, 1, 2, 3]
    assert np.array_equal(found.test.pixels[1, 0].numpy(), noise(1, 28, 1))
    assert (len(found.classes), found.classes[9]) == (10, "Ankle boot")
    assert found.augment == Augmentation(pad=4, flip=True)


def test_what_is_missing_is_downloaded_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def download(self: vision.FashionMNIST) -> None:
        calls.append(str(self.root))
        idx_in(Path(self.root))

    monkeypatch.setattr(vision.FashionMNIST, "download", download)

    first, second = load("fashion_mnist"), load.__wrapped__("fashion_mnist")

    assert len(calls) == 1
    assert first.fingerprint == second.fingerprint
    assert [path.name for path in (home / "raw").iterdir()] == ["fashion_mnist"]


@pytest.mark.parametrize("name", sorted({*installed("bench.datasets")} - {"digits"}))
def test_a_download_that_fails_is_told_in_one_line_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    for module in ("mnist", "cifar", "utils"):
        monkeypatch.setattr(
            f"torchvision.datasets.{module}.download_and_extract_archive", fail
        )

    with pytest.raises(Unfit, match=f"cannot download {name}: .*no network") as caught:
        load(name)

    assert "\n" not in str(caught.value)
    assert list((home / "raw").iterdir()) == []


def test_tiny_imagenet_is_read_from_the_official_layout(home: Path) -> None:
    encoded = tiny_in(home)

    found = load("tiny_imagenet")

    assert found.shape == (3, 64, 64)
    assert found.classes == ("goldfish", "bee")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.test.labels.tolist() == [1, 0, 1]
    assert found.augment == Augmentation(flip=True, rotate=20)
    assert (found.mean[0], found.std[0]) == (0.4802, 0.2302)
    for image, content in zip(
        [*found.train.pixels, *found.test.pixels], encoded, strict=True
    ):
        expected = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
        assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(
    "file",
    ["wnids.txt", "words.txt", "val/val_annotations.txt", "val/images/val_1.JPEG"],
)
def test_a_missing_file_of_tiny_imagenet_is_named(home: Path, file: str) -> None:
    tiny_in(home)
    (home / "raw/tiny_imagenet/tiny-imagenet-200" / file).unlink()

    with pytest.raises(BadData, match=f"cannot read .*{Path(file).name}"):
        load("tiny_imagenet")
