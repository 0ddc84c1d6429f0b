"""Rows of tuning for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from bench.results.rows import Attacked, Row, TryRow, TuneRow
from bench.results.scores import Choice, Validation
from bench.testing.rows import steal_row

MEASURED = {f.name for kind in (Validation, Choice) for f in fields(kind)} | {"tries"}
"""Columns of tries and choices that students lack."""


def try_row(validation: float | None = 0.8, **columns: Any) -> TryRow:
    """One try of tuning; `columns` as in `steal_row`."""
    row = TryRow(validation=validation, held_out=0.2, **_tuning("try", columns))
    return replace(row, **_own(TryRow, columns))


def tune_row(chosen: str = '{"alpha": 0.0}', **columns: Any) -> TuneRow:
    """What tuning chose; `columns` as in `steal_row`."""
    known = _tuning("tune", columns) | {"grid": f"[{chosen}, {{}}]"}
    row = TuneRow(chosen=chosen, held_out=0.2, tries=["", ""], **known)
    return replace(row, **_own(TuneRow, columns))


def _tuning(table: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """All columns that the rows of tuning share with those of students."""
    shared = {name: v for name, v in columns.items() if name not in MEASURED}
    row = steal_row(**{"seed": -1, "accuracy": None, **shared})
    names = {f.name for f in fields(Attacked)} - {"held_out"}
    known = {name: getattr(row, name) for name in names}
    return {**known, "key": columns.get("key", f"{table}{row.key[len(table) :]}")}


def _own(kind: type[Row], columns: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {k: v for k, v in columns.items() if k in MEASURED and k in names}
