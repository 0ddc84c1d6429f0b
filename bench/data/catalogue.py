"""Data sets and their surrogates by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bench.data.dataset import Dataset
from bench.data.digits import digits, photograph_patches
from bench.data.images import Images
from bench.errors import UnknownName

SETS: dict[str, Callable[[], Dataset]] = {"digits": digits}
SURROGATES: dict[str, Callable[[], Images]] = {"digits": photograph_patches}
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
