"""ResNeXt-29, 8x64d, for small images (https://arxiv.org/abs/1611.05431)."""

from __future__ import annotations

from torch import nn

from bench.networks.layers import convolved, draw_by_fan_out, pooled, stages
from bench.networks.residual import Block, bottleneck

GROUPS = 8
"""The paper's cardinality."""


def _grouped(inside: int, outside: int, stride: int) -> Block:
    """Twice as wide inside: 8 groups of 64, 128, 256 for 256, 512, 1024 outside."""
    return bottleneck(inside, 2 * outside, outside, stride, GROUPS)


def resnext29(channels: int, classes: int) -> nn.Sequential:
    """Nine grouped bottlenecks, 34,426,698 parameters for 10 classes in RGB.

    Three of 8 groups at each of three sizes: 1 + 9 x 3 convolutions. Convolutions are
    drawn by He's rule over their outputs, the last layer over its inputs with no bias
    at first, as in the Nasty Teacher study.
    """
    last = nn.Linear(1024, classes)
    nn.init.kaiming_normal_(last.weight)
    nn.init.zeros_(last.bias)
    network = nn.Sequential(
        *convolved(channels, 64, 3),
        nn.ReLU(),
        *stages(_grouped, 64, (256, 512, 1024), (3, 3, 3)),
        *pooled(),
        last,
    )
    return draw_by_fan_out(network)
