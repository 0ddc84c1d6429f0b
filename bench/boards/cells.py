"""Rows -> cells: one attack on one defense in one scene, a student a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeVar

from bench.boards.intervals import Estimate, proportion
from bench.boards.seen import Release, Student
from bench.errors import Status
from bench.results.rows import ProtectRow, StealRow, age

S = TypeVar("S", Release, Student)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Accuracy over seeds; a task that did not end well is a missing seed."""

    by_seed: Mapping[int, float]
    """Of the tasks that ended well."""
    accuracy: Estimate | None
    """Over these seeds; None when there is none."""
    troubles: Mapping[str, str]
    """Status by key of the tasks that did not."""
    flags: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Cell(Reading):
    """One attack on one defense."""

    defense: str
    attack: str


def read(rows: Iterable[ProtectRow | StealRow]) -> Reading:
    """The accuracy over the seeds of `rows`; of one seed the newest row counts."""
    return Reading(**_read(rows))


def _read(rows: Iterable[ProtectRow | StealRow]) -> dict[str, Any]:
    newest = {row.seed: row for row in sorted(rows, key=age)}
    kept = [row for _, row in sorted(newest.items())]
    by_seed = {
        row.seed: row.accuracy
        for row in kept
        if row.status == Status.OK and row.accuracy is not None
    }
    return {
        "by_seed": by_seed,
        "accuracy": proportion(list(by_seed.values())) if by_seed else None,
        "troubles": {row.key: row.status for row in kept if row.status != Status.OK},
        "flags": sorted({flag for row in kept for flag in row.flags}),
    }


def of_one_text(rows: Iterable[S]) -> list[S]:
    """Those whose plugins are, in source and options, what the newest's are.

    Seeds that an edited plugin has not met yet are missing: they are not averaged with
    what the older source did.
    """
    group = sorted(rows, key=lambda one: age(one.row))
    return [one for one in group if _text(one) == _text(group[-1])]


def _text(one: Release | Student) -> tuple[str, ...]:
    row = one.row
    defense = (row.defense_source, row.defense_options)
    if isinstance(row, StealRow):
        return (*defense, row.attack_source, row.attack_options)
    return defense


def cells_of(students: Iterable[Student]) -> list[Cell]:
    """`students` grouped by defense and attack."""
    groups: dict[tuple[str, str], list[Student]] = defaultdict(list)
    for one in students:
        groups[one.defense, one.attack].append(one)
    return [
        Cell(defense=d, attack=a, **_read(one.row for one in of_one_text(group)))
        for (d, a), group in sorted(groups.items())
    ]


def strongest(cells: Sequence[Cell]) -> Cell | None:
    """The cell of the highest mean accuracy, over the seeds that it has."""
    measured = [cell for cell in cells if cell.by_seed]
    return max(measured, key=lambda c: fmean(c.by_seed.values()), default=None)


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """First - second for the seeds that both have."""
    return [first[seed] - second[seed] for seed in first if seed in second]
