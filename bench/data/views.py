"""Which view of each image an epoch shows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.data.augment import Augmentation
from bench.seeds import derive


@dataclass(frozen=True)
class ViewPlan:
    """One view of each image for every epoch, drawn before anybody looks.

    All who train on the same images under one plan meet the same views in the same
    epoch, so that a teacher's replies to an epoch serve every one of them.
    """

    augment: Augmentation
    seed: int

    def views(self, epoch: int, count: int) -> Tensor:
        """The views of `count` images in `epoch`, counted from 0; `(N,)` on the CPU."""
        draw = torch.Generator().manual_seed(derive("epoch", self.seed, epoch))
        codes = torch.randint(self.augment.codes, (count,), generator=draw)
        return torch.arange(count) * self.augment.codes + codes
