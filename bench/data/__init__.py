"""Data sets as uint8 tensors on the device, cut into shares and augmented in batches.

Shapes: N images, B batch, C channels, H x W pixels. Pixels are uint8 in here and
float in [0, 1] in everything that leaves through a grant.
"""

from __future__ import annotations

from bench.data.augment import PLAIN, Augmentation, Schedule
from bench.data.catalogue import OWN, SETS, SURROGATES, load, surrogate
from bench.data.dataset import Dataset
from bench.data.images import Batch, Images

__all__ = [
    "OWN",
    "PLAIN",
    "SETS",
    "SURROGATES",
    "Augmentation",
    "Batch",
    "Dataset",
    "Images",
    "Schedule",
    "load",
    "surrogate",
]
