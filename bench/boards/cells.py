"""Rows -> cells: one attack on one defense in one scene, a student a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Self, TypeVar

from bench.boards.intervals import Estimate, share
from bench.names import DATASETS
from bench.results.rows import ProtectRow, Row, StealRow

R = TypeVar("R", ProtectRow, StealRow)
LABELLED = ("open", "limited")
"""Tracks whose attackers hold labelled images, and so could do without a teacher."""


@dataclass(frozen=True, order=True)
class Ground:
    """What all rows that are compared have in common; its fields are their columns."""

    dataset: str
    teacher: str
    teacher_recipe: str
    protocol: str
    protocol_version: int
    revision: int
    data_fingerprint: str
    data_share: float
    precision: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """That of `row`, which has all these columns."""
        return cls(**{f.name: getattr(row, f.name) for f in fields(cls)})

    def holds(self, row: Row) -> bool:
        """Whether `row` may be compared with what is played here."""
        names = [f.name for f in fields(Ground)]
        return all(getattr(row, name) == getattr(self, name) for name in names)


@dataclass(frozen=True, order=True)
class Scene(Ground):
    """What all entries of one board share."""

    student: str
    student_recipe: str
    track: str
    fraction: float


@dataclass(frozen=True)
class Cell:
    """One attack on one defense: a student a seed."""

    defense: str
    attack: str
    by_seed: Mapping[int, float]
    """Student accuracy of the tasks that ended well."""
    troubles: Sequence[StealRow]
    """The rows of those that did not."""
    flags: Sequence[str]

    @property
    def accuracy(self) -> Estimate | None:
        """Over the seeds; None when no task ended well."""
        return share(list(self.by_seed.values())) if self.by_seed else None


def of_one_text(rows: Iterable[R]) -> list[R]:
    """Those of `rows` whose plugins are, in text and options, what the newest's are.

    Seeds that an edited plugin has not met yet are missing: they are not averaged with
    what the older text did.
    """
    group = sorted(rows, key=lambda row: row.started)
    return [row for row in group if _text(row) == _text(group[-1])]


def _text(row: ProtectRow | StealRow) -> tuple[str, ...]:
    names = ("defense_source", "defense_options", "attack_source", "attack_options")
    return tuple(getattr(row, name, "") for name in names)


def cells_of(steals: Iterable[StealRow]) -> list[Cell]:
    """`steals` grouped by defense and attack."""
    groups: dict[tuple[str, str], list[StealRow]] = defaultdict(list)
    for steal in steals:
        groups[steal.defense, steal.attack].append(steal)
    return [
        Cell(
            defense=defense,
            attack=attack,
            by_seed={
                row.seed: row.accuracy
                for row in sorted(group, key=lambda row: row.seed)
                if row.status == "ok" and row.accuracy is not None
            },
            troubles=[row for row in group if row.status != "ok"],
            flags=sorted({flag for row in group for flag in row.flags}),
        )
        for (defense, attack), all_of_it in sorted(groups.items())
        for group in [of_one_text(all_of_it)]
    ]


def strongest(cells: Sequence[Cell]) -> Cell | None:
    """The cell of the highest mean accuracy, over the seeds that it has."""
    measured = [cell for cell in cells if cell.by_seed]
    return max(measured, key=lambda c: fmean(c.by_seed.values()), default=None)


@dataclass(frozen=True)
class Zero:
    """The zero line, seed by seed, and where it comes from."""

    by_seed: Mapping[int, float]
    estimate: Estimate | None
    source: str


_NO_LINE = Zero({}, None, "")


def classes_of(steals: Iterable[StealRow]) -> int | None:
    """How many classes the data set of these rows has, as they or `names` tell."""
    for row in steals:
        if row.classes is not None:
            return row.classes
        if row.dataset in DATASETS:
            return DATASETS[row.dataset].classes
    return None


def zero_line(
    zeros: Sequence[Cell], seeds: Sequence[int], scene: Scene, classes: int | None
) -> Zero:
    """Z of `scene`: the strongest of `zeros`, or chance where no labels are granted."""
    if scene.track in LABELLED:
        best = strongest(zeros)
        return Zero(best.by_seed, best.accuracy, best.attack) if best else _NO_LINE
    if classes is None:
        return _NO_LINE
    chance = 1 / classes
    known = Estimate(chance, chance, chance, n=0)
    return Zero(dict.fromkeys(seeds, chance), known, f"chance, 1/{classes}")


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """First - second for the seeds that both have."""
    return [first[seed] - second[seed] for seed in first if seed in second]
