"""How a network is trained, as data. It needs no torch, so protocols can be read
without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.options import Count, Positive, Share, Weight


@dataclass(frozen=True)
class Recipe:
    """Optimizer, schedule and length of one training.

    The defaults are those of the seed paper's CIFAR-10 files: SGD with momentum 0.9
    and weight decay 5e-4 without Nesterov, 160 epochs of batches of 128, learning
    rate 0.1, times 0.1 at epochs 80 and 120
    (https://github.com/VITA-Group/Nasty-Teacher, `experiments/CIFAR10`).
    """

    epochs: Count = 160
    batch_size: Count = 128
    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: Positive = 0.1
    """Initial learning rate."""
    momentum: Share = 0.9
    """Of SGD; Adam keeps its own defaults."""
    weight_decay: Weight = 5e-4
    nesterov: bool = False
    lr_schedule: Literal["steps", "cosine", "constant"] = "steps"
    """`cosine` anneals to zero over all epochs."""
    milestones: tuple[int, ...] = (80, 120)
    """Epochs, counted from 0, at which `steps` multiplies `lr` by `gamma`."""
    gamma: Positive = 0.1
