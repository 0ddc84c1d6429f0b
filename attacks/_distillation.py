"""The distillation loss, and students that learn by it."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import MultiStepLR

from bench import Attack, Batch, Paper, Run, SoftLabels, TrainImages, train
from bench.options import Positive, Share


def soft_loss(student: Tensor, teacher: Tensor, tau: float) -> Tensor:
    """tau^2 KL(softmax(teacher / tau) || softmax(student / tau)), mean over the batch.

    Args:
        student: Logits `(B, K)`; the gradient flows through them.
        teacher: Logits or log-probabilities `(B, K)`: softmax forgets the difference.
        tau: Temperature.
    """
    learned = (student / tau).log_softmax(dim=1)  # (B, K)
    # As probabilities: a class that the teacher rules out, log 0, then adds nothing.
    target = (teacher / tau).softmax(dim=1)  # (B, K)
    return tau**2 * F.kl_div(learned, target, reduction="batchmean")


def annealed(student: nn.Module, rate: float, steps: int) -> tuple[SGD, MultiStepLR]:
    """How DAFL's authors train a student: SGD, and its schedule over `steps`.

    Momentum 0.9, weight decay 5e-4, the rate divided by 10 at 40 and 80 % of the steps
    (https://github.com/huawei-noah/Efficient-Computing, DAFL on CIFAR-10).
    """
    sgd = SGD(
        student.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4, fused=True
    )
    return sgd, MultiStepLR(sgd, [int(steps * 0.4), int(steps * 0.8)], gamma=0.1)


@dataclass(frozen=True)
class Distillation(Attack[SoftLabels, TrainImages]):
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

        Raises:
            BudgetExhausted: more answers are needed than are granted.
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

        train(student, images, loss, run)
