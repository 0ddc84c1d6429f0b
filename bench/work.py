"""The three kinds of work: train a teacher, protect it, steal it.

Each loads what it builds on, opens the grants, calls the plugin and lets the referee
score; each gives the modules to keep and the measured columns of its row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import data, networks, threat
from bench.data import Batch, Dataset
from bench.errors import BadPlugin, TimedOut
from bench.plugin import Attack, Defense, Harness, Released, Run
from bench.recipe import Recipe
from bench.samples import png
from bench.score import Referee
from bench.seeds import derive, seeded
from bench.store import Store
from bench.tasks import Protect, Steal, Task, TrainTeacher, key
from bench.training import train

Notice = Callable[[int, int, Mapping[str, float]], None]
"""Hears of progress: step, of how many, losses."""

Outcome = tuple[dict[str, nn.Module], dict[str, Any]]
"""Modules to keep by name, measured columns by name."""


@dataclass
class Desk(Harness):
    """The harness behind one run: builds networks, takes notes."""

    dataset: Dataset
    referee: Referee
    notice: Notice
    curve: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    samples: bytes | None = None
    subject: nn.Module | None = None
    """The only network whose curve is drawn; None while it is not known."""

    def build(self, name: str) -> nn.Module:
        """Build the network called `name`, on the device."""
        facts, channels = self.dataset, self.dataset.shape[0]
        network = networks.build(
            name, channels, len(facts.classes), facts.mean, facts.std
        )
        network.to(self.referee.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def progress(self, step: int, of: int, losses: Mapping[str, float]) -> None:
        """Pass it on."""
        self.notice(step, of, losses)

    def checkpoint(self, student: nn.Module) -> None:
        """Add a point to the curve, if it is the network that this task is about."""
        if self.subject is not None and student is not self.subject:
            return
        self.curve.append(self.referee.point(student))

    def keep(self, images: Tensor) -> None:
        """Make a picture of them."""
        self.samples = png(images)

    def report(self, figures: Mapping[str, float]) -> None:
        """Note the figures."""
        self.figures.update({k: float(v) for k, v in figures.items()})

    def flag(self, word: str) -> None:
        """Note the word once."""
        if str(word) not in self.flags:
            self.flags.append(str(word))


@dataclass(frozen=True)
class Worker:
    """The three kinds of work; each gives modules to keep and measured columns."""

    store: Store
    dataset: Dataset
    desk: Desk
    device: torch.device
    generator: torch.Generator

    def do(self, task: Task) -> Outcome:
        """Do `task`, whichever kind it is."""
        match task:
            case TrainTeacher():
                return self._train(task)
            case Protect():
                return self._protect(task)
            case Steal():
                return self._steal(task)

    def _train(self, task: TrainTeacher) -> Outcome:
        run = self._run(task, task.recipe)
        teacher = run.network(task.network)

        def loss(batch: Batch) -> Tensor:
            return F.cross_entropy(teacher(batch.pixels), batch.labels)

        train(teacher, self._images(), loss, run)
        return {"network": teacher}, self.desk.referee.teacher(teacher)

    def _protect(self, task: Protect) -> Outcome:
        run = self._run(task, task.teacher.recipe)
        defense: Defense = task.defense.make()
        released = defense.protect(self._teacher(task.teacher), self._images(), run)
        if not isinstance(released, Released):
            raise BadPlugin(
                f"{task.defense.label} returned {type(released).__name__}, not Released"
            )
        for part in released.parts().values():
            part.eval()
        self._check_skeleton(task, defense, released, run)
        before = self._teacher(task.teacher)
        measured: dict[str, Any] = dict(self.desk.referee.released(released, before))
        if task.root.seed == 0:  # one portrait a setting: t-SNE costs seconds
            measured |= self._portrait(released)
        return released.parts(), measured

    def _steal(self, task: Steal) -> Outcome:
        run = self._run(task, task.recipe)
        student = run.network(task.student)
        attack: Attack[Any, Any] = task.attack.make()
        self.desk.subject = student
        # The skeleton draws weights too: the attack's own draws must not depend on it.
        with seeded(0, self.device):
            released = self._released(task.target)
        ledger = threat.Ledger(attack.queries)
        images = self._image_grant(task, attack)
        attack.steal(
            student, self._teacher_grant(attack, released, ledger, images), images, run
        )
        student.eval()
        white_box = attack.grants()[0] is threat.Weights
        measured: dict[str, Any] = {
            "queries": None if white_box else ledger.queries,
            "best_accuracy": max(filter(isfinite, self.desk.curve), default=None),
            "samples": self.desk.samples,
            **self.desk.referee.student(student, released),
        }
        return {"network": student}, measured

    def _portrait(self, released: Released) -> dict[str, Any]:
        """Its portrait's columns; whatever is odd about it, its scores stand."""
        try:
            return self.desk.referee.portrait(released)
        except TimedOut:
            raise
        except Exception as error:  # noqa: BLE001 - a network may be anything
            text = " ".join(f"{type(error).__name__}: {error}".split())
            self.desk.flag(f"no portrait: {text}")
            return {}

    def _check_skeleton(
        self, task: Protect, defense: Defense, released: Released, run: Run
    ) -> None:
        """See that attackers will meet what was released, and not something else."""
        shell = defense.skeleton(run)
        if shell.parts().keys() != released.parts().keys():
            raise BadPlugin(
                f"{task.defense.label} releases {', '.join(released.parts())} and its "
                f"skeleton builds {', '.join(shell.parts())}"
            )
        _load(shell.parts(), state_of(released.parts()))
        for part in shell.parts().values():
            part.to(self.device).eval()
        few = self._images().pixels[:64]
        with torch.no_grad():
            same = torch.allclose(
                shell.reply(few), released.reply(few), atol=1e-4, equal_nan=True
            )
        if not same:
            raise BadPlugin(
                f"loaded into its skeleton, {task.defense.label} replies otherwise"
            )

    def _run(self, task: Task, recipe: Recipe) -> Run:
        teacher = task.root
        return Run(
            shape=self.dataset.shape,
            classes=len(self.dataset.classes),
            seed=teacher.seed,
            device=self.device,
            generator=self.generator,
            teacher=teacher.network,
            recipe=recipe,
            _harness=self.desk,
        )

    def _images(self) -> threat.TrainImages:
        return threat.TrainImages(
            self.dataset.train.to(self.device), self.dataset.augment
        )

    def _teacher(self, task: TrainTeacher) -> nn.Module:
        teacher = self.desk.build(task.network)
        _load({"network": teacher}, self.store.tensors(key(task)))
        return teacher.eval()

    def _released(self, task: Protect) -> Released:
        defense: Defense = task.defense.make()
        released = defense.skeleton(self._run(task, task.teacher.recipe))
        _load(released.parts(), self.store.tensors(key(task)))
        for part in released.parts().values():
            part.to(self.device).eval().requires_grad_(False)
        return released

    def _image_grant(self, task: Steal, attack: Attack[Any, Any]) -> Any:
        grant = attack.grants()[1]
        if grant is threat.NoImages:
            return threat.NoImages()
        if grant is threat.SurrogateImages:
            other = data.surrogate(self.dataset.name).to(self.device)
            return threat.SurrogateImages(other, self.dataset.augment)
        seed = derive("share", self.dataset.name, task.root.seed)
        chooser = torch.Generator().manual_seed(seed)
        share = self.dataset.train.share(attack.fraction, chooser)
        return threat.TrainImages(share.to(self.device), self.dataset.augment)

    def _teacher_grant(
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


def seed_of(task: Task) -> int:
    """A stream for the names in `task`; the defense is left out, see `seeds.derive`."""
    root = task.root
    names = (root.setting.dataset, root.network, root.seed)
    match task:
        case TrainTeacher():
            return derive("train", *names)
        case Protect():
            return derive("protect", *names)
        case Steal():
            return derive("steal", *names, task.student, task.attack.name)


def state_of(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of all `parts`, named `part.tensor`."""
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
