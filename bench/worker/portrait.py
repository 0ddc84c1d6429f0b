"""A portrait of a released teacher: what it replies to a few images, what it sees in
many, and how sure it is.

Shapes: N test images, K classes, E examples, M points of a map, F features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import Images
from bench.plugins.features import features
from bench.results.scores import Portrait
from bench.worker.image_grid import png

EXAMPLES = 10
"""Classes that show an example: E, or K where there are fewer."""
TILE = 64
"""Examples that are larger are averaged down to this many pixels a side."""
POINTS = 500
"""Images on a map: M, or N where there are fewer."""
PERPLEXITY = 30.0
"""Of t-SNE; a third of M - 1 where that is less, for it must stay below M."""
STEPS = 500
"""Of t-SNE: on the digits its divergence is then within 2 % of that after 1000."""
BINS = 20
"""Of the histogram of confidence, of equal width over [0, 1]."""
FLOOR = log(1e-12)
"""Log-probabilities below it stand at it, log 0 of a sparse reply among them."""


def draw(images: Images, replies: Tensor, seen: Sequence[Tensor]) -> Portrait:
    """The portrait, from replies and features.

    Args:
        images: The N test images.
        replies: Log-probabilities `(N, K)`, on the CPU.
        seen: Inputs of the network's last `nn.Linear` for those on the maps, in batches
            `(B, F)`; empty where it has none.
    """
    labels: list[int] = images.labels.tolist()
    examples = [labels.index(label) for label in sorted(set(labels))[:EXAMPLES]]
    points = on_maps(images)
    log_probs = replies.clamp(min=FLOOR)
    known = sum(map(len, seen)) == len(points)
    return Portrait(
        responses=log_probs[examples].flatten().tolist(),
        response_classes=[labels[place] for place in examples],
        response_images=_sheet(images.pixels[examples]),
        features_map=tsne(torch.cat(list(seen))) if known else [],
        logits_map=tsne(log_probs[points]),
        map_classes=[labels[place] for place in points],
        confidence=histogram(replies),
    )


def features_of(network: nn.Module, batches: Iterable[Tensor]) -> list[Tensor]:
    """What reaches the last `nn.Linear` of `network` for `batches` of `(B, C, H, W)`,
    each `(B, F)`; empty where it has no such layer.
    """
    alone = deepcopy(network).eval()  # a compiled one would not call hooks
    seen: list[Tensor] = []
    with features(alone) as found, torch.no_grad():
        for few in batches:
            alone(few)
            if found.last is not None:
                seen.append(found.last.flatten(1).float().cpu())
    return seen


def on_maps(images: Images) -> list[int]:
    """Places of those of `images` that stand on the maps, in order."""
    return balanced(images.labels.tolist(), POINTS)


def balanced(labels: Sequence[int], count: int) -> list[int]:
    """Places of at most `count` labels, in order: the first of each class, then the
    second of each, and so on, for data sets that are sorted by class.
    """
    met: Counter[int] = Counter()
    turns = []
    for label in labels:
        turns.append(met[label])
        met[label] += 1
    return sorted(sorted(range(len(labels)), key=turns.__getitem__)[:count])


def histogram(log_probs: Tensor) -> list[float]:
    """Share of rows of `(N, K)` whose largest probability lies in each of the bins."""
    confidence = log_probs.exp().amax(dim=1)
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    counts = torch.bincount(bins, minlength=BINS).double()
    return [float(count) for count in counts / len(log_probs)]


def tsne(points: Tensor) -> list[float]:
    """Two coordinates a row of `(M, F)`, in hundredths: x0, y0, x1, y1, ...

    It is empty where there is no map: fewer than four rows, or all of them equal. It
    repeats to the bit, and draws from no generator but its own.
    """
    if len(points) < 4 or points.shape[1] < 2 or bool((points == points[0]).all()):
        return []
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    mapper = TSNE(
        perplexity=min(PERPLEXITY, (len(points) - 1) / 3),
        init="pca",
        max_iter=STEPS,
        random_state=0,
        n_jobs=1,
    )
    # Whatever n_jobs says, it sums over all threads, and in no fixed order.
    with threadpool_limits(1):
        places = mapper.fit_transform(points.numpy())
    return [round(float(value), 2) for value in places.flatten()]


def _sheet(pixels: Tensor) -> bytes:
    """The images `(E, C, H, W)`, uint8, side by side in one line, as a PNG file."""
    height, width = pixels.shape[2:]
    small = (min(height, TILE), min(width, TILE))
    tiles = F.adaptive_avg_pool2d(pixels.float() / 255, small)
    return png(tiles, line=len(tiles))
