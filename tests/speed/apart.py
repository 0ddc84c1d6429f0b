"""What has no ratio: whether both sides learn alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import mean, stdev

import classical
import torch
from cases import Case, do, session_of, tasks_of

from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.stages import Steal, Task


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
