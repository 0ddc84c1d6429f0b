"""DAFL: a generator learns to make images that the teacher finds typical."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attacks._distillation import AnnealedSGD, Form, Target, target_loss
from attacks._generator import Generator
from attacks._made import Latest, shifted
from bench import (
    Attack,
    NoImages,
    NotApplicable,
    Paper,
    Run,
    Skipped,
    Weights,
    features,
)
from bench.options import Count, NonNegative, Positive, Weight


def generator_loss(
    logits: Tensor,
    features: Tensor,
    one_hot: float,
    entropy: float,
    activation: float,
) -> Tensor:
    """one_hot L_oh + entropy L_ie + activation L_a on the teacher's view of a batch.

    L_oh = CE(z, argmax z); L_ie = sum_k p_k log10 p_k with p the mean prediction, which
    is minus its entropy in decimal digits; L_a = -mean |f|.

    Args:
        logits: z, `(B, K)`.
        features: f, what the last linear layer receives, `(B, F)`.
        one_hot: Weight of L_oh, `oh` in the paper's code.
        entropy: Weight of L_ie, `ie` there.
        activation: Weight of L_a, `a` there.
    """
    typical = F.cross_entropy(logits, logits.argmax(dim=1))
    mean = logits.softmax(dim=1).mean(dim=0)  # (K,)
    tiny = torch.finfo(mean.dtype).tiny  # the gradient of 0 log 0 is no number
    spread = (mean * mean.clamp_min(tiny).log()).sum() / log(10)
    active = -features.abs().mean(dtype=logits.dtype)  # bf16 is too coarse for a mean
    loss: Tensor = one_hot * typical + entropy * spread + activation * active
    return loss


@dataclass(frozen=True)
class DAFL(Attack[Weights, NoImages]):
    """Data-free learning: generator and student step once each per iteration.

    The generator minimises `generator_loss` on the teacher's outputs; the student
    minimises KL(softmax(z_T) || softmax(z_S)) on the same images, detached, at
    temperature 1, unless the options put another loss in its place. Nothing of the
    student reaches the generator.

    A generator whose images the teacher puts into few classes has collapsed: when the
    entropy of the mean prediction over the last tenth of the iterations is below half
    of log K, the row is flagged "collapsed" (the authors saw collapse as well,
    https://github.com/huawei-noah/Efficient-Computing issues 6 and 10).

    Unlike the paper's code, the last state of the student counts, not the best on the
    test set, and the inner BatchNorm layers of the generator use the usual epsilon.
    """

    paper = Paper(
        "Data-Free Learning of Student Networks",
        2019,
        "https://arxiv.org/abs/1904.01186",
    )
    brief: ClassVar = {"iterations": 4, "batch_size": 16, "latent": 8, "width": 8}
    lengths: ClassVar = ("iterations",)

    iterations: Count = 240_000
    """Steps of each network; the authors' 2,000 epochs of 120 for CIFAR-10."""
    batch_size: Count = 1024
    latent: Count = 1000
    """Length of the noise."""
    width: Count = 128
    """Channels of the generator's first layers."""
    contrast: Positive = 1.0
    """Gain of the generator's last BatchNorm to begin with; more suits images that are
    nearly black and white."""
    generator_lr: Positive = 0.02
    """Of Adam, for CIFAR-10."""
    student_lr: Positive = 0.1
    """Of SGD with momentum 0.9 and weight decay 5e-4, divided by 10 at 40 and 80 % of
    the iterations, as for CIFAR-10."""
    one_hot: Weight = 0.05
    """For CIFAR-10; the weights differ by data set."""
    entropy: Weight = 5.0
    activation: Weight = 0.01
    tau: Positive = 1.0
    """Temperature of the student's loss; the paper has none, which is 1."""
    form: Form = "kl"
    """Of that loss: `kl`, `dist` or `standardised`."""
    student_loss: Target = "soft"
    """`argmax` learns CE(z_S, argmax z_T) instead: what a teacher with misleading
    confidences cannot disturb."""
    shift: NonNegative = 0
    """Pixels by which the student's images are moved at random, zeros moving in; the
    teacher is asked about them again."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        """Train `student` in place.

        Raises:
            Diverged: a loss is not finite any more.
            NotApplicable: the released network's logits come out of no `nn.Linear`.
            Skipped: the image size is no multiple of 4.
        """
        if run.shape[1] % 4 or run.shape[2] % 4:
            raise Skipped(f"images of {run.shape[1:]} pixels are no multiple of 4")
        generator = run.place(
            Generator(self.latent, run.shape, self.width, self.contrast)
        )
        adam = torch.optim.Adam(
            generator.parameters(), lr=self.generator_lr, fused=True
        )
        sgd = AnnealedSGD(student, self.student_lr, self.iterations)
        late = torch.zeros(run.classes, device=run.device)
        latest = Latest()

        generator.train()
        with features(teacher.network) as seen:
            for step in run.steps(self.iterations, student):
                noise = torch.randn(
                    (self.batch_size, self.latent),
                    generator=run.generator,
                    device=run.device,
                )
                made = generator(noise)  # (B, C, H, W)
                logits: Tensor = teacher.network(made)  # (B, K)
                if seen.last is None:
                    raise NotApplicable("its logits come out of no linear layer")
                make = generator_loss(
                    logits, seen.last, self.one_hot, self.entropy, self.activation
                )
                latest.add(made)
                shown = made.detach(), logits.detach()
                learn = self._lesson(student, teacher, *shown, run)
                adam.zero_grad()
                make.backward()
                adam.step()
                sgd.minimize(learn)
                step.log(student=learn, generator=make)
                if step.number > self.iterations * 0.9:
                    late += logits.detach().softmax(dim=1).mean(dim=0)

        self._judge(late, run)
        run.keep(latest.images())

    def _lesson(
        self, student: nn.Module, teacher: Weights, made: Tensor, seen: Tensor, run: Run
    ) -> Tensor:
        """The student's loss on images `made`, of which the teacher said `seen`."""
        if self.shift:
            made = shifted(made, self.shift, run.generator)
            seen = teacher.network(made)
        return target_loss(student(made), seen, self.student_loss, self.tau, self.form)

    def _judge(self, late: Tensor, run: Run) -> None:
        """Report how evenly late images fall into classes, from sums `(K,)`."""
        p = late / late.sum()
        entropy = float(-torch.special.xlogy(p, p).sum()) / log(run.classes)
        run.report(class_entropy=entropy)
        if entropy < 0.5:
            run.flag("collapsed")
