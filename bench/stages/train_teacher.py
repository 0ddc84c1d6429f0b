"""Train one network on one data set: the undefended teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bench.networks.catalogue import Network
from bench.recipe import Recipe
from bench.results.rows import TeacherRow
from bench.stages.task import Result, Root, as_json

if TYPE_CHECKING:
    from torch import nn

    from bench.worker.workbench import Workbench


@dataclass(frozen=True, eq=False)
class TrainTeacher(Root):
    """Train `network` by `recipe` on `data`."""

    network: Network
    recipe: Recipe

    row: ClassVar = TeacherRow
    plural: ClassVar = "teachers"
    resources: ClassVar = "teacher"

    @property
    def label(self) -> str:
        """A few words for a person."""
        return f"train {self.network.name} #{self.seed}"

    @property
    def stream(self) -> tuple[object, ...]:
        """Its data, network and seed."""
        return "train", self.data.name, self.network.name, self.seed

    def columns(self) -> dict[str, Any]:
        """What every row of its line tells."""
        return {
            "dataset": self.data.name,
            "data_fingerprint": self.data.fingerprint,
            "data_fraction": self.data.fraction,
            "augmentation": self.data.augmentation,
            "precision": self.precision,
            "teacher": self.network.name,
            "teacher_recipe": as_json(self.recipe),
            "seed": self.seed,
        }

    def perform(self, bench: Workbench) -> Result:
        """Train it by the cross-entropy, and score it."""
        import torch.nn.functional as F
        from torch import Tensor

        from bench.data import Batch
        from bench.plugins.training import train
        from bench.worker.weights import state_of

        teacher = bench.network(self.network)

        def loss(batch: Batch) -> Tensor:
            return F.cross_entropy(teacher(batch.pixels), batch.labels)

        run = bench.run(self.network.name, self.recipe)
        views = bench.views("TrainTeacher", self.recipe)
        train(teacher, bench.training_images(views), loss, run)
        scores = bench.referee.teacher(teacher)
        return Result((scores,), state_of({"network": teacher}))

    def load(self, bench: Workbench) -> nn.Module:
        """The teacher as an earlier task trained it, in eval mode."""
        teacher = bench.network(self.network)
        bench.fill({"network": teacher}, self.key)
        return teacher.eval()
