"""Let one defense rework one teacher: the released teacher."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import BadPlugin, one_line
from bench.plugins.registry import Plugin
from bench.results.rows import ProtectRow
from bench.results.scores import Portrait
from bench.stages.task import Result, Task, as_json
from bench.stages.train_teacher import TrainTeacher

if TYPE_CHECKING:
    from bench.plugins.base import Defense, Released
    from bench.plugins.run import Run
    from bench.threat.replies import Shelf
    from bench.worker.workbench import Workbench


@dataclass(frozen=True, eq=False)
class Protect(Task):
    """Let `defense` rework `teacher`."""

    teacher: TrainTeacher
    defense: Plugin

    row: ClassVar = ProtectRow
    plural: ClassVar = "releases"
    resources: ClassVar = "teacher"

    @property
    def parents(self) -> tuple[Task, ...]:
        """The undefended teacher."""
        return (self.teacher,)

    @property
    def label(self) -> str:
        """A few words for a person."""
        return f"protect by {self.defense.label} #{self.root.seed}"

    @property
    def stream(self) -> tuple[object, ...]:
        """Its data, network and seed."""
        return "protect", self.root.data.name, self.teacher.network.name, self.root.seed

    def columns(self) -> dict[str, Any]:
        """Those of its teacher, and the defense."""
        return self.teacher.columns() | {
            "parent": self.teacher.key,
            "defense": self.defense.name,
            "defense_options": as_json(self.defense.options),
            "defense_defaults": as_json(self.defense.defaults),
            "defense_source": self.defense.source,
        }

    def perform(self, bench: Workbench) -> Result:
        """Protect the teacher, see that it can be stored, and score it."""
        from bench.plugins.base import Released

        defense: Defense = self.defense.make()
        teacher = self.teacher.load(bench)
        undefended = Released(deepcopy(teacher))
        recipe, origin = self.teacher.recipe, self.teacher.network.name
        views = bench.views("Protect", recipe)
        epochs = recipe.epochs_of(len(bench.dataset.train))
        shelf = bench.shelf(undefended, origin, "train", views, epochs)
        run = bench.run(origin, recipe, handed=bench.handed(undefended, views, shelf))
        released = defense.protect(teacher, bench.training_images(views), run)
        if not isinstance(released, Released):
            raise BadPlugin(
                f"{self.defense.name} returned {type(released).__name__}, not Released"
            )
        for part in released.parts().values():
            part.eval()
        self._check_skeleton(bench, defense, released, run)
        referee = bench.referee
        was = referee.service(undefended, bench.shelf(undefended, origin, "test"))
        shelf = self.shelf(bench, released, "test")
        scores: tuple[object, ...] = (referee.released(released, shelf, was),)
        if self.root.seed == 0:  # one portrait a setting: t-SNE costs seconds
            scores += (self._portrait(bench, released, shelf),)
        return Result(scores, released.parts())

    def load(self, bench: Workbench) -> Released:
        """The released teacher as an earlier task left it, frozen, in eval mode."""
        defense: Defense = self.defense.make()
        run = bench.run(self.teacher.network.name, self.teacher.recipe)
        released = defense.skeleton(run)
        bench.fill(released.parts(), self.key)
        for part in released.parts().values():
            part.to(bench.device).eval().requires_grad_(False)
        return released

    def shelf(
        self, bench: Workbench, released: Released, what: str, *views: Any
    ) -> Shelf | None:
        """Where its replies to `what` are remembered.

        A network of the usual form is known by its weights, whatever released it: so
        the undefended teacher, and `none`, which releases it, share theirs.
        """
        from bench.plugins.base import Defense

        usual = type(self.defense.make()).skeleton is Defense.skeleton
        origin = self.teacher.network.name if usual else self.key
        return bench.shelf(released, origin, what, *views)

    def _portrait(
        self, bench: Workbench, released: Released, shelf: Shelf | None
    ) -> Portrait:
        """A failure is flagged; the scores are kept."""
        from bench.errors import TimedOut

        try:
            return bench.referee.portrait(released, shelf)
        except TimedOut:
            raise
        except Exception as error:  # noqa: BLE001 - a network may be anything
            text = f"{type(error).__name__}: {one_line(error)}".rstrip()
            bench.notes.flag(f"no portrait: {text}")
            return Portrait()

    def _check_skeleton(
        self, bench: Workbench, defense: Defense, released: Released, run: Run
    ) -> None:
        """See that attackers will meet what was released, and not something else."""
        shell = defense.skeleton(run)
        if shell.parts().keys() != released.parts().keys():
            raise BadPlugin(
                f"{self.defense.name} releases {', '.join(released.parts())} and its "
                f"skeleton builds {', '.join(shell.parts())}"
            )
        if shell.randomised != released.randomised:
            raise BadPlugin(
                f"{self.defense.name}: `protect` and `skeleton` must say alike "
                "whether replies are randomised"
            )
        bench.check_equal(shell, released, self.defense.name)
