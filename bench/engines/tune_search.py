"""The ready queue as Tune sees it: a search that suggests tasks, a callback for rows.

A trial's config holds the task's key alone, because Tune hides richer values behind
placeholders. A row travels back as a value: driver and workers compare no clocks, and
the driver reads no file for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher

from bench.engines.events import Progress
from bench.engines.ready_queue import ReadyQueue
from bench.errors import Status
from bench.results.rows import Row
from bench.stages.task import Task


class _NotPickled:
    """Tune pickles searcher and callbacks to resume from; here the store does that."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Driver(_NotPickled, Searcher):
    """Suggests ready tasks, and takes in the rows of those that are over."""

    def __init__(self, queue: ReadyQueue, rows: dict[str, Row], logs: Path) -> None:
        super().__init__()
        self._queue, self._rows, self._logs = queue, rows, logs
        self._trials: dict[str, Task] = {}
        self.died = False
        """Whether a worker took its task along, twice."""

    def set_search_properties(self, *_: Any, **__: Any) -> bool:
        """There is no metric to optimise, and no space to be told of."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The key of a ready task; None while all wait; FINISHED at the end."""
        task = self._queue.next()
        if task is not None:
            self._trials[trial_id] = task
            return {"key": task.key}
        return Searcher.FINISHED if self._queue.over else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Take in the row that the worker sent, or make one for a worker that died."""
        if trial_id not in self._trials:
            return
        task = self._trials.pop(trial_id)
        row = self._rows.pop(task.key, None)
        if row is None:
            self.died = True
            reason = f"its worker died, twice; Ray's words are in {self._logs}"
            row = self._queue.record(task, Status.FAILED, reason)
        self._queue.ended(task, row)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is what a later run resumes from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store is what a later run resumes from."""


class Relay(_NotPickled, TrialProgressCallback):
    """Passes progress on, and takes rows out of what workers report.

    It takes the place of the callback of Tune's that prints a line a trial.
    """

    def __init__(
        self, queue: ReadyQueue, tasks: Mapping[str, Task], rows: dict[str, Row]
    ) -> None:
        super().__init__()
        self._queue, self._tasks, self._rows = queue, tasks, rows

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Nothing: the searcher hears of the end."""

    def on_trial_error(self, *_: Any, **__: Any) -> None:
        """Nothing: the searcher hears of the end."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Any, **_: Any
    ) -> None:
        """Tune calls this for every report of a worker, and keeps what is left of it.

        A row may hold pictures: it is taken out, or each of Tune's checkpoints would
        write all of them again.
        """
        key = trial.config["key"]
        if "row" in result:
            self._rows[key] = result.pop("row")
        elif "step" in result:
            at = result["step"], result["of"], result["losses"]
            self._queue.emit(Progress(self._tasks[key], *at))
