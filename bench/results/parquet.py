"""Rows as Parquet files: the schema, strict reading and writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, TypeAdapter, ValidationError

from bench.errors import BadResults, one_line
from bench.results.rows import TABLES, Row

_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="UTC"),
    list[str]: pa.list_(pa.string()),
    list[int]: pa.list_(pa.int64()),
    list[float]: pa.list_(pa.float64()),
    dict[str, float]: pa.map_(pa.string(), pa.float64()),
}


def schema(row: type[Row]) -> pa.Schema:
    """The Arrow schema that the fields of `row` spell; only `T | None` is nullable.

    Its metadata name the table.
    """
    hints = get_type_hints(row)
    columns = [_field(f.name, hints[f.name]) for f in fields(row)]
    return pa.schema(columns, metadata={"table": row.table})


def kind_of(path: Path) -> type[Row]:
    """Of which table the rows in the file at `path` are, as it says itself.

    Raises:
        BadResults: it is no Parquet file, or of no table that is known.
    """
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, "a table", error) from error
    name = (found.metadata or {}).get(b"table", b"").decode()
    if name not in TABLES:
        raise _unreadable(path, "a table", ValueError("it does not say of which one"))
    return TABLES[name]


def _unreadable(path: Path, what: str, error: Exception) -> BadResults:
    text = one_line(error)
    return BadResults(
        f"cannot read {path} as {what}: {text}; "
        "move it away, or restore it, and run the command again"
    )


def _field(name: str, hint: Any) -> pa.Field:
    optional = isinstance(hint, UnionType)
    kind = next(t for t in get_args(hint) if t is not type(None)) if optional else hint
    return pa.field(name, _ARROW[kind], nullable=optional)


def write(rows: Iterable[Row], kind: type[Row], path: Path) -> None:
    """Write `rows` of one `kind`; a half-written file never appears under `path`.

    Raises:
        ValueError: a value is not of its column's type.
    """
    plain = [asdict(_checked(kind)(**vars(row))) for row in rows]
    plain = [{**row, "figures": list(row["figures"].items())} for row in plain]
    table = pa.Table.from_pylist(plain, schema=schema(kind))
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    pq.write_table(table, part)
    part.replace(path)


def read(kind: type[Row], path: Path) -> Iterator[Row]:
    """The rows of one `kind` in the Parquet file at `path`.

    Columns that the file lacks take their default; columns that are unknown are left.

    Raises:
        BadResults: it is no Parquet file, or lacks what a row cannot do without.
    """
    try:
        plain = pq.ParquetFile(path).read().to_pylist(maps_as_pydicts="strict")
        known = {f.name for f in fields(kind)}
        checked = _checked(kind)
        rows = [checked(**{k: v for k, v in p.items() if k in known}) for p in plain]
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        raise _unreadable(path, f"{kind.__name__}s", error) from error
    yield from rows


_JUDGES: dict[str, dict[str, TypeAdapter[Any]]] = {}
"""By kind of row, what holds a value strictly against its column's type."""


def _checked(kind: type[Row]) -> Callable[..., Row]:
    """Makes a row of `kind` from values that are of their columns' types."""
    if kind.__qualname__ not in _JUDGES:
        hints = get_type_hints(kind)
        _JUDGES[kind.__qualname__] = {
            f.name: TypeAdapter(hints[f.name], config=ConfigDict(strict=True))
            for f in fields(kind)
        }
    judges = _JUDGES[kind.__qualname__]

    def make(**values: Any) -> Row:
        for name, value in values.items():
            try:
                judges[name].validate_python(value)
            except ValidationError as error:
                what = error.errors()[0]["msg"]
                raise ValueError(f"column {name}: {what}") from error
        return kind(**values)

    return make
