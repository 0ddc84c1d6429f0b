"""Ranked tables from rows that are written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

import pytest

from bench.boards.board import Board, Entry, boards, current, official_boards
from bench.boards.intervals import mean, ratio, share
from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.threat.tracks import TRACKS, track

MORNING = datetime(2026, 1, 1, 9, tzinfo=UTC)
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
    "started": MORNING,
    "seconds": 1.0,
}
GRANTS = {
    "kd": ("SoftLabels", "TrainImages", 1.0),
    "copy": ("Weights", "TrainImages", 1.0),
    "scratch": ("HardLabels", "TrainImages", 1.0),
    "limited_kd": ("SoftLabels", "TrainImages", 0.1),
    "scratch[fraction=0.1]": ("HardLabels", "TrainImages", 0.1),
    "dafl": ("Weights", "NoImages", 1.0),
    "surrogate": ("SoftLabels", "SurrogateImages", 1.0),
    "invent": ("HardLabels", "NoImages", 1.0),
}


def teacher(seed: int, accuracy: float | None = 0.98, **more: Any) -> TeacherRow:
    """The undefended teacher of a seed."""
    known = {**COMMON, "key": f"t{seed}", "seed": seed, "accuracy": accuracy}
    return TeacherRow(**(known | more))


def release(
    defense: str, seed: int, accuracy: float | None = 0.97, **more: Any
) -> ProtectRow:
    """What a defense made of that teacher."""
    known = {
        **COMMON,
        "key": f"{defense}-{seed}",
        "parent": f"t{seed}",
        "seed": seed,
        "defense": defense,
        "defense_options": "{}",
        "defense_source": "0" * 16,
        "accuracy": accuracy,
    }
    return ProtectRow(**(known | more))


def steal(
    defense: str, attack: str, seed: int, accuracy: float | None, **more: Any
) -> StealRow:
    """The student that an attack on that release trained."""
    teacher_grant, image_grant, fraction = GRANTS[attack]
    known = {
        **COMMON,
        "key": f"{defense}-{attack}-{seed}",
        "parent": f"{defense}-{seed}",
        "seed": seed,
        "defense": defense,
        "defense_options": "{}",
        "defense_source": "0" * 16,
        "attack": attack,
        "attack_options": "{}",
        "attack_source": "0" * 16,
        "teacher_grant": teacher_grant,
        "image_grant": image_grant,
        "fraction": fraction,
        "track": track(teacher_grant, image_grant, fraction),
        "teacherless": attack.startswith("scratch"),
        "student": "cnn2",
        "student_recipe": "{}",
        "accuracy": accuracy,
    }
    return StealRow(**(known | more))


def steals(defense: str, attack: str, values: Sequence[float | None]) -> list[StealRow]:
    """A student a seed."""
    return [steal(defense, attack, seed, v) for seed, v in enumerate(values)]


def failed(row: StealRow, status: str = "failed") -> StealRow:
    return replace(row, status=status, reason="why", accuracy=None)


def only(found: Iterable[Board]) -> Board:
    (board,) = found
    return board


def entry(board: Board, defense: str) -> Entry:
    return next(entry for entry in board.entries if entry.defense == defense)


Z = [0.80, 0.81, 0.79]
U = [0.95, 0.96, 0.95]
CONTROLS: list[Row] = [*steals("none", "scratch", Z), *steals("none", "kd", U)]


def test_zero_line_and_ceiling_are_scratch_and_the_best_attack_on_none() -> None:
    copied = [0.97, 0.96, 0.98]

    board = only(boards([*CONTROLS, *steals("none", "copy", copied)]))

    assert (board.zero, board.zero_is) == (share(Z), "scratch")
    assert (board.ceiling, board.ceiling_is) == (share(copied), "copy")


def test_w_is_the_strongest_attack_by_its_mean() -> None:
    kd, copied = [0.99, 0.80, 0.80], [0.90, 0.91, 0.89]
    rows = [*CONTROLS, *steals("wall", "kd", kd), *steals("wall", "copy", copied)]

    found = entry(only(boards(rows)), "wall")

    assert found.strongest == "copy"
    assert found.student_accuracy == share(copied)


def test_the_zero_line_is_one_of_the_attacks() -> None:
    rows = [*CONTROLS, *steals("wall", "kd", [0.30, 0.31, 0.29])]

    found = entry(only(boards(rows)), "wall")

    assert found.strongest == "scratch"
    assert found.student_accuracy == share(Z)


def test_the_zero_line_is_a_ceiling_where_no_attack_is_better() -> None:
    rows = [*steals("none", "scratch", Z), *steals("none", "kd", [0.5, 0.5, 0.5])]

    board = only(boards(rows))

    assert (board.ceiling, board.ceiling_is) == (share(Z), "scratch")


def test_a_defense_against_which_nothing_is_lost_has_no_immunity() -> None:
    found = entry(only(boards([*CONTROLS, *steals("wall", "kd", U)])), "wall")

    assert found.immunity is not None
    assert (found.immunity.value, found.immunity.low, found.immunity.high) == (0, 0, 0)


def test_a_defense_that_leaves_no_more_than_the_zero_line_is_immune() -> None:
    rows = [*CONTROLS, *steals("wall", "kd", [0.3, 0.3, 0.3])]

    found = entry(only(boards(rows)), "wall")

    assert found.immunity is not None
    assert found.immunity.value == pytest.approx(1)
    assert (found.immunity.low, found.immunity.high) == pytest.approx((1, 1), abs=1e-6)


def test_immunity_is_the_share_of_the_gain_that_is_lost_seed_by_seed() -> None:
    w = [0.90, 0.88, 0.91]

    found = entry(only(boards([*CONTROLS, *steals("wall", "kd", w)])), "wall")

    lost = [u - x for u, x in zip(U, w, strict=True)]
    gain = [u - z for u, z in zip(U, Z, strict=True)]
    assert found.immunity == ratio(lost, gain)
    assert found.immunity is not None
    assert found.immunity.value == pytest.approx(fmean(lost) / fmean(gain))
    assert found.immunity.n == 3


def test_immunity_is_unresolved_where_the_teacher_adds_nothing_certain() -> None:
    rows = [
        *steals("none", "scratch", [0.90, 0.97, 0.91]),
        *steals("none", "kd", [0.95, 0.94, 0.93]),
        *steals("wall", "kd", [0.92, 0.93, 0.91]),
    ]

    assert entry(only(boards(rows)), "wall").immunity is None


def test_immunity_is_unresolved_with_one_seed() -> None:
    rows = [
        steal("none", "scratch", 0, 0.8),
        steal("none", "kd", 0, 0.95),
        steal("wall", "kd", 0, 0.9),
    ]

    assert entry(only(boards(rows)), "wall").immunity is None


def test_immunity_is_unresolved_without_a_zero_line() -> None:
    rows = [*steals("none", "kd", U), *steals("wall", "kd", [0.9, 0.9, 0.9])]

    board = only(boards(rows))

    assert (board.zero, board.zero_is) == (None, "")
    assert entry(board, "wall").immunity is None


def test_the_undefended_teacher_has_neither_immunity_nor_naive_damage() -> None:
    found = entry(only(boards(CONTROLS)), "none")

    assert found.immunity is None
    assert found.naive_damage is None


@pytest.mark.parametrize("attack", ["dafl", "surrogate", "invent"])
def test_the_zero_line_is_chance_where_no_labelled_image_is_granted(
    attack: str,
) -> None:
    rows = [
        *steals("none", "scratch", Z),
        *steals("none", attack, [0.60, 0.62, 0.61]),
        *steals("wall", attack, [0.30, 0.33, 0.32]),
    ]

    board = only(boards(rows))

    assert board.zero is not None
    assert (board.zero.value, board.zero.low, board.zero.high) == pytest.approx(
        (0.1, 0.1, 0.1)
    )
    assert board.zero_is == "chance, 1/10"
    assert board.ceiling_is == attack
    found = entry(board, "wall")
    assert found.strongest == attack
    assert found.immunity is not None
    assert found.immunity.value == pytest.approx((0.61 - 0.95 / 3) / (0.61 - 0.1))


def test_chance_on_a_data_set_of_ones_own_comes_from_the_rows() -> None:
    rows = [
        steal("none", "dafl", 0, 0.6, dataset="folder:here", classes=4),
        failed(steal("none", "invent", 0, None, dataset="folder:here")),
    ]

    for board in boards(rows):
        if board.ceiling_is == "dafl":
            assert (board.zero and board.zero.value) == 0.25
            assert board.zero_is == "chance, 1/4"
            return
    pytest.fail("there is no board of dafl")


def test_there_is_no_chance_level_for_a_data_set_that_is_not_known() -> None:
    rows = [
        steal("none", "dafl", seed, 0.6 + seed / 100, dataset="planets")
        for seed in range(3)
    ]

    board = only(boards(rows))

    assert (board.zero, board.zero_is) == (None, "")


@pytest.mark.parametrize(
    ("attack", "control"),
    [("kd", "scratch"), ("limited_kd", "scratch[fraction=0.1]")],
)
def test_naive_damage_is_what_vanilla_kd_loses(attack: str, control: str) -> None:
    w = [0.70, 0.75, 0.72]
    rows = [
        *steals("none", control, Z),
        *steals("none", attack, U),
        *steals("wall", attack, w),
    ]

    found = entry(only(boards(rows)), "wall")

    assert found.naive_damage == mean([u - x for u, x in zip(U, w, strict=True)])


def test_naive_damage_ignores_that_another_attack_is_stronger() -> None:
    naive, strong = [0.5, 0.5, 0.5], [0.94, 0.95, 0.94]
    rows = [*CONTROLS, *steals("wall", "kd", naive), *steals("wall", "copy", strong)]

    found = entry(only(boards(rows)), "wall")

    assert found.strongest == "copy"
    assert found.naive_damage is not None
    assert found.naive_damage.value == pytest.approx(fmean(U) - 0.5)


def test_naive_damage_compares_the_seeds_that_both_have() -> None:
    ended_badly = failed(steal("wall", "kd", 2, None))
    rows = [*CONTROLS, *steals("wall", "kd", [0.70, 0.75]), ended_badly]

    found = entry(only(boards(rows)), "wall")

    assert found.naive_damage == mean([0.95 - 0.70, 0.96 - 0.75])


def test_there_is_no_naive_damage_without_vanilla_kd() -> None:
    rows = [*steals("none", "dafl", U), *steals("wall", "dafl", Z)]

    assert entry(only(boards(rows)), "wall").naive_damage is None


def test_utility_cost_is_the_teachers_accuracy_lost_seed_by_seed() -> None:
    before, after = [0.98, 0.97, 0.99], [0.96, 0.97, 0.95]
    rows = [
        *CONTROLS,
        *steals("wall", "kd", U),
        *(teacher(seed, value) for seed, value in enumerate(before)),
        *(release("wall", seed, value) for seed, value in enumerate(after)),
    ]

    found = entry(only(boards(rows)), "wall")

    assert found.teacher_accuracy == share(after)
    assert found.utility_cost == mean([0.98 - 0.96, 0.0, 0.99 - 0.95])


def test_a_failed_release_has_no_utility_cost_and_is_not_averaged() -> None:
    rows = [
        *CONTROLS,
        *steals("wall", "kd", U),
        *(teacher(seed) for seed in range(3)),
        release("wall", 0, 0.96),
        release("wall", 1, 0.94),
        release("wall", 2, None, status="diverged", reason="why"),
    ]

    found = entry(only(boards(rows)), "wall")

    assert found.teacher_accuracy == share([0.96, 0.94])
    assert found.utility_cost == mean([0.98 - 0.96, 0.98 - 0.94])


def test_a_teacher_that_failed_does_not_count_as_one_that_knows_nothing() -> None:
    rows = [
        *CONTROLS,
        *steals("wall", "kd", U),
        teacher(0),
        teacher(1),
        teacher(2, None, status="failed", reason="why"),
        *(release("wall", seed, 0.97) for seed in range(3)),
    ]

    found = entry(only(boards(rows)), "wall")

    assert found.utility_cost == mean([0.98 - 0.97, 0.98 - 0.97])


def test_there_is_no_teacher_accuracy_without_a_release() -> None:
    found = entry(only(boards(CONTROLS)), "none")

    assert found.teacher_accuracy is None
    assert found.utility_cost is None


WALLS = {
    "brick": [0.50, 0.51, 0.52],
    "clay": [0.52, 0.50, 0.53],
    "hedge": [0.70, 0.71, 0.70],
    "rope": [0.71, 0.70, 0.72],
    "string": [0.90, 0.91, 0.92],
}


def field_of(walls: dict[str, list[float]]) -> list[Row]:
    """Controls with a low zero line, and each of `walls` attacked by kd."""
    rows: list[Row] = [
        *steals("none", "scratch", [0.2, 0.2, 0.2]),
        *steals("none", "kd", U),
    ]
    for name, values in walls.items():
        rows += steals(name, "kd", values)
    return rows


def test_the_defense_with_the_weakest_strongest_attack_stands_first() -> None:
    board = only(boards(reversed(field_of(WALLS))))

    assert [e.defense for e in board.entries] == [*WALLS, "none"]


def test_what_is_not_resolved_from_the_first_of_a_group_shares_its_rank() -> None:
    board = only(boards(field_of(WALLS)))

    groups = {e.defense: e.group for e in board.entries}
    assert groups == {
        "brick": 1,
        "clay": 1,
        "hedge": 3,
        "rope": 3,
        "string": 5,
        "none": None,
    }


def test_a_group_is_anchored_at_its_first_and_does_not_drift() -> None:
    walls = {
        "first": [0.50, 0.50, 0.50],
        "second": [0.49, 0.52, 0.52],
        "third": [0.52, 0.52, 0.53],
    }

    board = only(boards(field_of(walls)))

    pairs = zip(walls["third"], walls["second"], strict=True)
    groups = {e.defense: e.group for e in board.entries}
    assert not mean([third - second for third, second in pairs]).resolved
    assert groups == {"first": 1, "second": 1, "third": 3, "none": None}


def test_paired_seeds_resolve_what_means_alone_would_not() -> None:
    walls = {"one": [0.30, 0.50, 0.70], "two": [0.32, 0.52, 0.721]}

    board = only(boards(field_of(walls)))

    assert share(walls["one"]).high > share(walls["two"]).low
    assert [e.group for e in board.entries] == [1, 2, None]


def test_the_seeds_that_would_part_a_group_are_told() -> None:
    board = only(boards(field_of(WALLS)))

    needed = {e.defense: e.seeds_needed for e in board.entries}
    told = needed["clay"]
    assert told is not None
    assert told > 3
    assert needed["brick"] is None
    assert needed["hedge"] is None


def test_one_seed_resolves_nothing() -> None:
    rows = [
        steal("none", "scratch", 0, 0.2),
        steal("none", "kd", 0, 0.9),
        steal("wall", "kd", 0, 0.3),
        steal("rope", "kd", 0, 0.8),
    ]

    board = only(boards(rows))

    assert {e.defense: e.group for e in board.entries} == {
        "wall": 1,
        "rope": 1,
        "none": None,
    }


def test_the_undefended_teacher_stands_in_its_place_without_a_rank() -> None:
    worse = {"wall": [0.5, 0.5, 0.5], "leak": [0.97, 0.98, 0.98]}

    board = only(boards(field_of(worse)))

    assert [(e.defense, e.group) for e in board.entries] == [
        ("wall", 1),
        ("none", None),
        ("leak", 2),
    ]


def test_a_defense_that_lacks_an_attack_is_listed_and_not_ranked() -> None:
    rows = [
        *CONTROLS,
        *steals("none", "copy", U),
        *steals("half", "kd", [0.3, 0.3, 0.3]),
        *steals("whole", "kd", [0.9, 0.9, 0.9]),
        *steals("whole", "copy", [0.9, 0.9, 0.9]),
    ]

    board = only(boards(rows))

    half, whole = entry(board, "half"), entry(board, "whole")
    assert (half.coverage, half.complete, half.group) == ((3, 6), False, None)
    assert (whole.coverage, whole.complete, whole.group) == ((6, 6), True, 1)


def test_a_defense_that_lacks_a_seed_is_listed_and_not_ranked() -> None:
    rows = [*CONTROLS, *steals("wall", "kd", [0.9, 0.9])]

    found = entry(only(boards(rows)), "wall")

    assert (found.coverage, found.group) == ((2, 3), None)
    assert found.seeds_needed is None


def test_an_incomplete_entry_anchors_no_group() -> None:
    rows = [
        *field_of({"wall": [0.5, 0.5, 0.5]}),
        *steals("half", "kd", [0.49]),
    ]

    board = only(boards(rows))

    assert [(e.defense, e.group) for e in board.entries] == [
        ("half", None),
        ("wall", 1),
        ("none", None),
    ]


@pytest.mark.parametrize("status", ["failed", "oom", "diverged", "timeout", "skipped"])
def test_a_failed_row_is_shown_and_never_averaged(status: str) -> None:
    bad = failed(steal("wall", "kd", 2, None), status)
    rows = [*CONTROLS, *steals("wall", "kd", [0.90, 0.92]), bad]

    found = entry(only(boards(rows)), "wall")

    (cell,) = found.cells
    assert cell.troubles == [bad]
    assert cell.by_seed == {0: 0.90, 1: 0.92}
    assert cell.accuracy == share([0.90, 0.92])
    assert found.flags == [f"kd: {status}"]
    assert (found.coverage, found.group) == ((2, 3), None)


def test_a_number_in_a_failed_row_is_not_trusted() -> None:
    bad = steal("wall", "kd", 2, 0.01, status="diverged", reason="why")
    rows = [*CONTROLS, *steals("wall", "kd", [0.90, 0.92]), bad]

    found = entry(only(boards(rows)), "wall")

    assert found.student_accuracy == share([0.90, 0.92])


def test_a_cell_in_which_all_failed_has_no_accuracy() -> None:
    bad = [failed(row) for row in steals("wall", "kd", [None] * 3)]
    rows = [*steals("none", "kd", U), *bad]

    found = entry(only(boards(rows)), "wall")

    assert found.cells[0].accuracy is None
    assert (found.strongest, found.student_accuracy) == ("", None)
    assert (found.immunity, found.naive_damage) == (None, None)
    assert found.coverage == (0, 3)


def test_a_defense_of_which_nothing_is_known_stands_last() -> None:
    bad = [failed(row) for row in steals("wall", "kd", [None] * 3)]

    board = only(boards([*steals("none", "kd", U), *bad]))

    assert [e.defense for e in board.entries] == ["none", "wall"]


def test_every_ranked_entry_rests_on_every_seed_even_if_scratch_failed() -> None:
    zeros = [
        steal("none", "scratch", 0, 0.99),
        *(failed(steal("none", "scratch", seed, None)) for seed in (1, 2)),
    ]
    rows = [*zeros, *steals("none", "kd", U), *steals("wall", "kd", [0.9, 0.9, 0.9])]

    board = only(boards(rows))

    ranked = [e for e in board.entries if e.group is not None]
    assert all(e.student_accuracy and e.student_accuracy.n == 3 for e in ranked)


def test_the_flags_of_release_and_students_are_told_once_each() -> None:
    rows = [
        *CONTROLS,
        *(release("wall", seed, flags=["weak"]) for seed in range(3)),
        *(steal("wall", "kd", seed, 0.9, flags=["collapsed"]) for seed in range(3)),
    ]

    board = only(boards(rows))

    assert entry(board, "wall").flags == ["kd: collapsed", "weak"]
    assert entry(board, "none").flags == []


def test_tracks_are_never_mixed() -> None:
    rows = [
        *steals("none", "scratch", Z),
        *steals("none", "scratch[fraction=0.1]", [0.4, 0.4, 0.4]),
    ]
    for attack in ("kd", "limited_kd", "dafl", "surrogate", "invent"):
        rows += [*steals("none", attack, U), *steals("wall", attack, Z)]

    found = boards(rows)

    assert [board.scene.track for board in found] == list(TRACKS)
    assert [board.zero_is for board in found] == [
        "scratch",
        "scratch[fraction=0.1]",
        *["chance, 1/10"] * 3,
    ]
    for board in found:
        attacks = {cell.attack for e in board.entries for cell in e.cells}
        assert len(attacks) == 1
        assert {track(*GRANTS[attack]) for attack in attacks} == {board.scene.track}


@pytest.mark.parametrize(
    "other",
    [
        {"dataset": "planets"},
        {"teacher": "cnn2"},
        {"student": "resnet8"},
        {"protocol": "mine"},
        {"protocol_version": 2},
        {"fraction": 0.2, "track": "limited"},
    ],
)
def test_rows_of_another_scene_stand_on_another_board(other: dict[str, Any]) -> None:
    strange = [replace(row, **other) for row in steals("wall", "kd", Z)]

    found = boards([*CONTROLS, *steals("wall", "kd", U), *strange])

    assert len(found) == 2
    assert sorted(fmean(entry(b, "wall").cells[0].by_seed.values()) for b in found) == (
        pytest.approx([fmean(Z), fmean(U)])
    )


def test_releases_of_another_protocol_do_not_count() -> None:
    rows = [
        *CONTROLS,
        *steals("wall", "kd", U),
        *(release("wall", seed, 0.9) for seed in range(3)),
        *(release("wall", seed, 0.1, protocol_version=2) for seed in range(3)),
    ]

    assert entry(only(boards(rows)), "wall").teacher_accuracy == share([0.9] * 3)


def test_controls_alone_make_no_board() -> None:
    assert boards(steals("none", "scratch", Z)) == []
    assert boards([]) == []


def test_recipes_are_never_mixed_on_one_board() -> None:
    recipes = {"teacher_recipe": "short", "student_recipe": "short"}
    rows = [teacher(0), release("none", 0), *CONTROLS]
    short = [
        replace(row, key=f"{row.key}-short", **only_known(row, recipes)) for row in rows
    ]

    found = boards([*rows, *short])

    assert [board.scene.teacher_recipe for board in found] == ["short", "{}"]
    assert {board.ceiling for board in found} == {share(U)}
    assert {entry(b, "none").teacher_accuracy.n for b in found} == {1}


def only_known(row: Row, columns: dict[str, Any]) -> dict[str, Any]:
    """Those of `columns` that `row` has."""
    return {name: v for name, v in columns.items() if hasattr(row, name)}


def test_unofficial_rows_are_never_on_the_leaderboard() -> None:
    unofficial = [
        replace(row, official=False) for row in steals("wall", "kd", [0.3] * 3)
    ]

    board = only(official_boards([*CONTROLS, *unofficial]))

    assert [e.defense for e in board.entries] == ["none"]
    assert [e.defense for e in only(boards([*CONTROLS, *unofficial])).entries] == [
        "wall",
        "none",
    ]


def later(row: Row, hours: int, **changes: Any) -> Row:
    return replace(row, started=row.started + timedelta(hours=hours), **changes)


@pytest.mark.parametrize(
    "change",
    [
        {"defense_source": "1" * 16},
        {"attack_source": "1" * 16},
        {"revision": 2},
        {"data_fingerprint": "0" * 16},
        {"version": "0.2.0"},
    ],
)
def test_of_rows_that_answer_the_same_question_the_latest_stays(
    change: dict[str, Any],
) -> None:
    old = steal("wall", "kd", 0, 0.9)
    new = later(old, 1, key="new", accuracy=0.8, **change)

    assert current([old, new]) == [new]
    assert current([new, old]) == [new]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"defense": "rope"},
        {"attack": "copy"},
        {"student": "resnet8"},
        {"dataset": "planets"},
        {"teacher": "cnn2"},
        {"teacher_recipe": '{"epochs": 1}'},
        {"student_recipe": '{"epochs": 1}'},
        {"protocol": "mine"},
        {"protocol_version": 2},
    ],
)
def test_rows_that_answer_other_questions_stay_beside_each_other(
    change: dict[str, Any],
) -> None:
    one = steal("wall", "kd", 0, 0.9)
    other = later(one, 1, key="other", **change)

    assert current([one, other]) == [one, other]


def test_teachers_releases_and_students_do_not_replace_each_other() -> None:
    rows: list[Row] = [teacher(0), release("wall", 0), steal("wall", "kd", 0, 0.9)]

    assert current(rows) == rows


def test_a_later_failure_replaces_an_earlier_success() -> None:
    old = steal("wall", "kd", 0, 0.9)
    new = later(failed(old), 1, key="new", attack_source="1" * 16)

    assert current([new, old]) == [new]


def test_the_leaderboard_shows_the_latest_rows_alone() -> None:
    old = steals("wall", "kd", U)
    new = [later(row, 1, key=f"new{row.key}", accuracy=0.7) for row in old]

    board = only(official_boards([*new, *CONTROLS, *old]))

    assert entry(board, "wall").cells[0].accuracy == share([0.7] * 3)


def test_an_edit_that_gives_a_defense_another_option_replaces_its_older_rows() -> None:
    old: list[Row] = [release("wall", seed, 0.5) for seed in range(3)]
    old += steals("wall", "kd", [0.5] * 3)
    edit = {"defense_options": '{"height": 2}', "defense_source": "1" * 16}
    new = [later(row, 1, key=f"new{row.key}", accuracy=0.9, **edit) for row in old]

    board = only(official_boards([*new, *CONTROLS, *old]))

    found = entry(board, "wall")
    assert found.teacher_accuracy == share([0.9] * 3)
    assert found.cells[0].accuracy == share([0.9] * 3)


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = [*field_of(WALLS), *(teacher(s) for s in range(3))]
    rows += [release(wall, seed) for wall in WALLS for seed in range(3)]

    assert boards(reversed(rows)) == boards(rows)
