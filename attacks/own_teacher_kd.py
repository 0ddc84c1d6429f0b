"""Own-teacher distillation: what who can train a teacher has no need to steal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from attacks._distillation import Form, mixed_loss
from bench import Attack, Batch, HardLabels, Run, TrainImages, train
from bench.options import Positive, Share


@dataclass(frozen=True)
class OwnTeacherKD(Attack[HardLabels, TrainImages]):
    """Train the teacher's public architecture on the labelled images, and distil that.

    The teacher of its own minimises CE(z_T, label) by `run.recipe`; the student then
    learns from it as in `kd`, by the same recipe. The victim is never asked.

    A reference and no zero line, for it costs the training of a teacher: where it
    reaches the strongest attack, whoever can afford that has nothing to steal. It stems
    from no paper.
    """

    teacherless: ClassVar = True
    reference: ClassVar = True

    tau: Positive = 4.0
    """The temperature; as in `kd`."""
    alpha: Share = 0.9
    """Weight of its own teacher; as in `kd`."""
    form: Form = "kl"
    """Of the teacher's term: `kl`, `dist` or `standardised`, as in `kd`."""
    label_smoothing: Share = 0.0
    """Share of each label that is spread over all classes, for the student alone."""

    def steal(
        self, student: nn.Module, teacher: HardLabels, images: TrainImages, run: Run
    ) -> None:
        """Train `student` in place, after a teacher; both by `run.recipe`.

        Raises:
            Diverged: a loss is not finite any more.
        """
        own = run.network(run.teacher)

        def right(batch: Batch) -> Tensor:
            return F.cross_entropy(own(batch.pixels), batch.labels)

        train(own, images, right, run, curve=False)
        answer = run.answers(own)
        mix = self.alpha, self.tau, self.form, self.label_smoothing

        def alike(batch: Batch) -> Tensor:
            logits: Tensor = student(batch.pixels)  # (B, K)
            return mixed_loss(logits, batch.labels, answer(batch), *mix)

        train(student, images, alike, run)
