"""Rows -> cells: one attack on one defense in one scene, a student a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench.boards.answers import Answers, answers_of
from bench.boards.crossed import mean
from bench.boards.intervals import Estimate
from bench.boards.seen import Release, Student
from bench.errors import Status
from bench.results.flags import REACHES
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
    answers: Answers | None = field(default=None, repr=False, compare=False)
    """Right and wrong answers to the test images, seed by seed."""


@dataclass(frozen=True, kw_only=True)
class Cell(Reading):
    """One attack on one defense."""

    defense: str
    attack: str
    asks: str = ""
    """What the attack uses of the teacher."""
    applies: bool = True
    """False where the attack has no hold on a network of this kind."""


def read(rows: Iterable[ProtectRow | StealRow]) -> Reading:
    """The accuracy over the seeds of `rows`; of one seed the newest row counts."""
    return Reading(**_read(rows))


def _read(rows: Iterable[ProtectRow | StealRow]) -> dict[str, Any]:
    newest = {row.seed: row for row in sorted(rows, key=age)}
    kept = [row for _, row in sorted(newest.items())]
    counted = [row for row in kept if _counts(row)]
    answers = answers_of(counted)
    return {
        "by_seed": {row.seed: row.accuracy for row in counted},
        "accuracy": mean(answers) if answers else None,
        "troubles": {r.key: _trouble(r) for r in kept if r not in counted},
        "flags": sorted({flag for row in kept for flag in row.flags}),
        "answers": answers,
    }


def _counts(row: ProtectRow | StealRow) -> bool:
    """Whether `row` ended well, by what it was granted alone."""
    well = row.status == Status.OK and row.accuracy is not None
    return well and not any(flag.startswith(REACHES) for flag in row.flags)


def _trouble(row: ProtectRow | StealRow) -> str:
    return "left out" if row.status == Status.OK else row.status


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
        _cell(d, a, [one.row for one in of_one_text(group)])
        for (d, a), group in sorted(groups.items())
    ]


def _cell(defense: str, attack: str, rows: Sequence[StealRow]) -> Cell:
    return Cell(
        defense=defense,
        attack=attack,
        asks=rows[-1].asks,
        applies=any(row.status != Status.NOT_APPLICABLE for row in rows),
        **_read(rows),
    )


def answered(cells: Iterable[Cell]) -> dict[str, Answers]:
    """The answers of `cells` by attack, of those that have any."""
    return {cell.attack: cell.answers for cell in cells if cell.answers is not None}
