"""Variances of means over seeds and images, source by source.

Shapes: n seeds, N images, k quantities at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.boards.answers import Numbers


def variances(cubes: Sequence[Numbers]) -> tuple[Numbers, list[tuple[int, Numbers]]]:
    """The means `(k,)` of blocks that share images and not seeds, added up.

    Args:
        cubes: A block each, `(n, k, N)`, n its own.

    Returns:
        With the means, degrees of freedom and covariance `(k, k)` by source: the seeds
        of each block, then the images.
    """
    parts: list[tuple[int, Numbers]] = []
    k, images = cubes[0].shape[1:]
    over_images = np.zeros((k, images))
    rests = np.zeros((k, k))
    for cube in cubes:
        n = len(cube)
        by_image = cube.mean(axis=0)  # (k, N)
        over_images += by_image
        if n > 1:
            by_seed = cube.mean(axis=2)  # (n, k)
            rest = _rest(cube, by_seed, by_image)
            seeds = np.cov(by_seed, rowvar=False).reshape(k, k) / n
            # Seeds vary by the rest at least: less is luck.
            parts.append((n - 1, seeds + _positive(rest - seeds)))
            rests += rest
    if images > 1:
        among = np.cov(over_images).reshape(k, k) / images
        parts.append((images - 1, _positive(among - rests)))
    else:
        parts.append((1, np.zeros((k, k))))
    return over_images.mean(axis=1), parts


def _rest(cube: Numbers, by_seed: Numbers, by_image: Numbers) -> Numbers:
    """Covariance `(k, k)` of the mean by what neither seed nor image explains."""
    n, k, images = cube.shape
    if images < 2:
        return np.zeros((k, k))
    left: Numbers = (
        cube - by_seed[:, :, None] - by_image + by_image.mean(axis=1)[:, None]
    )
    flat: Numbers = left.transpose(1, 0, 2).reshape(k, -1)
    rest: Numbers = flat @ flat.T / ((n - 1) * (images - 1) * n * images)
    return rest


def _positive(matrix: Numbers) -> Numbers:
    """The nearest matrix without negative variances."""
    if len(matrix) == 1:
        return np.maximum(matrix, 0)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    nearest: Numbers = (vectors * np.maximum(values, 0)) @ vectors.T
    return nearest
