"""Computing in bf16 where that is safe, and in float32 everywhere else."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn


class Mixed(nn.Sequential):
    """Layers in a row; under bf16 torch's autocast decides which of them use it.

    Weights, optimiser states, BatchNorm statistics and what comes out are float32 in
    either precision, so losses need not know of it. Layers that bf16 makes slower on
    processors say so with an attribute `float_on_cpu = True`.
    """

    def __init__(self, *layers: nn.Module, precision: str = "fp32") -> None:
        """Hold `layers`.

        Args:
            layers: Called one after the other.
            precision: fp32 or bf16.
        """
        super().__init__(*layers)
        self.precision = precision
        self.float_on_cpu = any(
            getattr(layer, "float_on_cpu", False) for layer in layers
        )

    def forward(self, images: Tensor) -> Tensor:
        """What the last layer makes of `images`."""
        device = images.device.type
        low = self.precision == "bf16" and not (self.float_on_cpu and device == "cpu")
        known = torch.amp.is_autocast_available(device)  # meta, say, has none
        with torch.autocast(device, torch.bfloat16, low) if known else nullcontext():
            made: Tensor = super().forward(images)  # type: ignore[no-untyped-call]
        return made.float()
