"""Handwritten digits, and patches of photographs in their place: no download."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from bench.data.augment import Augmentation
from bench.data.dataset import Dataset
from bench.data.images import Images


def digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, 17 levels.

    From the test set of the UCI Optical Recognition of Handwritten Digits data. The
    split is ours: 70 % to train on, 30 % to test on, stratified, always the same.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    grey = np.rint(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    parts = train_test_split(
        grey, labels.astype(np.int64), test_size=0.3, stratify=labels, random_state=0
    )
    train_pixels, test_pixels, train_labels, test_labels = map(torch.from_numpy, parts)
    train = Images(train_pixels, train_labels)
    spread, centre = torch.std_mean(train.as_float(), dim=(0, 2, 3))
    return Dataset(
        name="digits",
        classes=tuple("0123456789"),
        train=train,
        test=Images(test_pixels, test_labels),
        augment=Augmentation(pad=1),
        mean=tuple(centre.tolist()),
        std=tuple(spread.tolist()),
        surrogate=photograph_patches,
    )


def photograph_patches() -> Images:
    """Grey 8x8 patches of the two photographs that scikit-learn bundles, 2,000 each.

    The photographs are averaged over 8x8 blocks first: a patch then shows 64 x 64
    pixels of the original, edges and shapes rather than a plain wall.
    """
    from sklearn.datasets import load_sample_images

    patches = []
    for photo in load_sample_images().images:
        grey = torch.from_numpy(photo.copy()).float().mean(2)[None, None]
        small = F.avg_pool2d(grey, 8)  # (1, 1, H/8, W/8)
        cut = F.unfold(small, kernel_size=8)[0].T.reshape(-1, 1, 8, 8)
        chosen = np.linspace(0, len(cut) - 1, 2000).round()
        patches.append(cut[torch.from_numpy(chosen).long()])
    pixels = torch.cat(patches).round().to(torch.uint8)
    return Images(pixels, torch.zeros(len(pixels), dtype=torch.long))
