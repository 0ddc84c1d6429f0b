"""The strongest of several attacks, chosen on other data than it is scored on.

The highest of several means is higher than it deserves: whichever attack was lucky is
chosen, and its luck is scored. Here the student of one seed is scored on the odd test
images by the attack that is best on the even ones over all other seeds, and the other
way round. So no answer both chooses and counts, and the bias is none (M. Stone,
Cross-validatory choice and assessment of statistical predictions, J. R. Stat. Soc. B
36, 1974). Halves of the images alone would not do: both share the luck of a seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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
            best = max(ready, key=lambda n: _seen(ready[n], seed, other))
            line = ready[best]
            right[row, half] = line.of_seeds([seed])[0, half]
            met.append(line.environments[line.seeds.index(seed)])
            chosen[best] += 1
        where.append(" and ".join(sorted(set(met))))
    most = max(chosen, key=lambda name: (chosen[name], lines[name].accuracy))
    return Strongest(most, Answers(tuple(seeds), right, tuple(where)))


def _seen(line: Answers, seed: int, half: slice) -> float:
    """Accuracy on `half` of the images over all seeds but `seed`, if there are any."""
    others = [other for other in line.seeds if other != seed]
    return float(line.of_seeds(others or [seed])[:, half].mean())
