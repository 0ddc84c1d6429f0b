"""Let one attack train one student from one released teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.networks.catalogue import Network
from bench.plugins.registry import Plugin
from bench.recipe import Recipe
from bench.results.rows import StealRow
from bench.stages.protect import Protect
from bench.stages.task import Result, Task, as_json
from bench.threat.access import Access, ImageGrant, TeacherGrant

if TYPE_CHECKING:
    from bench.plugins.base import Attack, Released
    from bench.threat.ledger import Ledger
    from bench.worker.workbench import Workbench


@dataclass(frozen=True, eq=False)
class Steal(Task):
    """Let `attack` train `student` with what `access` grants of `target`."""

    target: Protect
    attack: Plugin
    access: Access
    student: Network
    recipe: Recipe
    surrogates: str = ""
    """Fingerprint of the images from elsewhere; empty where none are granted."""

    row: ClassVar = StealRow
    plural: ClassVar = "students"
    keeps_weights: ClassVar = False

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
        ]
        under = "".join(f", {limit}" for limit in limits if limit)
        return f"{who} to {self.student.name}{under} #{self.root.seed}"

    @property
    def stream(self) -> tuple[object, ...]:
        """Its data, networks, seed and attack."""
        teacher = self.target.teacher
        root = self.root
        names = ("steal", root.data.name, teacher.network.name, root.seed)
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
        }

    def perform(self, bench: Workbench) -> Result:
        """Open the grants, let the attack train the student, and score it."""
        from bench.seeds import seeded
        from bench.threat.ledger import Ledger

        student = bench.network(self.student)
        attack: Attack[Any, Any] = self.attack.make()
        # The skeleton draws weights too: the attack's own draws must not depend on it.
        with seeded(0, bench.device):
            released = self.target.load(bench)
        ledger = Ledger(0 if self.attack.teacherless else self.access.queries)
        teacher, images = self._grants(bench, attack, released, ledger)
        origin = self.target.teacher.network.name
        run = bench.run(origin, self.recipe, self.student.name, subject=student)
        attack.steal(student, teacher, images, run)
        student.eval()
        counted = self.access.teacher is not TeacherGrant.WEIGHTS
        scores = bench.referee.student(
            student,
            released,
            self.target.shelf(bench, released, "test"),
            queries=ledger.queries if counted else None,
            best_accuracy=bench.notes.best_accuracy,
            samples=bench.notes.samples,
        )
        return Result((scores,), {"network": student})

    def _grants(
        self,
        bench: Workbench,
        attack: Attack[Any, Any],
        released: Released,
        ledger: Ledger,
    ) -> tuple[Any, Any]:
        """What `attack` may touch: of the teacher, and of images."""
        from bench.plugins.base import Released
        from bench.threat import images as dealers
        from bench.threat.grants import Weights
        from bench.threat.replies import Replies

        of_teacher: Any
        of_images: Any
        of_teacher, of_images = attack.grants()
        asks = of_teacher is not Weights
        # Who holds the weights asks the network; what the service adds is not there.
        leaked = self.access.teacher is TeacherGrant.WEIGHTS
        served = Released(released.network) if leaked else released
        images, known = dealers.NoImages(), None
        if self.access.images is not ImageGrant.NO_IMAGES:
            some, _ = bench.granted_images(self.access)
            views, augment = bench.views("Steal"), bench.dataset.augment
            images = of_images(some, augment, views)
            if asks and not served.randomised:
                what = f"{self.access.images} {self.access.fraction} #{self.root.seed}"
                epochs = self.recipe.epochs
                shelf = self.target.shelf(bench, served, what, views, epochs)
                known = Replies(served.reply, some, augment, shelf)
        if asks:
            return of_teacher(served.reply, ledger, known), images
        return Weights(released.network), images
