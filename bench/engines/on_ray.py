"""Does all tasks in worker processes, by Ray Tune.

One `Tuner` serves a plan from end to end: its searcher hands out a task as soon as what
it builds on is there, so no slot waits for a round to end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import tune

from bench.engines.ray_cluster import start
from bench.engines.ready_queue import ReadyQueue
from bench.engines.run_task import Session, run_task
from bench.engines.tune_search import Driver, Relay
from bench.errors import Status
from bench.results.rows import Row
from bench.stages.task import Task

ATTEMPTS = 3
"""Ray's memory monitor ends a whole `fit` when it kills one worker; begin again."""


def run(
    queue: ReadyQueue,
    session: Session,
    logs: Path,
    gpu_shares: Mapping[str, float],
    address: str | None = None,
) -> None:
    """Do all of `queue` in worker processes.

    Args:
        queue: Says which task is next, and takes in its row.
        session: What all tasks have in common.
        logs: Absolute folder for Tune's own files.
        gpu_shares: Of one task, by `Task.resources`; empty where there is no GPU.
        address: Of a running Ray cluster; None starts one on this machine.

    Raises:
        Unfit: Ray does not start, or has not what one task holds.
        KeyboardInterrupt: the user stopped it.
    """
    tasks = {task.key: task for task in queue.waiting}
    held = _held(tasks.values(), session, gpu_shares)
    start(address, held.values())
    trainable = _trainable(tasks, session, held)
    try:
        for attempt in range(1, ATTEMPTS + 1):
            rows: dict[str, Row] = {}
            driver = Driver(queue, rows, logs)
            try:
                _tuner(trainable, driver, Relay(queue, tasks, rows), queue, logs).fit()
            except RuntimeError:
                _settle(queue, rows, final=attempt == ATTEMPTS)
                if queue.over:
                    return
                continue
            if not queue.over:  # Tune swallows Ctrl-C and returns what it has
                raise KeyboardInterrupt
            if not driver.died:
                shutil.rmtree(logs, ignore_errors=True)
            return
    finally:
        ray.shutdown()


def _held(
    tasks: Iterable[Task], session: Session, gpu_shares: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """What a task holds while it is done, by `Task.resources`."""
    held: dict[str, dict[str, float]] = {}
    for kind in {task.resources for task in tasks}:
        held[kind] = {"cpu": float(session.threads)}
        if share := gpu_shares.get(kind):
            held[kind]["gpu"] = share
    return held


def _trainable(
    tasks: Mapping[str, Task], session: Session, held: Mapping[str, dict[str, float]]
) -> Any:
    """What Tune runs as a trial; trials that hold alike use each other's workers."""
    work = tune.with_parameters(_trial, session=session, tasks=dict(tasks))
    kinds = list(held.values())
    if all(kind == kinds[0] for kind in kinds):
        return tune.with_resources(work, kinds[0])

    def bundle(config: dict[str, str]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([held[tasks[config["key"]].resources]])

    return tune.with_resources(work, bundle)


def _tuner(
    trainable: Any, driver: Driver, relay: Relay, queue: ReadyQueue, logs: Path
) -> tune.Tuner:
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=driver,
            num_samples=len(queue.waiting),
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            storage_path=str(logs),
            verbose=0,
            callbacks=[relay],
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
        ),
    )


def _settle(queue: ReadyQueue, rows: Mapping[str, Row], final: bool) -> None:
    """After a crash of `fit`: take in what was done, put back what was not."""
    lost = []
    for task in list(queue.running):
        if task.key in rows:
            queue.ended(task, rows[task.key])
        elif final:
            reason = "its worker was killed, most likely by Ray"
            queue.ended(task, queue.record(task, Status.OOM, reason))
        else:
            lost.append(task)
    queue.put_back(lost)
    while final and (idle := queue.next()) is not None:
        reason = f"not begun: Ray failed {ATTEMPTS} times"
        queue.ended(idle, queue.record(idle, Status.FAILED, reason))


def _name(trial: Any) -> str:
    return str(trial.config["key"])


def _trial(config: dict[str, str], session: Session, tasks: Mapping[str, Task]) -> None:
    def tell(step: int, of: int, losses: Mapping[str, float]) -> None:
        plain = {name: float(value) for name, value in losses.items()}
        tune.report({"step": step, "of": of, "losses": plain})

    tune.report({"row": run_task(tasks[config["key"]], session, tell)})
