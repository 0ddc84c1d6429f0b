"""Data sets that are files: each format, the cache, and files that are wrong."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torchvision.datasets as vision
from PIL import Image

from bench import names
from bench.data import SURROGATES, Augmentation, Dataset, cache, load, surrogate
from bench.data.catalogue import OWN
from bench.errors import BadData, Unfit, UnknownName
from bench.planning.plan import Request, plan
from bench.planning.protocol import load as load_protocol

Picture = tuple[bytes, int]
"""An encoded image and its class."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "cache"))
    load.cache_clear()
    surrogate.cache_clear()
    yield tmp_path / "cache"
    load.cache_clear()
    surrogate.cache_clear()


def again(name: str) -> Dataset:
    """The data set as another process would load it."""
    load.cache_clear()
    return load(name)


def noise(seed: int, size: int = 8, channels: int = 3) -> np.ndarray:
    shape = (size, size, channels) if channels == 3 else (size, size)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def images_in(root: Path, channels: int = 3) -> str:
    """Two classes, three images of each to train on and one to test on."""
    for number in range(8):
        part = "train" if number < 6 else "test"
        path = root / part / ("ant", "bee")[number % 2] / f"{number}.png"
        write(path, encoded(noise(number, channels=channels)))
    return f"folder:{root}"


