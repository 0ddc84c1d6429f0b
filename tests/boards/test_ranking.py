"""Who shares a rank, and which boards rank at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from boarding import U, Z, entry, failed, later, only, proportion

from bench.boards.board import boards, leaderboard
from bench.boards.columns import rank
from bench.boards.ranking import parted
from bench.boards.sentence import sentence
from bench.boards.warnings import DISHONEST
from bench.errors import Status
from bench.planning.protocol import Track, Tuning
from bench.results.flags import REACHES, Flag
from bench.results.index import Results
from bench.results.rows import Row, StealRow
from bench.testing.protocol import NO_IMAGES, PROTOCOL, SOFT, TRAIN_IMAGES, WEIGHTS
from bench.testing.rows import release_row, steal_rows, teacher_row
from bench.threat.access import Access

WALLS = {
    "brick": [0.50, 0.51, 0.52],
    "clay": [0.52, 0.50, 0.53],
    "hedge": [0.70, 0.71, 0.72],
    "rope": [0.90, 0.91, 0.92],
}
"""Three seeds part what differs by much and hardly varies between pairs."""


def field_of(walls: dict[str, list[float]]) -> list[Row]:
    """Controls with a low zero line, and each of `walls` attacked by kd."""
    rows: list[Row] = [
        *steal_rows("none", "scratch", [0.2] * 3),
        *steal_rows("none", "kd", [0.96, 0.97, 0.98]),
    ]
    return rows + [
        s for name, values in walls.items() for s in steal_rows(name, "kd", values)
    ]


def ranks(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return [(e.defense, rank(e)) for e in only(rows).entries]


def test_the_weakest_first_and_a_rank_is_what_the_data_leave() -> None:
    assert ranks(reversed(field_of(WALLS))) == [
        ("brick", "1-2 of 4"),
        ("clay", "1-2 of 4"),
        ("hedge", "3 of 4"),
        ("rope", "4 of 4"),
        ("none", "control"),
    ]


def test_noise_widens_a_rank_and_cannot_buy_one() -> None:
    noisy = {"lottery": [0.05, 0.75, 0.95], "none of it": [0.60, 0.61, 0.62]}
    wide = {**WALLS, **noisy}

    board = only(field_of(wide))

    lottery = entry(board, "lottery")
    assert lottery.standing == "no effect shown" and lottery.rank is None
    assert any(flag.startswith("noisy") for flag in lottery.flags)
    assert rank(entry(board, "hedge")) == "4 of 5"


def test_paired_seeds_resolve_what_means_alone_would_not() -> None:
    walls = {"one": [0.30, 0.50, 0.70], "two": [0.32, 0.52, 0.7200001]}
    rows = [row for row in field_of(walls) if row.seed == 0]

    assert proportion(walls["one"]).high > proportion(walls["two"]).low
    parts = parted([e for e in only(field_of(walls)).entries if not e.is_control])
    assert parts == {("two", "one")}
    assert parted(only(rows).entries) == set(), "one seed resolves none"


def test_the_seeds_that_would_part_neighbours_are_told() -> None:
    needed = {e.defense: e.seeds_needed for e in only(field_of(WALLS)).entries}

    assert needed["clay"] is not None and needed["clay"] > 3
    assert needed["brick"] is needed["hedge"] is needed["none"] is None


def test_who_is_not_below_the_undefended_teacher_has_no_rank() -> None:
    walls = {
        "wall": [0.50, 0.51, 0.52],
        "air": [0.95, 0.98, 0.97],
        "leak": [0.99, 1.00, 1.01],
    }

    assert ranks(field_of(walls)) == [
        ("wall", "1 of 1"),
        ("air", "no effect shown"),
        ("none", "control"),
        ("leak", "copied better than without a defense"),
    ]


def test_where_u_is_not_above_z_nobody_has_a_rank() -> None:
    rows = [
        *steal_rows("none", "scratch", [0.95, 0.97, 0.98]),
        *steal_rows("none", "kd", [0.96, 0.96, 0.99]),
        *steal_rows("wall", "kd", [0.50, 0.51, 0.52]),
    ]

    board = only(rows)

    assert not board.tells and "cannot tell" in sentence(board)
    assert rank(entry(board, "wall")) == "this data cannot tell"


@pytest.mark.parametrize(("after", "ranked"), [(0.975, True), (0.95, False)])
@pytest.mark.parametrize("track", ["open", "white box"])
def test_who_costs_more_than_the_allowance_stands_below_the_line(
    after: float, ranked: bool, track: str
) -> None:
    attack = "kd" if track == "open" else "dafl"
    leaked = after if track == "white box" else 0.2
    told = {"network_accuracy": leaked}
    rows: list[Row] = [
        *(teacher_row(seed, 0.98) for seed in range(3)),
        *(release_row("wall", seed, max(after, 0.98 * (track != "open")), **told)
          for seed in range(3)),
        *steal_rows("none", "scratch", [0.2] * 3),
        *steal_rows("none", attack, [0.96, 0.97, 0.98], track=track),
        *steal_rows("wall", attack, [0.50, 0.51, 0.52], track=track),
    ]  # fmt: skip

    found = entry(only(rows), "wall")

    assert found.utility_cost is not None
    assert found.utility_cost.value == pytest.approx(0.98 - after)
    assert rank(found) == ("1 of 1" if ranked else "beyond the utility allowance")


def test_who_lacks_an_attack_or_a_seed_is_preliminary() -> None:
    attacks = ("scratch", "kd", "label_kd")
    rows = [
        *field_of({"whole": [0.70, 0.71, 0.72]}),
        *steal_rows("none", "label_kd", U),
        *steal_rows("whole", "label_kd", [0.70, 0.71, 0.72]),
        *steal_rows("half", "kd", [0.3] * 3),
        *steal_rows("short", "kd", [0.4] * 3),
        *steal_rows("short", "label_kd", [0.4] * 2),
    ]

    board = only(rows, attacks=attacks)

    found = [(e.defense, rank(e), e.coverage) for e in board.entries]
    assert found == [
        ("half", "preliminary: no label_kd", (3, 6)),
        ("short", "preliminary: 5 of 6 students", (5, 6)),
        ("whole", "1 of 1", (6, 6)),
        ("none", "control", (6, 6)),
    ]
    fewer = only([row for row in rows if row.seed < 2], attacks=attacks)
    assert entry(fewer, "whole").standing == "preliminary: 2 of 3 seeds"


def test_an_untuned_attack_stands_in_for_no_tuned_one() -> None:
    grid = ({"alpha": 0.0}, {"alpha": 1.0})
    tuning = Tuning(grid={"kd": grid}, untuned=("kd",))
    untuned = field_of({"wall": [0.5] * 3})
    told = {"grid": tuning.as_json("kd"), "held_out": tuning.held_out}
    tuned = [
        *steal_rows("none", "kd", U, **told),
        *steal_rows("wall", "kd", [0.6] * 3, **told),
    ]
    panel = {"attacks": ("scratch", "kd"), "tuning": tuning}

    alone = only(untuned, **panel)
    both = only([*untuned, *tuned], **panel)

    assert alone.official and rank(entry(alone, "wall")) == "preliminary: no kd"
    assert rank(entry(both, "wall")) == "1 of 1"


def test_what_the_weights_lose_is_paired_by_seed_whatever_ended_first() -> None:
    before = [0.98, 0.95, 0.92]
    teachers = [teacher_row(seed, share) for seed, share in enumerate(before)]
    first, *others = (
        release_row("wall", seed, network_accuracy=before[seed] - 0.001)
        for seed in (2, 1, 0)
    )
    late = [first, *(later(row) for row in others)]
    students = [
        *steal_rows("none", "dafl", U, track="white box"),
        *steal_rows("wall", "dafl", [0.5, 0.51, 0.52], track="white box"),
    ]

    cost = entry(only([*teachers, *late, *students]), "wall").utility_cost

    assert cost is not None
    assert (cost.low, cost.high) == pytest.approx((0.001, 0.001))


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
    assert rank(entry(board, "wall")) == f"preliminary: 3 of {3 + count} students"
    assert entry(board, "none").complete is False


def test_an_attack_that_does_not_apply_unranks_nobody() -> None:
    rows = [
        *field_of(WALLS),
        *steal_rows("none", "label_kd", U),
        *steal_rows("hedge", "label_kd", U),
        *steal_rows("rope", "label_kd", U),
        *steal_rows("clay", "label_kd", U),
        *(failed(r, Status.NOT_APPLICABLE)
          for r in steal_rows("brick", "label_kd", U)),
    ]  # fmt: skip

    board = only(rows, attacks=("scratch", "kd", "label_kd"))

    brick = entry(board, "brick")
    assert (brick.coverage, rank(brick)) == ((3, 3), "1 of 1")


@pytest.mark.parametrize(
    ("flag", "on", "unranked"),
    [
        *((flag, "release", True) for flag in DISHONEST),
        (Flag.QUOTA, "student", True),
        (Flag.VANISHED, "release", False),
        (Flag.DECOY, "release", False),
        (f"{REACHES}run._score", "release", True),
    ],
)
def test_who_was_caught_at_work_has_no_rank(flag: str, on: str, unranked: bool) -> None:
    flags = {"flags": [str(flag)]}
    told = [release_row("brick", s, **(flags if on == "release" else {}))
            for s in range(3)]  # fmt: skip
    more = steal_rows("brick", "kd", [0.5] * 3, **(flags if on == "student" else {}))
    rows = [*field_of({"hedge": WALLS["hedge"]}), *told, *more]

    found = entry(only(rows), "brick")

    assert (rank(found) == f"not believed: {flag}") is unranked
    assert any(str(flag) in word for word in found.flags)


def test_an_attack_that_reaches_past_its_grants_does_not_count() -> None:
    stolen = steal_rows("brick", "kd", [0.99] * 3, flags=[f"{REACHES}gc"])

    found = entry(only([*field_of({"hedge": WALLS["hedge"]}), *stolen]), "brick")

    assert found.cells[0].by_seed == {}
    assert set(found.cells[0].troubles.values()) == {"left out"}
    assert rank(found).startswith("preliminary")


def flags_of(rows: Iterable[Row], defense: str, track: str = "open") -> str:
    found = [b for b in boards(list(rows), PROTOCOL) if b.scene.track == track]
    return "; ".join(entry(found[0], defense).flags)


def test_numbers_that_cannot_be_are_flagged() -> None:
    base = [*field_of(WALLS), *(teacher_row(s, constant=0.3) for s in range(3))]
    teachers = [release_row("brick", seed, 0.3) for seed in range(3)]
    hard = steal_rows("clay", "label_kd", [0.93, 0.94, 0.95])
    low = steal_rows("hedge", "copy", [0.05, 0.06, 0.05])
    fallen = steal_rows("rope", "copy", [0.31, 0.8, 0.8])
    idle = steal_rows("none", "copy", [0.30, 0.30, 0.31])
    elsewhere = steal_rows("rope", "kd", WALLS["rope"], device="another")
    rows = [*base, *teachers, *hard, *low, *fallen, *idle]

    assert "kd: above its teacher" in flags_of(rows, "brick")
    assert "hard labels beat confidences" in flags_of(rows, "clay")
    assert "copy: did not work: below a constant answer" in flags_of(rows, "hedge")
    assert "copy: collapsed at some seeds" in flags_of(rows, "rope")
    assert "copy: does not work on none" in flags_of(rows, "none")
    at_zero = steal_rows("none", "label_kd", [0.2, 0.21, 0.19])
    higher = [*field_of({"brick": WALLS["brick"]}), *at_zero]
    assert "label_kd: no better on none than no teacher" in flags_of(higher, "none")
    alone = [row for row in rows if row.seed == 0]
    assert "on none" not in flags_of(alone, "none")
    moved = [r for r in base if getattr(r, "defense", "") != "rope"]
    told = flags_of([*moved, *elsewhere], "rope")
    assert "kd: measured in another environment than none" in told


def test_who_holds_less_and_does_better_is_flagged() -> None:
    rows = [
        *field_of({"brick": WALLS["brick"]}),
        *steal_rows("none", "dafl", U, track="white box"),
        *steal_rows("brick", "dafl", [0.7, 0.71, 0.7], track="white box"),
        *steal_rows("none", "noise_kd", U, track="data-free service"),
        *steal_rows("brick", "noise_kd", [0.9, 0.91, 0.9], track="data-free service"),
    ]

    white = flags_of(rows, "brick", "white box")
    black = flags_of(rows, "brick", "data-free service")

    assert "data-free beats labelled images" in white
    assert "data-free beats labelled images" in black
    assert "black box beats white box" in black and "black box" not in white


def test_twice_the_steps_that_move_w_say_that_it_has_not_converged() -> None:
    rows = [*field_of(WALLS)]
    rows += steal_rows("brick", "kd", [0.60, 0.61, 0.62], effort=2)
    rows += steal_rows("hedge", "kd", [0.70, 0.71, 0.72], effort=2)

    board = only(rows)

    assert entry(board, "brick").flags == [
        "kd: not converged: +10.0 points with twice the steps"
    ]
    assert entry(board, "hedge").flags == []
    assert "attacks on brick have not converged" in sentence(board)
    assert board.entries[0].defense == "brick"


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
        ranks = {e.rank for e in board.entries}
        assert (ranks == {None}) is not board.official


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
