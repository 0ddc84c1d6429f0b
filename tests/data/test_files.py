"""A user's own images: the formats, the cache, and files that are wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from bench.data import Augmentation, Dataset, cache, load
from bench.entry_points import installed
from bench.errors import BadData, Unfit

Picture = tuple[bytes, int]
"""An encoded image and its class."""
pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of a user's own images; `folder:` it is a data set."""
    images_in(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder of a user's own tables; `parquet:` it is a data set."""
    tables_in(tmp_path / "tables")
    return tmp_path / "tables"


def again(name: str) -> Dataset:
    """The data set as another process would load it."""
    load.cache_clear()
    return load(name)


def noise(seed: int, size: int = 8, channels: int = 3) -> np.ndarray:
    shape = (size, size, channels) if channels == 3 else (size, size)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def images_in(root: Path, channels: int = 3) -> None:
    """Two classes, three images of each to train on and one to test on."""
    for number in range(8):
        part = "train" if number < 6 else "test"
        path = root / part / ("ant", "bee")[number % 2] / f"{number}.png"
        write(path, encoded(noise(number, channels=channels)))


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
    root: Path, metadata: Any = None, test: str = "test", labels: tuple[int, ...] = ()
) -> None:
    pictures = [(encoded(noise(n)), (labels or (0, 1))[n % 2]) for n in range(8)]
    table(root / "train-00000-of-00002.parquet", pictures[:4], metadata)
    table(root / "train-00001-of-00002.parquet", pictures[4:6], metadata)
    table(root / f"{test}-00000-of-00001.parquet", pictures[6:], metadata)


def are_noise(pixels: torch.Tensor, *seeds: int) -> bool:
    pairs = zip(pixels.permute(0, 2, 3, 1).numpy(), seeds, strict=True)
    return all(np.array_equal(image, noise(seed)) for image, seed in pairs)


def test_a_folder_of_images_is_a_data_set(own: Path) -> None:
    found = load(f"folder:{own}")

    assert found.name == f"folder:{own}"
    assert found.classes == ("ant", "bee")
    assert found.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.test.labels.tolist() == [0, 1]
    assert found.train.pixels.dtype == torch.uint8
    assert are_noise(found.train.pixels, 0, 2, 4, 1, 3, 5)
    assert found.augment == Augmentation(pad=1, flip=True)  # an eighth of the image
    pixels = found.train.as_float().double()
    assert found.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    spread = pixels.std((0, 2, 3), correction=0)
    assert found.std == pytest.approx(spread.tolist())


@pytest.mark.parametrize("colour", ["", "train/ant/0.png", "test/bee/7.png"])
def test_one_colour_image_gives_all_images_three_channels(
    own: Path, colour: str
) -> None:
    images_in(own, channels=1)
    if colour:
        write(own / colour, encoded(noise(50)))

    found = load(f"folder:{own}")

    assert found.shape == (3 if colour else 1, 8, 8)
    for channel in found.train.pixels[1]:
        assert np.array_equal(channel.numpy(), noise(2, channels=1))


def test_an_image_of_another_size_is_named(own: Path) -> None:
    odd = write(own / "test/bee/9.png", encoded(noise(0, size=9)))

    with pytest.raises(BadData) as caught:
        load(f"folder:{own}")

    assert str(caught.value) == (
        f"{odd} has 9x9 pixels and {own / 'train/ant/0.png'} has 8x8: all images of a "
        "data set must have one size"
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot decode"),
        (b"no image", "cannot decode"),
        (encoded(noise(0))[:60], "cannot decode"),
        (encoded(np.full((8, 8), 40_000, np.uint16)), "more than 8 bits"),
    ],
)
def test_a_wrong_image_is_named_in_one_line(
    own: Path, content: bytes, told: str
) -> None:
    bad = write(own / "train/bee/3.png", content)

    with pytest.raises(BadData, match=told) as caught:
        load(f"folder:{own}")

    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda own: shutil.rmtree(own / "test"), "cannot read the folder .*test"),
        (lambda own: shutil.rmtree(own / "train/ant"), "test/ant is a class that has"),
        (lambda own: (own / "train/cow").mkdir(), "train/cow is empty"),
        (
            lambda own: [shutil.rmtree(p) for p in (own / "test").iterdir()],
            "test holds no folder of images",
        ),
    ],
)
def test_a_folder_that_lacks_something_is_named(
    own: Path, spoil: Callable[[Path], object], told: str
) -> None:
    spoil(own)

    with pytest.raises(BadData, match=told):
        load(f"folder:{own}")


@pytest.mark.parametrize("form", [*installed("bench.formats")])
def test_a_folder_that_is_not_there_is_named_in_one_line(form: str) -> None:
    with pytest.raises(Unfit, match=f"there is no folder {Path.cwd() / 'none'}$"):
        load(f"{form}:none")


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
def test_tables_of_images_are_a_data_set(tmp_path: Path, metadata: Any) -> None:
    tables_in(tmp_path, metadata)

    found = load(f"parquet:{tmp_path}")

    assert found.classes == ("ant", "bee")
    assert found.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert are_noise(found.train.pixels, *range(6))
    assert are_noise(found.test.pixels, 6, 7)


