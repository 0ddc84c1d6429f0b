"""MobileNetV2 (https://arxiv.org/abs/1801.04381) as students of 32 pixels have it.

Unlike the paper, and as in the Nasty Teacher study:

- The first layer is a 1x1 convolution of stride 1 with a border of one pixel (32 pixels
  become 34), and the sixth stage keeps its size: sides shrink 8 times, not 32.
- The first block widens by 1 with a convolution of its own, where the paper has none.
- Every convolution has a bias beside its BatchNorm, 17,088 parameters in all.

Counted, a block from i to o channels that widens by t has, for w = t i, `(i w + w) +
(9 w + w) + (w o + o)` parameters in its convolutions and `4 w + 2 o` in its BatchNorm.
With 192 before the blocks, 413,440 after them and 1,281 a class that makes 2,254,090
parameters for 10 classes in colour.
"""

from __future__ import annotations

from torch import Tensor, nn

from bench.networks.layers import convolved, pooled

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 1),
    (6, 320, 1, 1),
)
"""By stage: how much a block widens, channels, blocks, stride of the first."""


class Inverted(nn.Module):
    """Widen, convolve each channel alone, narrow; added to its input where it fits."""

    def __init__(self, inside: int, outside: int, stride: int, widen: int) -> None:
        """From `inside` to `outside` channels, through `widen` times `inside`."""
        super().__init__()
        wide = widen * inside
        self.path = nn.Sequential(
            *convolved(inside, wide, 1, bias=True),
            nn.ReLU6(),
            *convolved(wide, wide, 3, stride, groups=wide, bias=True),
            nn.ReLU6(),
            *convolved(wide, outside, 1, bias=True),
        )
        self.adds = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inside, H, W)` to `(N, outside, H/stride, W/stride)`."""
        out: Tensor = self.path(x)
        return x + out if self.adds else out


def mobilenet_v2(channels: int, classes: int) -> nn.Sequential:
    """Seventeen inverted bottlenecks, 2,254,090 parameters for 10 classes in RGB.

    The last layer reads 1,280 features.
    """
    blocks: list[nn.Module] = []
    inside = 32
    for widen, outside, depth, stride in STAGES:
        for place in range(depth):
            step = 1 if place else stride
            blocks.append(Inverted(inside, outside, step, widen))
            inside = outside
    return nn.Sequential(
        nn.Conv2d(channels, 32, 1, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU6(),
        *blocks,
        *convolved(inside, 1280, 1, bias=True),
        nn.ReLU6(),
        *pooled(),
        nn.Linear(1280, classes),
    )
