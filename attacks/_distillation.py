"""The distillation loss, and how a student is led down it."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import MultiStepLR

from bench import (
    HardLabels,
    Run,
    Skipped,
    SoftLabels,
    SurrogateImages,
    TrainImages,
)


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


class AnnealedSGD:
    """How DAFL's authors train a student: SGD whose learning rate falls in two steps.

    Momentum 0.9, weight decay 5e-4, the learning rate divided by 10 at 40 and 80 % of
    all steps (https://github.com/huawei-noah/Efficient-Computing, DAFL on CIFAR-10).
    """

    def __init__(self, student: nn.Module, lr: float, steps: int) -> None:
        """Train `student` for `steps` steps."""
        self._sgd = SGD(
            student.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4, fused=True
        )
        drops = [int(steps * 0.4), int(steps * 0.8)]
        self._scheduler = MultiStepLR(self._sgd, drops, gamma=0.1)

    def minimize(self, loss: Tensor) -> None:
        """Take one step down the gradient of the scalar `loss`."""
        self._sgd.zero_grad()
        loss.backward()
        self._sgd.step()
        self._scheduler.step()


def affordable(
    images: TrainImages | SurrogateImages, teacher: SoftLabels | HardLabels, run: Run
) -> Any:
    """The images that a student may learn from the teacher: all, or what a budget pays.

    Under a budget each image is asked about once, as it is, without augmentation.

    Raises:
        Skipped: it pays for less than two, and BatchNorm cannot train on one.
    """
    if teacher.remaining is None:
        return images
    if teacher.remaining < 2:
        raise Skipped(f"{teacher.remaining} queries pay for no batch to train on")
    return images.few(teacher.remaining, run.generator)
