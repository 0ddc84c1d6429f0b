"""Pre-activation residual networks (https://arxiv.org/abs/1603.05027).

The Nasty Teacher paper calls them ResNetC-20 and -32. BatchNorm and ReLU come before
each convolution, and nothing follows the addition. As in that study, a shortcut between
unequal shapes is a 1x1 convolution without BatchNorm of what enters the block, and
convolutions are drawn from a normal with std sqrt(2 / (k k out)).
"""

from __future__ import annotations

from torch import Tensor, nn

from bench.networks.layers import draw_by_fan_out, pooled, stages


class Preactivated(nn.Module):
    """Twice BatchNorm, ReLU and a 3x3 convolution, beside a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        """From `inside` to `outside` channels, the size divided by `stride`."""
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outside),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, inside, H, W)` to `(N, outside, H/stride, W/stride)`."""
        out: Tensor = self.path(x) + self.shortcut(x)
        return out


def _preactivated(channels: int, classes: int, depth: int) -> nn.Sequential:
    network = nn.Sequential(
        nn.Conv2d(channels, 16, 3, 1, 1, bias=False),
        *stages(Preactivated, 16, (16, 32, 64), (depth,) * 3),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        *pooled(),
        nn.Linear(64, classes),
    )
    return draw_by_fan_out(network)


def resnet20(channels: int, classes: int) -> nn.Sequential:
    """Nine pre-activation blocks, 272,282 parameters for 10 classes in RGB.

    Three at each of three sizes: 1 + 9 x 2 convolutions and a layer.
    """
    return _preactivated(channels, classes, 3)


def resnet32(channels: int, classes: int) -> nn.Sequential:
    """Fifteen pre-activation blocks, 466,714 parameters for 10 classes in RGB.

    Five at each of three sizes: 1 + 15 x 2 convolutions and a layer.
    """
    return _preactivated(channels, classes, 5)
