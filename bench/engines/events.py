"""What an engine tells while it works: one listener hears of everything.

Engines hand events to a function rather than yield them: Tune blocks the thread that
calls it, and an interrupt must reach that thread and no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.results.rows import Row
from bench.stages.task import Task


@dataclass(frozen=True)
class Started:
    """The task was handed to a worker."""

    task: Task


@dataclass(frozen=True)
class Progress:
    """The task is at `step` of `of`."""

    task: Task
    step: int
    of: int
    losses: Mapping[str, float]


@dataclass(frozen=True)
class Ended:
    """The task is over, well or not."""

    task: Task
    row: Row


Event = Started | Progress | Ended
Listener = Callable[[Event], None]
