"""One try of tuning: a student that is validated and never scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.results.rows import TryRow
from bench.results.scores import Validation
from bench.stages.attempt import Attempt
from bench.stages.task import Result
from bench.threat.access import ImageGrant, TeacherGrant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.worker.workbench import Workbench

MADE = "made"
"""The name under which a try keeps the images that its attack made."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Try(Attempt):
    """One item of a grid: its attack and recipe are those to be tried."""

    held_out: float
    """Share of the granted images to validate on."""

    row: ClassVar = TryRow
    plural: ClassVar = "tries"

    @property
    def keeps_weights(self) -> bool:
        """Without images the choice needs the student, and what the attack made."""
        return self.access.images is ImageGrant.NO_IMAGES

    def columns(self) -> dict[str, Any]:
        """Those of the attempt, and the share held out."""
        return super().columns() | {"held_out": self.held_out}

    def perform(self, bench: Workbench) -> Result:
        """Train the student on a part of the images, and validate it on the rest."""
        from bench.worker.validation import validation
        from bench.worker.weights import state_of

        share = 0.0 if self.keeps_weights else self.held_out
        trained = self.train(bench, self.attack, self.recipe, share, curve=False)
        value = None
        if trained.held_out is not None:
            augment = bench.dataset.augment
            whom = trained.student, trained.held_out, self.served(bench)
            value = validation(*whom, augment)
        counted = self.access.teacher is not TeacherGrant.WEIGHTS
        scores = Validation(
            validation=value,
            queries=trained.ledger.queries if counted else None,
        )
        if not self.keeps_weights:
            return Result((scores,), {})
        made = bench.notes.made
        tensors = {} if made is None else {MADE: made}
        return Result((scores,), state_of({"network": trained.student}) | tensors)

    def load(self, bench: Workbench) -> tuple[nn.Module, Tensor | None]:
        """The student, and the images that its attack made, if any."""
        tensors = bench.store.tensors(self.key)
        made = tensors.pop(MADE, None)
        student = bench.network(self.student)
        bench.fill({"network": student}, self.key)
        return student.eval(), made
