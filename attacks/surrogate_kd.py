"""Surrogate distillation: the teacher's confidences on other people's images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from attacks._distillation import Form, affordable, soft_loss
from bench import Attack, Batch, Paper, Run, SoftLabels, SurrogateImages, train
from bench.options import Positive


@dataclass(frozen=True)
class SurrogateKD(Attack[SoftLabels, SurrogateImages]):
    """Match the teacher's replies to images of something else; there are no labels.

    L = tau^2 KL(softmax(z_T / tau) || softmax(z_S / tau)), or another `form` of it

    The control that bounds the worth of data-free attacks, for images of another kind
    are free: the DAFL paper prints 90.65 % for them on CIFAR-10, beside 92.22 % for its
    generator, and MosaicKD's 73.55 % for CIFAR-10's images on CIFAR-100
    (https://github.com/zju-vipa/MosaicKD).

    Unlike the paper's "random" strategy, which asks once about each of a budget of
    images, the student sees all of them under the augmentation of the data set and by
    `run.recipe`; a view that was asked about before is no new query.
    """

    paper = Paper(
        "Knockoff Nets: Stealing Functionality of Black-Box Models",
        2019,
        "https://arxiv.org/abs/1812.02766",
    )

    tau: Positive = 1.0
    """The temperature; the paper's cross-entropy with the replies has the gradient of
    temperature 1."""
    form: Form = "kl"
    """`kl` is the paper's; `dist` (https://arxiv.org/abs/2205.10536) compares
    correlations, `standardised` (https://arxiv.org/abs/2403.01427) standardised
    logits."""

    def steal(
        self,
        student: nn.Module,
        teacher: SoftLabels,
        images: SurrogateImages,
        run: Run,
    ) -> None:
        """Train `student` in place, by `run.recipe`.

        Under a budget of queries it learns from as many images as that pays for.

        Raises:
            Diverged: the loss is not finite any more.
        """

        def loss(batch: Batch) -> Tensor:
            reply = teacher(batch.pixels, batch.view)  # (B, K)
            return soft_loss(student(batch.pixels), reply, self.tau, self.form)

        train(student, affordable(images, teacher, run), loss, run)
