"""Rows as one protocol sees them, and what rows must share to be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from bench.planning.coverage import Coverage
from bench.planning.labels import access_of
from bench.results.rows import ProtectRow, Row, StealRow
from bench.threat.access import Access


@dataclass(frozen=True)
class Release:
    """A released teacher under the protocol's label of its defense."""

    row: ProtectRow
    defense: str


@dataclass(frozen=True)
class Student:
    """A student under the protocol's labels of defense, attack and track."""

    row: StealRow
    defense: str
    attack: str
    track: str
    access: Access


def releases(rows: Iterable[Row], coverage: Coverage) -> list[Release]:
    """The released teachers among `rows`, without those of tuning."""
    found = (row for row in rows if isinstance(row, ProtectRow) and row.seed >= 0)
    return [seen_release(row, coverage) for row in found]


def students(rows: Iterable[Row], coverage: Coverage) -> list[Student]:
    """The students among `rows`, teacherless ones included."""
    return [seen_student(row, coverage) for row in rows if isinstance(row, StealRow)]


def seen_release(row: ProtectRow, coverage: Coverage) -> Release:
    """One row in the words of `coverage`."""
    return Release(row, coverage.defense(row))


def seen_student(row: StealRow, coverage: Coverage) -> Student:
    """One row in the words of `coverage`."""
    return Student(
        row=row,
        defense=coverage.defense(row),
        attack=coverage.attack(row),
        track=coverage.track(access_of(row)),
        access=access_of(row),
    )


def name_of(label: str) -> str:
    """The name of a plugin or track, without what its label has in brackets."""
    return label.partition("[")[0]


@dataclass(frozen=True, order=True)
class Ground:
    """What all rows that are compared have in common; its fields are their columns."""

    dataset: str
    teacher: str
    teacher_recipe: str
    revision: int
    data_fingerprint: str
    data_fraction: float
    augmentation: str
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
class Place(Ground):
    """What all students that are compared have in common besides."""

    student: str
    student_recipe: str

    def __str__(self) -> str:
        """Data and networks, and what is unusual about the data and the numbers."""
        part = self.data_fraction
        some = f" ({100 * part:g} % of it)" if part < 1 else ""
        kind = f", {self.precision}" if self.precision != "fp32" else ""
        return f"{self.dataset}{some}{kind}, {self.teacher} to {self.student}"


@dataclass(frozen=True)
class Scene:
    """What all entries of one board share."""

    place: Place
    track: str
    """As the protocol calls it."""
    access: Access

    @classmethod
    def of(cls, student: Student) -> Self:
        """Where `student` was made."""
        return cls(Place.of(student.row), student.track, student.access)
