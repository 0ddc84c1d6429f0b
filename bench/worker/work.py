"""The three kinds of work: train a teacher, protect it, steal it.

Each loads what it builds on, opens the grants, calls the plugin and lets the referee
score; each gives the modules to keep and the measured columns of its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import data
from bench.data import Batch, Dataset, Images, Schedule
from bench.errors import BadPlugin, TimedOut
from bench.planning.tasks import Protect, Steal, Task, TrainTeacher, key
from bench.plugins.base import Attack, Defense, Released, Run
from bench.plugins.training import train
from bench.recipe import Recipe
from bench.results.store import Store
from bench.seeds import derive, seeded
from bench.threat import grants as threat
from bench.threat.replies import Replies, Shelf
from bench.worker.harness import Desk, Handed
from bench.worker.reply_cache import Shelves, state_of

TEST = Schedule(data.PLAIN, 0)
"""Test images are seen as they are."""

Outcome = tuple[dict[str, nn.Module], dict[str, Any]]
"""Modules to keep by name, measured columns by name."""


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

        images = self.dataset.train.to(self.device)
        train(teacher, self._dealt(images, task), loss, run)
        return {"network": teacher}, self.desk.referee.teacher(teacher)

    def _protect(self, task: Protect) -> Outcome:
        run = self._run(task, task.teacher.recipe)
        defense: Defense = task.defense.make()
        teacher = self._teacher(task.teacher)
        before = deepcopy(teacher)
        images = self.dataset.train.to(self.device)
        undefended, schedule = Released(before), self._schedule(task)
        epochs = task.teacher.recipe.epochs
        shelf = self._shelf(undefended, task.teacher, "train", schedule, epochs)
        memory = Replies(undefended.reply, images, self.dataset.augment, shelf)
        self.desk.teacher = Handed(before, memory)
        released = defense.protect(teacher, self._dealt(images, task), run)
        if not isinstance(released, Released):
            raise BadPlugin(
                f"{task.defense.label} returned {type(released).__name__}, not Released"
            )
        for part in released.parts().values():
            part.eval()
        self._check_skeleton(task, defense, released, run)
        referee = self.desk.referee
        shelf = self._shelf(undefended, task.teacher, "test", TEST)
        was = referee.service(undefended, shelf)
        shelf = self._shelf(released, task, "test", TEST)
        measured: dict[str, Any] = dict(referee.released(released, shelf, was))
        if task.root.seed == 0:  # one portrait a setting: t-SNE costs seconds
            measured |= self._portrait(released, shelf)
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
        teacher, images = self._grants(task, attack, released, ledger)
        attack.steal(student, teacher, images, run)
        student.eval()
        white_box = attack.grants()[0] is threat.Weights
        shelf = self._shelf(released, task.target, "test", TEST)
        measured: dict[str, Any] = {
            "queries": None if white_box else ledger.queries,
            "best_accuracy": max(filter(isfinite, self.desk.curve), default=None),
            "samples": self.desk.samples,
            **self.desk.referee.student(student, released, shelf),
        }
        return {"network": student}, measured

    def _portrait(self, released: Released, shelf: Shelf | None) -> dict[str, Any]:
        """Its portrait's columns; whatever is odd about it, its scores stand."""
        try:
            return self.desk.referee.portrait(released, shelf)
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
        if shell.randomised != released.randomised:
            raise BadPlugin(
                f"{task.defense.label}: `protect` and `skeleton` must say alike "
                "whether replies are randomised"
            )
        _load(shell.parts(), state_of(released.parts()))
        for part in shell.parts().values():
            part.to(self.device).eval()
        few = self.dataset.train.pixels[:64].to(self.device).float() / 255
        replies = []
        for each in (deepcopy(shell), deepcopy(released)):  # copies are not compiled
            with torch.no_grad(), seeded(0, self.device):  # an answer may draw
                replies.append(each.reply(few))
        stored, made = replies
        if not torch.allclose(stored, made, atol=1e-4, equal_nan=True):
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

    def _dealt(self, images: Images, task: Task) -> threat.TrainImages:
        return threat.TrainImages(images, self.dataset.augment, self._schedule(task))

    def _schedule(self, task: Task) -> Schedule:
        """What each epoch shows to all who train at this stage.

        The stages differ: a student does not meet the very views on which its teacher
        was trained.
        """
        stage, root = type(task).__name__, task.root
        seed = derive("views", stage, root.setting.dataset, root.seed)
        return Schedule(self.dataset.augment, seed)

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

    def _grants(
        self,
        task: Steal,
        attack: Attack[Any, Any],
        released: Released,
        ledger: threat.Ledger,
    ) -> tuple[Any, Any]:
        """What `attack` may touch: of the teacher, and of images."""
        of_teacher: Any
        of_teacher, of_images = attack.grants()
        asks = of_teacher is not threat.Weights
        images, known = threat.NoImages(), None
        if of_images is not threat.NoImages:
            some, what = self._granted_images(task, attack)
            some, schedule = some.to(self.device), self._schedule(task)
            images = of_images(some, self.dataset.augment, schedule)
            if asks and not released.randomised:
                epochs = task.recipe.epochs
                shelf = self._shelf(released, task.target, what, schedule, epochs)
                known = Replies(released.reply, some, self.dataset.augment, shelf)
        if asks:
            return of_teacher(released.reply, ledger, known), images
        return threat.Weights(released.network), images

    def _granted_images(
        self, task: Steal, attack: Attack[Any, Any]
    ) -> tuple[Images, str]:
        """The images that `attack` is granted, and what they are."""
        if attack.grants()[1] is threat.SurrogateImages:
            return data.surrogate(self.dataset.name), "surrogate"
        seed = derive("share", self.dataset.name, task.root.seed)
        chooser = torch.Generator().manual_seed(seed)
        share = self.dataset.train.share(attack.fraction, chooser)
        return share, f"{attack.fraction} of train #{task.root.seed}"

    def _shelf(
        self,
        released: Released,
        origin: Protect | TrainTeacher,
        what: str,
        schedule: Schedule,
        epochs: int = 1,
    ) -> Shelf | None:
        shelves = Shelves(self.store, self.dataset, self.device, self.desk.compiled)
        return shelves.of(released, origin, what, schedule, epochs)


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
