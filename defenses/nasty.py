"""Nasty teacher: right in its first guess, misleading in all the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import Batch, Defense, Paper, Released, Run, TrainImages, train
from bench.options import Positive, Weight


def divergence(nasty: Tensor, adversary: Tensor, tau: float) -> Tensor:
    """tau^2 KL(softmax(nasty / tau) || softmax(adversary / tau)), mean over the batch.

    The nasty network's distribution stands first: it is the one that the expectation
    is over. With a fixed adversary this direction is bounded, the reverse is not.

    Args:
        nasty: Logits `(B, K)`; the gradient flows through them.
        adversary: Logits or log-probabilities `(B, K)`, held still: softmax forgets
            the difference.
        tau: Temperature.
    """
    first = (nasty / tau).log_softmax(dim=1)  # (B, K)
    second = (adversary / tau).log_softmax(dim=1)  # (B, K)
    return tau**2 * F.kl_div(second, first, reduction="batchmean", log_target=True)


@dataclass(frozen=True)
class NastyTeacher(Defense):
    """Train a new network to be right and yet far from an ordinary one's confidences.

    L = CE(z_T, label) - omega tau^2 KL(softmax(z_T / tau) || softmax(z_A / tau))

    z_T are the new network's logits, z_A those of a frozen adversary in eval mode on
    the same augmented batch. The new network is of the teacher's architecture and
    starts from scratch; the recipe is the one that trained the teacher. The health
    figure `tau2_kl` is the final tau^2 KL, here over the training images as they are
    and in eval mode (the authors log the average of the last epoch's training steps):
    a teacher that ends near 0 is not nasty.
    """

    paper = Paper(
        "Undistillable: Making A Nasty Teacher That CANNOT Teach Students",
        2021,
        "https://arxiv.org/abs/2105.07381",
    )
    brief: ClassVar = {"omega": 0.01}

    omega: Weight = 0.04
    """The weight; the value in the authors' CIFAR-10 files."""
    tau: Positive = 4.0
    """The temperature; the value in the authors' CIFAR-10 files."""
    adversary: str = ""
    """Name of another network, trained inside; empty takes the undefended teacher, as
    all of the authors' files do."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        """Train the new network against the adversary, and release it.

        Raises:
            Diverged: the loss is not finite any more.
            UnknownName: no network is called `adversary`.
        """
        rival = self._rival(teacher, images, run).eval().requires_grad_(False)
        ordinary = run.answers(rival)
        nasty = run.network(run.teacher)

        def loss(batch: Batch) -> Tensor:
            logits: Tensor = nasty(batch.pixels)  # (B, K)
            apart = divergence(logits, ordinary(batch), self.tau)
            return F.cross_entropy(logits, batch.labels) - self.omega * apart

        train(nasty, images, loss, run)
        with torch.no_grad():
            parts = [
                divergence(nasty(pixels), rival(pixels), self.tau) * len(pixels)
                for pixels in images.in_order(1000)
            ]
        run.report(tau2_kl=float(torch.stack(parts).sum()) / len(images))
        return Released(nasty)

    def _rival(self, teacher: nn.Module, images: TrainImages, run: Run) -> nn.Module:
        if not self.adversary:
            return teacher
        rival = run.network(self.adversary)

        def loss(batch: Batch) -> Tensor:
            return F.cross_entropy(rival(batch.pixels), batch.labels)

        train(rival, images, loss, run, curve=False)
        return rival
