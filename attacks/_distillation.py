"""The losses of distillation, and how a student is led down them."""

from __future__ import annotations

from math import log
from typing import Any, Literal

import torch
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

Form = Literal["kl", "dist", "standardised"]
"""How student and teacher are compared, see `soft_loss`."""
Target = Literal["soft", "argmax"]
"""What a student without labels learns: the confidences, or the first class alone."""

LEAST = log(1e-7)
"""What log 0 counts as where logits are needed, in nats."""


def soft_loss(
    student: Tensor, teacher: Tensor, tau: float, form: Form = "kl"
) -> Tensor:
    """How far the student's view of a batch is from the teacher's; 0 for none.

    With p = softmax(z / tau):

    `kl`: tau^2 KL(p_T || p_S), mean over the batch (https://arxiv.org/abs/1503.02531).

    `standardised`: the same of logits that are centred and divided by their standard
    deviation over the classes + 1e-7, the unbiased one
    (https://arxiv.org/abs/2403.01427). The scale of the teacher's logits is forgotten.

    `dist`: tau^2 [(1 - mean_i rho_i) + (1 - mean_k rho_k)], where rho_i is Pearson's
    correlation of p_S and p_T over the classes of image i, and rho_k that over the
    batch for class k (https://arxiv.org/abs/2205.10536). An affine map of the
    teacher's probabilities changes nothing; the scale of its logits changes how much
    the lesser classes weigh.

    Args:
        student: Logits `(B, K)`; the gradient flows through them.
        teacher: Logits or log-probabilities `(B, K)`: no form tells them apart.
        tau: Temperature.
        form: One of the three.
    """
    if form == "standardised":
        student, teacher = _standardised(student), _standardised(_finite(teacher))
    learned = (student / tau).log_softmax(dim=1)  # (B, K)
    # As probabilities: a class that the teacher rules out, log 0, then adds nothing.
    target = (teacher / tau).softmax(dim=1)  # (B, K)
    if form == "dist":
        p = learned.exp()
        loss = 2 - _correlation(p, target, dim=1) - _correlation(p, target, dim=0)
        return tau**2 * loss
    return tau**2 * F.kl_div(learned, target, reduction="batchmean")


def mixed_loss(
    student: Tensor,
    labels: Tensor,
    reply: Tensor,
    alpha: float,
    tau: float,
    form: Form = "kl",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Alpha `soft_loss` + (1 - alpha) CE(student, labels).

    Papers that write CE + w `soft_loss` mean 1 + w times this at alpha = w / (1 + w).

    Args:
        student: Logits `(B, K)`.
        labels: `(B,)`.
        reply: The teacher's logits or log-probabilities `(B, K)`.
        alpha: Weight of the teacher, in [0, 1].
        tau: Temperature of `soft_loss`.
        form: Its form.
        label_smoothing: Share of each label that is spread over all classes.
    """
    soft = soft_loss(student, reply, tau, form)
    hard = F.cross_entropy(student, labels, label_smoothing=label_smoothing)
    return alpha * soft + (1 - alpha) * hard


def target_loss(
    student: Tensor, teacher: Tensor, target: Target, tau: float, form: Form
) -> Tensor:
    """What a student without labels minimises: `soft_loss`, or CE(z_S, argmax z_T).

    Args:
        student: Logits `(B, K)`.
        teacher: Logits or log-probabilities `(B, K)`.
        target: Which of the two.
        tau: Temperature of `soft_loss`.
        form: Its form.
    """
    if target == "argmax":
        return F.cross_entropy(student, teacher.argmax(dim=1))
    return soft_loss(student, teacher, tau, form)


def _finite(logits: Tensor) -> Tensor:
    """`logits` `(B, K)` without -inf: log 0 becomes `LEAST`, or their least if less."""
    possible = logits.masked_fill(logits == -torch.inf, torch.inf)
    least = possible.amin(dim=1, keepdim=True).clamp_max(LEAST)  # (B, 1)
    return torch.where(logits == -torch.inf, least, logits)


def _standardised(logits: Tensor) -> Tensor:
    """Each row of `(B, K)` with mean 0 and standard deviation 1."""
    spread, centre = torch.std_mean(logits, dim=1, keepdim=True)
    return (logits - centre) / (spread + 1e-7)


def _correlation(p: Tensor, q: Tensor, dim: int) -> Tensor:
    """Pearson's correlation of `(B, K)` and `(B, K)` along `dim`, a mean over lines.

    The product of the norms is enlarged by 1e-8, as in the code of `dist`: a line
    without spread correlates with none.
    """
    p, q = p - p.mean(dim=dim, keepdim=True), q - q.mean(dim=dim, keepdim=True)
    both = p.norm(dim=dim) * q.norm(dim=dim) + 1e-8
    mean: Tensor = ((p * q).sum(dim=dim) / both).mean()
    return mean


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
