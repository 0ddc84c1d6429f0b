"""Residual networks for small images (https://arxiv.org/abs/1512.03385).

The first layer is a 3x3 convolution of stride 1 with no pooling behind it, so images of
32 pixels reach the fourth stage as 4x4. Shortcuts between unequal shapes are 1x1
convolutions with BatchNorm.
"""

from __future__ import annotations

from torch import Tensor, nn

from bench.networks.layers import convolved, pooled, stages

WIDE = (64, 128, 256, 512)


class Block(nn.Module):
    """A path beside a shortcut, then ReLU."""

    def __init__(
        self, path: nn.Sequential, inside: int, outside: int, stride: int
    ) -> None:
        """Hold `path`, which takes `inside` to `outside` channels with `stride`."""
        super().__init__()
        self.path = path
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(*convolved(inside, outside, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inside, H, W)` to `(N, outside, H/stride, W/stride)`."""
        out: Tensor = self.path(x) + self.shortcut(x)
        return out.relu()


def basic(inside: int, outside: int, stride: int) -> Block:
    """A block of two 3x3 convolutions."""
    path = nn.Sequential(
        *convolved(inside, outside, 3, stride),
        nn.ReLU(),
        *convolved(outside, outside, 3),
    )
    return Block(path, inside, outside, stride)


def bottleneck(
    inside: int, middle: int, outside: int, stride: int, groups: int = 1
) -> Block:
    """A block that goes through `middle` channels, in `groups`: 1x1, 3x3, 1x1."""
    path = nn.Sequential(
        *convolved(inside, middle, 1),
        nn.ReLU(),
        *convolved(middle, middle, 3, stride, groups),
        nn.ReLU(),
        *convolved(middle, outside, 1),
    )
    return Block(path, inside, outside, stride)


def _quarter(inside: int, outside: int, stride: int) -> Block:
    return bottleneck(inside, outside // 4, outside, stride)


def resnet8(channels: int, classes: int) -> nn.Sequential:
    """Three residual blocks, 77,754 parameters for digits.

    One at each of three sizes: 1 + 3 x 2 convolutions and a layer.
    """
    return nn.Sequential(
        *convolved(channels, 16, 3),
        nn.ReLU(),
        *stages(basic, 16, (16, 32, 64), (1, 1, 1)),
        *pooled(),
        nn.Linear(64, classes),
    )


def resnet18(channels: int, classes: int) -> nn.Sequential:
    """Eight residual blocks, 11,173,962 parameters for 10 classes in RGB.

    Two of two convolutions at each of four sizes.
    """
    return nn.Sequential(
        *convolved(channels, 64, 3),
        nn.ReLU(),
        *stages(basic, 64, WIDE, (2, 2, 2, 2)),
        *pooled(),
        nn.Linear(512, classes),
    )


def resnet34(channels: int, classes: int) -> nn.Sequential:
    """Sixteen residual blocks, 21,282,122 parameters for 10 classes in RGB.

    3, 4, 6 and 3 of two convolutions.
    """
    return nn.Sequential(
        *convolved(channels, 64, 3),
        nn.ReLU(),
        *stages(basic, 64, WIDE, (3, 4, 6, 3)),
        *pooled(),
        nn.Linear(512, classes),
    )


def resnet50(channels: int, classes: int) -> nn.Sequential:
    """Sixteen bottlenecks, 23,520,842 parameters for 10 classes in RGB.

    3, 4, 6 and 3, four times as wide outside as inside.
    """
    return nn.Sequential(
        *convolved(channels, 64, 3),
        nn.ReLU(),
        *stages(_quarter, 64, [4 * width for width in WIDE], (3, 4, 6, 3)),
        *pooled(),
        nn.Linear(2048, classes),
    )
