"""Data sets as uint8 tensors on the device, sampled and augmented in batches.

Shapes: N images, B batch, C channels, H x W pixels. Pixels are uint8 in here and
float in [0, 1] in everything that leaves through a grant.
"""

from __future__ import annotations

from bench.data.augment import PLAIN, Augmentation
from bench.data.cache import Decoded, Source
from bench.data.catalogue import load, surrogate, unlabelled
from bench.data.dataset import Dataset
from bench.data.images import Batch, Images
from bench.data.views import ViewPlan

__all__ = [
    "PLAIN",
    "Augmentation",
    "Batch",
    "Dataset",
    "Decoded",
    "Images",
    "Source",
    "ViewPlan",
    "load",
    "surrogate",
    "unlabelled",
]
