"""What all tasks have in common that let an attack train a student."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bench.networks.catalogue import Network
from bench.plugins.plugin import Plugin
from bench.plugins.reaches import reaches
from bench.recipe import Recipe
from bench.stages.protect import Protect
from bench.stages.task import Task, as_json
from bench.threat.access import Access, ImageGrant, TeacherGrant

if TYPE_CHECKING:
    from torch import nn

    from bench.data import Images
    from bench.plugins.base import Attack, Released
    from bench.threat.ledger import Ledger
    from bench.threat.replies import Memory
    from bench.worker.workbench import Workbench

TUNING_SEED = -1
"""Of tries and of the teachers that they attack; none of it is ranked."""


@dataclass(frozen=True)
class Trained:
    """A student after an attack, and what it was made with."""

    student: nn.Module
    """In eval mode."""
    served: Released
    """The very object that the attack asked."""
    memory: Memory | None
    """What it replied to the views of granted images, if any were asked about."""
    ledger: Ledger
    held_out: Images | None
    """Granted images that were kept back."""


@dataclass(frozen=True, eq=False)
class Attempt(Task):
    """`attack` on `target`, with what `access` grants, for one kind of student."""

    target: Protect
    attack: Plugin
    access: Access
    student: Network
    recipe: Recipe
    surrogates: str = ""
    """Fingerprint of the images from elsewhere; empty where none are granted."""
    effort: int = 1
    """How many times the steps that recipe and options say."""

    resources: ClassVar = "student"

    @property
    def parents(self) -> tuple[Task, ...]:
        """The released teacher that is attacked."""
        return (self.target,)

    @property
    def label(self) -> str:
        """A few words for a person."""
        defense = self.target.defense
        who = f"{self.attack.label} from {defense.label}"
        limits = [
            f"{100 * self.access.fraction:g} %" if self.access.fraction < 1 else "",
            f"{self.access.queries} queries" if self.access.queries else "",
            f"{self.effort} times the steps" if self.effort > 1 else "",
        ]
        under = "".join(f", {limit}" for limit in limits if limit)
        tuning = self.root.seed == TUNING_SEED
        which = "for tuning" if tuning else f"#{self.root.seed}"
        return f"{who} to {self.student.name}{under} {which}"

    @property
    def stream(self) -> tuple[object, ...]:
        """Its data, networks, seed and attack."""
        root, teacher = self.root, self.target.teacher.network.name
        names = ("steal", root.data.name, teacher, root.seed)
        return *names, self.student.name, self.attack.class_name

    def columns(self) -> dict[str, Any]:
        """Those of the released teacher, the attack, its access and the student."""
        return self.target.columns() | {
            "parent": self.target.key,
            "attack": self.attack.name,
            "attack_options": as_json(self.attack.options),
            "attack_defaults": as_json(self.attack.defaults),
            "attack_source": self.attack.source,
            "asks": str(self.attack.needs.teacher) if self.attack.needs else "",
            "teacher_grant": str(self.access.teacher),
            "image_grant": str(self.access.images),
            "fraction": self.access.fraction,
            "query_budget": self.access.queries,
            "teacherless": self.attack.teacherless,
            "reference": self.attack.reference,
            "student": self.student.name,
            "student_recipe": as_json(self.recipe),
            "effort": self.effort,
        }

    def train(
        self,
        bench: Workbench,
        attack: Plugin,
        recipe: Recipe,
        held_out: float = 0.0,
        curve: bool = True,
    ) -> Trained:
        """Open the grants, and let `attack` train a student by `recipe`.

        Args:
            bench: Of the task.
            attack: This task's, perhaps with other options.
            recipe: This task's, perhaps with other values.
            held_out: Share of the granted images that it is not given.
            curve: Whether the harness draws one.
        """
        from bench.seeds import seeded
        from bench.threat.ledger import Ledger

        for flag in reaches(attack.code):
            bench.notes.flag(flag)
        student = bench.network(self.student)
        maker: Attack[Any, Any] = attack.make()
        longer = {name: getattr(maker, name) * self.effort for name in maker.lengths}
        maker, recipe = replace(maker, **longer), recipe.longer(self.effort)
        # The skeleton draws weights too: the attack's own draws must not depend on it.
        with seeded(0, bench.device):
            served = self.served(bench)
        ledger = Ledger(0 if attack.teacherless else self.access.queries)
        teacher, images, memory, rest = self._grants(
            bench, maker, recipe, served, ledger, held_out
        )
        origin = self.target.teacher.network.name
        run = bench.run(origin, recipe, self.student.name, subject=student, curve=curve)
        maker.steal(student, teacher, images, run)
        return Trained(student.eval(), served, memory, ledger, rest)

    def served(self, bench: Workbench) -> Released:
        """A fresh copy of what the attacker's questions go to.

        Who holds the weights asks the network; what the service adds is not there.
        """
        from bench.plugins.base import Released

        released = self.target.load(bench)
        leaked = self.access.teacher is TeacherGrant.WEIGHTS
        return Released(released.network) if leaked else released

    def _grants(
        self,
        bench: Workbench,
        attack: Attack[Any, Any],
        recipe: Recipe,
        served: Released,
        ledger: Ledger,
        held_out: float,
    ) -> tuple[Any, Any, Memory | None, Images | None]:
        """What `attack` may touch of the teacher and of images; the memory of replies
        between them; the images that are kept back.
        """
        from bench.threat import images as dealers
        from bench.threat.first_replies import FirstReplies
        from bench.threat.grants import Weights
        from bench.threat.replies import Replies

        of_teacher: Any
        of_images: Any
        of_teacher, of_images = attack.grants()
        asks = of_teacher is not Weights
        images: Any = dealers.NoImages()
        known: Memory | None = None
        rest: Images | None = None
        if self.access.images is not ImageGrant.NO_IMAGES:
            some, rest = bench.granted_images(self.access, held_out)
            views = bench.views("Steal", recipe)
            images = of_images(some, views.augment, views)
            if asks and served.randomised:
                known = FirstReplies(served.reply, some, views.augment)
            elif asks:
                share = f"{self.access.fraction} without {held_out}"
                what = f"{self.access.images} {share} #{self.root.seed}"
                epochs = recipe.epochs_of(len(some))
                shelf = self.target.shelf(bench, served, what, views, epochs)
                known = Replies(served.reply, some, views.augment, shelf)
        if asks:
            return of_teacher(served.reply, ledger, known), images, known, rest
        return Weights(served.network), images, None, rest
