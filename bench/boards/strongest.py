"""The strongest of several attacks, read in two ways between which the truth lies.

Outright, it is the one with the highest mean. That is too high where several are near
each other: whichever was lucky is chosen, and its luck is scored.

Crossed, the students of every second seed are scored on the odd test images by the
attack that is best on the even images over the other seeds, and so on: no answer both
chooses and counts (M. Stone, Cross-validatory choice and assessment of statistical
predictions, J. R. Stat. Soc. B 36, 1974). That has no luck in it, and is too low where
it chooses another than the strongest. Halves of the images alone would not do: both
share the luck of a seed. Nor would all seeds but one choose for that one: what luck
chooses then varies more than its seeds show, and intervals are too narrow.

Values are the crossed ones. Intervals span those of both readings, and two defenses
are apart where both readings part them; tests show by simulation that this holds the
errors for attacks that are equal, near each other, and far apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.boards.answers import Answers, alike


@dataclass(frozen=True, eq=False)
class Strongest:
    """What the best of several attacks comes to."""

    name: str
    """The one that was chosen most often."""
    answers: Answers
    """Of each seed and half of the images, by the one that was chosen for it."""
    outright: Answers
    """Of the one with the highest mean."""

    @property
    def by_seed(self) -> dict[int, float]:
        """Accuracy by seed."""
        shares = self.answers.right.mean(axis=1)
        return dict(zip(self.answers.seeds, map(float, shares), strict=True))


def strongest(among: Mapping[str, Answers]) -> Strongest | None:
    """The strongest of `among`, by name; None of none.

    A seed that one of them lacks is won by the others.
    """
    if not among:
        return None
    names = sorted(among)
    lines = dict(zip(names, alike(among[name] for name in names), strict=True))
    seeds = sorted({seed for line in lines.values() for seed in line.seeds})
    images = next(iter(lines.values())).images
    halves = [slice(0, None, 2), slice(1, None, 2)][: min(images, 2)]
    right = np.zeros((len(seeds), images))
    chosen: Counter[str] = Counter()
    where: list[str] = []
    for row, seed in enumerate(seeds):
        met = []
        for half, other in zip(halves, reversed(halves), strict=True):
            ready = {n: line for n, line in lines.items() if seed in line.seeds}
            others = [s for k, s in enumerate(seeds) if k % 2 != row % 2]
            best = max(ready, key=lambda n: _seen(ready[n], others, other))
            line = ready[best]
            right[row, half] = line.of_seeds([seed])[0, half]
            met.append(line.environments[line.seeds.index(seed)])
            chosen[best] += 1
        where.append(" and ".join(sorted(set(met))))
    most = max(chosen, key=lambda name: (chosen[name], lines[name].accuracy))
    return Strongest(
        name=most,
        answers=Answers(tuple(seeds), right, tuple(where)),
        outright=lines[max(names, key=lambda name: lines[name].accuracy)],
    )


def _seen(line: Answers, seeds: Sequence[int], half: slice) -> float:
    """Accuracy on `half` of the images over `seeds`, or over all if it has none."""
    known = [seed for seed in seeds if seed in line.seeds]
    return float(line.of_seeds(known or line.seeds)[:, half].mean())
