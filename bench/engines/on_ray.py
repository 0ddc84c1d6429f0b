"""The agenda as a Ray Tune search; the only file that imports ray.

One `Tuner` serves a plan from end to end: its searcher hands out a task as soon as what
it builds on is there, so no slot waits for a round to end. A trial's config holds the
task's key alone, for Tune hides richer values behind placeholders.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Ray reads these when it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
# A searcher of one's own is asked for a single trial at a time unless this is raised.
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "16")

import ray
from ray import tune
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher

from bench.engines.ready_queue import Agenda
from bench.errors import Unfit
from bench.planning.tasks import Task, key
from bench.results.rows import Row

Work = Callable[[Task, Callable[[int, int, Mapping[str, float]], None]], Row]
"""Performs a task in a worker process and reports progress."""

ATTEMPTS = 3
"""Ray's memory monitor ends a whole `fit` when it kills one worker; begin again."""


class _Forgotten:
    """Tune pickles searcher and callbacks to resume from; here the store does that."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Ready(_Forgotten, Searcher):
    """Suggests ready tasks, and hears which of them are over."""

    def __init__(self, agenda: Agenda, outcome: Callable[[Task], Row]) -> None:
        super().__init__()
        self._agenda, self._outcome = agenda, outcome
        self._trials: dict[str, Task] = {}

    def set_search_properties(self, *_: Any, **__: Any) -> bool:
        """There is no metric to optimise, and no space to be told of."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """The key of a ready task; None while all wait; FINISHED at the end."""
        task = self._agenda.next()
        if task is not None:
            self._trials[trial_id] = task
            return {"key": key(task)}
        return Searcher.FINISHED if self._agenda.over else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Read the row that the worker wrote, or write one for a worker that died."""
        if trial_id in self._trials:
            task = self._trials.pop(trial_id)
            self._agenda.ended(task, self._outcome(task))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store is what a later run resumes from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store is what a later run resumes from."""


class _Relay(_Forgotten, TrialProgressCallback):
    """Passes progress on to the agenda's listener.

    It takes the place of the callback of Tune's that prints a line a trial.
    """

    def __init__(self, agenda: Agenda, tasks: Mapping[str, Task]) -> None:
        super().__init__()
        self._agenda, self._tasks = agenda, tasks

    def on_trial_complete(self, *_: Any, **__: Any) -> None:
        """Nothing: the searcher hears of the end."""

    def on_trial_error(self, *_: Any, **__: Any) -> None:
        """Nothing: the searcher hears of the end."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Any, **_: Any
    ) -> None:
        """Tune calls this for every report of a worker."""
        if "step" in result:
            task = self._tasks[trial.config["key"]]
            losses = {
                k.removeprefix("loss_"): v
                for k, v in result.items()
                if k[:5] == "loss_"
            }
            self._agenda.listener.progress(task, result["step"], result["of"], losses)


def run(
    agenda: Agenda,
    work: Work,
    outcome: Callable[[Task], Row | None],
    logs: Path,
    share: Mapping[str, float],
    address: str | None = None,
) -> None:
    """Do all of `agenda` in worker processes.

    Args:
        agenda: Says which task is next, and hears of its end.
        work: Performs one task; must be picklable.
        outcome: The row that a worker wrote, or None if there is none.
        logs: Absolute folder for Tune's own files.
        share: What one task holds, such as `{"cpu": 1, "gpu": 0.25}`.
        address: Of a running Ray cluster; None starts one on this machine.

    Raises:
        Unfit: Ray does not start, or has not what one task holds.
        KeyboardInterrupt: the user stopped it.
    """
    _start(address, share)
    tasks = {key(task): task for task in agenda.waiting}
    dead: list[Task] = []

    def ended(task: Task) -> Row:
        row = outcome(task)
        if row is None:
            dead.append(task)
            reason = f"its worker died, twice; Ray's words are in {logs}"
            row = agenda.record(task, "failed", reason)
        return row

    trainable = tune.with_resources(
        tune.with_parameters(_trial, work=work, tasks=tasks), dict(share)
    )
    try:
        for attempt in range(1, ATTEMPTS + 1):
            tuner = tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    search_alg=_Ready(agenda, ended),
                    num_samples=len(agenda.waiting),
                    reuse_actors=True,
                    trial_name_creator=_name,
                    trial_dirname_creator=_name,
                ),
                run_config=tune.RunConfig(
                    storage_path=str(logs),
                    verbose=0,
                    callbacks=[_Relay(agenda, tasks)],
                    failure_config=tune.FailureConfig(max_failures=1),
                    checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
                ),
            )
            try:
                tuner.fit()
            except RuntimeError:
                _settle(agenda, outcome, final=attempt == ATTEMPTS)
                if agenda.over:
                    return
                continue
            if not agenda.over:  # Tune swallows Ctrl-C and returns what it has
                raise KeyboardInterrupt
            if not dead:
                shutil.rmtree(logs, ignore_errors=True)
            return
    finally:
        ray.shutdown()


def _settle(agenda: Agenda, outcome: Callable[[Task], Row | None], final: bool) -> None:
    """After a crash of `fit`: take in what was done, put back what was not."""
    lost = []
    for task in list(agenda.running):
        row = outcome(task)
        if row is None and final:
            row = agenda.record(
                task, "oom", "its worker was killed, most likely by Ray"
            )
        if row is None:
            lost.append(task)
        else:
            agenda.ended(task, row)
    agenda.put_back(lost)
    while final and (idle := agenda.next()) is not None:
        reason = f"not begun, for Ray failed {ATTEMPTS} times"
        agenda.ended(idle, agenda.record(idle, "failed", reason))


def _start(address: str | None, share: Mapping[str, float]) -> None:
    quiet = logging.CRITICAL
    try:
        if address is None:
            # "local" starts a cluster of our own. Without it Ray joins one that it
            # finds, such as that of a driver that was killed a second ago.
            ray.init(
                address="local",
                include_dashboard=False,
                logging_level=quiet,
                log_to_driver=False,
            )
        else:
            ray.init(address=address, logging_level=quiet, log_to_driver=False)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        where = "on this machine" if address is None else f"at {address}"
        text = str(error).partition("\n")[0]
        raise Unfit(
            f"Ray does not start {where}: {text}; --engine local does without it"
        ) from error
    for name in ("ray", "ray.tune", "ray.air", "ray.train"):
        logging.getLogger(name).setLevel(quiet)  # what failed is told by its row
    have = ray.cluster_resources()
    for name, amount in share.items():
        if amount > have.get(name.upper(), 0):
            ray.shutdown()
            raise Unfit(
                f"one task asks for {amount:g} {name} and Ray has "
                f"{have.get(name.upper(), 0):g}; see --cpus and --gpu-share"
            )


def _name(trial: Any) -> str:
    return str(trial.config["key"])


def _trial(config: dict[str, str], work: Work, tasks: Mapping[str, Task]) -> None:
    def tell(step: int, of: int, losses: Mapping[str, float]) -> None:
        named = {f"loss_{k}": float(v) for k, v in losses.items()}
        tune.report({"step": step, "of": of, **named})

    work(tasks[config["key"]], tell)