def table(path: Path, pictures: list[Picture], metadata: Any = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    made = pa.table(
        {
            "picture": pa.array([{"bytes": b, "path": ""} for b, _ in pictures], kind),
            "answer": pa.array([label for _, label in pictures], pa.int64()),
        }
    )
    if metadata is not None:
        text = json.dumps({"info": {"features": metadata}}).encode()
        made = made.replace_schema_metadata({b"huggingface": text})
    pq.write_table(made, path)


def tables_in(
    root: Path,
    metadata: Any = None,
    test: str = "test",
    labels: tuple[int, int] = (0, 1),
) -> str:
    pictures = [(encoded(noise(n)), labels[n % 2]) for n in range(8)]
    table(root / "train-00000-of-00002.parquet", pictures[:4], metadata)
    table(root / "train-00001-of-00002.parquet", pictures[4:6], metadata)
    table(root / f"{test}-00000-of-00001.parquet", pictures[6:], metadata)
    return f"parquet:{root}"


def cifar_in(home: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three images a file, as the University of Toronto packs them."""
    official = getattr(vision, kind)
    monkeypatch.setattr(official, "_check_integrity", lambda _: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = home / "raw" / kind.lower() / official.base_folder
    key, count = ("labels", 10) if kind == "CIFAR10" else ("fine_labels", 100)
    for seed, (file, _) in enumerate(official.train_list + official.test_list):
        flat = np.stack([noise(10 * seed + n, 32) for n in range(3)])
        rows = flat.transpose(0, 3, 1, 2).reshape(3, 3072)
        write(folder / file, pickle.dumps({"data": rows, key: [seed, 0, count - 1]}))
    classes = [f"class {number}" for number in range(count)]
    write(
        folder / official.meta["filename"],
        pickle.dumps({official.meta["key"]: classes}),
    )


def idx_in(root: Path) -> None:
    """Four articles to train on, two to test on, as Zalando packs them."""
    for part, count in (("train", 4), ("t10k", 2)):
        pixels = np.stack([noise(n, 28, 1) for n in range(count)])
        head = np.array([2051, count, 28, 28], ">i4").tobytes()
        answers = np.array([2049, count], ">i4").tobytes() + bytes(range(count))
        folder = root / "FashionMNIST" / "raw"
        write(folder / f"{part}-images-idx3-ubyte", head + pixels.tobytes())
        write(folder / f"{part}-labels-idx1-ubyte", answers)


def tiny_in(home: Path) -> tuple[list[Picture], list[Picture]]:
    """Two classes in the official layout, the last of each part grey."""
    root = home / "raw" / "tiny_imagenet" / "tiny-imagenet-200"
    write(root / "wnids.txt", "n02\nn01\n")
    write(root / "words.txt", "n01\tgoldfish, Carassius auratus\nn02\tbee\nn03\tcow\n")
    train, test, notes = [], [], ""
    for label, wnid in enumerate(("n01", "n02")):
        for number in range(3):
            grey = (label, number) == (1, 2)
            pixels = noise(10 * label + number, 64, 1 if grey else 3)
            content = encoded(pixels, "JPEG")
            name = f"{wnid}_{number}.JPEG"
            write(root / "train" / wnid / "images" / name, content)
            train.append((content, label))
        write(root / "train" / wnid / f"{wnid}_boxes.txt", "")
    for number, wnid in enumerate(("n02", "n01", "n02")):
        content = encoded(noise(90 + number, 64, 1 if number == 2 else 3), "JPEG")
        write(root / "val" / "images" / f"val_{number}.JPEG", content)
        notes += f"val_{number}.JPEG\t{wnid}\t0\t0\t62\t62\n"
        test.append((content, ("n01", "n02").index(wnid)))
    write(root / "val" / "val_annotations.txt", notes)
    return train, test


def test_a_folder_of_images_is_a_data_set(tmp_path: Path) -> None:
    found = load(images_in(tmp_path / "own"))

    assert found.name == f"folder:{tmp_path / 'own'}"
    assert found.classes == ("ant", "bee")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.test.labels.tolist() == [0, 1]
    assert found.train.pixels.dtype == torch.uint8
    for image, seed in zip(found.train.pixels, (0, 2, 4, 1, 3, 5), strict=True):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), noise(seed))


def test_images_of_ones_own_are_cropped_by_an_eighth_and_flipped(
    tmp_path: Path,
) -> None:
    found = load(images_in(tmp_path / "own"))

    assert found.augment == Augmentation(pad=1, flip=True)


def test_mean_and_spread_are_those_of_the_training_images(tmp_path: Path) -> None:
    found = load(images_in(tmp_path / "own"))

    pixels = found.train.as_float().double()
    assert found.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    spread = pixels.std((0, 2, 3), correction=0)
    assert found.std == pytest.approx(spread.tolist())


def test_grey_images_alone_have_one_channel(tmp_path: Path) -> None:
    found = load(images_in(tmp_path / "own", channels=1))

    assert found.shape == (1, 8, 8)
    assert np.array_equal(found.test.pixels[0, 0].numpy(), noise(6, channels=1))


@pytest.mark.parametrize("where", ["train/ant/0.png", "test/bee/7.png"])
def test_one_colour_image_gives_all_images_three_channels(
    tmp_path: Path, where: str
) -> None:
    name = images_in(tmp_path / "own", channels=1)
    write(tmp_path / "own" / where, encoded(noise(50)))

    found = load(name)

    grey = found.train.pixels[1]
    assert found.shape == (3, 8, 8)
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[0], grey[2])
    assert np.array_equal(grey[0].numpy(), noise(2, channels=1))


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    name = images_in(tmp_path / "own")
    odd = write(tmp_path / "own/test/bee/9.png", encoded(noise(0, size=9)))

    with pytest.raises(BadData) as caught:
        load(name)

    assert str(caught.value) == (
        f"{odd} has 9x9 pixels and {tmp_path / 'own/train/ant/0.png'} has 8x8: all "
        "images of a data set must have one size"
    )


@pytest.mark.parametrize("content", [b"", b"no image", encoded(noise(0))[:60]])
def test_a_corrupt_image_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    name = images_in(tmp_path / "own")
    bad = write(tmp_path / "own/train/bee/3.png", content)

    with pytest.raises(BadData, match="cannot decode") as caught:
        load(name)

    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_of_sixteen_bits_is_refused(tmp_path: Path) -> None:
    name = images_in(tmp_path / "own")
    deep = np.full((8, 8), 40_000, np.uint16)
    write(tmp_path / "own/train/bee/3.png", encoded(deep))

    with pytest.raises(BadData, match="more than 8 bits"):
        load(name)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda root: shutil.rmtree(root / "test"), "cannot read the folder .*test"),
        (
            lambda root: shutil.rmtree(root / "train/ant"),
            "test/ant is a class that has",
        ),
        (lambda root: (root / "train/cow").mkdir(), "train/cow is empty"),
        (
            lambda root: [shutil.rmtree(p) for p in (root / "test").iterdir()],
            "test holds no folder of images",
        ),
    ],
)
def test_a_folder_that_lacks_something_is_named(
    tmp_path: Path, spoil: Callable[[Path], object], told: str
) -> None:
    name = images_in(tmp_path / "own")
    spoil(tmp_path / "own")

    with pytest.raises(BadData, match=told):
        load(name)


@pytest.mark.parametrize("form", list(OWN))
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, form: str) -> None:
    with pytest.raises(Unfit, match=f"there is no folder {tmp_path / 'none'}"):
        load(f"{form}:{tmp_path / 'none'}")


def test_an_unknown_format_is_an_unknown_data_set() -> None:
    with pytest.raises(UnknownName, match="unknown data set 'zip:there'"):
        load("zip:there")


@pytest.mark.parametrize(
    "metadata",
    [
        {"answer": {"names": ["ant", "bee"], "_type": "ClassLabel"}},
        [
            {
                "name": "answer",
                "dtype": {"class_label": {"names": {"0": "ant", "1": "bee"}}},
            }
        ],
        [{"name": "answer", "names": ["ant", "bee"]}],
    ],
)
def test_tables_are_the_same_data_set_as_the_folder_of_their_images(
    tmp_path: Path, metadata: Any
) -> None:
    own = load(tables_in(tmp_path / "tables", metadata))

    assert own.classes == ("ant", "bee")
    assert own.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    for number, image in enumerate([*own.train.pixels, *own.test.pixels]):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), noise(number))


@pytest.mark.parametrize("test", ["test", "valid", "validation"])
def test_classes_without_names_are_called_by_their_numbers(
    tmp_path: Path, test: str
) -> None:
    found = load(tables_in(tmp_path / "tables", test=test, labels=(3, 7)))

    assert found.classes == ("3", "7")
    assert found.test.labels.tolist() == [0, 1]


def test_a_label_that_has_no_name_is_told(tmp_path: Path) -> None:
    name = tables_in(tmp_path / "tables", {"answer": {"names": ["ant"]}})

    with pytest.raises(BadData, match="has the label 1, but names 1 classes"):
        load(name)


def test_the_row_of_a_corrupt_image_is_named(tmp_path: Path) -> None:
    name = tables_in(tmp_path / "tables")
    path = tmp_path / "tables/test-00000-of-00001.parquet"
    table(path, [(encoded(noise(0)), 0), (b"no image", 1)])

    with pytest.raises(BadData, match=f"cannot decode row 1 of {path}"):
        load(name)


def test_the_row_of_a_missing_image_is_named(tmp_path: Path) -> None:
    name = tables_in(tmp_path / "tables")
    path = tmp_path / "tables/train-00001-of-00002.parquet"
    table(path, [(b"", 0)])

    with pytest.raises(BadData, match=f"row 0 of {path} has no image"):
        load(name)


def test_a_missing_file_of_a_split_is_told(tmp_path: Path) -> None:
    name = tables_in(tmp_path / "tables")
    (tmp_path / "tables/train-00001-of-00002.parquet").unlink()

    with pytest.raises(BadData, match="has 1 of the 2 files of its split 'train'"):
        load(name)


def test_a_missing_split_is_told(tmp_path: Path) -> None:
    name = tables_in(tmp_path / "tables")
    (tmp_path / "tables/test-00000-of-00001.parquet").unlink()

    with pytest.raises(BadData, match="has no file test-00000-of-00001"):
        load(name)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    name = tables_in(tmp_path / "tables")
    path = write(tmp_path / "tables/train-00000-of-00002.parquet", b"no table")

    with pytest.raises(BadData, match=f"cannot read {path} as Parquet"):
        load(name)


def test_a_table_without_images_is_told_what_it_lacks(tmp_path: Path) -> None:
    name = tables_in(tmp_path / "tables")
    path = tmp_path / "tables/train-00000-of-00002.parquet"
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), path)

    with pytest.raises(BadData, match=r"must have one image column .* has: a, b"):
        load(name)


@pytest.mark.parametrize(("kind", "classes"), [("CIFAR10", 10), ("CIFAR100", 100)])
def test_cifar_is_read_as_torchvision_reads_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, kind: str, classes: int
) -> None:
    cifar_in(home, kind, monkeypatch)

    found = load(kind.lower())

    assert found.shape == (3, 32, 32)
    assert len(found.classes) == names.DATASETS[kind.lower()].classes == classes
    assert found.classes[1] == "class 1"
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
    for kind in ("CIFAR10", "CIFAR100"):
        cifar_in(home, kind, monkeypatch)

    for own, other in (("cifar10", "cifar100"), ("cifar100", "cifar10")):
        found = surrogate(own)
        assert torch.equal(found.pixels, load(other).train.pixels)
        assert not found.labels.any()
    assert set(SURROGATES) == {"digits", "cifar10", "cifar100"}


def test_a_corrupt_cifar_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar_in(home, "CIFAR10", monkeypatch)
    write(home / "raw/cifar10/cifar-10-batches-py/data_batch_2", b"no pickle")

    with pytest.raises(BadData, match=r"cannot read CIFAR10 in .*raw/cifar10"):
        load("cifar10")


def test_files_of_a_wrong_checksum_are_refused(home: Path) -> None:
    write(home / "raw/cifar10/cifar-10-batches-py/data_batch_1", b"other")

    with pytest.raises(BadData, match="not found or corrupted"):
        load("cifar10")


def test_fashion_mnist_is_read_from_its_idx_files(home: Path) -> None:
    idx_in(home / "raw/fashion_mnist")

    found = load("fashion_mnist")

    assert found.shape == (1, 28, 28)
    assert found.train.labels.tolist() == [0, 1, 2, 3]
    assert np.array_equal(found.test.pixels[1, 0].numpy(), noise(1, 28, 1))
    assert len(found.classes) == names.DATASETS["fashion_mnist"].classes
    assert found.classes[9] == "Ankle boot"
    assert found.augment == Augmentation(pad=4, flip=True)


def test_what_is_missing_is_downloaded_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def download(self: vision.FashionMNIST) -> None:
        calls.append(str(self.root))
        idx_in(Path(self.root))

    monkeypatch.setattr(vision.FashionMNIST, "download", download)

    first, second = load("fashion_mnist"), again("fashion_mnist")

    assert len(calls) == 1
    assert first.fingerprint == second.fingerprint
    assert [path.name for path in (home / "raw").iterdir()] == ["fashion_mnist"]


@pytest.mark.parametrize(
    "name", ["fashion_mnist", "cifar10", "cifar100", "tiny_imagenet"]
)
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
    tiny_in(home)

    found = load("tiny_imagenet")

    assert found.shape == (3, 64, 64)
    assert found.classes == ("goldfish", "bee")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.test.labels.tolist() == [1, 0, 1]
    assert found.augment == Augmentation(flip=True, rotate=20)
    assert (found.mean[0], found.std[0]) == (0.4802, 0.2302)
    for grey in (found.train.pixels[5], found.test.pixels[2]):
        assert torch.equal(grey[0], grey[1]) and torch.equal(grey[0], grey[2])


def test_tiny_imagenet_from_tables_and_from_folders_are_equal_tensors(
    home: Path, tmp_path: Path
) -> None:
    train, test = tiny_in(home)
    root, facts = tmp_path / "tables", {"answer": {"names": ["n01", "n02"]}}
    table(root / "train-00000-of-00001.parquet", train, facts)
    table(root / "valid-00000-of-00001.parquet", test, facts)

    official, own = load("tiny_imagenet"), load(f"parquet:{root}")

    assert torch.equal(official.train.pixels, own.train.pixels)
    assert torch.equal(official.test.pixels, own.test.pixels)
    assert official.fingerprint == own.fingerprint


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("wnids.txt", "cannot read .*wnids.txt"),
        ("words.txt", "cannot read .*words.txt"),
        ("val/val_annotations.txt", "cannot read .*val_annotations.txt"),
        ("val/images/val_1.JPEG", "cannot read .*val_1.JPEG"),
    ],
)
def test_a_missing_file_of_tiny_imagenet_is_named(
    home: Path, file: str, told: str
) -> None:
    tiny_in(home)
    (home / "raw/tiny_imagenet/tiny-imagenet-200" / file).unlink()

    with pytest.raises(BadData, match=told):
        load("tiny_imagenet")


def test_the_second_load_reads_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = images_in(tmp_path / "own")
    first = load(name)

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a source was read")

    monkeypatch.setattr(Path, "read_bytes", never)
    monkeypatch.setattr(Image, "open", never)
    monkeypatch.setattr("bench.data.dataset.sha256", never)
    second = again(name)

    assert second is not first
    assert torch.equal(second.train.pixels, first.train.pixels)
    assert second.fingerprint == first.fingerprint
    assert (second.classes, second.mean) == (first.classes, first.mean)


def test_the_fingerprint_that_is_kept_is_that_of_the_images(tmp_path: Path) -> None:
    found = again(images_in(tmp_path / "own"))

    assert found.fingerprint == replace(found).fingerprint
    assert found.fingerprint != replace(found, train=found.test).fingerprint


def test_a_changed_folder_is_decoded_again(tmp_path: Path) -> None:
    name = images_in(tmp_path / "own")
    before = load(name)
    write(tmp_path / "own/test/bee/7.png", encoded(noise(70)))

    after = again(name)

    assert after.fingerprint != before.fingerprint
    assert np.array_equal(after.test.pixels[1].permute(1, 2, 0).numpy(), noise(70))


def test_a_touched_file_is_decoded_again_to_the_same_data_set(tmp_path: Path) -> None:
    name = images_in(tmp_path / "own")
    before = load(name)
    os.utime(tmp_path / "own/test/bee/7.png", ns=(1, 1))

    assert again(name).fingerprint == before.fingerprint


def test_a_broken_cache_file_is_made_anew(home: Path, tmp_path: Path) -> None:
    name = images_in(tmp_path / "own")
    before = load(name).fingerprint
    [file] = (home / "decoded").iterdir()
    broken = file.with_suffix(".cut")
    broken.write_bytes(file.read_bytes()[:-50])
    broken.replace(file)

    assert again(name).fingerprint == before


def test_a_cache_that_takes_no_files_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(write(tmp_path / "file", b"")))

    with pytest.raises(Unfit, match="name another folder with BENCH_DATA"):
        load(images_in(tmp_path / "own"))


def test_two_workers_that_start_together_agree_and_leave_one_file(
    home: Path, tmp_path: Path
) -> None:
    name = images_in(tmp_path / "own")
    code = f"from bench.data import load; print(load({name!r}).fingerprint)"

    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        for _ in range(2)
    ]

    found = {worker.communicate()[0].decode().strip() for worker in workers}
    assert found == {load(name).fingerprint}
    assert len(list((home / "decoded").iterdir())) == 1


def test_the_cache_lies_in_the_home_folder_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BENCH_DATA")

    assert cache.home() == Path.home() / ".cache/distill-bench"


def test_a_plan_names_ones_own_data_set_as_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables_in(tmp_path / "tables")
    monkeypatch.chdir(tmp_path)

    made = plan(Request(load_protocol("digits"), dataset="parquet:tables"))

    setting = made.tasks[0].root.setting
    assert setting.dataset == "parquet:tables"
    assert setting.fingerprint == load(setting.dataset).fingerprint
    assert not any(task.official for task in made.tasks)


@pytest.mark.parametrize("form", ["folder", "parquet"])
def test_a_set_of_ones_own_is_called_as_it_was_typed(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_in(tmp_path / "own")
    tables_in(tmp_path / "own")
    monkeypatch.chdir(tmp_path)

    near, far = load(f"{form}:own"), load(f"{form}:{tmp_path / 'own'}")

    assert near.name == f"{form}:own"
    assert far.name == f"{form}:{tmp_path / 'own'}"
    assert near.fingerprint == far.fingerprint


def test_a_set_of_ones_own_is_looked_for_in_the_cache_folder_as_well(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_in(home / "mine" / "own")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    found = load("folder:mine/own")

    assert found.name == "folder:mine/own"
    assert found.fingerprint == load(f"folder:{home / 'mine' / 'own'}").fingerprint


def test_the_working_folder_stands_above_the_cache_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_in(home / "own", channels=1)
    images_in(tmp_path / "here" / "own", channels=3)
    monkeypatch.chdir(tmp_path / "here")

    assert load("folder:own").shape == (3, 8, 8)


def test_a_relative_name_of_nothing_is_told_with_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(Unfit) as caught:
        load("folder:nowhere")

    assert str(tmp_path / "nowhere") in str(caught.value)
    assert "\n" not in str(caught.value)
