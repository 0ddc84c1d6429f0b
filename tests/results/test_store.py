"""The store: rows are written last, all or nothing, and a good one is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.errors import BadResults, Status, Unfit
from bench.results import parquet
from bench.results import store as store_room
from bench.results.rows import Row
from bench.results.store import Store
from bench.testing.rows import release_row, steal_row, teacher_row

TEACHER = teacher_row(key="t0")
FAILED = teacher_row(key="t0", status=Status.FAILED, accuracy=None)
BETTER = teacher_row(key="t0", accuracy=0.99)
WEIGHTS = {
    "network.weight": torch.arange(6.0).view(2, 3),
    "network.count": torch.tensor(7),
    "answer.mask": torch.tensor([True, False]),
}


def equal(some: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return some.keys() == other.keys() and all(
        torch.equal(v, other[k]) and v.dtype == other[k].dtype for k, v in some.items()
    )


def files(folder: Path) -> set[str]:
    found = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)) for p in found}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize("row", [teacher_row(), release_row(), steal_row()])
def test_a_row_and_its_weights_come_back_as_they_were(row: Row, store: Store) -> None:
    store.save(row, WEIGHTS)

    assert store.row(row.key) == row
    assert store.has_tensors(row.key)
    assert equal(store.tensors(row.key), WEIGHTS)
    assert files(store.root) == {
        f"{row.key}/row.parquet",
        f"{row.key}/weights.safetensors",
    }


def test_a_row_may_lack_weights_and_a_task_that_is_not_over_has_a_log_alone(
    store: Store,
) -> None:
    path = store.log("t0", "a traceback")

    assert path.read_text() == "a traceback"
    assert path == store.folder("t0") / "log.txt"
    assert store.row("t0") is None and list(store.rows()) == []
    store.save(TEACHER)
    assert files(store.root) == {"t0/log.txt", "t0/row.parquet"}
    assert not store.has_tensors("t0")


def test_weights_in_any_layout_or_shared_memory_come_back(store: Store) -> None:
    image, shared = torch.arange(24.0).view(1, 2, 3, 4), torch.arange(4.0)
    weights = {
        "last": image.to(memory_format=torch.channels_last),
        "turned": image.transpose(2, 3),
        "part": image[:, 1:],
        "network.weight": shared,
        "answer.network.weight": shared,
    }

    store.save(TEACHER, weights)

    assert equal(store.tensors("t0"), weights)


def test_all_rows_come_in_the_order_of_their_keys(store: Store) -> None:
    rows = [steal_row(key="c"), teacher_row(key="a"), release_row(key="b")]
    for row in rows:
        store.save(row)

    assert list(store.rows()) == sorted(rows, key=lambda row: row.key)


class Crash(Exception):
    """Stands for whatever ends a process."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def half(table: object, path: Path) -> None:
    path.write_bytes(b"PAR1 and then")
    raise Crash


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ((store_room, "write"), crash),
        ((parquet.pq, "write_table"), half),
        (("safetensors.torch.save_file",), crash),
    ],
    ids=["before the row", "in the row", "in the weights"],
)
@pytest.mark.parametrize("older", [None, TEACHER])
def test_a_crash_leaves_no_row_or_the_older_one(
    where: tuple[object, ...],
    what: object,
    older: Row | None,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if older:
        store.save(older, WEIGHTS)

    with monkeypatch.context() as patch:
        patch.setattr(*where, what)
        with pytest.raises(Crash):
            store.save(BETTER, WEIGHTS)

    assert store.row("t0") == older
    assert list(store.rows()) == ([older] if older else [])
    if "safetensors" in str(where[0]):
        assert store.has_tensors("t0") is (older is not None)


def test_rewriting_replaces_row_and_weights(store: Store) -> None:
    weights = {"network.weight": torch.zeros(2)}
    store.save(FAILED, WEIGHTS)
    with (store.folder("t0") / "row.parquet").open("rb") as opened:
        before = (store.folder("t0") / "row.parquet").read_bytes()

        store.save(BETTER, weights)

        assert opened.read() == before  # a reader keeps what it opened
    assert store.row("t0") == BETTER
    assert equal(store.tensors("t0"), weights)
    assert files(store.root) == {"t0/row.parquet", "t0/weights.safetensors"}


def test_a_failure_takes_the_place_of_a_failure_and_never_of_what_ended_well(
    store: Store,
) -> None:
    out_of_memory = replace(FAILED, status=Status.OOM)
    for row in (FAILED, out_of_memory):
        store.save(row)
        assert store.row("t0") == row

    store.save(TEACHER, WEIGHTS)
    store.save(FAILED)

    assert store.row("t0") == TEACHER
    assert equal(store.tensors("t0"), WEIGHTS)


def test_opening_makes_the_folder_and_leaves_no_trace_and_replies_are_no_task(
    store: Store,
) -> None:
    store.open()
    store.open()
    assert list(store.root.iterdir()) == []

    (store.replies("some") / "0").mkdir(parents=True)

    assert store.replies("some").parent.parent == store.root
    assert list(store.rows()) == []


@pytest.mark.parametrize("place", ["file/store", "file"])
def test_a_store_that_takes_no_files_is_unfit(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / place)

    for using in (store.open, lambda: store.save(TEACHER)):
        with pytest.raises(Unfit, match=r"^cannot (write|keep)") as caught:
            using()
        assert caught.value.exit_code == 3
        assert str(tmp_path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(Unfit, match="--store"):
        store.open()


def test_a_row_in_the_store_that_is_none_is_told_with_what_to_do(
    store: Store,
) -> None:
    store.save(TEACHER)
    (store.folder("t0") / "row.parquet").write_text("no parquet")

    for using in (lambda: list(store.rows()), lambda: store.row("t0")):
        with pytest.raises(BadResults, match="move it away") as caught:
            using()
        assert "\n" not in str(caught.value)
