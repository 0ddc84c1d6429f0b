"""The published tables: RESULTS/<table>.parquet, one a kind of row."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from bench.errors import BadResults, Status
from bench.results.parquet import read, write
from bench.results.rows import TABLES, Attacked, Defended, Row
from bench.results.store import probe


def published(results: Path) -> list[Row]:
    """Every row of the tables in the folder `results`.

    Raises:
        BadResults: a file is not one.
    """
    if results.exists() and not results.is_dir():
        raise BadResults(f"{results} is no folder of tables")
    files = {kind: results / f"{name}.parquet" for name, kind in TABLES.items()}
    return [
        r for kind, path in files.items() if path.exists() for r in read(kind, path)
    ]


def publish(rows: Iterable[Row], results: Path, again: bool = False) -> list[Row]:
    """Merge `rows` into the tables in `results`, sorted; returns all that stand there.

    A row that is published and ended well stays as it is, because an equal key means an
    equal computation. Two commands that publish at once wait for each other.

    Args:
        rows: Of any kind.
        results: The folder.
        again: A new row that ended well takes the place of an older one.

    Raises:
        BadResults: a table that stands there is not one; nothing is written.
        Unfit: the folder takes no files.
    """
    probe(results, "results folder", "--results")
    with FileLock(results / ".lock"):
        merged = {row.key: row for row in published(results)}
        for row in rows:
            old = merged.get(row.key)
            keep = old is not None and old.status == Status.OK
            if not keep or (again and row.status == Status.OK):
                merged[row.key] = row
        everything = sorted(merged.values(), key=_order)
        for name, kind in TABLES.items():
            own = [row for row in everything if row.table == name]
            if own:
                write(own, kind, results / f"{name}.parquet")
    return everything


def _order(row: Row) -> tuple[object, ...]:
    """By what rows are about, then by seed."""
    about: tuple[object, ...] = ("",) * 4 + (0.0, "")
    if isinstance(row, Attacked):
        attack = (row.attack, row.attack_options, row.teacher_grant, row.image_grant)
        about = (*attack, row.fraction, row.student)
    defense = (row.defense, row.defense_options) if isinstance(row, Defended) else ()
    return (row.dataset, row.teacher, *(defense or ("", "")), *about, row.seed, row.key)
