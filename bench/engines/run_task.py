"""Does one task; whatever happens, it ends in one row.

The exceptions are those that stop the whole command, such as Ctrl-C.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench import REVISION, __version__
from bench.errors import Status, Stopped, Unfit, one_line
from bench.results.rows import Row
from bench.results.store import Store
from bench.stages.task import Result, Task

if TYPE_CHECKING:
    import torch

    from bench.worker.notes import Notes, Tell


@dataclass(frozen=True)
class Session:
    """What all tasks of one command have in common; it travels to the workers."""

    store: Store
    command: str
    device: str
    """cpu or cuda."""
    threads: int
    """CPU threads of one task. On processors results repeat to the bit for one
    number of threads."""
    timeout: float | None = None
    """Seconds that one task may take."""
    compiled: bool = False
    """Whether networks go through torch.compile."""


def run_task(task: Task, session: Session, tell: Tell) -> Row:
    """Do `task`, keep its row and weights in the store, and return the row.

    Raises:
        Unfit: the store takes no files.
    """
    import torch

    from bench.worker import provenance
    from bench.worker.notes import Notes, now_and_then

    torch.set_num_threads(session.threads)
    device = torch.device(session.device)
    provenance.set_precision(task.root.precision)
    provenance.forget_peak(device)
    notes = Notes(now_and_then(tell))
    row = _Record(task, session, device, notes)
    kept = None
    try:
        result = _perform(task, session, device, notes)
        kept = result.tensors
        made = row(Status.OK, "", *result.scores)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - plugins may raise any
        status, reason = diagnosis(error)
        if status is Status.FAILED:
            session.store.log(task.key, traceback.format_exc())
        made, kept = row(status, reason), None
    try:
        session.store.save(made, kept)
    except Unfit:
        raise
    except Exception as error:  # noqa: BLE001 - a network's state may be anything
        made = row(Status.FAILED, f"cannot be kept: {diagnosis(error)[1]}")
        session.store.save(made)
    return made


class _Record:
    """Makes the row of one task; it starts the clock."""

    def __init__(
        self, task: Task, session: Session, device: torch.device, notes: Notes
    ) -> None:
        self._task, self._session = task, session
        self._device, self._notes = device, notes
        self._started, self._clock = datetime.now(UTC), time.perf_counter()

    def __call__(self, status: Status, reason: str, *scores: object) -> Row:
        """The row; records in `scores` are embedded in it."""
        from bench.worker import provenance

        measured = {k: v for record in scores for k, v in vars(record).items()}
        return self._task.row(
            **_known(self._task, self._session),
            status=str(status),
            reason=reason,
            classes=self._notes.classes,
            flags=self._notes.flags,
            figures=self._notes.figures,
            curve=self._notes.curve,
            started=self._started,
            seconds=time.perf_counter() - self._clock,
            peak_memory=provenance.peak_memory(self._device),
            **measured,
        )


def _perform(
    task: Task, session: Session, device: torch.device, notes: Notes
) -> Result:
    """Load what the task is about, and do it, within its limit of time."""
    from bench import data
    from bench.seeds import derive, seeded
    from bench.worker.deadline import deadline
    from bench.worker.workbench import Workbench

    with deadline(session.timeout):
        about = task.root.data
        dataset = data.load(about.asked or about.name).reduced(about.fraction)
        notes.classes = len(dataset.classes)
        with seeded(derive(*task.stream), device) as generator:
            bench = Workbench(
                dataset=dataset,
                store=session.store,
                device=device,
                generator=generator,
                seed=task.root.seed,
                precision=task.root.precision,
                compiled=session.compiled,
                asked=about.asked or about.name,
                notes=notes,
            )
            return task.perform(bench)


def record(task: Task, session: Session, status: Status, reason: str) -> Row:
    """Keep a row for a task that could not be begun or that took its worker along."""
    row = task.row(
        **_known(task, session),
        status=str(status),
        reason=reason,
        started=datetime.now(UTC),
        seconds=0.0,
    )
    session.store.save(row)
    return row


def diagnosis(error: BaseException) -> tuple[Status, str]:
    """The status and the one-line reason of a task that ended with `error`."""
    import torch

    text = one_line(error)
    if isinstance(error, Stopped):
        return error.status, text
    if isinstance(error, Unfit):
        return Status.UNFIT, text
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return Status.OOM, text or "out of memory"
    return Status.FAILED, f"{type(error).__name__}: {text}".removesuffix(": ")


def _known(task: Task, session: Session) -> dict[str, Any]:
    """The columns of the row of `task` that are known before it is done."""
    import torch

    from bench.worker import provenance

    device = torch.device(session.device)
    commit, dirty = provenance.commit()
    return {
        "key": task.key,
        **task.columns(),
        "revision": REVISION,
        "version": __version__,
        "commit": commit,
        "dirty": dirty,
        **provenance.versions(device),
        "device": provenance.device_name(device),
        "threads": session.threads,
        "compiled": session.compiled,
        "command": session.command,
    }
