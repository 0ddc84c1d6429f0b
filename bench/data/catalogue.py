"""Data sets and their surrogates by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from bench.data.cache import Source, cached, home
from bench.data.dataset import Dataset
from bench.data.digits import digits, photograph_patches
from bench.data.folder import folder
from bench.data.images import Images
from bench.data.parquet import parquet
from bench.data.tiny_imagenet import tiny_imagenet
from bench.data.vision import cifar10, cifar100, fashion_mnist
from bench.errors import UnknownName

SETS: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
    "fashion_mnist": lambda: cached(fashion_mnist()),
    "cifar10": lambda: cached(cifar10()),
    "cifar100": lambda: cached(cifar100()),
    "tiny_imagenet": lambda: cached(tiny_imagenet()),
}
OWN: dict[str, Callable[[Path], Source]] = {"folder": folder, "parquet": parquet}
"""Formats of the user's own sets, which are named FORMAT:DIR."""
SURROGATES: dict[str, Callable[[], Images]] = {
    "digits": photograph_patches,
    "cifar10": lambda: _unlabelled("cifar100"),
    "cifar100": lambda: _unlabelled("cifar10"),
}
"""Other people's images, by the data set that they stand in for."""


@cache
def load(name: str) -> Dataset:
    """The data set called `name`, or FORMAT:DIR, on the CPU; read once a process.

    Raises:
        BadData: its files are not what they must be.
        Unfit: it is not on this machine and cannot be brought here.
        UnknownName: there is none.
    """
    form, colon, path = name.partition(":")
    if colon and form in OWN:
        # Rows carry the name as it was written, and no path of this machine beyond it.
        return cached(replace(OWN[form](_place(Path(path).expanduser())), name=name))
    if name not in SETS:
        raise UnknownName.among("data set", name, SETS, "bench list")
    return SETS[name]()


def _place(path: Path) -> Path:
    """`path` from the working folder, or from the cache folder where that has it."""
    here, there = path.absolute(), home() / path
    return there if there.exists() and not here.exists() else here


@cache
def surrogate(name: str) -> Images:
    """Images of the shape of data set `name` that come from elsewhere.

    Raises:
        BadData: their files are not what they must be.
        Unfit: they are not on this machine and cannot be brought here.
        UnknownName: none are known for it.
    """
    if name not in SURROGATES:
        raise UnknownName.among("surrogate for", name, SURROGATES, "bench list")
    return SURROGATES[name]()


def _unlabelled(name: str) -> Images:
    """The training images of data set `name`; its classes are another's."""
    found = load(name).train
    return Images(found.pixels, torch.zeros_like(found.labels))
