"""Who shares a rank, and which boards rank at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from boarding import U, Z, entry, failed, later, only

from bench.boards.board import boards, leaderboard
from bench.boards.intervals import mean, proportion
from bench.planning.protocol import Track
from bench.results.index import Results
from bench.results.rows import Row, StealRow
from bench.testing.protocol import NO_IMAGES, PROTOCOL, SOFT, TRAIN_IMAGES, WEIGHTS
from bench.testing.rows import release_row, steal_rows, teacher_row
from bench.threat.access import Access

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
        *steal_rows("none", "scratch", [0.2] * 3),
        *steal_rows("none", "kd", U),
    ]
    return rows + [
        s for name, values in walls.items() for s in steal_rows(name, "kd", values)
    ]


def ranks(rows: Iterable[Row]) -> list[tuple[str, int | None]]:
    return [(e.defense, e.group) for e in only(rows).entries]


def test_the_weakest_first_and_what_is_not_resolved_shares_its_rank() -> None:
    assert ranks(reversed(field_of(WALLS))) == [
        *(("brick", 1), ("clay", 1), ("hedge", 3), ("rope", 3), ("string", 5)),
        ("none", None),
    ]


def test_a_group_is_anchored_at_its_first_and_does_not_drift() -> None:
    walls = {
        "first": [0.50, 0.50, 0.50],
        "second": [0.49, 0.52, 0.52],
        "third": [0.52, 0.52, 0.53],
    }

    pairs = zip(walls["third"], walls["second"], strict=True)
    assert not mean([third - second for third, second in pairs]).resolved
    assert ranks(field_of(walls))[:3] == [("first", 1), ("second", 1), ("third", 3)]


def test_paired_seeds_resolve_what_means_alone_would_not() -> None:
    walls = {"one": [0.30, 0.50, 0.70], "two": [0.32, 0.52, 0.721]}

    assert proportion(walls["one"]).high > proportion(walls["two"]).low
    assert ranks(field_of(walls))[:2] == [("one", 1), ("two", 2)]
    first = [row for row in field_of(walls) if row.seed == 0]
    assert {group for _, group in ranks(first)} == {1, None}, "one seed resolves none"


def test_the_seeds_that_would_part_a_group_are_told() -> None:
    needed = {e.defense: e.seeds_needed for e in only(field_of(WALLS)).entries}

    assert needed["clay"] is not None and needed["clay"] > 3
    assert needed["brick"] is needed["hedge"] is None


def test_the_undefended_teacher_stands_in_its_place_without_a_rank() -> None:
    walls = {"wall": [0.5, 0.5, 0.5], "leak": [0.97, 0.98, 0.98]}

    assert ranks(field_of(walls)) == [("wall", 1), ("none", None), ("leak", 2)]


def test_who_lacks_an_attack_or_a_seed_is_listed_and_anchors_no_group() -> None:
    rows = [
        *field_of({"whole": [0.9] * 3}),
        *steal_rows("none", "label_kd", U),
        *steal_rows("whole", "label_kd", [0.9] * 3),
        *steal_rows("half", "kd", [0.3] * 3),
        *steal_rows("short", "kd", [0.4] * 3),
        *steal_rows("short", "label_kd", [0.4] * 2),
    ]

    board = only(rows)

    found = [(e.defense, e.group, e.coverage, e.complete) for e in board.entries]
    assert found == [
        ("half", None, (3, 6), False),
        ("short", None, (5, 6), False),
        ("whole", 1, (6, 6), True),
        ("none", None, (6, 6), True),
    ]


@pytest.mark.parametrize("lost", [("scratch", 1), ("kd", 1), ("scratch", 2)])
def test_a_seed_missing_from_a_control_is_missing_for_every_defense(
    lost: tuple[str, int],
) -> None:
    attack, count = lost
    rows = [
        failed(row)
        if isinstance(row, StealRow)
        and (row.defense, row.attack) == ("none", attack)
        and row.seed < count
        else row
        for row in field_of({"wall": [0.5] * 3})
    ]

    board = only(rows)

    assert entry(board, "wall").coverage == (3, 3 + count)
    assert entry(board, "wall").group is None
    assert entry(board, "none").complete is False


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = [*field_of(WALLS), *(teacher_row(s) for s in range(3))]
    rows += [release_row(wall, seed) for wall in WALLS for seed in range(3)]

    assert boards(reversed(rows), PROTOCOL) == boards(rows, PROTOCOL)


# What is official


@pytest.mark.parametrize(
    "other",
    [
        {"attack_options": {"tau": 8.0}},
        {"defense_options": {"omega": 0.1}},
        {"student_recipe": "{}"},
        {"track": "open", "access": Access(SOFT, TRAIN_IMAGES, 0.5)},
        {"track": "open", "access": Access(WEIGHTS, TRAIN_IMAGES)},
    ],
    ids=str,
)
def test_a_board_with_a_row_that_departs_ranks_nothing(other: dict[str, Any]) -> None:
    rows = [*field_of(WALLS), *steal_rows("nasty", "kd", [0.3] * 3, **other)]

    found = boards(rows, PROTOCOL)
    official = leaderboard(Results(rows), [PROTOCOL])

    assert [b.official for b in found if "nasty" in str(b.entries)] == [False]
    assert [e.defense for b in official for e in b.entries] == [*WALLS, "none"]
    for board in found:
        groups = {e.group for e in board.entries}
        assert (groups == {None}) is not board.official


def test_a_zero_line_that_departs_makes_its_board_unofficial() -> None:
    odd = steal_rows("none", "scratch", Z, attack_options={"label_smoothing": 0.1})

    assert not only([*odd, *field_of(WALLS)[3:]]).official


def test_the_leaderboard_is_of_current_rows_under_each_protocol_that_ranks() -> None:
    old = field_of({"wall": U})
    new = [later(row, key=f"new{row.key}", revision=2) for row in old]
    new[6:] = [replace(row, accuracy=0.7) for row in new[6:]]
    mine = PROTOCOL.model_copy(update={"name": "mine", "version": 5, "seeds": 2})
    study = PROTOCOL.model_copy(update={"name": "s", "sweeps": {"kd": {"tau": (1.0,)}}})
    results = Results([*new, *old])

    found = leaderboard(results, [mine, study, PROTOCOL])

    assert [(b.protocol, b.version) for b in found] == [("mine", 5), ("toy", 2)]
    accuracies = [entry(b, "wall").cells[0].accuracy for b in found]
    assert accuracies == [proportion([0.7] * 2), proportion([0.7] * 3)]
    assert leaderboard(results) == []


def test_of_several_budgets_the_largest_is_ranked_and_of_fractions_none() -> None:
    tracks = {
        "paid": Track(teacher=SOFT, images=TRAIN_IMAGES, queries=(10, 1000, 100)),
        "few": Track(teacher=SOFT, images=TRAIN_IMAGES, fraction=(0.1, 0.5)),
        "none": Track(teacher=SOFT, images=NO_IMAGES),
    }
    protocol = PROTOCOL.model_copy(update={"tracks": tracks})
    rows = [
        row
        for track in tracks.values()
        for access in track.accesses()
        for row in [
            *steal_rows("none", "scratch", Z, access=access),
            *steal_rows("none", "kd", U, access=access),
            *steal_rows("nasty", "kd", Z, access=access),
        ]
    ]

    found = {b.scene.track: b.official for b in boards(rows, protocol)}

    assert found == {
        "paid[queries=10]": False,
        "paid[queries=100]": False,
        "paid": True,
        "few": False,
        "few[fraction=0.5]": False,
        "none": True,
    }
    official = leaderboard(Results(rows), [protocol])
    assert [board.scene.track for board in official] == ["paid", "none"]
