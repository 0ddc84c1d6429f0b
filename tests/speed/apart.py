"""What has no ratio: whether both sides learn alike, and what Ray costs a task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import mean, stdev
from typing import Any, ClassVar

import classical
import torch
from cases import Case, do, session_of, tasks_of

from bench.engines.events import Ended, Event
from bench.engines.ready_queue import ReadyQueue
from bench.engines.run_task import record
from bench.errors import Status
from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.stages import Data, Result, Root, Steal, Task


@dataclass(frozen=True)
class Accuracies:
    """Of one network, by both sides; one value a seed."""

    name: str
    precision: str
    classical: Sequence[float]
    bench: Sequence[float]

    @property
    def difference(self) -> float:
        """Mean of the bench minus mean of the classical loop."""
        return mean(self.bench) - mean(self.classical)

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return sqrt(
            standard_error(self.classical) ** 2 + standard_error(self.bench) ** 2
        )

    @property
    def agrees(self) -> bool:
        """Whether the difference lies within two of its standard errors."""
        return abs(self.difference) <= 2 * self.error


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of `values`, two of them or more."""
    return stdev(values) / sqrt(len(values))


def parity(case: Case, say: Callable[[str], None], seeds: int = 3) -> list[Accuracies]:
    """Test accuracies at the end of training, of both sides on the same images.

    Each seed has its own teacher, nasty teacher and students on both sides; initial
    weights, orders and augmentations are drawn by each side in its own way. `say` hears
    of every accuracy.
    """
    found: dict[tuple[str, str], list[float]] = {}
    dataset, how, student = case.dataset, case.how, case.students[0]
    torch.set_num_threads(case.threads)
    for seed in range(seeds):
        torch.manual_seed(seed)
        teacher, nasty = (classical.build(case.teacher, dataset) for _ in range(2))
        first, second = (classical.build(student, dataset) for _ in range(2))
        scores = {
            "teacher": classical.train_alone(teacher, dataset, how),
            "nasty": classical.train_nasty(nasty, teacher, dataset, how),
            "kd from none": classical.train_kd(first, teacher, dataset, how),
            "kd from nasty": classical.train_kd(second, nasty, dataset, how),
        }
        for name, score in scores.items():
            found.setdefault(("classical", name), []).append(score)
            say(f"  classical #{seed}: {name} {score:.4f}")
    names = [name for _, name in found]
    for precision in case.precisions:
        few = replace(case, students=(student,))
        tasks = tasks_of(few, precision, ["kd"], seeds)
        with session_of(case.threads) as session:
            for task in _without_scratch(tasks):
                row = do([task], session)[task]
                name, score = _name(row), _accuracy(row)
                found.setdefault((precision, name), []).append(score)
                say(f"  bench {precision} #{row.seed}: {name} {score:.4f}")
    return [
        Accuracies(name, p, found["classical", name], found[p, name])
        for p in case.precisions
        for name in names
    ]


def _without_scratch(tasks: Iterable[Task]) -> Iterator[Task]:
    for task in tasks:
        if not isinstance(task, Steal) or task.attack.name != "scratch":
            yield task


def _name(row: Row) -> str:
    match row:
        case StealRow():
            return f"kd from {row.defense}"
        case ProtectRow():
            return row.defense
        case _:
            return "teacher"


def _accuracy(row: Row) -> float:
    assert isinstance(row, TeacherRow | ProtectRow | StealRow)
    assert row.accuracy is not None
    return row.accuracy


def idle(count: int) -> tuple[float, float]:
    """Seconds a task of `count` that do nothing, through Ray, and seconds beside them.

    A task leaves a row in the store and sends it to the driver, as all tasks of the
    bench do. The first number runs from the end of the first task to that of the last;
    the second is all the rest: Ray's start, that of the first worker and its imports,
    the first task, and the shutdown.
    """
    from bench.engines import on_ray  # only this needs Ray

    # A class within a function travels whole: workers need not find us.
    @dataclass(frozen=True, eq=False)
    class Idle(Root):
        """Loads the digits, and that is all."""

        row: ClassVar = TeacherRow
        plural: ClassVar = "idle tasks"

        @property
        def label(self) -> str:
            """A few words."""
            return f"idle #{self.seed}"

        @property
        def stream(self) -> tuple[object, ...]:
            """Its seed."""
            return "idle", self.seed

        def columns(self) -> dict[str, Any]:
            """What a row cannot do without."""
            return {
                "dataset": self.data.name,
                "data_fingerprint": self.data.fingerprint,
                "teacher": "none",
                "teacher_recipe": "{}",
                "seed": self.seed,
            }

        def perform(self, bench: object) -> Result:
            """Nothing."""
            return Result((), {})

    tasks: list[Task] = [
        Idle(Data("digits", "0" * 16), seed, "fp32") for seed in range(count)
    ]
    ends: list[float] = []

    def hear(event: Event) -> None:
        if isinstance(event, Ended):
            ends.append(time.perf_counter())

    with session_of(1) as session:

        def note(task: Task, status: Status, reason: str) -> Row:
            return record(task, session, status, reason)

        started = time.perf_counter()
        queue = ReadyQueue(tasks, set(), note, hear)
        on_ray.run(queue, session, session.store.root / ".ray", {})
        whole = time.perf_counter() - started
    if len(ends) != count:
        raise RuntimeError(f"{len(ends)} of {count} tasks have ended")
    busy = ends[-1] - ends[0]
    return busy / (count - 1), whole - busy
