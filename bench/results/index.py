"""Rows and how to find them: by key, by kind, by parent, and which of them count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from bench.results.rows import (
    Attacked,
    Defended,
    ProtectRow,
    Row,
    StealRow,
    TeacherRow,
    TuneRow,
    age,
)

R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Results:
    """Rows of all tables; every index is made once, when it is first asked for."""

    rows: Sequence[Row]

    @cached_property
    def by_key(self) -> Mapping[str, Row]:
        """The rows by the names of their tasks."""
        return {row.key: row for row in self.rows}

    @cached_property
    def current(self) -> Results:
        """Of rows that answer the same question, the one that was started last.

        A question is kind, data set, networks, recipes, seed, access, and the plugins'
        names and options: a plugin whose text was edited answers anew.
        """
        latest: dict[object, Row] = {}
        for row in sorted(self.rows, key=age):
            latest[question(row), row.seed] = row
        return Results(list(latest.values()))

    @cached_property
    def teachers(self) -> Sequence[TeacherRow]:
        """The undefended teachers."""
        return self.of(TeacherRow)

    @cached_property
    def releases(self) -> Sequence[ProtectRow]:
        """What defenses released."""
        return self.of(ProtectRow)

    @cached_property
    def students(self) -> Sequence[StealRow]:
        """What attacks trained."""
        return self.of(StealRow)

    def of(self, kind: type[R]) -> list[R]:
        """The rows of one kind, in their order."""
        return [row for row in self.rows if isinstance(row, kind)]

    @cached_property
    def choices(self) -> Sequence[TuneRow]:
        """What tuning chose."""
        return self.of(TuneRow)

    def parent(self, row: Row) -> Row | None:
        """What the task of `row` was built on, if it is here."""
        return self.by_key.get(row.parent) if isinstance(row, Defended) else None

    def children(self, row: Row) -> Sequence[Defended]:
        """What was built on the task of `row`."""
        return self._children.get(row.key, [])

    @cached_property
    def _children(self) -> Mapping[str, Sequence[Defended]]:
        found: dict[str, list[Defended]] = defaultdict(list)
        for row in self.of(Defended):
            found[row.parent].append(row)
        return found


def question(row: Row) -> tuple[object, ...]:
    """What `row` answers, whatever its seed."""
    asked: tuple[object, ...] = (
        row.table,
        row.dataset,
        row.data_fraction,
        row.precision,
        row.teacher,
        row.teacher_recipe,
    )
    if isinstance(row, Defended):
        asked += (row.defense, row.defense_options)
    if isinstance(row, Attacked):
        asked += (row.attack, row.attack_options, row.teacher_grant, row.image_grant)
        asked += (row.fraction, row.query_budget, row.student, row.student_recipe)
        asked += (row.effort, row.grid, row.held_out)
    return asked
