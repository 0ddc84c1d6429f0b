"""Does all tasks in this process, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from bench.engines.events import Progress
from bench.engines.ready_queue import ReadyQueue
from bench.engines.run_task import Session, run_task


def run(queue: ReadyQueue, session: Session) -> None:
    """Do all of `queue`.

    Raises:
        Unfit: the store takes no files.
        KeyboardInterrupt: the user stopped it.
    """
    while (task := queue.next()) is not None:

        def tell(step: int, of: int, losses: Mapping[str, float]) -> None:
            queue.emit(Progress(task, step, of, losses))

        queue.ended(task, run_task(task, session, tell))
