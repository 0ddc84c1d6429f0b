"""Does one task: loads what it builds on, opens the grants, calls the plugin, scores.

Whatever happens, the task ends in one row; the exceptions are those that stop the whole
command, such as Ctrl-C.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import REVISION, __version__, data, machine, networks, threat
from bench.data import Batch, Dataset
from bench.deadline import deadline
from bench.errors import BadPlugin, Stopped
from bench.plugin import Attack, Defense, Harness, Released, Run
from bench.recipe import Recipe
from bench.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.samples import png
from bench.score import Referee
from bench.seeds import derive, seeded
from bench.store import Store
from bench.tasks import Protect, Steal, Task, TrainTeacher, key
from bench.training import train

Notice = Callable[[int, int, Mapping[str, float]], None]
"""Hears of progress: step, of how many, losses."""


@dataclass(frozen=True)
class Session:
    """What all tasks of one command have in common; it travels to the workers."""

    store: Store
    command: str
    device: str
    """cpu or cuda."""
    threads: int
    """CPU threads of one task. Results repeat to the bit for one number of threads."""
    timeout: float | None = None
    """Seconds that one task may take."""


@dataclass
class _Desk(Harness):
    """The harness behind one run: builds networks, takes notes."""

    dataset: Dataset
    referee: Referee
    notice: Notice
    curve: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    samples: bytes | None = None

    def build(self, name: str) -> nn.Module:
        facts, channels = self.dataset, self.dataset.shape[0]
        network = networks.build(
            name, channels, len(facts.classes), facts.mean, facts.std
        )
        return network.to(
            self.referee.device,
            memory_format=torch.channels_last,  # type: ignore[call-overload]
        )

    def progress(self, step: int, of: int, losses: Mapping[str, float]) -> None:
        self.notice(step, of, losses)

    def checkpoint(self, student: nn.Module) -> None:
        self.curve.append(self.referee.point(student))

    def keep(self, images: Tensor) -> None:
        self.samples = png(images)

    def report(self, figures: Mapping[str, float]) -> None:
        self.figures.update({k: float(v) for k, v in figures.items()})

    def flag(self, word: str) -> None:
        if word not in self.flags:
            self.flags.append(word)


def perform(task: Task, session: Session, notice: Notice) -> Row:
    """Do `task`, keep its row and artefacts in the store, and return the row."""
    torch.set_num_threads(session.threads)
    device = torch.device(session.device)
    dataset = data.load(teacher_of(task).setting.dataset)
    desk = _Desk(dataset, Referee(dataset, device), notice)
    machine.forget_peak(device)
    started, clock = datetime.now(UTC), time.perf_counter()
    measured: dict[str, Any] = {}
    parts: dict[str, nn.Module] | None = None
    status, reason = "ok", ""
    try:
        with deadline(session.timeout), seeded(_seed(task), device) as generator:
            worker = _Worker(session.store, dataset, desk, device, generator)
            parts, measured = worker.do(task)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        status, reason = diagnosis(error)
        if status == "failed":
            session.store.log(key(task), traceback.format_exc())
    row = _row(task, session)(
        status=status,
        reason=reason,
        flags=desk.flags,
        figures=desk.figures,
        curve=desk.curve,
        started=started,
        seconds=time.perf_counter() - clock,
        peak_memory=machine.peak_memory(device),
        **measured,
    )
    tensors = None if parts is None else _state(parts)
    session.store.save(row, tensors)
    return row


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


def teacher_of(task: Task) -> TrainTeacher:
    """The undefended teacher at the root of `task`."""
    while task.parent is not None:
        task = task.parent
    if not isinstance(task, TrainTeacher):
        raise TypeError(f"{task} is no teacher")
    return task


@dataclass(frozen=True)
class _Worker:
    """The three kinds of work; each gives modules to keep and measured columns."""

    store: Store
    dataset: Dataset
    desk: _Desk
    device: torch.device
    generator: torch.Generator

    def do(self, task: Task) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        match task:
            case TrainTeacher():
                return self.train(task)
            case Protect():
                return self.protect(task)
            case Steal():
                return self.steal(task)

    def train(self, task: TrainTeacher) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        run = self.run(task, task.recipe)
        teacher = run.network(task.network)

        def loss(batch: Batch) -> Tensor:
            return F.cross_entropy(teacher(batch.pixels), batch.labels)

        train(teacher, self.images(), loss, run)
        return {"network": teacher}, self.desk.referee.teacher(teacher)

    def protect(self, task: Protect) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        run = self.run(task, task.teacher.recipe)
        defense: Defense = task.defense.make()
        released = defense.protect(self.teacher(task.teacher), self.images(), run)
        if not isinstance(released, Released):
            raise BadPlugin(
                f"{task.defense.label} returned {type(released).__name__}, not Released"
            )
        for part in released.parts().values():
            part.eval()
        before = self.teacher(task.teacher)
        return released.parts(), self.desk.referee.released(released, before)

    def steal(self, task: Steal) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        run = self.run(task, task.recipe)
        student = run.network(task.student)
        attack: Attack[Any, Any] = task.attack.make()
        released = self.released(task.target)
        ledger = threat.Ledger(attack.queries)
        images = self.image_grant(task, attack)
        attack.steal(
            student, self.teacher_grant(attack, released, ledger, images), images, run
        )
        student.eval()
        white_box = attack.grants()[0] is threat.Weights
        measured: dict[str, Any] = {
            "queries": None if white_box else ledger.queries,
            "best_accuracy": max(self.desk.curve, default=None),
            "samples": self.desk.samples,
            **self.desk.referee.student(student, released),
        }
        return {"network": student}, measured

    def run(self, task: Task, recipe: Recipe) -> Run:
        teacher = teacher_of(task)
        return Run(
            shape=self.dataset.shape,
            classes=len(self.dataset.classes),
            seed=teacher.seed,
            device=self.device,
            generator=self.generator,
            teacher=teacher.network,
            recipe=recipe,
            harness=self.desk,
        )

    def images(self) -> threat.TrainImages:
        return threat.TrainImages(
            self.dataset.train.to(self.device), self.dataset.augment
        )

    def teacher(self, task: TrainTeacher) -> nn.Module:
        teacher = self.desk.build(task.network)
        _load({"network": teacher}, self.store.tensors(key(task)))
        return teacher.eval()

    def released(self, task: Protect) -> Released:
        defense: Defense = task.defense.make()
        released = defense.skeleton(self.run(task, task.teacher.recipe))
        _load(released.parts(), self.store.tensors(key(task)))
        for part in released.parts().values():
            part.to(self.device).eval().requires_grad_(False)
        return released

    def image_grant(self, task: Steal, attack: Attack[Any, Any]) -> Any:
        grant = attack.grants()[1]
        if grant is threat.NoImages:
            return threat.NoImages()
        if grant is threat.SurrogateImages:
            other = data.surrogate(self.dataset.name).to(self.device)
            return threat.SurrogateImages(other, self.dataset.augment)
        seed = derive("share", self.dataset.name, teacher_of(task).seed)
        chooser = torch.Generator().manual_seed(seed)
        share = self.dataset.train.share(attack.fraction, chooser)
        return threat.TrainImages(share.to(self.device), self.dataset.augment)

    def teacher_grant(
        self,
        attack: Attack[Any, Any],
        released: Released,
        ledger: threat.Ledger,
        images: Any,
    ) -> Any:
        grant = attack.grants()[0]
        if grant is threat.Weights:
            return threat.Weights(released.network)
        views = 0 if isinstance(images, threat.NoImages) else images.views
        oracle: Any = grant
        return oracle(released.reply, ledger, views)


def _seed(task: Task) -> int:
    """A stream for the names in `task`; the defense is left out, see `seeds.derive`."""
    root = teacher_of(task)
    names = (root.setting.dataset, root.network, root.seed)
    match task:
        case TrainTeacher():
            return derive("train", *names)
        case Protect():
            return derive("protect", *names)
        case Steal():
            return derive("steal", *names, task.student, task.attack.name)


def _state(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}.{k}": v
        for name, part in parts.items()
        for k, v in part.state_dict().items()
    }


def _load(parts: Mapping[str, nn.Module], tensors: Mapping[str, Tensor]) -> None:
    for name, part in parts.items():
        mine = {
            k.removeprefix(f"{name}."): v
            for k, v in tensors.items()
            if k.startswith(f"{name}.")
        }
        try:
            part.load_state_dict(mine)
        except RuntimeError as error:
            text = " ".join(str(error).split())
            raise BadPlugin(
                f"the {name} that `protect` released does not fit the one that "
                f"`skeleton` builds: {text}"
            ) from error


def _row(task: Task, session: Session) -> Callable[..., Row]:
    """The row of `task` with all that is known before it is done."""
    root, device = teacher_of(task), torch.device(session.device)
    commit, dirty = machine.commit()
    known: dict[str, Any] = {
        "key": key(task),
        "official": task.official,
        "protocol": root.setting.protocol,
        "protocol_version": root.setting.version,
        "dataset": root.setting.dataset,
        "data_fingerprint": root.setting.fingerprint,
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
        "command": session.command,
    }
    if isinstance(task, TrainTeacher):
        return lambda **more: TeacherRow(**known, **more)
    target = task if isinstance(task, Protect) else task.target
    known |= {
        "parent": key(target if isinstance(task, Steal) else root),
        "defense": target.defense.label,
        "defense_options": _json(dict(target.defense.options)),
        "defense_source": target.defense.source,
    }
    if isinstance(task, Protect):
        return lambda **more: ProtectRow(**known, **more)
    known |= task.access() | {
        "attack": task.attack.label,
        "attack_options": _json(dict(task.attack.options)),
        "attack_source": task.attack.source,
        "student": task.student,
        "student_recipe": _json(asdict(task.recipe)),
    }
    return lambda **more: StealRow(**known, **more)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)
