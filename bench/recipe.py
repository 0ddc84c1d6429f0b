"""How a network is trained, as data. It needs no torch, so protocols can be read
without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from bench.options import Count, NonNegative, Positive, Share, Weight


@dataclass(frozen=True)
class Recipe:
    """Optimizer, schedule and length of one training.

    The defaults are those of the seed paper's CIFAR-10 files: SGD with momentum 0.9
    and weight decay 5e-4 without Nesterov, 160 epochs of batches of 128, learning
    rate 0.1, times 0.1 at epochs 80 and 120
    (https://github.com/VITA-Group/Nasty-Teacher, `experiments/CIFAR10`).
    """

    epochs: Count = 160
    """Passes over the images; not read where `steps` says how long."""
    steps: Count | None = None
    """Steps in all, as many for few images as for many: in place of `epochs`. Then
    `milestones` are steps as well."""
    batch_size: Count = 128
    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: Positive = 0.1
    """Initial learning rate."""
    momentum: Share = 0.9
    """Of SGD; Adam keeps its own defaults."""
    weight_decay: Weight = 5e-4
    nesterov: bool = False
    lr_schedule: Literal["steps", "cosine", "constant"] = "steps"
    """`cosine` anneals to zero over the whole length."""
    milestones: tuple[int, ...] = (80, 120)
    """Epochs, counted from 0, at which the schedule `steps` multiplies `lr` by
    `gamma`."""
    gamma: Positive = 0.1
    pad: NonNegative | None = None
    """Pixels of zeros around an image before a random crop of its size; None takes
    those of the data set."""

    def longer(self, times: int) -> Recipe:
        """The same with `times` the length.

        Raises:
            ValueError: the length is in epochs.
        """
        if times == 1:
            return self
        if self.steps is None:
            raise ValueError(
                "a recipe in epochs cannot be made longer: give its length in steps"
            )
        drops = tuple(times * step for step in self.milestones)
        return replace(self, steps=times * self.steps, milestones=drops)

    def epochs_of(self, images: int) -> int:
        """How many passes over so many `images` it takes, the last perhaps in part."""
        if self.steps is None:
            return self.epochs
        whole, rest = divmod(images, self.batch_size)
        # A last batch of a single image is not dealt.
        batches = whole + (rest > 1 or (rest == 1 and whole == 0))
        return ceil(self.steps / max(1, batches))