@pytest.mark.parametrize("test", ["test", "valid", "validation"])
def test_classes_without_names_are_called_by_their_numbers(
    tmp_path: Path, test: str
) -> None:
    tables_in(tmp_path, test=test, labels=(3, 7))

    found = load(f"parquet:{tmp_path}")

    assert found.classes == ("3", "7")
    assert found.test.labels.tolist() == [0, 1]


TRAIN, TEST = "train-00000-of-00002.parquet", "test-00000-of-00001.parquet"
SECOND = "train-00001-of-00002.parquet"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda root: tables_in(root, {"answer": {"names": ["ant"]}}),
            "has the label 1, but names 1 classes",
        ),
        (
            lambda root: table(root / TEST, [(encoded(noise(0)), 0), (b"none", 1)]),
            f"cannot decode row 1 of .*{TEST}",
        ),
        (
            lambda root: table(root / SECOND, [(b"", 0)]),
            f"row 0 of .*{SECOND} has no image",
        ),
        (
            lambda root: (root / SECOND).unlink(),
            "has 1 of the 2 files of its split 'train'",
        ),
        (lambda root: (root / TEST).unlink(), f"has no file {TEST}"),
        (
            lambda root: write(root / TRAIN, b"no table"),
            f"cannot read .*{TRAIN} as Parquet",
        ),
        (
            lambda root: pq.write_table(pa.table({"a": [1], "b": ["x"]}), root / TRAIN),
            r"must have one image column .* has: a, b",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_named(
    tables: Path, spoil: Callable[[Path], object], told: str
) -> None:
    spoil(tables)

    with pytest.raises(BadData, match=told):
        load(f"parquet:{tables}")


def test_the_second_load_reads_no_image(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(f"folder:{own}")
    assert first.fingerprint == replace(first).fingerprint  # that is, of its images

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a source was read")

    monkeypatch.setattr(Path, "read_bytes", never)
    monkeypatch.setattr(Image, "open", never)
    monkeypatch.setattr("bench.data.images.sha256", never)
    second = again(f"folder:{own}")

    assert second is not first
    assert torch.equal(second.train.pixels, first.train.pixels)
    assert second.fingerprint == first.fingerprint
    assert (second.classes, second.mean) == (first.classes, first.mean)


def test_a_changed_folder_is_decoded_again_and_a_broken_cache_made_anew(
    home: Path, own: Path
) -> None:
    before = load(f"folder:{own}").fingerprint
    [file] = (home / "decoded").iterdir()
    file.write_bytes(file.read_bytes()[:-50])
    assert again(f"folder:{own}").fingerprint == before

    os.utime(own / "test/bee/7.png", ns=(1, 1))
    touched = again(f"folder:{own}").fingerprint
    write(own / "test/bee/7.png", encoded(noise(70)))
    after = again(f"folder:{own}")

    assert touched == before != after.fingerprint
    assert are_noise(after.test.pixels, 6, 70)


def test_edited_code_that_decodes_is_run_again(own: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    code = (
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from bench.data import Decoded\n"
        "from bench.data.folder import folder\n"
        "def made():\n"
        f"    source = folder(Path({str(own)!r}))\n"
        "    found = source.decode()\n"
        "    made = Decoded(('a', 'b'), found.train, found.test)\n"
        "    return replace(source, decode=lambda: made)\n"
    )

    write(file, code)
    before = load(f"{file}:made")
    write(file, code.replace("'b'", "'c'"))
    after = again(f"{file}:made")

    assert before.name == after.name == "mine:made"
    assert (before.classes, after.classes) == (("a", "b"), ("a", "c"))


def test_the_cache_lies_where_it_is_named_or_else_in_the_home_folder(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(write(tmp_path / "file", b"")))
    with pytest.raises(Unfit, match="name another folder with BENCH_DATA"):
        load(f"folder:{own}")

    monkeypatch.delenv("BENCH_DATA")
    assert cache.home() == Path.home() / ".cache/distill-bench"


def test_two_workers_that_start_together_agree_and_leave_one_file(
    home: Path, own: Path
) -> None:
    code = f"from bench.data import load; print(load('folder:{own}').fingerprint)"

    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        for _ in range(2)
    ]

    found = {worker.communicate()[0].decode().strip() for worker in workers}
    assert found == {load(f"folder:{own}").fingerprint}
    assert len(list((home / "decoded").iterdir())) == 1


@pytest.mark.parametrize("form", [*installed("bench.formats")])
def test_a_folder_is_called_as_it_was_typed(form: str, own: Path) -> None:
    tables_in(own)

    near, far = load(f"{form}:../own"), load(f"{form}:{own}")

    assert (near.name, far.name) == (f"{form}:../own", f"{form}:{own}")
    assert near.fingerprint == far.fingerprint


def test_a_folder_is_looked_for_at_work_and_then_in_the_cache(home: Path) -> None:
    images_in(home / "mine" / "own", channels=1)
    there = load("folder:mine/own")
    images_in(Path("mine/own"))

    assert there.fingerprint == load(f"folder:{home}/mine/own").fingerprint
    assert again("folder:mine/own").shape == (3, 8, 8)
