"""Means, differences and ratios over seeds and test images, with their intervals.

Every network of a cell answers the same test images: seeds cross images, and both are
samples. For correctness x of seed s on image i, x = mean + seed + image + rest, with
n seeds, N images and the mean squares MS of the two-way analysis of variance,

    Var(mean) = (MS_seed + MS_image - MS_rest) / (n N),

see S. R. Searle, G. Casella, C. E. McCulloch, Variance Components (1992), chapter 4. A
difference of two cells is the same of x_a - x_b, paired by seed and image. Cells of two
environments are not paired by seed: their seeds' variances add, images stay paired.

Half the width of an interval is the root of the sum over sources of

    t(level, degrees of freedom)^2 x variance of the mean by this source,

with n - 1 degrees of freedom for seeds and N - 1 for images (K. S. Banerjee, On
confidence interval for two-means problem based on separate estimates of variances and
tables of critical values, Sankhya A 23, 1961). This covers at least as often as it says
at every level, because P(chi^2_1 < x) is concave in x. Satterthwaite's degrees of
freedom are narrower, but at the small levels that all pairs of a board need they err
up to 160 times as often as they say (n = 3, 50 defenses, most of the variance from
seeds), so they are not used.

Shapes: n seeds, N images, k quantities at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import t as student_t

from bench.boards.answers import Answers, Numbers, alike
from bench.boards.intervals import LEVEL, Estimate
from bench.boards.variances import variances

Line = Answers | float
"""What is measured, or a number that is known exactly."""
ERROR = 1 - LEVEL
"""How often an interval may miss."""


@dataclass(frozen=True, eq=False)
class Crossed:
    """k quantities with the variances of their means, source by source."""

    values: Numbers
    """`(k,)`"""
    parts: Sequence[tuple[int, Numbers]]
    """Degrees of freedom and covariance `(k, k)` by source: seeds, then images."""
    n: int
    """Seeds; 0 where all is exact. With one seed the images are the only source."""

    def reach(self, error: float = ERROR) -> Numbers:
        """The squared half widths and their products, `(k, k)`, missed at `error`."""
        none = np.zeros((len(self.values),) * 2)
        return sum((squared(error, df) * part for df, part in self.parts), none)

    @cached_property
    def estimate(self) -> Estimate:
        """The first quantity."""
        half = float(np.sqrt(self.reach()[0, 0]))
        value = float(self.values[0])
        return Estimate(value, value - half, value + half, self.n)

    def beyond(self, error: float) -> bool:
        """Whether the first quantity is resolved from 0 at `error`; n >= 2."""
        return self.n > 1 and bool(self.values[0] ** 2 > self.reach(error)[0, 0])

    def seeds_needed(self, error: float, most: int = 1000) -> int | None:
        """About how many seeds resolve it, taking values and variances as seen.

        None where it takes more than `most`, or more test images.
        """
        if self.n < 2 or not self.values[0]:
            return None
        images = sum(squared(error, df) * p[0, 0] for df, p in self.parts[-1:])
        seeds = sum(self.n * p[0, 0] for _, p in self.parts[:-1])
        left = self.values[0] ** 2 - images
        for n in range(2, most + 1):
            if squared(error, n - 1) * seeds / n < left:
                return n
        return None


def squared(error: float, df: int) -> float:
    """The square of Student's t that is passed, on either side, at `error`."""
    return float(student_t.isf(error / 2, df)) ** 2


def mean(of: Answers) -> Estimate:
    """The accuracy; no end of its interval leaves [0, 1]."""
    free = combined([(of, [1])]).estimate
    return Estimate(free.value, max(0.0, free.low), min(1.0, free.high), free.n)


def difference(first: Line, second: Line) -> Crossed:
    """First - second."""
    return combined([(first, [1]), (second, [-1])])


def share(top: Line, middle: Line, bottom: Line) -> Estimate | None:
    """(top - middle) / (top - bottom) with Fieller's interval.

    The interval holds every r for which top - middle - r (top - bottom) is not resolved
    from 0 (E. C. Fieller, Some problems in interval estimation, J. R. Stat. Soc. B 16,
    1954).

    Returns:
        None if top - bottom is not resolved to be above 0: the interval is then
        unbounded, or the ratio upside down.
    """
    both = combined([(top, [1, 1]), (middle, [-1, 0]), (bottom, [0, -1])])
    a, b = both.values
    [[aa, ab], [_, bb]] = both.reach()
    if both.n < 2 or b <= 0 or b**2 <= bb:
        return None
    # (a - r b)^2 = aa - 2 r ab + r^2 bb, solved for r
    lead, half, last = b**2 - bb, a * b - ab, a**2 - aa
    root = np.sqrt(max(0.0, half**2 - lead * last))
    return Estimate(
        float(a / b), float((half - root) / lead), float((half + root) / lead), both.n
    )


def combined(terms: Sequence[tuple[Line, Sequence[float]]]) -> Crossed:
    """Sums of lines, each with its k weights.

    Args:
        terms: At least one; all with k weights.
    """
    k = len(terms[0][1])
    exact = sum(
        (line * np.array(w) for line, w in terms if not isinstance(line, Answers)),
        np.zeros(k),
    )
    measured = [(line, w) for line, w in terms if isinstance(line, Answers)]
    if not measured:
        return Crossed(exact, [], 0)
    lines = alike(line for line, _ in measured)
    blocks: list[list[tuple[Answers, Numbers]]] = []
    for line, (_, weights) in zip(lines, measured, strict=True):
        paired = (b for b in blocks if all(line.paired(other) for other, _ in b))
        block = next((b for b in paired if _common([*b, (line, weights)])), None)
        if block is None:
            blocks.append(block := [])
        block.append((line, np.array(weights, dtype=float)))
    values, parts = variances([_cube(block) for block in blocks])
    return Crossed(exact + values, parts, min(len(_common(block)) for block in blocks))


def _common(block: Sequence[tuple[Answers, object]]) -> list[int]:
    return sorted(set.intersection(*(set(line.seeds) for line, _ in block)))


def _cube(block: Sequence[tuple[Answers, Numbers]]) -> Numbers:
    """`(n, k, N)`: the weighted sum for each common seed and image."""
    seeds = _common(block)
    cube: Numbers = sum(
        w[None, :, None] * line.of_seeds(seeds)[:, None, :].astype(float)
        for line, w in block
    )
    return cube
