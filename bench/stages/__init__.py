"""The kinds of task, one file each; importing this room registers their tables."""

from __future__ import annotations

from bench.stages.protect import Protect
from bench.stages.steal import Steal
from bench.stages.task import Data, Result, Root, Task, with_parents
from bench.stages.train_teacher import TrainTeacher

__all__ = [
    "Data",
    "Protect",
    "Result",
    "Root",
    "Steal",
    "Task",
    "TrainTeacher",
    "with_parents",
]
