"""The digits, what every data set offers, and surrogates; nothing is downloaded."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from bench.data import Dataset, Images, load, surrogate
from bench.data import digits as home
from bench.errors import BadData, BadPlugin, UnknownName


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def rows(images: Images) -> list[tuple[int, ...]]:
    pairs = zip(images.pixels, images.labels, strict=True)
    return [(*pixels.flatten().tolist(), int(label)) for pixels, label in pairs]


def test_digits_are_1797_images_of_which_30_percent_of_every_class_are_for_testing(
    digits: Dataset,
) -> None:
    assert digits.train.pixels.shape == (1257, 1, 8, 8)
    assert digits.test.pixels.shape == (540, 1, 8, 8)
    assert digits.shape == (1, 8, 8)
    assert (digits.name, digits.classes) == ("digits", tuple("0123456789"))
    assert asdict(digits.augment) == {"pad": 1, "flip": False, "rotate": 0}
    train, test = (part.labels.bincount() for part in (digits.train, digits.test))
    assert bool(((test - 0.3 * (train + test)).abs() < 1).all())
    for part in (digits.train, digits.test):
        assert (part.pixels.dtype, part.labels.dtype) == (torch.uint8, torch.int64)
        assert (int(part.pixels.min()), int(part.pixels.max())) == (0, 255)
        assert len(part.pixels.unique()) == 17


def test_both_parts_together_are_scikit_learns_digits_and_no_image_twice(
    digits: Dataset,
) -> None:
    source, labels = load_digits(return_X_y=True)
    grey = np.rint(source * 255 / 16).astype(int).tolist()
    expected = [(*p, int(y)) for p, y in zip(grey, labels, strict=True)]

    assert sorted(rows(digits.train) + rows(digits.test)) == sorted(expected)


def test_mean_and_spread_are_those_of_the_training_pixels(digits: Dataset) -> None:
    pixels = digits.train.pixels.numpy().astype(np.float64) / 255

    assert digits.mean == pytest.approx([pixels.mean()], abs=1e-5)
    assert digits.std == pytest.approx([pixels.std()], abs=1e-4)


def test_a_data_set_is_read_once_a_process_and_has_one_fingerprint(
    digits: Dataset,
) -> None:
    again = home.digits()

    assert again is not digits and load("digits") is digits
    assert again.fingerprint == digits.fingerprint == "cc039690e2c42065"
    assert surrogate("digits") is surrogate("digits")


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("what", ["pixels", "labels"])
def test_a_fingerprint_changes_with_one_pixel_or_label(
    digits: Dataset, part: str, what: str
) -> None:
    images: Images = getattr(digits, part)
    tensor: Tensor = getattr(images, what).clone()
    tensor.view(-1)[-1] += 1
    other = replace(images, **{what: tensor})

    assert replace(digits, **{part: other}).fingerprint != digits.fingerprint


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_a_reduced_set_has_its_share_of_every_class_always_the_same(
    digits: Dataset, fraction: float
) -> None:
    reduced = digits.reduced(fraction)
    torch.manual_seed(99)
    again = home.digits().reduced(fraction)

    whole, kept = digits.train.labels.bincount(), reduced.train.labels.bincount()
    assert kept.tolist() == [round(fraction * count) for count in whole.tolist()]
    assert set(rows(reduced.train)) <= set(rows(digits.train))
    assert rows(reduced.train) == rows(again.train)
    assert len(load("digits").train) == 1257


def test_a_reduced_set_is_tested_called_and_stamped_as_the_whole(
    digits: Dataset,
) -> None:
    reduced = digits.reduced(0.2)

    facts = ("name", "classes", "shape", "augment", "mean", "std", "fingerprint")
    assert all(getattr(reduced, f) == getattr(digits, f) for f in facts)
    assert home.digits().reduced(0.2).fingerprint == digits.fingerprint
    assert reduced.test is digits.test and digits.reduced(1.0) is digits
    other = digits.reduced(0.2001).train.pixels
    assert not torch.equal(other, reduced.train.pixels)


def test_the_surrogate_of_the_digits_is_grey_patches_of_their_shape(
    digits: Dataset,
) -> None:
    patches = surrogate("digits")

    assert patches.pixels.shape == (4000, *digits.shape)
    assert patches.pixels.dtype == torch.uint8
    assert patches.labels.shape == (4000,)
    assert len(patches.pixels.unique()) > 200
    assert patches.fingerprint == home.photograph_patches().fingerprint
    own = {row[:-1] for row in rows(digits.train)}
    assert not own & {row[:-1] for row in rows(patches)}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("digit", "unknown data set 'digit': did you mean 'digits'? (bench list)"),
        ("qwxz", "unknown data set 'qwxz': no name is near it (bench list)"),
    ],
)
def test_an_unknown_data_set_is_told_with_the_nearest_name(
    name: str, told: str
) -> None:
    for ask in (load, surrogate):
        with pytest.raises(UnknownName) as caught:
            ask(name)
        assert str(caught.value) == told


CODE = """
import torch
from bench.data import Augmentation, Dataset, Images

def images(size):
    return Images(torch.zeros(4, 1, size, size, dtype=torch.uint8), torch.arange(4))

def made(surrogate=None):
    "Four black images."
    half = (0.5,)
    return Dataset("x", tuple("abcd"), images(2), images(2), Augmentation(), half, half,
                   surrogate)

def with_surrogate():
    return made(lambda: images(2))

def with_larger():
    return made(lambda: images(3))

def text():
    return "no data set"

number = 3
"""


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(CODE)
    return str(path)


def test_a_data_set_declares_its_surrogate(place: str) -> None:
    assert len(surrogate(f"{place}:with_surrogate")) == 4
    with pytest.raises(UnknownName, match=r"mine.py:made' declares no surrogate"):
        surrogate(f"{place}:made")
    with pytest.raises(BadData, match=r"have the shape \(1, 3, 3\), not \(1, 2, 2\)"):
        surrogate(f"{place}:with_larger")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("text", "gives str, not a Dataset or a Source"),
        ("number", "mine:number is no function"),
        ("none", "AttributeError"),
    ],
)
def test_what_is_no_data_set_is_told(place: str, name: str, told: str) -> None:
    with pytest.raises(BadPlugin, match=told):
        load(f"{place}:{name}")
