"""The store: rows are written last, all or nothing; publishing merges and sorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.errors import BadResults, Unfit
from bench.results import rows as rows_room
from bench.results import store as store_room
from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.results.store import Store, publish, published

COMMON: dict[str, Any] = {
    "status": "ok",
    "official": True,
    "protocol": "digits",
    "protocol_version": 1,
    "dataset": "digits",
    "data_fingerprint": "f" * 16,
    "teacher": "resnet8",
    "teacher_recipe": "{}",
    "revision": 1,
    "version": "0.1.0",
    "torch": "2",
    "python": "3",
    "platform": "Linux",
    "device": "cpu",
    "threads": 1,
    "command": "bench run",
    "started": datetime(2026, 1, 1, tzinfo=UTC),
    "seconds": 1.0,
}


def teacher(key: str = "t0", **more: Any) -> TeacherRow:
    return TeacherRow(**{**COMMON, "key": key, "seed": 0, "accuracy": 0.9, **more})


def release(key: str = "p0", **more: Any) -> ProtectRow:
    known = {
        **COMMON,
        "key": key,
        "parent": "t0",
        "seed": 0,
        "defense": "nasty",
        "defense_options": "{}",
        "defense_source": "0" * 16,
    }
    return ProtectRow(**(known | more))


def student(key: str = "s0", **more: Any) -> StealRow:
    known = {
        **COMMON,
        "key": key,
        "parent": "p0",
        "seed": 0,
        "defense": "nasty",
        "defense_options": "{}",
        "defense_source": "0" * 16,
        "attack": "kd",
        "attack_options": "{}",
        "attack_source": "0" * 16,
        "teacher_grant": "SoftLabels",
        "image_grant": "TrainImages",
        "fraction": 1.0,
        "track": "open",
        "teacherless": False,
        "student": "cnn2",
        "student_recipe": "{}",
    }
    return StealRow(**(known | more))


def equal(some: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return some.keys() == other.keys() and all(
        torch.equal(v, other[k]) and v.dtype == other[k].dtype for k, v in some.items()
    )


def files(folder: Path) -> set[str]:
    """Every file below `folder` but the lock, which stays."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)) for p in found}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


WEIGHTS = {
    "network.weight": torch.arange(6.0).view(2, 3),
    "network.count": torch.tensor(7),
    "answer.mask": torch.tensor([True, False]),
}


@pytest.mark.parametrize("row", [teacher(), release(), student()])
def test_a_row_and_its_weights_come_back_as_they_were(row: Row, store: Store) -> None:
    store.save(row, WEIGHTS)

    assert store.row(type(row), row.key) == row
    assert equal(store.tensors(row.key), WEIGHTS)
    assert files(store.root) == {
        f"{row.key}/row.parquet",
        f"{row.key}/weights.safetensors",
    }


def test_a_row_without_weights_is_a_row_alone(store: Store) -> None:
    store.save(teacher())

    assert files(store.root) == {"t0/row.parquet"}


def test_weights_in_any_memory_layout_come_back_as_they_were(store: Store) -> None:
    image = torch.arange(24.0).view(1, 2, 3, 4)
    weights = {
        "last": image.to(memory_format=torch.channels_last),
        "turned": image.transpose(2, 3),
        "part": image[:, 1:],
    }

    store.save(teacher(), weights)

    assert equal(store.tensors("t0"), weights)


def test_weights_that_share_memory_come_back_as_they_were(store: Store) -> None:
    shared = torch.arange(4.0)
    weights = {"network.weight": shared, "answer.network.weight": shared}

    store.save(teacher(), weights)

    assert equal(store.tensors("t0"), weights)


def test_a_task_that_is_not_over_has_no_row(store: Store) -> None:
    assert store.row(TeacherRow, "t0") is None

    store.log("t0", "a traceback")

    assert store.row(TeacherRow, "t0") is None
    assert list(store.rows()) == []


def test_a_log_lies_beside_the_row(store: Store) -> None:
    path = store.log("t0", "a traceback")
    store.save(teacher(status="failed", accuracy=None))

    assert path.read_text() == "a traceback"
    assert path.parent == store.folder("t0")
    assert files(store.root) == {"t0/row.parquet", "t0/log.txt"}


