"""Vanilla knowledge distillation: learn from the teacher's confidences."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from attacks._distillation import affordable, soft_loss
from bench import Attack, Batch, Paper, Run, SoftLabels, TrainImages, train
from bench.options import Positive, Share


@dataclass(frozen=True)
class VanillaKD(Attack[SoftLabels, TrainImages]):
    """Match the teacher's softened replies on its own training images.

    L = alpha tau^2 KL(softmax(z_T / tau) || softmax(z_S / tau)) + (1 - alpha) CE
    """

    paper = Paper(
        "Distilling the Knowledge in a Neural Network",
        2015,
        "https://arxiv.org/abs/1503.02531",
    )

    tau: Positive = 4.0
    """The temperature; the value that the nasty study uses for CIFAR-10."""
    alpha: Share = 0.9
    """Weight of the teacher, in [0, 1]; the value that the nasty study uses throughout.
    With 0 the teacher is never asked."""

    def steal(
        self, student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
    ) -> None:
        """Train `student` in place, by `run.recipe`.

        Under a budget of queries it learns from as many images as that pays for.

        Raises:
            Diverged: the loss is not finite any more.
        """

        def loss(batch: Batch) -> Tensor:
            logits: Tensor = student(batch.pixels)  # (B, K)
            hard = F.cross_entropy(logits, batch.labels)
            if self.alpha == 0:
                return hard
            reply = teacher(batch.pixels, batch.view)  # (B, K)
            soft = soft_loss(logits, reply, self.tau)
            return self.alpha * soft + (1 - self.alpha) * hard

        train(student, affordable(images, teacher, run), loss, run)
