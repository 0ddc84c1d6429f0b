"""Data sets and their surrogates by name.

A factory gives a `Dataset`, or a `Source` whose images are then kept decoded. It is
named in the group `bench.datasets` of `pyproject.toml`, ours and outsiders' alike, or
is asked for by its place. A format, in the group `bench.formats`, does the same from a
folder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from bench.code import Code
from bench.data.cache import Source, cached, home
from bench.data.dataset import Dataset
from bench.data.images import Images
from bench.entry_points import installed, is_ours, place_of, short_name
from bench.errors import BadData, BadPlugin, BenchError, UnknownName, one_line

SETS, FORMATS = "bench.datasets", "bench.formats"
"""Groups of entry points."""


@cache
def load(name: str) -> Dataset:
    """The data set called `name`, on the CPU; read once a process.

    Args:
        name: An installed name, "FORMAT:DIR", "module:factory" or
            "path/file.py:factory". A file runs as a copy, beside copies of the files
            that it imports: it finds its images by an absolute path, or by one from
            the working folder.

    Raises:
        BadData: its files are not what they must be.
        BadPlugin: its factory cannot be loaded, or gives something else.
        Unfit: it is not on this machine and cannot be brought here.
        UnknownName: there is none.
    """
    form, colon, path = name.partition(":")
    folder: list[Path] = []
    if colon and form in installed(FORMATS):
        folder = [_folder(path)]
        # Rows carry the name as it was written, and no path of this machine beyond it.
        place, called = place_of(FORMATS, form), name
    else:
        place, called = place_of(SETS, name), short_name(SETS, name)
    code = Code.at(place)
    make = factory(code)
    try:
        made = make(*folder)
    except BenchError:
        raise
    except Exception as error:
        text = one_line(error)
        raise BadPlugin(
            f"data set {name!r} cannot be made: {type(error).__name__}: {text}"
        ) from error
    if isinstance(made, Source):
        return cached(made, called, "" if is_ours(place) else code.hash)
    if isinstance(made, Dataset):
        return made.called(called)
    raise BadPlugin(
        f"data set {name!r} gives {type(made).__name__}, not a Dataset or a Source"
    )


def factory(code: Code) -> Callable[..., object]:
    """What makes a data set.

    Raises:
        BadPlugin: it cannot be loaded, or is no function.
    """
    made = code.load()
    if not callable(made):
        raise BadPlugin(f"{code.module}:{code.name} is no function")
    return made


def _folder(path: str) -> Path:
    """`path` from the working folder, or from the cache folder where that has it."""
    given = Path(path).expanduser()
    here, there = given.absolute(), home() / given
    return there if there.exists() and not here.exists() else here


@cache
def surrogate(name: str) -> Images:
    """Images of the shape of data set `name` that come from elsewhere.

    Raises:
        BadData: their files are not what they must be, or their shape is another.
        Unfit: they are not on this machine and cannot be brought here.
        UnknownName: there is no such data set, or it declares no surrogate.
    """
    dataset = load(name)
    if dataset.surrogate is None:
        raise UnknownName(f"data set {name!r} declares no surrogate images")
    images = dataset.surrogate()
    shape = tuple(images.pixels.shape[1:])
    if shape != dataset.shape:
        raise BadData(
            f"surrogate images of {name!r} have the shape {shape}, not {dataset.shape}"
        )
    return images


def unlabelled(name: str) -> Images:
    """The training images of data set `name`, all of class 0: a surrogate elsewhere."""
    found = load(name).train
    return Images(found.pixels, torch.zeros_like(found.labels))
