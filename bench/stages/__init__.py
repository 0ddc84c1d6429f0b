"""The kinds of task, one file each; importing this room registers their tables."""

from __future__ import annotations

from bench.stages.attempt import TUNING_SEED, Attempt
from bench.stages.protect import Protect
from bench.stages.steal import Steal
from bench.stages.task import Data, Result, Root, Task, with_parents
from bench.stages.train_teacher import TrainTeacher
from bench.stages.tries import Try
from bench.stages.tune import Tune

__all__ = [
    "TUNING_SEED",
    "Attempt",
    "Data",
    "Protect",
    "Result",
    "Root",
    "Steal",
    "Task",
    "TrainTeacher",
    "Try",
    "Tune",
    "with_parents",
]
