"""Publishing merges rows into sorted tables, and keeps what stands there."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from bench.errors import BadResults, Status, Unfit
from bench.results.publish import publish, published
from bench.results.rows import TABLES, Row
from bench.testing.rows import (
    release_row,
    steal_row,
    teacher_row,
)
from bench.testing.tuning_rows import try_row, tune_row

ROWS: list[Row] = [steal_row(), teacher_row(), release_row(), try_row(), tune_row()]
GOOD = teacher_row()
BAD = replace(GOOD, status=Status.FAILED, accuracy=None)
OTHER = replace(GOOD, accuracy=0.1)


def files(folder: Path) -> dict[str, bytes]:
    """Every table by its name."""
    return {p.name: p.read_bytes() for p in folder.glob("*.parquet")}


def test_publishing_writes_a_file_a_table_and_tells_all_that_stands(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "results"
    assert (published(folder), publish([], folder)) == ([], [])
    publish([GOOD], folder)
    assert files(folder).keys() == {"teacher.parquet"}

    everything = publish(ROWS, folder)

    written = files(folder)
    assert written.keys() == {f"{name}.parquet" for name in TABLES}
    assert published(folder) == [
        GOOD,
        release_row(),
        steal_row(),
        try_row(),
        tune_row(),
    ]
    assert {row.key for row in everything} == {row.key for row in ROWS}
    publish(ROWS, folder)
    assert files(folder) == written, "publishing twice changes nothing"


def test_publishing_merges_with_what_stands_there(tmp_path: Path) -> None:
    publish([teacher_row(0), steal_row()], tmp_path)

    everything = publish([teacher_row(1)], tmp_path)

    assert len(everything) == 3
    assert published(tmp_path) == [teacher_row(0), teacher_row(1), steal_row()]


@pytest.mark.parametrize(
    ("old", "new", "again", "stays"),
    [
        (GOOD, OTHER, False, GOOD),
        (GOOD, OTHER, True, OTHER),
        (GOOD, BAD, False, GOOD),
        (GOOD, BAD, True, GOOD),
        (BAD, GOOD, False, GOOD),
        (BAD, replace(BAD, status=Status.OOM), False, replace(BAD, status=Status.OOM)),
    ],
)
def test_what_ended_well_stays_unless_it_is_done_again(
    old: Row, new: Row, again: bool, stays: Row, tmp_path: Path
) -> None:
    publish([old], tmp_path)

    assert publish([new], tmp_path, again=again) == [stays]
    assert published(tmp_path) == [stays]


@pytest.mark.parametrize("table", TABLES)
def test_a_corrupt_table_stops_publishing_before_it_writes(
    table: str, tmp_path: Path
) -> None:
    publish(ROWS, tmp_path)
    (tmp_path / f"{table}.parquet").write_text("no parquet")
    before = files(tmp_path)

    with pytest.raises(BadResults, match=f"{table}.parquet"):
        publish([teacher_row(9), release_row(seed=9), steal_row(seed=9)], tmp_path)

    assert files(tmp_path) == before


def test_results_that_are_no_folder_or_take_no_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadResults, match="no folder"):
        published(tmp_path / "file")
    with pytest.raises(Unfit, match="--results") as caught:
        publish([GOOD], tmp_path / "file" / "results")
    assert "\n" not in str(caught.value)


SORTED: list[Row] = [
    steal_row("nasty", "dafl"),
    steal_row("nasty", "kd", attack_options={"tau": 20.0}, seed=0),
    steal_row("nasty", "kd", seed=2),
    steal_row("nasty", "kd", seed=10),
    steal_row("none", "kd", track="limited"),
    steal_row("none", "kd", track="limited", student="resnet8"),
    steal_row("none", "kd"),
    steal_row("nasty", "dafl", dataset="planets"),
]


def test_rows_are_sorted_by_what_they_are_about(tmp_path: Path) -> None:
    for turn in range(len(SORTED)):
        publish([*SORTED[turn:], *SORTED[:turn]], tmp_path / str(turn))
        assert published(tmp_path / str(turn)) == SORTED


def test_the_order_of_publishing_leaves_no_trace_in_the_file(tmp_path: Path) -> None:
    found = set()
    for number, order in enumerate(permutations(SORTED[:3])):
        for row in order:
            publish([row], tmp_path / str(number))
        found.add((tmp_path / str(number) / "steal.parquet").read_bytes())

    assert len(found) == 1
