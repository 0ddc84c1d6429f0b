"""Noise distillation: the teacher's replies to images that show nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attacks._distillation import AnnealedSGD, Form, Target, target_loss
from attacks._made import Latest
from bench import Attack, NoImages, Paper, Run, Skipped, SoftLabels
from bench.options import Count, Positive


@dataclass(frozen=True)
class NoiseKD(Attack[SoftLabels, NoImages]):
    """The control of data-free attacks: what random pixels alone let through.

    L = tau^2 KL(softmax(z_T / tau) || softmax(z_S / tau)) on fresh noise at every step;
    every image is a query. An attack that makes its images learns something from the
    teacher only as far as it beats this one. The DAFL paper prints 14.89 % for noise on
    CIFAR-10 and 88.01 % on MNIST.

    The defaults are those of `dafl`'s student, so that the two differ in their images
    alone; how the paper's student learned from noise we have not found.
    """

    paper = Paper(
        "Data-Free Learning of Student Networks",
        2019,
        "https://arxiv.org/abs/1904.01186",
    )
    brief: ClassVar = {"iterations": 4, "batch_size": 16}
    lengths: ClassVar = ("iterations",)

    distribution: Literal["uniform", "normal", "low_frequency"] = "normal"
    """Of each pixel: normal, as the paper's tables say, with mean 1/2 and standard
    deviation 1/4 and clipped to [0, 1]; or uniform on [0, 1]. Or of each image, see
    `low_frequency`: shapes in place of grain, which no paper has here."""
    iterations: Count = 240_000
    """The student's steps; the authors' 2,000 epochs of 120 for CIFAR-10."""
    batch_size: Count = 1024
    lr: Positive = 0.1
    """Of SGD with momentum 0.9 and weight decay 5e-4, divided by 10 at 40 and 80 % of
    the iterations, as for CIFAR-10."""
    tau: Positive = 1.0
    """The temperature; DAFL has none, which is 1."""
    form: Form = "kl"
    """Of the loss: `kl`, `dist` or `standardised`."""
    student_loss: Target = "soft"
    """`argmax` learns CE(z_S, argmax z_T) instead: what a service with misleading
    confidences cannot disturb."""

    def steal(
        self, student: nn.Module, teacher: SoftLabels, images: NoImages, run: Run
    ) -> None:
        """Train `student` in place.

        Under a budget of queries it asks until nothing remains, and goes on with the
        batches that were answered, in turn.

        Raises:
            Diverged: the loss is not finite any more.
            Skipped: the budget pays for less than two images.
        """
        sgd = AnnealedSGD(student, self.lr, self.iterations)
        answered: list[tuple[Tensor, Tensor]] = []
        latest = Latest()
        for step in run.steps(self.iterations, student):
            left = teacher.remaining
            if left is None:
                noise = self._draw(self.batch_size, run)
                replies = teacher(noise)
                latest.add(noise)
            elif left > 1:  # BatchNorm cannot train on a single image
                noise = self._draw(left, run)
                replies = teacher(noise)
                answered.append((noise, replies))
                latest.add(noise)
            elif answered:
                noise, replies = answered[step.number % len(answered)]
            else:
                raise Skipped(f"{left} queries pay for no batch to train on")
            loss = target_loss(
                student(noise), replies, self.student_loss, self.tau, self.form
            )
            sgd.minimize(loss)
            step.log(loss=loss)
        run.keep(latest.images())

    def _draw(self, most: int, run: Run) -> Tensor:
        """A batch of noise, `(B, C, H, W)` in [0, 1], of `most` images at most."""
        size = (min(self.batch_size, most), *run.shape)
        if self.distribution == "uniform":
            return torch.rand(size, generator=run.generator, device=run.device)
        if self.distribution == "low_frequency":
            return low_frequency(size, run.generator)
        bell = torch.randn(size, generator=run.generator, device=run.device)
        return (0.5 + bell / 4).clamp(0, 1)


def low_frequency(
    size: tuple[int, int, int, int], generator: torch.Generator
) -> Tensor:
    """Soft random shapes, `(B, C, H, W)` in [0, 1].

    clip(bias + gain n), n standard normal on a grid of 4x4 a channel, made as large as
    the image by bilinear interpolation; one bias, normal with mean 1/2 and standard
    deviation 1/2, and one gain, uniform on [0, 2], an image. The numbers are ours: they
    make images from nearly plain to nearly black and white.
    """
    count, channels, height, width = size
    device = generator.device
    coarse = torch.randn(count, channels, 4, 4, generator=generator, device=device)
    shapes = F.interpolate(coarse, (height, width), mode="bilinear")
    gain = 2 * torch.rand(count, 1, 1, 1, generator=generator, device=device)
    bias = torch.randn(count, 1, 1, 1, generator=generator, device=device)
    return (0.5 + bias / 2 + gain * shapes).clamp(0, 1)
