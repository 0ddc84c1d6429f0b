"""Rows as Parquet: schema, nullability, round trips, and files that are not one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, asdict, fields, replace
from datetime import timedelta, timezone
from math import inf, isnan, nan
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import BadResults, Status
from bench.results.parquet import kind_of, read, schema, write
from bench.results.rows import TABLES, ProtectRow, Row, StealRow, TeacherRow
from bench.testing.rows import (
    STARTED,
    release_row,
    steal_row,
    teacher_row,
)
from bench.testing.tuning_rows import try_row, tune_row

MAKERS: dict[str, Callable[..., Row]] = {
    "teacher": teacher_row,
    "protect": release_row,
    "steal": steal_row,
    "try": try_row,
    "tune": tune_row,
}
FULL_OF: dict[Any, Any] = {
    str: "Größe ✗ 失敗",
    int: 10**12,
    float: 0.1 + 0.2,
    bool: True,
    bytes: b"\x89PNG\r\n\x00\xff",
    list[str]: ["collapsed", "weak"],
    list[int]: [7, 0],
    list[float]: [1.25, -3.5, 1e-300],
    dict[str, float]: {"tau2_kl": 1.25, "class_entropy": 0.5},
}
"""A value of every type of column, that is no default."""


def full(kind: type[Row]) -> Row:
    """A row with a value in every column."""
    values: dict[str, Any] = {"started": STARTED}
    for name, hint in get_type_hints(kind).items():
        of = next((a for a in get_args(hint) if a is not NoneType), hint)
        value = FULL_OF.get(hint, FULL_OF.get(of))
        if name in {f.name for f in fields(kind)} - {"started"}:
            values[name] = value
    return kind(**values)


def bare(kind: type[Row]) -> Row:
    """A row in which everything that can be missing is."""
    row = MAKERS[kind.table](classes=None, accuracy=None)
    needed = {f.name for f in fields(kind) if f.default is f.default_factory is MISSING}
    return kind(**{name: getattr(row, name) for name in needed})


TEACHER = teacher_row()


def back(row: Row, path: Path) -> Row:
    """`row` as it comes back from a file."""
    write([row], type(row), path)
    assert kind_of(path) is type(row)
    (found,) = read(type(row), path)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "row.parquet"


@pytest.mark.parametrize("kind", TABLES.values())
def test_the_schema_is_spelt_by_the_fields_of_the_row(kind: type[Row]) -> None:
    hints = get_type_hints(kind)

    found = schema(kind)

    assert found.names == [f.name for f in fields(kind)]
    nullable = {field.name for field in found if field.nullable}
    assert nullable == {
        name for name in found.names if NoneType in get_args(hints[name])
    }
    assert {"commit", "cuda"} <= nullable and "status" not in nullable


@pytest.mark.parametrize(
    ("name", "arrow"),
    [
        ("key", pa.string()),
        ("commit", pa.string()),
        ("teacherless", pa.bool_()),
        ("dirty", pa.bool_()),
        ("seed", pa.int64()),
        ("query_budget", pa.int64()),
        ("seconds", pa.float64()),
        ("kl", pa.float64()),
        ("samples", pa.binary()),
        ("started", pa.timestamp("us", tz="UTC")),
        ("flags", pa.list_(pa.string())),
        ("curve", pa.list_(pa.float64())),
        ("figures", pa.map_(pa.string(), pa.float64())),
    ],
)
def test_annotations_spell_arrow_types(name: str, arrow: pa.DataType) -> None:
    assert schema(StealRow).field(name).type == arrow


@pytest.mark.parametrize("kind", TABLES.values())
@pytest.mark.parametrize("made", [full, bare])
def test_a_row_comes_back_to_the_bit(
    made: Callable[[type[Row]], Row], kind: type[Row], path: Path
) -> None:
    row = made(kind)
    if made is full:
        assert all(getattr(row, f.name) not in (None, "", [], {}) for f in fields(row))

    found = back(row, path)

    assert found == row
    for name, value in vars(found).items():
        assert type(value) is type(getattr(row, name)), name


def test_moments_keep_their_microseconds_curves_their_nan_and_statuses_their_word(
    path: Path,
) -> None:
    moment = STARTED.replace(microsecond=123_456)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    odd = {"curve": [0.5, nan], "figures": {"kl": inf}, "status": Status.OOM}

    found = back(replace(TEACHER, started=elsewhere, **odd), path)

    assert (found.started, found.started.utcoffset()) == (moment, timedelta(0))
    assert found.curve[0] == 0.5 and isnan(found.curve[1])
    assert found.figures == {"kl": inf}
    assert type(found.status) is str and found.status == "oom"


def test_rows_come_back_in_their_order_and_leave_no_other_file(path: Path) -> None:
    rows = [steal_row(seed=seed) for seed in (3, 1, 2)]

    write([], StealRow, path)
    assert list(read(StealRow, path)) == []
    write(rows, StealRow, path)

    assert list(read(StealRow, path)) == rows
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *[("seed", wrong) for wrong in ("three", 1.5, True)],
        *[(name, None) for name in ("key", "status", "seed", "seconds", "flags")],
        ("status", 1),
        ("compiled", 1),
        ("seconds", "12"),
        ("started", "yesterday"),
        ("flags", [1]),
        ("curve", ["high"]),
        ("figures", {"kl": "high"}),
    ],
)
def test_a_value_of_the_wrong_type_is_not_written(
    name: str, wrong: object, path: Path
) -> None:
    write([TEACHER], TeacherRow, path)

    with pytest.raises(ValueError, match=f"column {name}"):
        write([replace(TEACHER, **{name: wrong})], TeacherRow, path)

    assert list(read(TeacherRow, path)) == [TEACHER]
    assert list(path.parent.iterdir()) == [path]


def without(path: Path, *columns: str) -> None:
    """Take `columns` out of the file at `path`."""
    pq.write_table(pq.read_table(path).drop_columns(list(columns)), path)


def test_a_column_of_a_newer_file_is_left_out_and_one_that_is_lacking_is_its_default(
    path: Path,
) -> None:
    row = full(StealRow)
    write([row, row], StealRow, path)
    table = pq.read_table(path)
    pq.write_table(table.append_column("mood", pa.array(["good"] * 2)), path)
    assert list(read(StealRow, path)) == [row, row]

    without(path, "reason", "flags", "figures", "curve", "kl", "samples")

    first, second = read(StealRow, path)
    assert first == replace(
        row, reason="", flags=[], figures={}, curve=[], kl=None, samples=None
    )
    first.flags.append("weak")
    assert second.flags == []


def test_a_file_that_does_not_name_its_table_is_none(path: Path) -> None:
    write([TEACHER], TeacherRow, path)
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)

    with pytest.raises(BadResults, match="it does not say of which one"):
        kind_of(path)


@pytest.mark.parametrize(
    "content", [None, b"", b"no parquet", b"PAR1" + b"\0" * 64 + b"PAR1", b"cut"]
)
def test_a_file_that_is_no_parquet_is_told_in_one_line(
    content: bytes | None, path: Path
) -> None:
    write([steal_row()], StealRow, path)
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[:-100] if content == b"cut" else content)

    for reading in (lambda: list(read(StealRow, path)), lambda: kind_of(path)):
        with pytest.raises(BadResults, match="move it away") as caught:
            reading()
        assert str(caught.value).startswith(f"cannot read {path} as ")
        assert "\n" not in str(caught.value)


def test_a_file_that_lacks_what_a_row_needs_is_told_with_the_column(
    path: Path,
) -> None:
    write([TEACHER], TeacherRow, path)
    whole = pq.read_table(path)

    for kind, column in ((StealRow, "'attack'"), (ProtectRow, "'defense'")):
        with pytest.raises(BadResults, match=column):
            list(read(kind, path))
    for values in (["two"], [None]):
        odd = pa.array(values, pa.string())
        pq.write_table(whole.drop_columns(["seed"]).append_column("seed", odd), path)
        with pytest.raises(BadResults, match="column seed"):
            list(read(TeacherRow, path))
    pq.write_table(whole.drop_columns(["status"]), path)
    with pytest.raises(BadResults, match="'status'"):
        list(read(TeacherRow, path))
    pq.write_table(pa.table({"mood": ["good"]}), path)
    with pytest.raises(BadResults, match="does not say of which"):
        kind_of(path)


def test_the_makers_of_rows_fill_every_column_and_know_no_other() -> None:
    for name, make in MAKERS.items():
        assert set(asdict(make())) == {f.name for f in fields(TABLES[name])}
        with pytest.raises(TypeError, match="mood"):
            make(mood="good")
    student = steal_row("nasty", seed=2, teacher="cnn2")
    released = release_row("nasty", seed=2, teacher="cnn2", accuracy=0.1)
    assert student.parent == released.key
    assert released.parent == teacher_row(2, 0.2, teacher="cnn2").key
