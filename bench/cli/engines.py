"""Does what a plan lacks, in this process or on Ray, and shows how it goes."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console

from bench.cli.report import say
from bench.errors import Unfit

if TYPE_CHECKING:
    from bench.engines.ready_queue import Agenda
    from bench.planning.plan import Plan
    from bench.planning.tasks import Task
    from bench.results.rows import Row
    from bench.results.store import Store
    from bench.worker.perform import Session


def session(
    store: Store,
    cpus: int,
    gpu_share: float,
    timeout: float | None,
    address: str | None,
    compiled: bool,
) -> Session:
    """What all tasks of the command have in common, on the device that is there."""
    import torch

    from bench.worker.perform import Session

    gpu = gpu_share > 0 and (address is not None or torch.cuda.is_available())
    return Session(
        store=store,
        command=shlex.join(["bench", *sys.argv[1:]]),
        device="cuda" if gpu else "cpu",
        threads=cpus,
        timeout=timeout,
        compiled=compiled and gpu,
    )


def perform(
    made: Plan,
    done: Mapping[Task, Row],
    session: Session,
    engine: str,
    gpu_share: float,
    address: str | None,
    quiet: bool,
) -> dict[Task, Row]:
    """Do what is not done; the rows of what was done now."""
    from bench.cli.display import Display
    from bench.engines.ready_queue import Agenda, run_here
    from bench.worker.perform import record, throttled

    todo = [task for task in made.tasks if task not in done]
    if not todo:
        return {}
    rows: dict[Task, Row] = {}
    console = Console(stderr=True)
    with Display(console, len(todo), quiet) as display:

        class Ears:
            """Passes everything to the display and collects the rows."""

            started = staticmethod(display.started)
            progress = staticmethod(display.progress)

            @staticmethod
            def ended(task: Task, row: Row) -> None:
                rows[task] = row
                display.ended(task, row)

        note = partial(record, session=session)
        agenda = Agenda(
            waiting=todo,
            done=set(done),
            record=lambda task, status, reason: note(
                task, status=status, reason=reason
            ),
            listener=Ears(),
        )
        try:
            if engine == "local":
                run_here(
                    agenda,
                    lambda task: throttled(
                        task, partial(display.progress, task), session
                    ),
                )
            else:
                _on_ray(agenda, session, gpu_share, address)
        except KeyboardInterrupt:
            display.__exit__(None, None, None)
            say(
                console,
                f"bench: interrupted; {len(done) + len(rows)} of {len(made.tasks)} "
                f"tasks are kept; to go on: {session.command}",
            )
            raise SystemExit(130) from None
    return rows


def _on_ray(
    agenda: Agenda, session: Session, gpu_share: float, address: str | None
) -> None:
    try:
        from bench.engines import on_ray as schedule
    except ImportError as error:
        raise Unfit(f"Ray is missing ({error}); --engine local does without it") from (
            error
        )
    from bench.planning.tasks import key
    from bench.worker.perform import kind_of, throttled

    share = {"cpu": float(session.threads)}
    if session.device == "cuda":
        share["gpu"] = gpu_share

    begun = time.time()  # an earlier run may have left rows of these tasks

    def outcome(task: Task) -> Row | None:
        return session.store.last(kind_of(task), key(task), since=begun)

    schedule.run(
        agenda,
        partial(throttled, session=session),
        outcome,
        session.store.root / ".ray",
        share,
        address,
    )
