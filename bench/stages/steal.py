"""Let one attack train one student from one released teacher."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from bench.results.rows import StealRow
from bench.stages.attempt import Attempt, Trained
from bench.stages.task import Result, Task
from bench.stages.tune import Tune
from bench.threat.access import TeacherGrant

if TYPE_CHECKING:
    from bench.worker.workbench import Workbench

CLIMBS = 0.01
"""A curve whose last tenth lies so much above the tenth before it still climbs."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Steal(Attempt):
    """Train the student that is scored, with what tuning chose if there was any."""

    tuned: Tune | None = None

    row: ClassVar = StealRow
    plural: ClassVar = "students"

    @property
    def keeps_weights(self) -> bool:
        """Nothing builds on a student."""
        return False

    @property
    def parents(self) -> tuple[Task, ...]:
        """The released teacher that is attacked, and the choice of options."""
        return (self.target,) if self.tuned is None else (self.target, self.tuned)

    def columns(self) -> dict[str, Any]:
        """Those of the attempt, and what tuning may choose from."""
        if self.tuned is None:
            return super().columns()
        return super().columns() | {
            "grid": self.tuned.grid,
            "held_out": self.tuned.held_out,
            "tuned_by": self.tuned.key,
        }

    def perform(self, bench: Workbench) -> Result:
        """Train the student on all that is granted, and score it."""
        from bench.seeds import seeded
        from bench.worker.image_grid import png
        from bench.worker.weights import state_of

        attack, recipe, chosen = self.attack, self.recipe, "{}"
        if self.tuned is not None:
            best, chosen = self.tuned.chosen(bench)
            attack, recipe = best.attack, best.recipe
        trained = self.train(bench, attack, recipe)
        with seeded(0, bench.device):
            released = self.target.load(bench)  # nobody has asked this one
        counted = self.access.teacher is not TeacherGrant.WEIGHTS
        made = bench.notes.made
        scores = bench.referee.student(
            trained.student,
            released,
            self.target.shelf(bench, released, "test"),
            queries=trained.ledger.queries if counted else None,
            best_accuracy=bench.notes.best_accuracy,
            samples=None if made is None else png(made.float() / 255),
            chosen=chosen,
            service_after=self._service_after(bench, trained),
        )
        if still_climbs(bench.notes.curve):
            bench.notes.flag("not converged")
        return Result((scores,), state_of({"network": trained.student}))

    def _service_after(self, bench: Workbench, trained: Trained) -> float | None:
        """Compare what the attacker asked with a copy that nobody has asked."""
        from bench.threat.replies import Replies
        from bench.worker.honesty import Honesty, ask

        if not trained.ledger.queries:
            return None
        fresh = partial(self.served, bench)
        honesty = Honesty(fresh, bench.precision, bench.notes.flag)
        memory = trained.memory
        if isinstance(memory, Replies) and memory.last is not None:
            pixels = memory.images.seen(memory.last, memory.augment)
            honesty.unchanged(memory(memory.last), ask(fresh(), pixels))
        return honesty.after(trained.served, bench.referee.some())


def still_climbs(curve: list[float]) -> bool:
    """Whether the last tenth of `curve` lies over `CLIMBS` above the tenth before.

    A curve of less than ten points says nothing.
    """
    tenth = ceil(len(curve) / 10)
    if len(curve) < 10:
        return False
    last, before = curve[-tenth:], curve[-2 * tenth : -tenth]
    return sum(last) / tenth - sum(before) / tenth > CLIMBS
