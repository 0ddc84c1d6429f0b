"""Ranked tables from rows that are written by hand."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from boarding import U, Z, entry, failed, later, mean, only, proportion, ratio

from bench.boards.board import boards
from bench.boards.cells import read
from bench.boards.entry import Entry
from bench.errors import Status
from bench.planning.protocol import Track
from bench.results.rows import Row
from bench.testing.protocol import PROTOCOL, SOFT, TRAIN_IMAGES
from bench.testing.rows import release_row, steal_row, steal_rows, teacher_row
from bench.threat.access import Access

TRACKS = list(PROTOCOL.tracks)


CONTROLS: list[Row] = [*steal_rows("none", "scratch", Z), *steal_rows("none", "kd", U)]


def wall(*rows: Row) -> Entry:
    """The entry of the defense `wall` beside the controls."""
    return entry(only([*CONTROLS, *rows]), "wall")


# The lines: Z, U, W


def test_the_lines_are_scratch_and_the_strongest_attacks_by_their_means() -> None:
    best, spread, held = [0.97, 0.96, 0.98], [0.99, 0.80, 0.80], [0.90, 0.91, 0.89]
    rows = [*CONTROLS, *steal_rows("none", "copy", best)]
    rows += [*steal_rows("wall", "kd", spread), *steal_rows("wall", "copy", held)]

    board = only(rows)

    assert (board.zero.estimate, board.zero.source) == (proportion(Z), "scratch")
    assert (board.ceiling.estimate, board.ceiling.source) == (proportion(best), "copy")
    found = entry(board, "wall")
    assert (found.strongest, found.student_accuracy) == ("copy", proportion(held))
    assert found.by_seed == dict(enumerate(held))


def test_the_zero_line_is_one_of_the_attacks() -> None:
    found = wall(*steal_rows("wall", "kd", [0.30, 0.31, 0.29]))
    below = only(
        [*steal_rows("none", "scratch", Z), *steal_rows("none", "kd", [0.5] * 3)]
    )

    assert (found.strongest, found.student_accuracy) == ("scratch", proportion(Z))
    assert (below.ceiling.estimate, below.ceiling.source) == (proportion(Z), "scratch")


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

    zero = board.zero.estimate
    assert zero is not None and (zero.value, zero.low, zero.high) == (0.25,) * 3
    assert (board.zero.source, board.ceiling.source) == ("chance, 1/4", "invent")
    found = entry(board, "wall")
    assert found.strongest == "invent"
    assert found.immunity is not None
    assert found.immunity.value == pytest.approx((0.61 - 0.95 / 3) / (0.61 - 0.25))


def test_each_board_has_a_zero_line_of_its_own_images_or_none() -> None:
    rows = [*CONTROLS, *steal_rows("none", "scratch", [0.4] * 3, track="limited")]
    rows += steal_rows("none", "kd", U, track="limited")
    rows += steal_rows("none", "dafl", U, track="white box", classes=None)

    lines = {
        b.scene.track: (b.zero.estimate, b.zero.source) for b in boards(rows, PROTOCOL)
    }

    assert lines == {
        "open": (proportion(Z), "scratch"),
        "limited": (proportion([0.4] * 3), "scratch"),
        "white box": (None, ""),
    }


def test_a_control_without_teacher_serves_every_track_with_its_images() -> None:
    hard = Track(teacher="HardLabels", images=TRAIN_IMAGES)
    update = {"tracks": {**PROTOCOL.tracks, "hard": hard}}
    update |= {"attacks": ("scratch", "kd", "label_kd")}
    protocol = PROTOCOL.model_copy(update=update)
    rows = [*CONTROLS, *steal_rows("none", "label_kd", U, access=hard.ranked)]

    found = boards(rows, protocol)

    assert [(b.scene.track, b.zero.estimate, b.official) for b in found] == [
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


def test_immunity_is_none_where_nothing_is_lost() -> None:
    found = wall(*steal_rows("wall", "kd", U)).immunity

    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-6)


def test_where_w_is_the_zero_line_itself_the_gain_stands_in_place_of_immunity() -> None:
    w = [0.30, 0.31, 0.32]

    found = wall(*steal_rows("wall", "kd", w))

    assert (found.at_zero, found.immunity, found.strongest) == (True, None, "scratch")
    assert found.gain == mean([x - z for x, z in zip(w, Z, strict=True)])
    assert found.student_accuracy == proportion(Z)


@pytest.mark.parametrize(
    ("controls", "seeds"),
    [
        ({"scratch": [0.90, 0.97, 0.91], "kd": [0.95, 0.94, 0.93]}, 3),
        ({"scratch": [0.8], "kd": [0.95]}, 1),
        ({"kd": U}, 3),
    ],
    ids=["no certain gain", "one seed", "no zero line"],
)
def test_immunity_is_unresolved(controls: dict[str, list[float]], seeds: int) -> None:
    rows = [
        row for name, of in controls.items() for row in steal_rows("none", name, of)
    ]
    rows += steal_rows("wall", "kd", [0.9] * seeds)

    assert entry(only(rows), "wall").immunity is None


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


def test_naive_damage_needs_plain_kd_on_labels_and_seeds_that_both_have() -> None:
    bad = failed(steal_row("wall", "kd", 2))
    odd = steal_rows("wall", "kd", Z, attack_options={"tau": 20.0})
    blind = [
        s for who in ("none", "wall") for s in steal_rows(who, "kd", Z, track="service")
    ]

    found = wall(*steal_rows("wall", "kd", [0.70, 0.75]), bad)

    assert found.naive_damage == mean([0.95 - 0.70, 0.96 - 0.75])
    assert wall(*odd).naive_damage is None
    assert wall(*steal_rows("wall", "copy", Z)).naive_damage is None
    assert entry(only(blind), "wall").naive_damage is None
    plain = entry(only(CONTROLS), "none")
    assert (plain.immunity, plain.naive_damage) == (None, None)


@pytest.mark.parametrize("ended", ["well", "badly"])
def test_utility_cost_is_the_teachers_accuracy_lost_by_seeds_that_ended_well(
    ended: str,
) -> None:
    before, after = [0.98, 0.97, 0.99], [0.96, 0.97, 0.95]
    teachers = [teacher_row(seed, value) for seed, value in enumerate(before)]
    releases = [release_row("wall", seed, value) for seed, value in enumerate(after)]
    if ended == "badly":
        bad = {"status": Status.DIVERGED, "reason": "why", "accuracy": None}
        teachers[1] = replace(teachers[1], **bad)
        releases[2] = replace(releases[2], **bad)

    found = wall(*steal_rows("wall", "kd", U), *teachers, *releases)

    kept = 3 if ended == "well" else 2
    costs = [0.98 - 0.96, 0.0, 0.99 - 0.95] if kept == 3 else [0.98 - 0.96]
    assert found.teacher_accuracy == proportion(after[:kept])
    assert found.utility_cost == mean(costs)


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
    assert cell.accuracy == proportion([0.90, 0.92])
    assert found.flags == [f"kd: {status}"]
    assert (found.coverage, found.rank) == ((2, 3), None)
    assert found.standing == "preliminary: 2 of 3 students"


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


def test_controls_alone_make_no_board_and_of_one_seed_the_newest_row_is_read() -> None:
    row = steal_row("wall", "kd", 0, 0.1)

    assert boards(steal_rows("none", "scratch", Z), PROTOCOL) == []
    assert boards([], PROTOCOL) == []
    for rows in ([row, later(row, accuracy=0.9)], [later(row, accuracy=0.9), row]):
        assert read(rows).by_seed == {0: 0.9}


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
