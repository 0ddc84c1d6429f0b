"""What papers, their code and their readers report. No torch, no ray, no pandas."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

from bench.errors import BadResults, one_line

FILE = "published.csv"

# fmt: off
PERCENT = (
    "top1", "test top1 %", "test top1 % (mean)", "test top1 % (max)",
    "test top1 % (best seed)", "best test top1 %", "test top1 % (approx)",
    "test top1 % (approx from plot)", "test acc %", "test_acc_%", "clean acc %",
    "clone_test_acc_%", "defender_test_acc_%", "defended_test_acc_%",
    "student acc", "student_acc_%", "teacher acc",
)
SHARE = (
    "test acc (fraction)", "student test acc (fraction)", "teacher test acc (fraction)",
    "clone_test_acc",
)
# fmt: on
ACCURACIES = dict.fromkeys(PERCENT, 100.0) | dict.fromkeys(SHARE, 1.0)
"""The metrics that are a test accuracy, and what they call 1."""


@dataclass(frozen=True, kw_only=True)
class Reported:
    """One value that a paper, its code or a reader of it reports."""

    paper: str
    year: int | None = None
    venue: str
    table: str
    """Where in the paper, or in what else the source is."""
    dataset: str
    """This and the other names are the source's; `bench.boards.papers` maps them."""
    defense: str
    attack: str
    """"teacher (no attack)" where the value is the released teacher's own."""
    teacher: str
    """Its network; empty where none is named."""
    student: str
    """Its network. Beside a teacher's own value, the student of the same column."""
    setting: str
    """What the value was made with, as far as the source tells."""
    metric: str
    """What was measured, and its unit."""
    value: float
    """As printed, in the metric's unit; `bench` reads accuracies as shares."""
    std: float | None = None
    """Standard deviation in the same unit; few sources say over what."""
    note: str
    """What else one should know before using the value."""
    source: str
    """Where the value was read; never empty."""
    url: str
    """The source's address; empty where it has none that everybody can open."""

    @property
    def is_accuracy(self) -> bool:
        """The test accuracy of a teacher or a student: `value` is then a share."""
        return self.metric in ACCURACIES


def literature(results: Path) -> list[Reported]:
    """The reported values of the folder `results`, or else those of the bench.

    Raises:
        BadResults: the file is not what it must be.
    """
    here = Path(__file__).parents[1]
    places = (results / FILE, here / f"_{FILE}", here.parent / "results" / FILE)
    return next((read(place) for place in places if place.is_file()), [])


def read(path: Path) -> list[Reported]:
    """The rows of the CSV file at `path`.

    Raises:
        BadResults: it cannot be read, lacks a column, or a cell is not of its type.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return _rows(csv.DictReader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        text = one_line(error)
        raise BadResults(
            f"cannot read {path} as reported values: {text}; "
            "correct it, or move it away, and run the command again"
        ) from error


def _rows(table: csv.DictReader[str]) -> list[Reported]:
    names = [f.name for f in fields(Reported)]
    lacking = [name for name in names if name not in (table.fieldnames or ())]
    if lacking:
        raise ValueError(f"there is no column {', '.join(lacking)}")
    rows = []
    for cells in table:
        try:
            if None in cells or None in cells.values():
                raise ValueError("it has not as many cells as there are columns")
            rows.append(_row({name: cells[name] for name in names}))
        except ValueError as error:
            raise ValueError(f"line {table.line_num}: {error}") from error
    return rows


def _row(cells: Mapping[str, str]) -> Reported:
    for name in ("paper", "metric", "source"):
        if not cells[name].strip():
            raise ValueError(f"{name} is empty")
    if cells["url"] and not cells["url"].startswith("https://"):
        raise ValueError(f"url: {cells['url']!r} does not begin with https://")
    whole = ACCURACIES.get(cells["metric"], 1.0)
    std, year = cells["std"], cells["year"]
    typed: dict[str, Any] = {
        **cells,
        "year": int(_number("year", year)) if year else None,
        "value": _number("value", cells["value"]) / whole,
        "std": _number("std", std) / whole if std else None,
    }
    row = Reported(**typed)
    if row.is_accuracy and not 0 <= row.value <= 1:
        raise ValueError(f"value: {cells['value']} is no accuracy in {row.metric!r}")
    return row


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a number") from None
    if not isfinite(number):
        raise ValueError(f"{name}: {text!r} is not finite")
    return number
