"""Which task may start next: parents first, the longest path behind it first.

Both engines follow one queue, so they differ in where a task runs and in nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bench.engines.events import Ended, Listener, Started
from bench.errors import Status
from bench.results.rows import Row
from bench.stages.task import Task

Record = Callable[[Task, Status, str], Row]
"""Keeps a row for a task that is not performed: task, status, reason."""


@dataclass
class ReadyQueue:
    """The tasks that are still to do, and what is known of the others."""

    waiting: list[Task]
    """Not begun. What they build on is here, running, or `done`."""
    done: set[Task]
    """Ended well, now or in an earlier run."""
    record: Record
    emit: Listener
    running: set[Task] = field(default_factory=set)
    failed: set[Task] = field(default_factory=set)
    """Over, and not well."""

    def __post_init__(self) -> None:
        """Put the longest path first."""
        self._behind = behind(self.waiting)
        self._sort()

    def _sort(self) -> None:
        self.waiting.sort(key=lambda task: -self._behind[task])

    @property
    def over(self) -> bool:
        """Nothing waits and nothing runs."""
        return not self.waiting and not self.running

    def next(self) -> Task | None:
        """A task that may start now, or None while all wait for others."""
        for task in self.waiting:
            over = self.done | self.failed if task.tolerant else self.done
            if all(parent in over for parent in task.parents):
                self.waiting.remove(task)
                self.running.add(task)
                self.emit(Started(task))
                return task
        return None

    def ended(self, task: Task, row: Row) -> None:
        """Take in the row of a running task; orphans get theirs at once."""
        self.running.discard(task)
        self.emit(Ended(task, row))
        if row.status == Status.OK:
            self.done.add(task)
            return
        self.failed.add(task)
        children = [t for t in self.waiting if task in t.parents and not t.tolerant]
        for child in children:
            if child in self.waiting:  # it may have been an orphan of another already
                self.waiting.remove(child)
                reason = f"not begun: '{task.label}' ended as {row.status}"
                self.ended(child, self.record(child, Status.SKIPPED, reason))

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Let running tasks wait again: their workers are gone."""
        for task in tasks:
            self.running.discard(task)
            self.waiting.append(task)
        self._sort()


def behind(tasks: Iterable[Task]) -> dict[Task, int]:
    """How long a line of `tasks` builds on each of them; 0 where none does."""
    tasks = list(tasks)
    children: dict[Task, list[Task]] = defaultdict(list)
    for task in tasks:
        for parent in task.parents:
            children[parent].append(task)
    found: dict[Task, int] = {}

    def length(task: Task) -> int:
        if task not in found:
            found[task] = max((1 + length(c) for c in children[task]), default=0)
        return found[task]

    return {task: length(task) for task in tasks}
