"""Let one defense rework one teacher: the released teacher."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import BadPlugin, one_line
from bench.plugins.plugin import Plugin
from bench.plugins.reaches import reaches
from bench.results.rows import ProtectRow
from bench.results.scores import Portrait
from bench.seeds import seeded
from bench.stages.task import Result, Task, as_json
from bench.stages.train_teacher import TrainTeacher

if TYPE_CHECKING:
    from torch import Tensor

    from bench.plugins.base import Defense, Released
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
        from bench.worker.weights import copy_of, state_of

        defense: Defense = self.defense.make()
        for flag in reaches(self.defense.code):
            bench.notes.flag(flag)
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
        # Taken before anything asks: an answer may change with what it is asked.
        state = copy_of(state_of(released.parts()))
        self._check_skeleton(bench, released)
        bench.check_equal(self._filled(bench, state), released, self.defense.name)
        return Result(self._scores(bench, undefended, state), state)

    def _scores(
        self, bench: Workbench, undefended: Released, state: Mapping[str, Tensor]
    ) -> tuple[object, ...]:
        """All that is measured; each measurement asks a fresh copy."""
        from bench.worker.honesty import Honesty

        referee, origin = bench.referee, self.teacher.network.name
        was = referee.service(undefended, bench.shelf(undefended, origin, "test"))
        fresh = partial(self._filled, bench, state)
        shelf = self.shelf(bench, fresh(), "test")
        scores = referee.released(fresh(), shelf, was)
        honesty = Honesty(fresh, bench.precision, bench.notes.flag)
        checks = honesty.release(undefended, referee.some(), scores)
        if self.root.seed:  # one portrait a setting: t-SNE costs seconds
            return scores, checks
        return scores, checks, self._portrait(bench, fresh(), shelf)

    def load(self, bench: Workbench) -> Released:
        """The released teacher as an earlier task left it, in eval mode.

        Its network is frozen; parts of its answer need gradients or not, as built.
        """
        return self._filled(bench, bench.store.tensors(self.key))

    def _skeleton(self, bench: Workbench) -> Released:
        """What the defense builds to be filled; it draws aside from the run."""
        defense: Defense = self.defense.make()
        with seeded(0, bench.device) as aside:
            elsewhere = replace(bench, generator=aside)
            run = elsewhere.run(self.teacher.network.name, self.teacher.recipe)
            return defense.skeleton(run)

    def _filled(self, bench: Workbench, state: Mapping[str, Tensor]) -> Released:
        """A copy that nobody has asked: the skeleton with the saved `state`."""
        from bench.worker.weights import load_parts

        released = self._skeleton(bench)
        load_parts(released.parts(), state)
        for part in released.parts().values():
            part.to(bench.device).eval()
        released.network.requires_grad_(False)
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

    def _check_skeleton(self, bench: Workbench, released: Released) -> None:
        """See that attackers will meet what was released, and not something else."""
        shell = self._skeleton(bench)
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
