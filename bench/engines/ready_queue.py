"""Which task may start next: parents first, the longest path behind it first.

Both engines follow one agenda, so they differ in where a task runs and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bench.planning.tasks import Protect, Task, TrainTeacher
from bench.results.rows import Row

Record = Callable[[Task, str, str], Row]
"""Keeps a row for a task that is not performed: task, status, reason."""


class Listener(Protocol):
    """Hears what becomes of the tasks of a plan."""

    def started(self, task: Task) -> None:
        """The task was handed to a worker."""

    def progress(
        self, task: Task, step: int, of: int, losses: Mapping[str, float]
    ) -> None:
        """The task tells how far it is."""

    def ended(self, task: Task, row: Row) -> None:
        """The task is over, well or not."""


@dataclass
class Agenda:
    """The tasks that are still to do, and what is known of the others."""

    waiting: list[Task]
    """Not begun. What they build on is here, running, or `done`."""
    done: set[Task]
    """Ended well, now or in an earlier run."""
    record: Record
    listener: Listener
    running: set[Task] = field(default_factory=set)
    failed: dict[Task, str] = field(default_factory=dict)
    """Ended otherwise, with the reason."""

    def __post_init__(self) -> None:
        """Put the longest path first."""
        self.waiting.sort(key=_depth)

    @property
    def over(self) -> bool:
        """Nothing waits and nothing runs."""
        return not self.waiting and not self.running

    def next(self) -> Task | None:
        """A task that may start now, or None while all wait for others."""
        for task in self.waiting:
            if task.parent is None or task.parent in self.done:
                self.waiting.remove(task)
                self.running.add(task)
                self.listener.started(task)
                return task
        return None

    def ended(self, task: Task, row: Row) -> None:
        """Take note of what became of a running task; orphans get a row at once."""
        self.running.discard(task)
        self.listener.ended(task, row)
        if row.status == "ok":
            self.done.add(task)
            return
        self.failed[task] = row.reason
        for child in [t for t in self.waiting if t.parent == task]:
            self.waiting.remove(child)
            reason = f"not begun, for '{task.label}' ended as {row.status}"
            self.ended(child, self.record(child, "skipped", reason))

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Let running tasks wait again: their workers are gone."""
        for task in tasks:
            self.running.discard(task)
            self.waiting.append(task)
        self.waiting.sort(key=_depth)


def _depth(task: Task) -> int:
    """How little may depend on it: teachers first, then releases, then students."""
    return (
        0 if isinstance(task, TrainTeacher) else 1 if isinstance(task, Protect) else 2
    )


def run_here(agenda: Agenda, work: Callable[[Task], Row]) -> None:
    """Do all of `agenda` in this process, one task after the other."""
    while (task := agenda.next()) is not None:
        agenda.ended(task, work(task))
