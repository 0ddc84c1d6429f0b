"""Rows as Parquet: schema, nullability, round trips, and files that are not one."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from math import inf, isnan, nan
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import BadResults
from bench.results.rows import (
    TABLES,
    ProtectRow,
    Row,
    StealRow,
    TeacherRow,
    read,
    schema,
    table_of,
    write,
)

COMMON: dict[str, Any] = {
    "key": "0123456789abcdef",
    "status": "ok",
    "official": True,
    "protocol": "digits",
    "protocol_version": 1,
    "dataset": "digits",
    "data_fingerprint": "f" * 16,
    "teacher": "resnet8",
    "teacher_recipe": '{"epochs": 2}',
    "seed": 2,
    "revision": 1,
    "version": "0.1.0",
    "torch": "2.11.0",
    "python": "3.11.7",
    "platform": "Linux x86_64",
    "device": "a processor",
    "threads": 2,
    "command": "bench run",
    "started": datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
    "seconds": 12.5,
}
DEFENDED: dict[str, Any] = {
    "parent": "p" * 16,
    "defense": "nasty",
    "defense_options": '{"omega": 0.04}',
    "defense_source": "a" * 16,
}
ATTACKED: dict[str, Any] = {
    "attack": "kd",
    "attack_options": "{}",
    "attack_source": "b" * 16,
    "teacher_grant": "SoftLabels",
    "image_grant": "TrainImages",
    "fraction": 1.0,
    "track": "open",
    "teacherless": False,
    "student": "cnn2",
    "student_recipe": "{}",
}
EXTRAS: dict[str, Any] = {
    "reason": "none to speak of",
    "flags": ["collapsed", "weak"],
    "figures": {"tau2_kl": 1.25, "class_entropy": 0.5},
    "curve": [0.1, 0.5, 0.9],
    "commit": "c" * 40,
    "dirty": False,
    "cuda": "12.8",
    "peak_memory": 2**40,
    "classes": 10,
}
SPARSE: dict[str, Row] = {
    "teacher": TeacherRow(**COMMON),
    "protect": ProtectRow(**COMMON, **DEFENDED),
    "steal": StealRow(**COMMON, **DEFENDED, **ATTACKED),
}
FULL: dict[str, Row] = {
    "teacher": TeacherRow(**COMMON, **EXTRAS, accuracy=0.98, calibration_error=0.02),
    "protect": ProtectRow(
        **COMMON,
        **EXTRAS,
        **DEFENDED,
        accuracy=0.97,
        network_accuracy=0.96,
        fidelity=0.95,
        calibration_error=0.1,
        responses=[-0.1, -2.4],
        response_classes=[0],
        response_images=b"\x89PNG\r\n\x00\xff",
        features_map=[1.25, -3.5],
        logits_map=[0.5, 2.0],
        map_classes=[7],
        confidence=[0.0, 1.0],
    ),
    "steal": StealRow(
        **COMMON,
        **EXTRAS,
        **DEFENDED,
        **ATTACKED,
        accuracy=0.9,
        best_accuracy=0.91,
        fidelity=0.89,
        kl=0.4,
        queries=10**12,
        samples=b"\x89PNG\r\n\x00\xff",
    ),
}


def back(row: Row, path: Path) -> Row:
    """`row` as it comes back from a file."""
    write([row], type(row), path)
    (found,) = read(type(row), path)
    return found


@pytest.mark.parametrize("kind", list(TABLES.values()))
def test_the_schema_has_the_fields_of_the_row_in_their_order(kind: type[Row]) -> None:
    assert schema(kind).names == [f.name for f in fields(kind)]


@pytest.mark.parametrize("kind", list(TABLES.values()))
def test_only_a_field_that_may_be_none_is_nullable(kind: type[Row]) -> None:
    hints = get_type_hints(kind)

    nullable = {field.name for field in schema(kind) if field.nullable}

    assert nullable == {n for n, hint in hints.items() if NoneType in get_args(hint)}
    assert "commit" in nullable
    assert "status" not in nullable


@pytest.mark.parametrize(
    ("name", "arrow"),
    [
        ("key", pa.string()),
        ("commit", pa.string()),
        ("official", pa.bool_()),
        ("dirty", pa.bool_()),
        ("seed", pa.int64()),
        ("queries", pa.int64()),
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


@pytest.mark.parametrize("kind", list(TABLES.values()))
def test_a_measurement_may_be_missing_and_what_names_a_row_may_not(
    kind: type[Row],
) -> None:
    for field in fields(kind):
        if field.name in ("accuracy", "fidelity", "kl", "queries", "samples"):
            assert field.default is None
        if field.name in (*COMMON, *DEFENDED, *ATTACKED):
            assert field.default is MISSING
            assert not schema(kind).field(field.name).nullable


@pytest.mark.parametrize("name", list(TABLES))
def test_every_row_knows_its_table(name: str) -> None:
    assert table_of(SPARSE[name]) == name


@pytest.mark.parametrize("name", list(TABLES))
def test_a_full_row_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    row = FULL[name]
    assert all(getattr(row, f.name) not in (None, "", [], {}) for f in fields(row))

    assert back(row, tmp_path / "row.parquet") == row


@pytest.mark.parametrize("name", list(TABLES))
def test_a_row_without_measurements_comes_back_as_it_was(
    name: str, tmp_path: Path
) -> None:
    assert back(SPARSE[name], tmp_path / "row.parquet") == SPARSE[name]


def test_what_comes_back_has_plain_python_types(tmp_path: Path) -> None:
    found = back(FULL["steal"], tmp_path / "row.parquet")

    assert isinstance(found, StealRow)
    assert type(found.figures) is dict
    assert type(found.flags) is list
    assert type(found.samples) is bytes
    assert type(found.official) is bool
    assert type(found.queries) is int


def test_a_timestamp_keeps_its_moment_to_the_microsecond(tmp_path: Path) -> None:
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 6, 7, 8, 9, 10, 123_456, tzinfo=elsewhere)

    found = back(replace(SPARSE["teacher"], started=moment), tmp_path / "row.parquet")

    assert found.started == moment
    assert found.started.utcoffset() == timedelta(0)


def test_a_curve_may_hold_what_is_not_a_number(tmp_path: Path) -> None:
    row = replace(SPARSE["teacher"], curve=[0.5, nan], figures={"kl": inf})

    found = back(row, tmp_path / "row.parquet")

    assert found.curve[0] == 0.5
    assert isnan(found.curve[1])
    assert found.figures == {"kl": inf}


def test_text_may_be_in_any_language(tmp_path: Path) -> None:
    row = replace(SPARSE["teacher"], reason="Größe ✗ 失敗", device="日本")

    assert back(row, tmp_path / "row.parquet") == row


def test_many_rows_come_back_in_their_order(tmp_path: Path) -> None:
    rows = [replace(SPARSE["steal"], seed=seed, key=str(seed)) for seed in (3, 1, 2)]

    write(rows, StealRow, tmp_path / "rows.parquet")

    assert list(read(StealRow, tmp_path / "rows.parquet")) == rows


def test_no_rows_are_a_table_as_well(tmp_path: Path) -> None:
    write([], StealRow, tmp_path / "rows.parquet")

    assert list(read(StealRow, tmp_path / "rows.parquet")) == []
    assert pq.read_schema(tmp_path / "rows.parquet").equals(schema(StealRow))


def test_writing_leaves_no_other_file_behind(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"

    write([SPARSE["teacher"]], TeacherRow, path)
    write([FULL["teacher"]], TeacherRow, path)

    assert list(tmp_path.iterdir()) == [path]
    assert list(read(TeacherRow, path)) == [FULL["teacher"]]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("seed", "three"),
        ("seed", 1.5),
        ("seed", True),
        ("status", 1),
        ("official", 1),
        ("official", "yes"),
        ("seconds", "12"),
        ("started", "yesterday"),
        ("flags", [1]),
        ("curve", ["high"]),
        ("figures", {"kl": "high"}),
    ],
)
def test_a_value_of_the_wrong_type_is_not_written(
    name: str, wrong: object, tmp_path: Path
) -> None:
    row = replace(SPARSE["teacher"], **{name: wrong})

    with pytest.raises((pa.ArrowException, TypeError, ValueError)):
        write([row], TeacherRow, tmp_path / "row.parquet")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["key", "status", "official", "seed", "seconds", "started", "flags"]
)
def test_none_is_not_written_where_it_is_not_allowed(name: str, tmp_path: Path) -> None:
    row = replace(SPARSE["teacher"], **{name: None})

    with pytest.raises((pa.ArrowException, TypeError, ValueError)):
        write([row], TeacherRow, tmp_path / "row.parquet")

    assert list(tmp_path.iterdir()) == []


def test_a_row_that_cannot_be_written_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"
    write([SPARSE["teacher"]], TeacherRow, path)

    with pytest.raises((pa.ArrowException, TypeError, ValueError)):
        write([replace(SPARSE["teacher"], key=None)], TeacherRow, path)

    assert list(read(TeacherRow, path)) == [SPARSE["teacher"]]
    assert list(tmp_path.iterdir()) == [path]


def without(path: Path, *columns: str) -> None:
    """Take `columns` out of the file at `path`."""
    pq.write_table(pq.read_table(path).drop_columns(list(columns)), path)


def test_a_column_that_an_older_file_lacks_takes_its_default(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"
    write([FULL["steal"]], StealRow, path)

    without(path, "reason", "flags", "figures", "curve", "kl", "samples")

    (found,) = read(StealRow, path)
    assert found == replace(
        FULL["steal"], reason="", flags=[], figures={}, curve=[], kl=None, samples=None
    )


def test_rows_do_not_share_their_default_lists(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"
    write([SPARSE["teacher"]] * 2, TeacherRow, path)
    without(path, "flags")

    first, second = read(TeacherRow, path)
    first.flags.append("weak")

    assert second.flags == []


def test_a_column_of_a_newer_file_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "row.parquet"
    write([SPARSE["teacher"]], TeacherRow, path)

    table = pq.read_table(path)
    pq.write_table(table.append_column("mood", pa.array(["good"])), path)

    assert list(read(TeacherRow, path)) == [SPARSE["teacher"]]


@pytest.mark.parametrize(
    "content", [b"", b"no parquet", b"PAR1" + b"\0" * 64 + b"PAR1"]
)
def test_a_file_that_is_no_parquet_is_told_in_one_line(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "steal.parquet"
    path.write_bytes(content)

    with pytest.raises(BadResults) as caught:
        list(read(StealRow, path))

    text = str(caught.value)
    assert text.startswith(f"cannot read {path} as StealRows: ")
    assert "move it away" in text
    assert "\n" not in text


def test_a_file_that_was_cut_short_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "steal.parquet"
    write([FULL["steal"]], StealRow, path)
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(BadResults) as caught:
        list(read(StealRow, path))

    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadResults) as caught:
        list(read(StealRow, tmp_path / "nowhere.parquet"))

    assert "\n" not in str(caught.value)


def test_a_file_that_lacks_what_a_row_needs_is_told_with_the_column(
    tmp_path: Path,
) -> None:
    path = tmp_path / "teacher.parquet"
    write([SPARSE["teacher"]], TeacherRow, path)
    without(path, "status")

    with pytest.raises(BadResults, match="'status'"):
        list(read(TeacherRow, path))


def test_a_file_of_another_table_is_no_file_of_this_one(tmp_path: Path) -> None:
    path = tmp_path / "steal.parquet"
    write([SPARSE["teacher"]], TeacherRow, path)

    with pytest.raises(BadResults, match="'attack'"):
        list(read(StealRow, path))


@pytest.mark.parametrize("values", [["two"], [None]])
def test_a_column_of_another_type_or_with_a_hole_is_told(
    values: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "teacher.parquet"
    write([SPARSE["teacher"]], TeacherRow, path)
    table = pq.read_table(path).drop_columns(["seed"])
    pq.write_table(table.append_column("seed", pa.array(values, pa.string())), path)

    with pytest.raises(BadResults):
        list(read(TeacherRow, path))
