"""Networks by name. Normalisation is the first layer, so all of them take pixels in
[0, 1] and an attack works in the same space whatever the data set.

Every network ends in one `nn.Linear`, whose input is the feature vector `(N, F)`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.errors import UnknownName


class Normalise(nn.Module):
    """(pixels - mean) / std, a value a channel; travels with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Hold `mean` and `std`, a value a channel, of pixels in [0, 1]."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        return (pixels - self.mean) / self.std


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (https://arxiv.org/abs/1512.03385)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        """From `inside` to `outside` channels, the size divided by `stride`."""
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False),
                nn.BatchNorm2d(outside),
            )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inside, H, W)` to `(N, outside, H/stride, W/stride)`."""
        out: Tensor = self.path(x) + self.shortcut(x)
        return out.relu()


def _pool() -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def _resnet8(channels: int, classes: int) -> nn.Sequential:
    """A residual block at each of three sizes: 1 + 3 x 2 convolutions and a layer."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        Block(16, 16, 1),
        Block(16, 32, 2),
        Block(32, 64, 2),
        *_pool(),
        nn.Linear(64, classes),
    )


def _cnn2(channels: int, classes: int) -> nn.Sequential:
    """Two convolutions with BatchNorm, the second of stride 2, pooled over space."""
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, 1, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        *_pool(),
        nn.Linear(32, classes),
    )


NETWORKS: dict[str, Callable[[int, int], nn.Sequential]] = {
    "cnn2": _cnn2,
    "resnet8": _resnet8,
}


def build(
    name: str,
    channels: int,
    classes: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> nn.Module:
    """A freshly initialised network from `(N, C, H, W)` in [0, 1] to logits `(N, K)`.

    Weights are drawn from torch's global generator; call it inside `seeds.seeded`.

    Raises:
        UnknownName: no network is called `name`.
    """
    if name not in NETWORKS:
        raise UnknownName.among("network", name, NETWORKS, "bench list")
    return nn.Sequential(Normalise(mean, std), NETWORKS[name](channels, classes))
