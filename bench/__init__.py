"""How well do defenses keep a teacher from being distilled?

This is the public face: all that a plugin may import, beside `bench.options` for the
types of its options. Every name is loaded at its
first use, so that commands which train nothing start without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.data import Batch
    from bench.errors import Skipped
    from bench.plugins.base import Attack, Defense, Paper, Released, Run
    from bench.plugins.training import check_finite, train
    from bench.recipe import Recipe
    from bench.threat.grants import (
        HardLabels,
        NoImages,
        SoftLabels,
        SurrogateImages,
        TrainImages,
        Weights,
    )

__version__ = "0.1.0"

REVISION = 2
"""Raised whenever the core computes other numbers from the same task. It is part of
every task's key, so rows of an older revision are never mistaken for current ones."""

__all__ = [
    "REVISION",
    "Attack",
    "Batch",
    "Defense",
    "HardLabels",
    "NoImages",
    "Paper",
    "Recipe",
    "Released",
    "Run",
    "Skipped",
    "SoftLabels",
    "SurrogateImages",
    "TrainImages",
    "Weights",
    "__version__",
    "check_finite",
    "train",
]

_ROOM = {
    "Batch": "data",
    "Skipped": "errors",
    "Recipe": "recipe",
    "check_finite": "plugins.training",
    "train": "plugins.training",
    **dict.fromkeys(("Attack", "Defense", "Paper", "Released", "Run"), "plugins.base"),
    **dict.fromkeys(("HardLabels", "SoftLabels", "Weights"), "threat.grants"),
    **dict.fromkeys(("NoImages", "SurrogateImages", "TrainImages"), "threat.grants"),
}


def __getattr__(name: str) -> object:
    if name not in _ROOM:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    found: object = getattr(import_module(f"bench.{_ROOM[name]}"), name)
    return found
