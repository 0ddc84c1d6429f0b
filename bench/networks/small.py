"""Plain convolutional networks, the smallest students."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from bench.networks.layers import convolved, pooled


class Field(nn.Module):
    """Centres a smaller image in a square field of zeros; a larger one stays."""

    def __init__(self, size: int) -> None:
        """Of `size` by `size` pixels."""
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C, max(H, size), max(W, size))`."""
        height, width = (max(self.size - pixels, 0) for pixels in x.shape[2:])
        left, top = width // 2, height // 2
        return F.pad(x, (left, width - left, top, height - top))


def cnn2(channels: int, classes: int) -> nn.Sequential:
    """Two convolutions, 5,178 parameters for digits.

    Both have BatchNorm, the second has stride 2.
    """
    return nn.Sequential(
        *convolved(channels, 16, 3),
        nn.ReLU(),
        *convolved(16, 32, 3, 2),
        nn.ReLU(),
        *pooled(),
        nn.Linear(32, classes),
    )


def cnn5(channels: int, classes: int) -> nn.Sequential:
    """Three convolutions, two layers, 357,514 parameters for 10 classes in RGB.

    What the Nasty Teacher paper calls CNN (https://arxiv.org/abs/2105.07381): three
    convolutions, halved in size by maxima before the ReLU, and a hidden layer of 128.
    From 32 pixels 4x4 are left. Unlike there, odd sizes are halved upwards and what is
    left of other sizes is averaged (or repeated) to 4x4, so that its weights fit images
    of any size.
    """
    wide = (channels, 32, 64, 128)
    layers: list[nn.Module] = []
    for inside, outside in pairwise(wide):
        layers += convolved(inside, outside, 3, bias=True)
        layers += [nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()]
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(4 * 4 * 128, 128),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


def lenet5(channels: int, classes: int) -> nn.Sequential:
    """LeNet-5 without BatchNorm, 62,006 parameters for 10 classes in RGB.

    6-16-120-84 with tanh (https://doi.org/10.1109/5.726791): images of 28 pixels lie
    centred in a field of 32, as smaller ones do here; larger ones are averaged to the
    5x5 that 32 pixels leave. Unlike the paper, subsampling is a mean without weights,
    every map of the second layer sees all maps of the first, tanh is not scaled, and
    the last layer is linear.
    """
    return nn.Sequential(
        Field(32),
        nn.Conv2d(channels, 6, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(5),
        nn.Flatten(),
        nn.Linear(5 * 5 * 16, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, classes),
    )
