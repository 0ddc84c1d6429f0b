"""Which test images the networks of several seeds get right.

Shapes: n seeds, N test images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow

Scored = TeacherRow | ProtectRow | StealRow
Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Answers:
    """Right and wrong answers of one thing, a network a seed."""

    seeds: tuple[int, ...]
    right: Numbers
    """`(n, N)`, 1 where the answer is right; shares `(n, 1)` where only those are
    known."""
    environments: tuple[str, ...]
    """Where each seed was computed."""

    @property
    def accuracy(self) -> float:
        """Over all seeds and images."""
        return float(self.right.mean())

    @property
    def images(self) -> int:
        """N; 1 where only the share of right answers is known."""
        return int(self.right.shape[1])

    def paired(self, other: Answers) -> bool:
        """Whether seeds of both belong together: computed in the same environment.

        Equal seeds share a teacher and the order of the images. In two environments
        they round apart, and nothing but the name of the seed is the same.
        """
        known = dict(zip(other.seeds, other.environments, strict=True))
        mine = zip(self.seeds, self.environments, strict=True)
        common = [(where, known[seed]) for seed, where in mine if seed in known]
        return bool(common) and all(here == there for here, there in common)

    def of_seeds(self, seeds: Iterable[int]) -> Numbers:
        """The rows of `right` for `seeds`, which it has."""
        return self.right[[self.seeds.index(seed) for seed in seeds]]

    def in_shares(self) -> Answers:
        """The same without the single images."""
        shares = self.right.mean(axis=1, keepdims=True)
        return Answers(self.seeds, shares, self.environments)

    def in_place(self, shares: Sequence[float]) -> Answers:
        """Other `shares` of right answers, one a seed, in place of these."""
        right = np.array(shares, dtype=float)[:, None]
        return Answers(self.seeds, right, self.environments)


def answers_of(rows: Iterable[Scored]) -> Answers | None:
    """The answers of `rows`, one a seed, all of which ended well; None of no rows."""
    known = sorted(rows, key=lambda row: row.seed)
    if not known:
        return None
    right = [_right(row) for row in known]
    if len({len(one) for one in right}) > 1:
        right = [one.mean(keepdims=True) for one in right]
    return Answers(
        seeds=tuple(row.seed for row in known),
        right=np.stack(right),
        environments=tuple(environment(row) for row in known),
    )


def alike(several: Iterable[Answers]) -> list[Answers]:
    """`several` as they are, or in shares where they are not of the same images."""
    found = list(several)
    if len({one.images for one in found}) > 1:
        return [one.in_shares() for one in found]
    return found


def environment(row: Row) -> str:
    """What an equal key may round differently in: device, torch, threads, compiler."""
    release = ".".join(row.torch.split(".")[:2])
    compiled = ", compiled" if row.compiled else ""
    return f"{row.device}, torch {release}, {row.threads} threads{compiled}"


def _right(row: Scored) -> Numbers:
    if row.correct is None or row.predictions is None:
        return np.array([row.accuracy])
    width = 1 if (row.classes or 0) <= 256 else 2
    bits = np.frombuffer(row.correct, dtype=np.uint8)
    return np.unpackbits(bits, count=len(row.predictions) // width)
