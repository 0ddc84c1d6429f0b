"""Does what a plan lacks, in this process or on Ray, and shows how it goes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.cli.terminal import console, say
from bench.errors import Unfit

if TYPE_CHECKING:
    from bench.engines.events import Event
    from bench.engines.ready_queue import ReadyQueue
    from bench.engines.run_task import Session
    from bench.results.rows import Row
    from bench.results.store import Store
    from bench.stages import Task


@dataclass(frozen=True)
class How:
    """Where and with what the tasks of a command are done."""

    engine: str
    cpus: int
    gpu_shares: Mapping[str, float]
    """Of one task, by `Task.resources`."""
    timeout: float | None
    address: str | None
    compiled: bool
    quiet: bool
    """Nothing is shown."""

    def session(self, store: Store) -> Session:
        """What all tasks have in common, on the device that is there."""
        import torch

        from bench.engines.run_task import Session

        wanted = all(share > 0 for share in self.gpu_shares.values())
        gpu = wanted and (self.address is not None or torch.cuda.is_available())
        return Session(
            store=store,
            command=told(sys.argv[1:]),
            device="cuda" if gpu else "cpu",
            threads=self.cpus,
            timeout=self.timeout,
            compiled=self.compiled and gpu,
        )


def told(words: Sequence[str]) -> str:
    """The command as rows tell it: without folders, which are this machine's alone."""
    kept, skip = ["bench"], False
    for word in words:
        name, equals, _ = word.partition("=")
        if not skip and name not in ("--store", "--results"):
            kept.append(word)
        skip = not skip and name in ("--store", "--results") and not equals
    return shlex.join(kept)


def do(
    tasks: Sequence[Task], done: Mapping[Task, Row], store: Store, how: How
) -> dict[Task, Row]:
    """Do those of `tasks` that are needed; the rows of what was done now."""
    from bench.cli.display import Display
    from bench.engines.events import Ended
    from bench.engines.ready_queue import ReadyQueue
    from bench.engines.run_task import record
    from bench.planning.plan import needed

    err = console(stderr=True)
    session = how.session(store)
    if how.compiled and not session.compiled:
        say(err, "bench: --compile is left off: on processors it gains nothing")
    todo = needed(tasks, done)
    if not todo:
        return {}
    rows: dict[Task, Row] = {}
    with Display(err, len(todo), how.quiet) as display:

        def hear(event: Event) -> None:
            if isinstance(event, Ended):
                rows[event.task] = event.row
            display.show(event)

        queue = ReadyQueue(
            waiting=todo,
            done=set(done),
            record=lambda task, status, reason: record(task, session, status, reason),
            emit=hear,
        )
        try:
            _run(queue, session, how)
        except KeyboardInterrupt:
            display.stop()
            kept = f"{len(done) + len(rows)} of {len(tasks)} tasks are kept"
            again = shlex.join(["bench", *sys.argv[1:]])
            say(err, f"bench: interrupted; {kept}; to go on: {again}")
            raise SystemExit(130) from None
    return rows


def _run(queue: ReadyQueue, session: Session, how: How) -> None:
    if how.engine == "local":
        from bench.engines import in_process

        in_process.run(queue, session)
        return
    try:
        from bench.engines import on_ray
    except ImportError as error:
        raise Unfit(f"Ray is missing ({error}); --engine local does without it") from (
            error
        )
    shares = how.gpu_shares if session.device == "cuda" else {}
    on_ray.run(queue, session, session.store.root / ".ray", shares, how.address)
