"""Ranked tables from rows that are written by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from statistics import fmean
from typing import Any

import pytest

from bench.boards.board import Board, boards
from bench.boards.cells import read
from bench.boards.entry import Entry
from bench.boards.intervals import mean, proportion, ratio
from bench.errors import Status
from bench.planning.protocol import Track
from bench.results.rows import Row, StealRow
from bench.testing.protocol import PROTOCOL, SOFT, TRAIN_IMAGES
from bench.testing.rows import release_row, steal_row, steal_rows, teacher_row
from bench.threat.access import Access

Z = [0.80, 0.81, 0.79]
U = [0.95, 0.96, 0.95]
TRACKS = list(PROTOCOL.tracks)


def failed(row: StealRow, status: str = Status.FAILED) -> StealRow:
    return replace(row, status=status, reason="why", accuracy=None)


def later(row: Row, **changes: Any) -> Any:
    return replace(row, started=row.started + timedelta(hours=1), **changes)


def only(rows: Iterable[Row]) -> Board:
    (board,) = boards(rows, PROTOCOL)
    return board


def entry(board: Board, defense: str) -> Entry:
    return next(entry for entry in board.entries if entry.defense == defense)


CONTROLS: list[Row] = [*steal_rows("none", "scratch", Z), *steal_rows("none", "kd", U)]


def wall(*rows: Row) -> Entry:
    """The entry of the defense `wall` beside the controls."""
    return entry(only([*CONTROLS, *rows]), "wall")


# The lines: Z, U, W


def test_zero_line_and_ceiling_are_scratch_and_the_best_attack_on_none() -> None:
    copied = [0.97, 0.96, 0.98]

    board = only([*CONTROLS, *steal_rows("none", "copy", copied)])

    assert (board.zero, board.zero_is) == (proportion(Z), "scratch")
    assert (board.ceiling, board.ceiling_is) == (proportion(copied), "copy")


def test_w_is_the_strongest_attack_by_its_mean() -> None:
    kd, copied = [0.99, 0.80, 0.80], [0.90, 0.91, 0.89]

    found = wall(*steal_rows("wall", "kd", kd), *steal_rows("wall", "copy", copied))

    assert found.strongest == "copy"
    assert found.student_accuracy == proportion(copied)
    assert found.by_seed == dict(enumerate(copied))


def test_the_zero_line_is_one_of_the_attacks() -> None:
    found = wall(*steal_rows("wall", "kd", [0.30, 0.31, 0.29]))
    below = only(
        [*steal_rows("none", "scratch", Z), *steal_rows("none", "kd", [0.5] * 3)]
    )

    assert (found.strongest, found.student_accuracy) == ("scratch", proportion(Z))
    assert (below.ceiling, below.ceiling_is) == (proportion(Z), "scratch")


@pytest.mark.parametrize("track", TRACKS[2:])
def test_the_zero_line_is_chance_where_no_labelled_image_is_granted(
    track: str,
) -> None:
    rows = [
        *steal_rows("none", "scratch", Z),
        *steal_rows("none", "invent", [0.60, 0.62, 0.61], track=track, classes=4),
        *steal_rows("wall", "invent", [0.30, 0.33, 0.32], track=track, classes=4),
    ]

    board = only(rows)

    assert board.zero is not None
    assert (board.zero.value, board.zero.low, board.zero.high) == (0.25, 0.25, 0.25)
    assert (board.zero_is, board.ceiling_is) == ("chance, 1/4", "invent")
    found = entry(board, "wall")
    assert found.strongest == "invent"
    assert found.immunity is not None
    assert found.immunity.value == pytest.approx((0.61 - 0.95 / 3) / (0.61 - 0.25))


def test_there_is_no_chance_level_where_no_row_knows_the_classes() -> None:
    rows = steal_rows("none", "dafl", U, track="white box", classes=None)

    assert (only(rows).zero, only(rows).zero_is) == (None, "")


def test_each_board_has_the_zero_line_of_its_own_images() -> None:
    rows = [*CONTROLS, *steal_rows("none", "scratch", [0.4] * 3, track="limited")]
    rows += steal_rows("none", "kd", U, track="limited")

    lines = {b.scene.track: b.zero for b in boards(rows, PROTOCOL)}

    assert lines == {"open": proportion(Z), "limited": proportion([0.4] * 3)}


def test_a_control_without_teacher_serves_every_track_with_its_images() -> None:
    hard = Track(teacher="HardLabels", images=TRAIN_IMAGES)
    protocol = PROTOCOL.model_copy(update={"tracks": {**PROTOCOL.tracks, "hard": hard}})
    rows = [*CONTROLS, *steal_rows("none", "label_kd", U, access=hard.ranked)]

    found = boards(rows, protocol)

    assert [(b.scene.track, b.zero, b.official) for b in found] == [
        ("open", proportion(Z), True),
        ("hard", proportion(Z), True),
    ]


# Immunity, naive damage, utility


def test_immunity_is_the_part_of_the_gain_that_is_lost_seed_by_seed() -> None:
    w = [0.90, 0.88, 0.91]

    found = wall(*steal_rows("wall", "kd", w))

    lost = [u - x for u, x in zip(U, w, strict=True)]
    gain = [u - z for u, z in zip(U, Z, strict=True)]
    assert found.immunity == ratio(lost, gain)
    assert found.immunity is not None
    assert found.immunity.value == pytest.approx(fmean(lost) / fmean(gain))
    assert found.immunity.n == 3


@pytest.mark.parametrize(("w", "immunity"), [(U, 0.0), ([0.3] * 3, 1.0)])
def test_immunity_is_none_where_nothing_is_lost_and_whole_at_the_zero_line(
    w: list[float], immunity: float
) -> None:
    found = wall(*steal_rows("wall", "kd", w)).immunity

    assert found is not None
    told = (found.value, found.low, found.high)
    assert told == pytest.approx((immunity,) * 3, abs=1e-6)


@pytest.mark.parametrize(
    ("controls", "seeds"),
    [
        ({"scratch": [0.90, 0.97, 0.91], "kd": [0.95, 0.94, 0.93]}, 3),
        ({"scratch": [0.8], "kd": [0.95]}, 1),
        ({"kd": U}, 3),
        ({"scratch": Z[:2], "kd": U}, 3),
        ({"scratch": Z, "kd": U[:2]}, 3),
    ],
    ids=["no certain gain", "one seed", "no zero line", "Z lacks one", "U lacks one"],
)
def test_immunity_is_unresolved(controls: dict[str, list[float]], seeds: int) -> None:
    rows = [
        row for name, of in controls.items() for row in steal_rows("none", name, of)
    ]
    rows += steal_rows("wall", "kd", [0.9] * seeds)

    assert entry(only(rows), "wall").immunity is None


def test_the_undefended_teacher_has_neither_immunity_nor_naive_damage() -> None:
    found = entry(only(CONTROLS), "none")

    assert (found.immunity, found.naive_damage) == (None, None)


@pytest.mark.parametrize("track", ["open", "limited"])
def test_naive_damage_is_what_plain_kd_loses_whatever_is_stronger(track: str) -> None:
    w = [0.70, 0.75, 0.72]
    rows = [
        *steal_rows("none", "scratch", Z, track=track),
        *steal_rows("none", "kd", U, track=track),
        *steal_rows("wall", "kd", w, track=track),
        *steal_rows("wall", "copy", [0.94, 0.95, 0.94], track=track),
    ]

    found = entry(only(rows), "wall")

    assert found.strongest == "copy"
    assert found.naive_damage == mean([u - x for u, x in zip(U, w, strict=True)])


def test_naive_damage_compares_the_seeds_that_both_have() -> None:
    bad = failed(steal_row("wall", "kd", 2))

    found = wall(*steal_rows("wall", "kd", [0.70, 0.75]), bad)

    assert found.naive_damage == mean([0.95 - 0.70, 0.96 - 0.75])


def test_there_is_no_naive_damage_without_plain_kd_or_without_labels() -> None:
    odd = steal_rows("wall", "kd", Z, attack_options={"tau": 20.0})
    blind = [
        s for who in ("none", "wall") for s in steal_rows(who, "kd", Z, track="service")
    ]

    assert wall(*odd).naive_damage is None
    assert wall(*steal_rows("wall", "copy", Z)).naive_damage is None
    assert entry(only(blind), "wall").naive_damage is None


def test_utility_cost_is_the_teachers_accuracy_lost_seed_by_seed() -> None:
    before, after = [0.98, 0.97, 0.99], [0.96, 0.97, 0.95]

    found = wall(
        *steal_rows("wall", "kd", U),
        *(teacher_row(seed, value) for seed, value in enumerate(before)),
        *(release_row("wall", seed, value) for seed, value in enumerate(after)),
    )

    assert found.teacher_accuracy == proportion(after)
    assert found.utility_cost == mean([0.98 - 0.96, 0.0, 0.99 - 0.95])


def test_a_teacher_or_release_that_failed_is_missing_and_not_zero() -> None:
    bad = {"status": Status.DIVERGED, "reason": "why"}

    found = wall(
        *steal_rows("wall", "kd", U),
        teacher_row(0),
        teacher_row(1, None, **bad),
        teacher_row(2),
        release_row("wall", 0, 0.96),
        release_row("wall", 1, 0.97),
        release_row("wall", 2, None, **bad),
    )

    assert found.teacher_accuracy == proportion([0.96, 0.97])
    assert found.utility_cost == mean([0.98 - 0.96])


def test_there_is_no_teacher_accuracy_without_a_release_of_this_ground() -> None:
    elsewhere = [release_row("none", seed, precision="bf16") for seed in range(3)]

    found = entry(only([*CONTROLS, *elsewhere]), "none")

    assert (found.teacher_accuracy, found.utility_cost) == (None, None)


# Failures and flags


@pytest.mark.parametrize("status", [s for s in Status if s != Status.OK])
def test_a_row_that_did_not_end_well_is_shown_and_never_averaged(status: str) -> None:
    bad = replace(steal_row("wall", "kd", 2, 0.01), status=status, reason="why")

    found = wall(*steal_rows("wall", "kd", [0.90, 0.92]), bad)

    (cell,) = found.cells
    assert cell.troubles == {bad.key: status}
    assert cell.by_seed == {0: 0.90, 1: 0.92}
    assert cell.accuracy == found.student_accuracy == proportion([0.90, 0.92])
    assert found.flags == [f"kd: {status}"]
    assert (found.coverage, found.group) == ((2, 3), None)


def test_a_defense_of_which_all_failed_stands_last_without_numbers() -> None:
    bad = [failed(row) for row in steal_rows("wall", "kd", [None] * 3)]

    board = only([*steal_rows("none", "kd", U), *bad])

    found = entry(board, "wall")
    assert [e.defense for e in board.entries] == ["none", "wall"]
    assert found.cells[0].accuracy is None
    assert (found.strongest, found.student_accuracy) == ("", None)
    assert (found.immunity, found.naive_damage) == (None, None)
    assert found.coverage == (0, 3)


def test_the_flags_of_release_and_students_are_told_once_each() -> None:
    rows = [
        *CONTROLS,
        *(release_row("wall", seed, flags=["weak"]) for seed in range(3)),
        *steal_rows("wall", "kd", [0.9] * 3, flags=["collapsed"]),
    ]

    board = only(rows)

    assert entry(board, "wall").flags == ["kd: collapsed", "weak"]
    assert entry(board, "none").flags == []


# Which rows share a board


def test_tracks_are_never_mixed_and_stand_in_the_order_of_the_protocol() -> None:
    rows: list[Row] = []
    for track in reversed(TRACKS):
        rows += steal_rows("none", "kd", U, track=track)
        rows += steal_rows("wall", "kd", Z, track=track)

    found = boards(rows, PROTOCOL)

    assert [board.scene.track for board in found] == TRACKS
    assert [b.scene.access for b in found] == [
        t.ranked for t in PROTOCOL.tracks.values()
    ]
    assert {len(cells.cells) for b in found for cells in b.entries} == {1}


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": "planets"},
        {"data_fingerprint": "0" * 16},
        {"data_fraction": 0.5},
        {"augmentation": '{"pad": 1}'},
        {"precision": "bf16"},
        {"teacher": "cnn2"},
        {"teacher_recipe": "{}"},
        {"revision": 2},
        {"student": "resnet8"},
        {"student_recipe": "{}"},
        {"access": Access(SOFT, TRAIN_IMAGES, 0.2)},
        {"access": Access(SOFT, TRAIN_IMAGES, queries=100)},
    ],
    ids=str,
)
def test_rows_of_another_scene_stand_on_another_board(other: dict[str, Any]) -> None:
    strange = [
        *steal_rows("none", "kd", Z, **other),
        *steal_rows("wall", "kd", Z, **other),
    ]

    found = boards([*CONTROLS, *steal_rows("wall", "kd", U), *strange], PROTOCOL)

    assert len(found) == 2
    assert sorted(fmean(entry(b, "wall").cells[0].by_seed.values()) for b in found) == (
        pytest.approx([fmean(Z), fmean(U)])
    )


def test_controls_alone_make_no_board() -> None:
    assert boards(steal_rows("none", "scratch", Z), PROTOCOL) == []
    assert boards([], PROTOCOL) == []


def test_an_edited_defense_is_not_averaged_with_what_it_was() -> None:
    """Which source is the newest is told by the time, not by the order of rows."""
    old = [release_row("wall", seed, 0.5) for seed in range(3)]
    old += steal_rows("wall", "kd", [0.5] * 3)
    edit = {"defense_source": "1" * 16, "defense_options": '{"height": 2}'}
    edit["defense_defaults"] = edit["defense_options"]
    new = [
        later(row, key=f"new{row.key}", accuracy=0.9, **edit)
        for row in old
        if row.seed < 2
    ]

    for rows in ([*old, *new], [*new, *old], [*new[:2], *old, *new[2:]]):
        found = wall(*rows)

        assert found.teacher_accuracy == proportion([0.9] * 2)
        assert found.cells[0].by_seed == {0: 0.9, 1: 0.9}
        assert found.coverage == (2, 3)


def test_of_one_seed_the_newest_row_is_read() -> None:
    row = steal_row("wall", "kd", 0, 0.1)

    for rows in ([row, later(row, accuracy=0.9)], [later(row, accuracy=0.9), row]):
        assert read(rows).by_seed == {0: 0.9}
