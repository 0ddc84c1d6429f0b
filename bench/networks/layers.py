"""What networks of several families are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

Make = Callable[[int, int, int], nn.Module]
"""Makes a block from channels in, channels out and stride."""


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


def convolved(
    inside: int,
    outside: int,
    size: int,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> list[nn.Module]:
    """A convolution with BatchNorm, from `inside` to `outside` channels.

    Height and width stay as they are, divided by `stride`, for odd kernel `size`.
    """
    return [
        nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=bias),
        nn.BatchNorm2d(outside),
    ]


def stages(
    make: Make,
    inside: int,
    widths: Sequence[int],
    depths: Sequence[int],
    first: int = 1,
) -> Iterator[nn.Module]:
    """Blocks, stage by stage; every stage but the first halves the size.

    Args:
        make: Makes one block.
        inside: Channels that enter the first stage.
        widths: Channels that leave each stage.
        depths: Blocks in each stage.
        first: Stride of the first stage.
    """
    strides = [first, *(2 for _ in widths[1:])]
    for width, depth, stride in zip(widths, depths, strides, strict=True):
        for place in range(depth):
            yield make(inside, width, 1 if place else stride)
            inside = width


def pooled() -> list[nn.Module]:
    """The mean over space, `(N, F, H, W)` to `(N, F)`."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def draw_by_fan_out(network: nn.Sequential) -> nn.Sequential:
    """Draw every convolution of k x k from a normal with std sqrt(2 / (k k out)).

    He et al.'s rule, seen from the outputs (https://arxiv.org/abs/1502.01852).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network
