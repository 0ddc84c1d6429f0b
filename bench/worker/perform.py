"""Does one task, and keeps its row and artefacts.

Whatever happens, the task ends in one row; the exceptions are those that stop the whole
command, such as Ctrl-C.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch
from torch import nn

from bench import REVISION, __version__, data
from bench.errors import Stopped, Unfit
from bench.planning.tasks import Protect, Steal, Task, TrainTeacher, key
from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.results.store import Store
from bench.seeds import seeded
from bench.worker import provenance as machine
from bench.worker.deadline import deadline
from bench.worker.harness import Desk, Notice
from bench.worker.referee import Referee
from bench.worker.reply_cache import state_of
from bench.worker.work import Worker, seed_of


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


def perform(task: Task, session: Session, notice: Notice) -> Row:
    """Do `task`, keep its row and artefacts in the store, and return the row."""
    torch.set_num_threads(session.threads)
    device = torch.device(session.device)
    setting = task.root.setting
    dataset = data.load(setting.dataset).reduced(setting.share)
    machine.set_precision(setting.precision)
    referee = Referee(dataset, device)
    desk = Desk(dataset, referee, notice, setting.precision, session.compiled)
    machine.forget_peak(device)
    started, clock = datetime.now(UTC), time.perf_counter()
    measured: dict[str, Any] = {}
    parts: dict[str, nn.Module] | None = None
    status, reason = "ok", ""
    try:
        with deadline(session.timeout), seeded(seed_of(task), device) as generator:
            worker = Worker(session.store, dataset, desk, device, generator)
            parts, measured = worker.do(task)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - plugins may raise any
        status, reason = diagnosis(error)
        if status == "failed":
            session.store.log(key(task), traceback.format_exc())
    finish = partial(
        _row(task, session),
        started=started,
        seconds=time.perf_counter() - clock,
        peak_memory=machine.peak_memory(device),
    )
    row = finish(
        status=status,
        reason=reason,
        classes=len(dataset.classes),
        flags=desk.flags,
        figures=desk.figures,
        curve=desk.curve,
        **measured,
    )
    try:
        session.store.save(row, None if parts is None else state_of(parts))
    except Unfit:
        raise
    except Exception as error:  # noqa: BLE001 - a network's state may be anything
        row = finish(status="failed", reason=f"cannot be kept: {diagnosis(error)[1]}")
        session.store.save(row)
    return row


def throttled(task: Task, notice: Notice, session: Session, every: float = 0.5) -> Row:
    """`perform`, with a notice at most once in `every` seconds, and always the last."""
    heard = 0.0

    def sometimes(step: int, of: int, losses: Mapping[str, float]) -> None:
        nonlocal heard
        now = time.monotonic()
        if now - heard >= every or step == of:
            heard = now
            notice(step, of, losses)

    return perform(task, session, sometimes)


def kind_of(task: Task) -> type[Row]:
    """The kind of row that `task` ends in."""
    match task:
        case TrainTeacher():
            return TeacherRow
        case Protect():
            return ProtectRow
        case Steal():
            return StealRow


def stamped(row: Row, task: Task) -> Row:
    """The row of an equal task under the labels and the official mark of `task`."""
    return replace(row, **_marks(task))


def _marks(task: Task) -> dict[str, Any]:
    """The columns that equal tasks may differ in: they are no part of the key."""
    marks: dict[str, Any] = {"official": task.official}
    if isinstance(task, Protect):
        marks["defense"] = task.defense.label
    if isinstance(task, Steal):
        marks |= {"defense": task.target.defense.label, "attack": task.attack.label}
    return marks


def record(task: Task, session: Session, status: str, reason: str) -> Row:
    """Keep a row for a task that could not be begun or that took its worker along."""
    row = _row(task, session)(
        status=status, reason=reason, started=datetime.now(UTC), seconds=0.0
    )
    session.store.save(row)
    return row


def diagnosis(error: BaseException) -> tuple[str, str]:
    """The status and the one-line reason of a task that ended with `error`."""
    text = " ".join(str(error).split())
    if isinstance(error, Stopped):
        return error.status, text
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "oom", text or "out of memory"
    return "failed", f"{type(error).__name__}: {text}".removesuffix(": ")


def _row(task: Task, session: Session) -> Callable[..., Row]:
    """The row of `task` with all that is known before it is done."""
    root, device = task.root, torch.device(session.device)
    commit, dirty = machine.commit()
    known: dict[str, Any] = {
        "key": key(task),
        **_marks(task),
        "protocol": root.setting.protocol,
        "protocol_version": root.setting.version,
        "dataset": root.setting.dataset,
        "data_fingerprint": root.setting.fingerprint,
        "data_share": root.setting.share,
        "precision": root.setting.precision,
        "teacher": root.network,
        "teacher_recipe": _json(asdict(root.recipe)),
        "seed": root.seed,
        "revision": REVISION,
        "version": __version__,
        "commit": commit,
        "dirty": dirty,
        **machine.versions(device),
        "device": machine.device_name(device),
        "threads": session.threads,
        "compiled": session.compiled,
        "command": session.command,
    }
    if isinstance(task, TrainTeacher):
        return lambda **more: TeacherRow(**known, **more)
    target = task if isinstance(task, Protect) else task.target
    known |= {
        "parent": key(target if isinstance(task, Steal) else root),
        "defense_options": _json(dict(target.defense.options)),
        "defense_source": target.defense.source,
    }
    if isinstance(task, Protect):
        return lambda **more: ProtectRow(**known, **more)
    known |= task.access() | {
        "attack_options": _json(dict(task.attack.options)),
        "attack_source": task.attack.source,
        "student": task.student,
        "student_recipe": _json(asdict(task.recipe)),
    }
    return lambda **more: StealRow(**known, **more)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)
