"""Label distillation: the teacher's first choice, and nothing of its confidences."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from attacks._distillation import affordable
from bench import Attack, Batch, HardLabels, Paper, Run, TrainImages, train
from bench.options import Share


@dataclass(frozen=True)
class LabelKD(Attack[HardLabels, TrainImages]):
    """Learn the class that the teacher names, on its own training images.

    L = CE(z_S, argmax z_T)

    What it bounds: an attacker can always throw confidences away. A defense that keeps
    the first choice answers every question here as the undefended teacher does, so this
    attack on `none` is a floor of the attacker's success against all such defenses,
    whatever they do to the confidences. A teacher that knows its training images by
    heart says little more than their labels, and the floor is near `scratch`.

    Unlike the paper's hard-label distillation, which gives half of the loss to the true
    labels, the labels of the images are not read.
    """

    paper = Paper(
        "Training data-efficient image transformers & distillation through attention",
        2021,
        "https://arxiv.org/abs/2012.12877",
    )

    label_smoothing: Share = 0.0
    """Share of each named class that is spread over all classes; the paper
    smooths true labels alone."""

    def steal(
        self, student: nn.Module, teacher: HardLabels, images: TrainImages, run: Run
    ) -> None:
        """Train `student` in place, by `run.recipe`.

        Under a budget of queries it learns from as many images as that pays for.

        Raises:
            Diverged: the loss is not finite any more.
        """

        def loss(batch: Batch) -> Tensor:
            named = teacher(batch.pixels, batch.view)  # (B,)
            return F.cross_entropy(
                student(batch.pixels), named, label_smoothing=self.label_smoothing
            )

        train(student, affordable(images, teacher, run), loss, run)
