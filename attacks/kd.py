"""Vanilla knowledge distillation: learn from the teacher's confidences."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from attacks._distillation import Form, affordable, mixed_loss
from bench import Attack, Batch, Paper, Run, SoftLabels, TrainImages, train
from bench.options import Positive, Share


@dataclass(frozen=True)
class VanillaKD(Attack[SoftLabels, TrainImages]):
    """Match the teacher's softened replies on its own training images.

    L = alpha tau^2 KL(softmax(z_T / tau) || softmax(z_S / tau)) + (1 - alpha) CE

    Other forms of the first term, which the scale or the shape of the teacher's
    confidences misleads less, take its place in the same mixture. Their papers write
    CE + w times that term: alpha = w / (1 + w) is the same up to a factor that the
    learning rate takes in.
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
    form: Form = "kl"
    """`kl` is the paper's; `dist` (https://arxiv.org/abs/2205.10536; w = 2, which is
    alpha 2/3, at tau 4 or 1) compares correlations, `standardised`
    (https://arxiv.org/abs/2403.01427; w = 9, alpha 0.9, at tau 2) standardised logits.
    """
    label_smoothing: Share = 0.0
    """Share of each label that is spread over all classes; no paper's."""

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
            if self.alpha == 0:
                return F.cross_entropy(
                    logits, batch.labels, label_smoothing=self.label_smoothing
                )
            reply = teacher(batch.pixels, batch.view)  # (B, K)
            mix = self.alpha, self.tau, self.form, self.label_smoothing
            return mixed_loss(logits, batch.labels, reply, *mix)

        train(student, affordable(images, teacher, run), loss, run)
