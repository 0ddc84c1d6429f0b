"""DeepInversion: pixels are changed until the teacher's BatchNorm finds them usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attacks._distillation import AnnealedSGD, Form, Target, target_loss
from attacks._inversion import Pool, Watched, balanced, divergence, total_variation
from attacks._made import KEPT, shifted
from bench import Attack, NoImages, Paper, Run, Weights
from bench.options import Count, NonNegative, Positive, Weight

UNIT = 0.2
"""What the optimiser calls one, in pixels of [0, 1]."""


@dataclass(frozen=True)
class DeepInversion(Attack[Weights, NoImages]):
    """Invert the teacher batch by batch, and distil on all images made so far.

    The pixels x of a batch, noise to begin with, minimise, under Adam,

    L = CE(z_T(x), y) + bn R(x) + tv TV(x) + l2 ||x||_2 + compete (1 - JS(z_S, z_T))

    for target classes y, balanced and random; R sums `bn_gap` over the teacher's
    BatchNorm2d layers, TV is `total_variation` and JS `divergence`, through which the
    gradient reaches x by both networks. Each step sees the images rolled by up to
    `jitter` pixels. After a batch the student takes `lessons` steps on the pool:
    tau^2 KL(softmax(z_T / tau) || softmax(z_S / tau)), or what `form` or `student_loss`
    put in its place.

    With `compete` it is Adaptive DeepInversion: images on which the two disagree.

    `bn_loss` in the row is the mean of R over the images as they are kept,
    `target_accuracy` the share of them that the teacher puts into the class they were
    made for; below a half the row is flagged "inversion failed".

    TV and ||x||_2 run over the whole batch, and small batches have unsteady statistics:
    the defaults of `bn`, `tv` and `l2` belong to batches of 256.

    Unlike the paper's code, pixels are clipped to the range of images after each step,
    as the authors do for ImageNet: networks here normalise by themselves, and what lies
    outside could neither be kept as uint8 nor be sent to a service. A unit of x is 0.2
    of that range, about a standard deviation of CIFAR-10, so that rates and weights
    mean what they mean there: x = (pixels - 0.5) / 0.2, and the start is N(0, 1).
    Unlike there, JS is computed as it stands: neither are probabilities clipped to
    [0.01, 0.99], nor JS itself to [0, 1], which in nats it cannot leave.
    The authors never released how the student is trained (their issues 9, 18 and 30):
    the pool is drawn from at random, without augmentation unless `shift` asks for it.
    Twice the effort is twice the `batches`: twice the images, and with them twice the
    student's steps; more `steps` for the same images gain little.
    """

    paper = Paper(
        "Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion",
        2020,
        "https://arxiv.org/abs/1912.08795",
    )
    brief: ClassVar = {"batches": 2, "batch_size": 16, "steps": 3, "lessons": 2}
    lengths: ClassVar = ("batches",)

    batches: Count = 1000
    """Batches to make; with 256 images each, the authors' answer for CIFAR-10
    (https://github.com/NVlabs/DeepInversion/issues/6)."""
    batch_size: Count = 256
    """Images made at a time, and images of a student's step."""
    steps: Count = 2000
    """Of Adam, for each batch; like `lr`, `bn`, `tv` and `l2` the values that the
    README of the authors' code calls those of the paper for CIFAR-10."""
    lr: Positive = 0.05
    """Of Adam."""
    bn: Weight = 10.0
    """Weight of R; the paper's alpha_f."""
    tv: Weight = 2.5e-5
    l2: Weight = 0.0
    compete: Weight = 0.0
    """Weight of the disagreement with the student; 0, as in the authors' script, leaves
    it out."""
    jitter: NonNegative = 2
    """Pixels; the authors' for CIFAR-10. Images of 8 pixels bear less."""
    lessons: Count = 50
    """Student's steps after each batch; one new batch every 50 iterations in the paper
    (table 1, quoted in the authors' issue 6)."""
    tau: Positive = 3.0
    """Temperature of the student's lessons; the authors' answer
    (https://github.com/NVlabs/DeepInversion/issues/9)."""
    form: Form = "kl"
    """Of that loss: `kl`, `dist` or `standardised`."""
    student_loss: Target = "soft"
    """`argmax` learns CE(z_S, argmax z_T) instead, the first class alone."""
    shift: NonNegative = 0
    """Pixels by which the images of a lesson are moved at random, zeros moving in; the
    teacher is asked about them again."""
    student_lr: Positive = 0.1
    """Of SGD with momentum 0.9 and weight decay 5e-4, divided by 10 at 40 and 80 % of
    all lessons: as in `dafl`, for want of the authors'."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        """Train `student` in place.

        Raises:
            Diverged: a loss is not finite any more.
            NotApplicable: the released network has no BatchNorm2d with statistics.
        """
        watched = Watched(teacher.network)
        pool = Pool(self.batches * self.batch_size, run)
        lessons = self.batches * self.lessons
        sgd = AnnealedSGD(student, self.student_lr, lessons)
        unusual = torch.zeros((), device=run.device)
        on_target = torch.zeros((), device=run.device)

        for step in run.steps(self.batches, student, reports=self.batches):
            student.eval()
            targets = balanced(self.batch_size, run)  # (B,)
            made, synthesis = self._invert(watched, student, targets, run)
            with torch.no_grad():
                logits, gap = watched(made.float() / 255)
            pool.add(made, logits)
            unusual += gap
            on_target += (logits.argmax(dim=1) == targets).sum()
            learn = self._teach(student, teacher, pool, sgd, run)
            step.log(synthesis=synthesis, student=learn, bn=gap)

        hits = float(on_target) / len(pool)
        run.report(bn_loss=float(unusual) / self.batches, target_accuracy=hits)
        if hits < 0.5:
            run.flag("inversion failed")
        run.keep(pool.pixels[-KEPT:].float() / 255)

    def loss(
        self, x: Tensor, targets: Tensor, teacher: Watched, student: nn.Module
    ) -> Tensor:
        """L of the class's docstring.

        Args:
            x: `(B, C, H, W)`, in units.
            targets: y, `(B,)`.
            teacher: Its network is in eval mode.
            student: In eval mode; not used when `compete` is 0.
        """
        pixels = 0.5 + UNIT * x
        logits, gap = teacher(pixels)
        loss: Tensor = F.cross_entropy(logits, targets) + self.bn * gap
        loss = loss + self.tv * total_variation(x) + self.l2 * x.norm()
        if self.compete:
            apart = divergence(student(pixels), logits)
            loss = loss + self.compete * (1 - apart)
        return loss

    def _invert(
        self, teacher: Watched, student: nn.Module, targets: Tensor, run: Run
    ) -> tuple[Tensor, Tensor]:
        """One batch `(B, C, H, W)` of uint8, and its loss at the last step."""
        x = torch.randn(
            self.batch_size, *run.shape, generator=run.generator, device=run.device
        )
        edge = 0.5 / UNIT
        x.clamp_(-edge, edge).requires_grad_()
        adam = torch.optim.Adam([x], lr=self.lr, fused=True)
        reach = (-self.jitter, self.jitter + 1)
        rolls = torch.randint(
            *reach, (self.steps, 2), generator=run.generator, device=run.device
        ).tolist()
        for roll in rolls:
            loss = self.loss(x.roll(roll, dims=(2, 3)), targets, teacher, student)
            adam.zero_grad()
            loss.backward(inputs=[x])
            adam.step()
            with torch.no_grad():
                x.clamp_(-edge, edge)
        pixels = 0.5 + UNIT * x.detach()
        return pixels.mul(255).round().to(torch.uint8), loss.detach()

    def _teach(
        self,
        student: nn.Module,
        teacher: Weights,
        pool: Pool,
        sgd: AnnealedSGD,
        run: Run,
    ) -> Tensor:
        """Let `student` learn from the pool. The last loss."""
        student.train()
        for _ in range(self.lessons):
            pixels, logits = pool.draw(self.batch_size, run.generator)
            if self.shift:
                pixels = shifted(pixels, self.shift, run.generator)
                logits = teacher.network(pixels)
            learn = target_loss(
                student(pixels), logits, self.student_loss, self.tau, self.form
            )
            sgd.minimize(learn)
        return learn.detach()
