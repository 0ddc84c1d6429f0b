"""ShuffleNetV2 at ratio 1 (https://arxiv.org/abs/1807.11164) for small images.

Unlike the paper, and as in the Nasty Teacher study, the first layer is a 3x3
convolution of stride 1 with BatchNorm, no ReLU and no pooling, and every convolution
has a bias beside its BatchNorm. Where a unit halves the size, its right branch stays as
wide as its input up to the last convolution: the paper leaves it open, the count
decides.

Counted with bias and BatchNorm, a 1x1 convolution from i to o channels has `i o + 3 o`
parameters, and a 3x3 of each of i channels alone `12 i`. With h = o / 2, a unit that
keeps its size has `2 h h + 18 h`, one that halves it `i i + 27 i + 2 (i h + 3 h)`. With
720 before the units, 478,208 after them and 1,025 a class that makes 1,268,646
parameters for 10 classes in colour.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.networks.layers import convolved, pooled, stages


class Unit(nn.Module):
    """Two branches whose channels alternate in the output.

    With stride 1 the left branch hands half of the channels on and the right one
    convolves the other half. With stride 2 both convolve all of them.
    """

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        """From `inside` to `outside` channels, the size divided by `stride`."""
        super().__init__()
        self.splits = stride == 1
        half = outside // 2
        width = half if self.splits else inside
        self.left = nn.Sequential()
        if not self.splits:
            self.left = nn.Sequential(
                *convolved(inside, inside, 3, stride, groups=inside, bias=True),
                *convolved(inside, half, 1, bias=True),
                nn.ReLU(),
            )
        self.right = nn.Sequential(
            *convolved(width, width, 1, bias=True),
            nn.ReLU(),
            *convolved(width, width, 3, stride, groups=width, bias=True),
            *convolved(width, half, 1, bias=True),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inside, H, W)` to `(N, outside, H/stride, W/stride)`."""
        left, right = x.chunk(2, dim=1) if self.splits else (x, x)
        both = (self.left(left), self.right(right))
        # Alternated with channels last, so that memory keeps that order.
        pairs = torch.stack([half.movedim(1, -1) for half in both], dim=-1)
        return pairs.flatten(3).movedim(-1, 1)


class ShuffleNet(nn.Sequential):
    """Layers in a row."""

    float_on_cpu = True
    """Measured: bf16 makes them slower on processors."""


def shufflenet_v2(channels: int, classes: int) -> nn.Sequential:
    """Sixteen shuffle units, 1,268,646 parameters for 10 classes in RGB.

    They work at three sizes, each stage half as large as what enters it.
    """
    return ShuffleNet(
        *convolved(channels, 24, 3, bias=True),
        *stages(Unit, 24, (116, 232, 464), (4, 8, 4), first=2),
        *convolved(464, 1024, 1, bias=True),
        nn.ReLU(),
        *pooled(),
        nn.Linear(1024, classes),
    )
