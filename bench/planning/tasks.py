"""The work: three kinds of task, each holding the task it builds on.

    TrainTeacher  <-  Protect  <-  Steal

Nesting is the whole dependency graph. Equal tasks are one task, so a set of Steals
names every teacher and every released teacher that it needs exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from bench import REVISION
from bench.plugins.registry import Plugin
from bench.recipe import Recipe
from bench.threat.tracks import track

if TYPE_CHECKING:
    from bench.plugins.base import Attack


@dataclass(frozen=True)
class Setting:
    """What all tasks of a plan have in common."""

    protocol: str
    version: int
    dataset: str
    fingerprint: str
    """Of the data, so that other images under the same name are another task."""
    share: float = 1.0
    """Of the training images, for teacher and attacker alike; in (0, 1]."""
    precision: str = "fp32"
    """fp32 or bf16."""


@dataclass(frozen=True)
class TrainTeacher:
    """Train one network on one data set."""

    setting: Setting
    network: str
    recipe: Recipe
    seed: int
    official: bool = field(default=True, compare=False)
    """Nothing departs from the protocol."""

    is_built_on: ClassVar[bool] = True
    """Other tasks need what it leaves."""

    @property
    def parent(self) -> Task | None:
        """A teacher builds on nothing."""
        return None

    @property
    def root(self) -> TrainTeacher:
        """The undefended teacher at the bottom."""
        return self

    @property
    def label(self) -> str:
        """A few words for a person."""
        return f"train {self.network} #{self.seed}"


@dataclass(frozen=True)
class Protect:
    """Let one defense rework one teacher."""

    teacher: TrainTeacher
    defense: Plugin
    official: bool = field(default=True, compare=False)

    is_built_on: ClassVar[bool] = True
    """Other tasks need what it leaves."""

    @property
    def parent(self) -> Task | None:
        """The teacher that is reworked."""
        return self.teacher

    @property
    def root(self) -> TrainTeacher:
        """The undefended teacher at the bottom."""
        return self.teacher

    @property
    def label(self) -> str:
        """A few words for a person."""
        return f"protect by {self.defense.label} #{self.teacher.seed}"


@dataclass(frozen=True)
class Steal:
    """Let one attack train one student from one released teacher."""

    target: Protect
    attack: Plugin
    student: str
    recipe: Recipe
    official: bool = field(default=True, compare=False)

    is_built_on: ClassVar[bool] = False
    """No other task needs what it leaves."""

    @property
    def parent(self) -> Task | None:
        """The released teacher that is attacked."""
        return self.target

    @property
    def root(self) -> TrainTeacher:
        """The undefended teacher at the bottom."""
        return self.target.teacher

    def access(self) -> dict[str, Any]:
        """The columns of a row that tell what the attacker may touch."""
        attack: Attack[Any, Any] = self.attack.make()
        teacher, images = (grant.__name__ for grant in attack.grants())
        return {
            "teacher_grant": teacher,
            "image_grant": images,
            "fraction": attack.fraction,
            "track": track(teacher, images, attack.fraction),
            "teacherless": attack.teacherless,
        }

    @property
    def label(self) -> str:
        """A few words for a person."""
        who = f"{self.attack.label} from {self.target.defense.label}"
        return f"{who} to {self.student} #{self.root.seed}"


Task = TrainTeacher | Protect | Steal


def key(task: Task) -> str:
    """The task's name in the store: 16 hex digits, equal for equal tasks.

    It covers the kind, every field with the plugins' resolved options and sources, the
    data, the protocol and `bench.REVISION`; not the labels.
    """
    plain = _plain(asdict(task))
    text = json.dumps([REVISION, type(task).__name__, plain], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        hidden = ("official", "label", "target") if "label" in value else ("official",)
        return {k: _plain(v) for k, v in value.items() if k not in hidden}
    return value


def with_parents(tasks: Iterable[Task]) -> list[Task]:
    """`tasks` and all that they build on, each once, parents before children."""
    found: dict[Task, None] = {}
    for task in tasks:
        line: list[Task] = [task]
        while (parent := line[-1].parent) is not None:
            line.append(parent)
        found.update(dict.fromkeys(reversed(line)))
    return list(found)
