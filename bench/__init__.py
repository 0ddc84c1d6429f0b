"""How well do defenses keep a teacher from being distilled?

This is the public face: all that a plugin may import, beside `bench.options` for the
types of its options. Every name is loaded at its first use, so that commands which
train nothing start without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.data import Batch as Batch
    from bench.errors import NotApplicable as NotApplicable
    from bench.errors import Skipped as Skipped
    from bench.plugins.base import Attack as Attack
    from bench.plugins.base import Defense as Defense
    from bench.plugins.base import Paper as Paper
    from bench.plugins.base import Released as Released
    from bench.plugins.features import features as features
    from bench.plugins.run import Run as Run
    from bench.plugins.run import check_finite as check_finite
    from bench.plugins.training import train as train
    from bench.recipe import Recipe as Recipe
    from bench.threat.grants import HardLabels as HardLabels
    from bench.threat.grants import SoftLabels as SoftLabels
    from bench.threat.grants import Weights as Weights
    from bench.threat.images import NoImages as NoImages
    from bench.threat.images import SurrogateImages as SurrogateImages
    from bench.threat.images import TrainImages as TrainImages

__version__ = "0.1.0"

REVISION = 3
"""Raised whenever the core computes other numbers from the same task. It is part of
every task's key, so rows of an older revision are never mistaken for current ones."""

_ROOMS = {
    "data": "Batch",
    "errors": "NotApplicable Skipped",
    "plugins.base": "Attack Defense Paper Released",
    "plugins.features": "features",
    "plugins.run": "Run check_finite",
    "plugins.training": "train",
    "recipe": "Recipe",
    "threat.grants": "HardLabels SoftLabels Weights",
    "threat.images": "NoImages SurrogateImages TrainImages",
}
"""Where each public name is; a test holds it against the imports above."""
_ROOM = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = ["REVISION", "__version__", *_ROOM]


def __getattr__(name: str) -> object:
    if name not in _ROOM:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    value: object = getattr(import_module(f"bench.{_ROOM[name]}"), name)
    return value
