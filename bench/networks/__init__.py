"""Networks by name. Normalisation is the first layer, so all of them take pixels in
[0, 1] and an attack works in the same space whatever the data set.

Every network ends in an `nn.Linear`, whose input is the feature vector `(N, F)`. They
pool over space, or pad, so none asks for an image size and none refuses one: the same
weights take 8, 28, 32 or 64 pixels, square or not. There is one file a family; those of
the Nasty Teacher study (https://arxiv.org/abs/2105.07381) have, in colour, exactly as
many parameters as there.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.errors import UnknownName
from bench.networks import mobile, preactivation, residual, resnext, shuffle, small
from bench.networks.precision import Mixed as Mixed


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


NETWORKS: dict[str, Callable[[int, int], nn.Sequential]] = {
    "cnn2": small.cnn2,
    "cnn5": small.cnn5,
    "lenet5": small.lenet5,
    "resnet8": residual.resnet8,
    "resnet18": residual.resnet18,
    "resnet34": residual.resnet34,
    "resnet50": residual.resnet50,
    "resnet20": preactivation.resnet20,
    "resnet32": preactivation.resnet32,
    "resnext29": resnext.resnext29,
    "mobilenet_v2": mobile.mobilenet_v2,
    "shufflenet_v2": shuffle.shufflenet_v2,
}
"""What builds a network from channels C and classes K, by its name."""


FLOAT_ON_CPU = ("shufflenet_v2",)
"""Networks that bf16 makes slower on processors; they compute in float32 there."""


def build(
    name: str,
    channels: int,
    classes: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    precision: str = "fp32",
) -> nn.Module:
    """A freshly initialised network from `(N, C, H, W)` in [0, 1] to logits `(N, K)`.

    Weights are drawn from torch's global generator; call it inside `seeds.seeded`.

    Args:
        name: One of `NETWORKS`.
        channels: C.
        classes: K.
        mean: Of the training pixels, a value a channel.
        std: Their deviation, a value a channel.
        precision: fp32 or bf16; weights and logits are float32 in both.

    Raises:
        UnknownName: no network is called `name`.
    """
    if name not in NETWORKS:
        raise UnknownName.among("network", name, NETWORKS, "bench list")
    body = NETWORKS[name](channels, classes)
    return Mixed(
        Normalise(mean, std),
        body,
        precision=precision,
        float_on_cpu=name in FLOAT_ON_CPU,
    )
