"""What inversion looks at, in plain loops once more, and a network to watch."""

from __future__ import annotations

from math import log

import naive
import torch
from torch import Tensor, nn


def draw(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=rng, dtype=torch.float64)


def naive_gap(inputs: Tensor, mean: Tensor, var: Tensor) -> float:
    off, wide = [], []
    for c in range(inputs.shape[1]):
        values = inputs[:, c].flatten().tolist()
        centre = sum(values) / len(values)
        off.append(centre - float(mean[c]))
        spread = sum((v - centre) ** 2 for v in values) / len(values)
        wide.append(spread - float(var[c]))
    return naive.norm(off) + naive.norm(wide)


def naive_variation(images: Tensor) -> float:
    count, channels, high, wide = images.shape
    total = 0.0
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        total += naive.norm(
            [
                float(images[n, c, y + dy, x + dx] - images[n, c, y, x])
                for n in range(count)
                for c in range(channels)
                for y in range(high - dy)
                for x in range(max(0, -dx), wide - max(0, dx))
            ]
        )
    return total


def naive_divergence(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for z_student, z_teacher in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = naive.softmax(z_student, 3.0), naive.softmax(z_teacher, 3.0)
        for a, b in zip(p, q, strict=True):
            m = (a + b) / 2
            total += (a * log(a / m) + b * log(b / m)) / 2
    return total / len(student)


def convolutional(classes: int = 4) -> nn.Sequential:
    """From 1x8x8, with BatchNorm2d after both convolutions."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, 1, 1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, classes),
    )