def test_all_rows_come_in_the_order_of_their_keys(store: Store) -> None:
    rows = [student("c"), teacher("a"), release("b"), student("d")]
    for row in rows:
        store.save(row)

    assert list(store.rows()) == sorted(rows, key=lambda row: row.key)


class Crash(Exception):
    """Stands for whatever ends a process."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def test_a_crash_before_the_row_is_written_leaves_no_row(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_room, "write", crash)

    with pytest.raises(Crash):
        store.save(teacher(), WEIGHTS)

    assert files(store.root) == {"t0/weights.safetensors"}
    assert store.row(TeacherRow, "t0") is None
    assert list(store.rows()) == []


def test_a_crash_while_the_row_is_written_leaves_no_row(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(table: object, path: Path) -> None:
        path.write_bytes(b"PAR1 and then")
        raise Crash

    monkeypatch.setattr(rows_room.pq, "write_table", half)

    with pytest.raises(Crash):
        store.save(teacher())

    assert store.row(TeacherRow, "t0") is None
    assert list(store.rows()) == []


def test_a_crash_while_weights_are_written_leaves_neither(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safetensors.torch.save_file", crash)

    with pytest.raises(Crash):
        store.save(teacher(), WEIGHTS)

    assert store.row(TeacherRow, "t0") is None
    assert not (store.folder("t0") / "weights.safetensors").exists()


def test_a_crash_while_rewriting_leaves_the_older_row(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(teacher(), WEIGHTS)

    with monkeypatch.context() as patch:
        patch.setattr(rows_room.pq, "write_table", crash)
        with pytest.raises(Crash):
            store.save(teacher(accuracy=0.1))

    assert store.row(TeacherRow, "t0") == teacher()


def test_rewriting_replaces_row_and_weights(store: Store) -> None:
    store.save(teacher(status="failed", accuracy=None), WEIGHTS)

    weights = {"network.weight": torch.zeros(2)}
    store.save(teacher(accuracy=0.5), weights)

    assert store.row(TeacherRow, "t0") == teacher(accuracy=0.5)
    assert equal(store.tensors("t0"), weights)
    assert files(store.root) == {"t0/row.parquet", "t0/weights.safetensors"}


def test_a_reader_keeps_what_it_opened_while_the_row_is_replaced(
    store: Store,
) -> None:
    store.save(teacher(), WEIGHTS)
    with (store.folder("t0") / "row.parquet").open("rb") as opened:
        before = (store.folder("t0") / "row.parquet").read_bytes()

        store.save(teacher(accuracy=0.5))

        assert opened.read() == before


def test_opening_makes_the_folder_and_leaves_no_trace(store: Store) -> None:
    store.open()
    store.open()

    assert store.root.is_dir()
    assert list(store.root.iterdir()) == []


def test_a_store_below_a_file_is_unfit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unfit) as caught:
        Store(tmp_path / "file" / "store").open()

    assert caught.value.exit_code == 3
    assert str(caught.value).startswith(f"cannot write to the store {tmp_path}")
    assert "--store" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_that_is_a_file_is_unfit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unfit):
        Store(tmp_path / "file").open()


def test_a_row_in_the_store_that_is_none_is_told_with_what_to_do(
    store: Store,
) -> None:
    store.save(teacher("t0"))
    (store.folder("t0") / "row.parquet").write_text("no parquet")

    with pytest.raises(BadResults, match="no Parquet file; remove") as caught:
        list(store.rows())
    with pytest.raises(BadResults):
        store.row(TeacherRow, "t0")

    assert "\n" not in str(caught.value)


def test_publishing_writes_a_file_a_table_and_tells_all_that_stands(
    tmp_path: Path,
) -> None:
    rows: list[Row] = [student(), teacher(), release()]

    everything = publish(rows, tmp_path / "results")

    assert files(tmp_path) == {
        "results/teacher.parquet",
        "results/protect.parquet",
        "results/steal.parquet",
    }
    assert {row.key: row for row in everything} == {row.key: row for row in rows}
    assert published(tmp_path / "results") == [teacher(), release(), student()]


def test_a_table_without_rows_is_no_file(tmp_path: Path) -> None:
    publish([teacher()], tmp_path)

    assert files(tmp_path) == {"teacher.parquet"}


def test_nothing_published_is_nothing(tmp_path: Path) -> None:
    assert published(tmp_path / "nowhere") == []
    assert publish([], tmp_path / "empty") == []


def test_publishing_merges_with_what_stands_there(tmp_path: Path) -> None:
    publish([teacher("a"), student("b")], tmp_path)

    everything = publish([teacher("c")], tmp_path)

    assert {row.key for row in everything} == {"a", "b", "c"}
    assert {row.key for row in published(tmp_path)} == {"a", "b", "c"}


@pytest.mark.parametrize("status", ["ok", "failed"])
def test_a_published_row_that_is_ok_stays(status: str, tmp_path: Path) -> None:
    publish([teacher(accuracy=0.9)], tmp_path)

    publish([teacher(accuracy=0.1, status=status)], tmp_path)

    assert published(tmp_path) == [teacher(accuracy=0.9)]


@pytest.mark.parametrize("status", ["failed", "oom", "diverged", "timeout", "skipped"])
def test_a_published_row_that_failed_is_replaced(status: str, tmp_path: Path) -> None:
    publish([teacher(status=status, accuracy=None)], tmp_path)

    publish([teacher(accuracy=0.9)], tmp_path)

    assert published(tmp_path) == [teacher(accuracy=0.9)]


def test_a_published_row_is_replaced_when_that_is_asked_for(tmp_path: Path) -> None:
    publish([teacher(accuracy=0.9), teacher("t1")], tmp_path)

    publish([teacher(accuracy=0.1)], tmp_path, again=True)

    assert published(tmp_path) == [teacher(accuracy=0.1), teacher("t1")]


def test_publishing_twice_changes_nothing(tmp_path: Path) -> None:
    rows: list[Row] = [student(), teacher(), release()]
    publish(rows, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}

    publish(rows, tmp_path)

    assert before == {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}


@pytest.mark.parametrize("table", ["teacher", "protect", "steal"])
def test_a_corrupt_published_table_stops_publishing_before_it_writes(
    table: str, tmp_path: Path
) -> None:
    publish([teacher(), release(), student()], tmp_path)
    (tmp_path / f"{table}.parquet").write_text("no parquet")
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}

    with pytest.raises(BadResults) as caught:
        publish([teacher("new"), release("new2"), student("new3")], tmp_path)

    assert f"{table}.parquet" in str(caught.value)
    assert before == {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}


def test_results_below_a_file_are_unfit(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unfit) as caught:
        publish([teacher()], tmp_path / "file" / "results")

    assert caught.value.exit_code == 3
    assert "--results" in str(caught.value)
    assert "\n" not in str(caught.value)


SORTED = [
    student("k1", defense="nasty", attack="dafl"),
    student("k0", defense="nasty", attack="kd", student="cnn2"),
    student("k2", defense="nasty", attack="kd", student="resnet8", seed=2),
    student("k3", defense="nasty", attack="kd", student="resnet8", seed=10),
    student("a", defense="none", attack="kd"),
    student("b", defense="none", attack="kd"),
    student("a0", protocol="mine", defense="nasty"),
]


@pytest.mark.parametrize("turn", range(len(SORTED)))
def test_published_rows_are_sorted_by_what_they_are_about(
    turn: int, tmp_path: Path
) -> None:
    publish([*SORTED[turn:], *SORTED[:turn]], tmp_path)

    assert published(tmp_path) == SORTED


def test_the_order_of_publishing_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    rows = [replace(row, official=False) for row in SORTED[:3]]

    found = set()
    for number, order in enumerate(permutations(rows)):
        results = tmp_path / str(number)
        for row in order:
            publish([row], results)
        found.add((results / "steal.parquet").read_bytes())

    assert len(found) == 1
