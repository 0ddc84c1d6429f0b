"""What every kind of task is: a computation with a key, what it builds on, and a row.

    TrainTeacher  <-  Protect  <-  Try  <-  Tune  <-  Steal

A Steal builds on the release that it attacks and on the Tune that chose its options;
tries are done on a seed of their own, so their release is another.

Nesting is the whole dependency graph. Equal computations are one task, so a set of
Steals names every teacher and every released teacher that it needs exactly once.

A kind of task is one file beside this one: a frozen subclass of `Task`, whose fields
are all that decides its result. These files import no torch until a task is done.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from bench import REVISION
from bench.recipe import Recipe
from bench.results.rows import Row

if TYPE_CHECKING:
    from torch import Tensor

    from bench.worker.workbench import Workbench


@dataclass(frozen=True)
class Data:
    """The images of a task, told without loading them."""

    name: str
    """As rows call it; streams of random numbers derive from it."""
    fingerprint: str
    """Of all pixels and labels: other images under the same name are another task."""
    fraction: float = 1.0
    """Share of the training images that is used at all; in (0, 1]."""
    augmentation: str = "{}"
    """Random changes of training images, as JSON."""
    normalisation: str = ""
    """Mean and deviation of the first layer of every network, as JSON."""
    asked: str = field(default="", compare=False)
    """What `bench.data.load` finds it by; empty where that is its name."""


@dataclass(frozen=True)
class Result:
    """What a task leaves when it ends well."""

    scores: tuple[object, ...]
    """Records of `bench.results.rows`, such as `StudentScores`, that the row embeds."""
    tensors: Mapping[str, Tensor]
    """What later tasks build on, by `part.tensor`, see `bench.worker.weights`."""


@dataclass(frozen=True, eq=False)
class Task(ABC):
    """One computation. Tasks are equal when their keys are."""

    row: ClassVar[type[Row]]
    """The kind of row that it ends in."""
    plural: ClassVar[str]
    """What several of them are called."""
    tolerant: ClassVar[bool] = False
    """It begins once its parents are over, however they ended."""
    resources: ClassVar[str] = "student"
    """Which of the command's shares of a GPU it takes: "teacher" or "student"."""

    @property
    @abstractmethod
    def parents(self) -> tuple[Task, ...]:
        """What it builds on, none to several."""

    @property
    def keeps_weights(self) -> bool:
        """Whether what it leaves beside its row is an input of later tasks."""
        return True

    @property
    @abstractmethod
    def label(self) -> str:
        """A few words for a person."""

    @property
    @abstractmethod
    def stream(self) -> tuple[object, ...]:
        """Names from which its random numbers are derived, see `bench.seeds`.

        Defenses are left out, so that the students of a defended and of an undefended
        teacher start alike and are compared as a pair.
        """

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """The columns of its row that are known before it is done."""

    @abstractmethod
    def perform(self, bench: Workbench) -> Result:
        """Do it.

        Raises:
            Stopped: it ends otherwise than well; any other exception is a failure.
        """

    @property
    def root(self) -> Root:
        """The first task of its line, which says with what all of it is done."""
        return self.parents[0].root

    @cached_property
    def key(self) -> str:
        """Its name in the store: 16 hex digits, equal for equal computations.

        It covers the kind, every field, what it builds on and `bench.REVISION`.
        """
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        text = json.dumps([REVISION, type(self).__name__, plain], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        """Whether both are the same computation."""
        return isinstance(other, Task) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, eq=False)
class Root(Task):
    """A task that builds on nothing."""

    data: Data
    seed: int
    precision: str
    """fp32 or bf16."""

    @property
    def parents(self) -> tuple[Task, ...]:
        """None."""
        return ()

    @property
    def root(self) -> Root:
        """Itself."""
        return self


def _plain(value: object) -> object:
    """`value` as JSON: tasks by their keys, records by the fields that count."""
    if isinstance(value, Task):
        return value.key
    if is_dataclass(value):
        counted = [f.name for f in fields(value) if f.compare]
        return {name: _plain(getattr(value, name)) for name in counted}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def with_parents(tasks: Iterable[Task]) -> list[Task]:
    """`tasks` and all that they build on, each once, parents before children."""
    found: dict[Task, None] = {}

    def add(task: Task) -> None:
        if task not in found:
            for parent in task.parents:
                add(parent)
            found[task] = None

    for task in tasks:
        add(task)
    return list(found)


def as_json(value: Mapping[str, Any] | Recipe | Iterable[tuple[str, Any]]) -> str:
    """A recipe, or options in their order, as a column of a row holds them."""
    return json.dumps(asdict(value) if isinstance(value, Recipe) else dict(value))
