"""Label smoothing: the control that a claim of "undistillable" must beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from bench import Batch, Defense, Paper, Released, Run, TrainImages, train
from bench.options import Share


@dataclass(frozen=True)
class LabelSmoothing(Defense):
    """Train the teacher again, with a share of each label spread over all classes.

    L = CE(z_T, (1 - epsilon) onehot(label) + epsilon / K)

    Nobody means to defend anything by it, yet a smoothed teacher is about as accurate
    and distils worse ("When Does Label Smoothing Help?",
    https://arxiv.org/abs/1906.02629): a defense that does no more is a regulariser.
    The network is of the teacher's architecture, fresh, and the recipe is the one that
    trained the teacher.
    """

    paper = Paper(
        "Rethinking the Inception Architecture for Computer Vision",
        2016,
        "https://arxiv.org/abs/1512.00567",
    )

    epsilon: Share = 0.2
    """Share of each label that is spread. Unlike the paper's 0.1, 0.2: of the values
    from 0.05 to 0.6 that the code of CMIM (https://arxiv.org/abs/2507.00012) tries as
    a defense, one that hurts vanilla distillation on small images without a cost in
    accuracy."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        """Train the new network, and release it. `teacher` is not used.

        Raises:
            Diverged: the loss is not finite any more.
        """
        smooth = run.network(run.teacher)

        def loss(batch: Batch) -> Tensor:
            return F.cross_entropy(
                smooth(batch.pixels), batch.labels, label_smoothing=self.epsilon
            )

        train(smooth, images, loss, run)
        return Released(smooth)
