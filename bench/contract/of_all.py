"""What every plugin promises."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn

from bench.code import Code
from bench.errors import BadPlugin
from bench.plugins.option_values import options_of
from bench.plugins.reaches import reaches


def has_defaults(cls: type[Any]) -> None:
    """It is a frozen dataclass of its own whose options all have defaults."""
    if "__dataclass_fields__" not in vars(cls) or not is_dataclass(cls):
        raise BadPlugin(f"{cls.__name__} lacks @dataclass(frozen=True)")
    try:
        cls()
    except TypeError as error:
        raise BadPlugin(f"{cls.__name__}() needs defaults: {error}") from error


def has_plain_options(cls: type[Any]) -> None:
    """Its options are text, numbers, truth values or None: rows can hold them."""
    plain = cls()
    for option in fields(cls):
        value = getattr(plain, option.name)
        if not isinstance(value, str | int | float | bool | None):
            raise BadPlugin(f"option {option.name} is a {type(value).__name__}")
    options_of(cls, cls.__name__, dict(cls.brief))


def documents_itself(cls: type[Any]) -> None:
    """Its class has a docstring of its own."""
    if not vars(cls).get("__doc__") or str(cls.__doc__).startswith(f"{cls.__name__}("):
        raise BadPlugin(f"{cls.__name__} has no docstring")


def takes_what_it_was_granted(cls: type[Any]) -> None:
    """Its source takes nothing but what it was granted: no private names, no frames."""
    module = sys.modules[cls.__module__]
    found = reaches(Code.at(f"{module.__file__}:{cls.__name__}"))
    if found:
        raise BadPlugin("; ".join(found))


def check_same(first: nn.Module, second: nn.Module, complaint: str) -> None:
    """See that two modules have the same weights, to the bit.

    Raises:
        BadPlugin: they have not.
    """
    other = second.state_dict()
    for name, value in first.state_dict().items():
        if not torch.equal(value, other[name]):
            raise BadPlugin(f"{complaint}: {name} differs")
