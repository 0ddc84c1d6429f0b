"""No teacher at all: what a student is worth on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from bench import Attack, Batch, HardLabels, Run, TrainImages, train
from bench.options import Share


@dataclass(frozen=True)
class Scratch(Attack[HardLabels, TrainImages]):
    """Train on the labelled images alone: the zero line that an attack must beat.

    L = CE(z_S, label), with smoothed labels if asked: the stricter zero line of
    "Towards Undistillable Models by Minimizing Conditional Mutual Information"
    (https://arxiv.org/abs/2507.00012).
    """

    teacherless: ClassVar = True

    label_smoothing: Share = 0.0
    """Share of each label that is spread over all classes, in [0, 1]."""

    def steal(
        self, student: nn.Module, teacher: HardLabels, images: TrainImages, run: Run
    ) -> None:
        """Train `student` in place, by `run.recipe`.

        Raises:
            Diverged: the loss is not finite any more.
        """

        def loss(batch: Batch) -> Tensor:
            return F.cross_entropy(
                student(batch.pixels),
                batch.labels,
                label_smoothing=self.label_smoothing,
            )

        train(student, images, loss, run)
