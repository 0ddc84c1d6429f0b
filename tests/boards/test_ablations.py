"""Ablations from rows that are written by hand: found, read and printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from io import StringIO
from random import Random
from typing import Any

import pytest
from boarding import later, proportion
from rich.console import Console

from bench.boards.ablation import Ablation
from bench.boards.ablations import ablations
from bench.boards.board import boards
from bench.boards.cells import Reading
from bench.boards.intervals import Estimate
from bench.cli.ablation import ablation_tables, unswept
from bench.errors import Status
from bench.planning.protocol import Track
from bench.results.rows import Defended, Row, StealRow
from bench.testing.protocol import PROTOCOL, SOFT, TRAIN_IMAGES
from bench.testing.rows import release_row, steal_row
from bench.threat.access import Access

SEEDS = range(3)
Spec = str | tuple[str, Mapping[str, Any]]


def around(middle: float) -> list[float]:
    """An accuracy a seed."""
    return [round(middle + seed / 100, 4) for seed in SEEDS]


def taught(omega: float) -> float:
    """About what a teacher reaches: the less, the larger omega is."""
    return 0.97 - omega / 2


def played(defense: Spec, attack: Spec, middle: float, **columns: Any) -> list[Row]:
    """A released teacher and a student, a seed each.

    A plugin is a name, or a name with the options that depart.
    """
    whose, of = (defense, {}) if isinstance(defense, str) else defense
    how, by = (attack, {}) if isinstance(attack, str) else attack
    omega = {"omega": 0.04 if whose == "nasty" else 0.0, **of}["omega"]
    rows: list[Row] = []
    for seed, value in enumerate(around(middle)):
        options = {"defense_options": {**of}, "attack_options": {**by}}
        teacher = around(taught(omega))[seed]
        rows.append(release_row(whose, seed, teacher, defense_options={**of}))
        rows.append(steal_row(whose, how, seed, value, **options, **columns))
    return rows


def nasty(**options: Any) -> Spec:
    return ("nasty", options)


def kd(**options: Any) -> Spec:
    return ("kd", options)


CONTROLS = [*played("none", "scratch", 0.8), *played("none", "kd", 0.9)]
OMEGAS = {0.0: 0.88, 0.001: 0.87, 0.01: 0.8, 0.04: 0.7, 0.1: 0.6, 1.0: 0.2}
"""Students of nasty by omega; 0.04 is the plain one."""


def omegas(values: Iterable[float] = OMEGAS) -> list[Row]:
    return [r for w in values for r in played(nasty(omega=w), "kd", OMEGAS[w])]


STUDY = [*CONTROLS, *omegas()]


def found_in(rows: Iterable[Row]) -> list[Ablation]:
    return ablations(rows, PROTOCOL)


def only(rows: Iterable[Row]) -> Ablation:
    (found,) = found_in(rows)
    return found


def estimates(found: Ablation, who: str) -> dict[Any, Estimate | None]:
    readings = {p.value: p.students[who] for p in found.points if who in p.students}
    return {value: reading.accuracy for value, reading in readings.items()}


def the(reading: Reading | None) -> Reading:
    assert reading is not None
    return reading


def changed(
    rows: Iterable[Row], label: str, seeds: Iterable[int], **new: Any
) -> list[Row]:
    """`rows`, the students of nasty's variant with that omega changed."""
    return [
        replace(row, **new)
        if isinstance(row, StealRow)
        and label in row.defense_options
        and row.seed in seeds
        else row
        for row in rows
    ]


# What is found


def test_an_option_of_a_defense_that_takes_several_values_is_an_ablation() -> None:
    found = only(STUDY)

    assert (found.name, found.varied) == ("nasty.omega", "defense")
    assert (found.attack, found.track, found.held) == ("kd", "open", "")
    assert (found.protocol, found.defenses) == ("toy", ["nasty"])
    assert estimates(found, "nasty") == {
        omega: proportion(around(middle)) for omega, middle in OMEGAS.items()
    }
    assert [p.label for p in found.points][3:5] == ["nasty", "nasty[omega=0.1]"]


def test_each_value_has_the_teachers_and_the_controls_beside_it() -> None:
    found = only([*STUDY, *played("none", "dafl", 0.5, track="white box")])

    assert {p.value: the(p.teacher).accuracy for p in found.points if p.value} == {
        omega: proportion(around(taught(omega))) for omega in OMEGAS if omega
    }
    assert the(found.undefended).accuracy == proportion(around(0.97))
    assert the(found.control).accuracy == proportion(around(0.9))
    assert {p.zero for p in found.points} == {proportion(around(0.8))}
    assert found.zero_is == "scratch"


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([20.0, 4.0, 100.0, 8.0, 1.0], ["1", "4", "8", "20", "100"]),
        ([None, 500, 60], ["60", "500", "none"]),
        (["resnet34", "", "cnn5"], ["(empty)", "cnn5", "resnet34"]),
    ],
)
def test_numbers_stand_by_size_then_names_by_the_alphabet(
    values: list[Any], texts: list[str]
) -> None:
    rows = [r for v in values for r in played("nasty", ("odd", {"x": v}), 0.5)]

    assert [p.text for p in only(rows).points] == texts


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = [*STUDY, *played("nasty", kd(tau=20.0), 0.5)]

    for shuffle in range(3):
        mixed = Random(shuffle).sample(rows, len(rows))
        assert found_in(mixed) == found_in(rows)


def test_one_value_alone_zero_lines_and_two_tracks_are_no_ablation() -> None:
    other = [*played("nasty", "kd", 0.7), *played(nasty(omega=1.0, tau=8.0), "kd", 0.5)]
    tenth = played("none", "scratch", 0.4, track="limited")
    tracks = [*played("none", "kd", 0.9), *played("none", "kd", 0.4, track="limited")]

    for rows in (
        [*CONTROLS, *omegas([0.04]), *tenth],
        [*CONTROLS, *omegas([0.1])],
        other,
        tracks,
        [],
    ):
        assert found_in(rows) == []


def grid(omegas: Iterable[float], taus: Iterable[float]) -> list[Row]:
    points = [nasty(omega=omega, tau=tau) for omega in omegas for tau in taus]
    return [row for point in points for row in played(point, "kd", 0.5)]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (
            grid([0.01, 0.04, 0.1], [1.0, 4.0]),
            [("nasty.omega", ""), ("nasty.tau", "")],
        ),
        (
            grid([0.01, 0.1], [1.0, 8.0]),
            [
                ("nasty.omega", "tau=1"),
                ("nasty.omega", "tau=8"),
                ("nasty.tau", "omega=0.01"),
                ("nasty.tau", "omega=0.1"),
            ],
        ),
        (
            [*played("nasty", "kd", 0.7), *grid([0.01, 0.1], [8.0])],
            [("nasty.omega", "tau=8")],
        ),
    ],
    ids=["through the plain point", "beside it", "none goes through it"],
)
def test_of_a_grid_the_lines_through_the_plain_point_are_ablations(
    rows: list[Row], found: list[tuple[str, str]]
) -> None:
    assert [(one.name, one.held) for one in found_in(rows)] == found


def test_an_option_of_an_attack_is_read_from_every_defense_that_met_it() -> None:
    taus = {1.0: 0.5, 4.0: 0.6, 20.0: 0.7}
    rows: list[Row] = [*played("none", "scratch", 0.8), *played("wall", "kd", 0.5)]
    for tau, middle in taus.items():
        rows += played("none", kd(tau=tau), middle + 0.1)
        rows += played("nasty", kd(tau=tau), middle) if tau < 20 else []

    found = only(rows)

    assert (found.name, found.varied, found.attack) == ("kd.tau", "attack", "kd")
    assert found.defenses == ["none", "nasty"]
    assert list(estimates(found, "none")) == [1.0, 4.0, 20.0]
    assert estimates(found, "nasty") == {
        1.0: proportion(around(0.5)),
        4.0: proportion(around(0.6)),
    }
    assert {p.zero for p in found.points} == {proportion(around(0.8))}
    assert found.undefended is None
    assert all(point.teacher is None for point in found.points)


def test_the_students_of_the_plain_attack_tell_of_a_defense() -> None:
    swept = [nasty(omega=omega) for omega in (0.04, 0.1)]
    rows = [r for spec in swept for r in played(spec, kd(tau=20.0), 0.5)]

    assert only(rows).attack == "kd[tau=20]"

    rows += [r for spec in swept for r in played(spec, "kd", 0.6)]
    found = [one for one in found_in(rows) if one.varied == "defense"]
    assert [one.attack for one in found] == ["kd"]


def test_there_is_an_ablation_for_each_attack_and_track_that_met_the_sweep() -> None:
    met = [("kd", "open"), ("kd", "limited"), ("dafl", "white box")]
    rows = [
        row
        for attack, track in met
        for omega in (0.04, 0.1)
        for row in played(nasty(omega=omega), attack, 0.5, track=track)
    ]

    found = found_in(rows)

    assert {(one.name, one.attack, one.track) for one in found} == {
        ("nasty.omega", attack, track) for attack, track in met
    }
    zeros = {one.track: (one.zero_is, one.points[0].zero) for one in found}
    assert zeros["white box"] == ("chance, 1/10", Estimate(0.1, 0.1, 0.1, n=0))


# Tracks


CURVES = PROTOCOL.model_copy(
    update={
        "tracks": {
            "few": Track(teacher=SOFT, images=TRAIN_IMAGES, fraction=(0.1, 0.3, 0.9)),
            "paid": Track(teacher=SOFT, images="SurrogateImages", queries=(10, 1000)),
        }
    }
)


def test_several_fractions_or_budgets_of_a_track_are_an_ablation_of_it() -> None:
    few, paid = CURVES.tracks.values()
    rows: list[Row] = []
    for access in (*few.accesses(), *paid.accesses()):
        part = access.fraction
        rows += played("none", "kd", 0.5 + part / 5, access=access)
        rows += played("nasty", "kd", 0.4 + part / 5, access=access)
    for access in few.accesses():
        rows += played("none", "scratch", 0.3 + access.fraction / 5, access=access)

    found = ablations(rows, CURVES)

    assert [(a.name, a.varied, a.attack, a.track) for a in found] == [
        ("few.fraction", "track", "kd", "few"),
        ("paid.queries", "track", "kd", "paid"),
    ]
    assert [p.value for p in found[1].points] == [10, 1000]
    assert [p.label for p in found[0].points] == [
        *("few", "few[fraction=0.3]", "few[fraction=0.9]")
    ]
    assert found[0].defenses == ["none", "nasty"]
    # Each share of the images has a zero line of its own.
    assert {p.value: p.zero for p in found[0].points} == {
        part: proportion(around(0.3 + part / 5)) for part in (0.1, 0.3, 0.9)
    }
    assert {p.zero for p in found[1].points} == {Estimate(0.1, 0.1, 0.1, n=0)}


# What is read


@pytest.mark.parametrize("status", [s for s in Status if s != Status.OK])
def test_a_seed_that_did_not_end_well_is_missing_and_shown_and_flags_are_told(
    status: str,
) -> None:
    bad = {"status": status, "reason": "why", "accuracy": 0.01}
    rows = changed(STUDY, '"omega": 0.1', [1], **bad)
    rows = changed(rows, '"omega": 1.0', SEEDS, **bad, flags=["collapsed"])

    points = {p.value: p.students["nasty"] for p in only(rows).points}

    assert points[0.1].accuracy == proportion([around(0.6)[0], around(0.6)[2]])
    assert list(points[0.1].troubles.values()) == [status]
    assert points[1.0].accuracy is None
    assert list(points[1.0].troubles.values()) == [status] * 3
    assert points[0.01].troubles == {}
    flagged = {value: p.flags for value, p in points.items() if p.flags}
    assert flagged == {1.0: ["collapsed"]}


def test_what_the_source_before_an_edit_did_is_not_averaged_in() -> None:
    again = [
        later(
            row,
            key=f"new-{row.key}",
            parent=f"new-{row.parent}" if isinstance(row, StealRow) else "",
            defense_source="1" * 16,
            accuracy=0.5,
        )
        for row in omegas([0.04, 0.1])
        if isinstance(row, Defended) and row.seed == 0
    ]

    for rows in ([*STUDY, *again], [*again, *STUDY]):
        found = only(rows)
        assert estimates(found, "nasty") == {
            0.04: proportion([0.5]),
            0.1: proportion([0.5]),
        }
        assert {the(p.teacher).accuracy for p in found.points} == {proportion([0.5])}


def test_a_value_that_is_another_by_default_now_counts_once() -> None:
    now = [
        later(row, key=f"now-{row.key}", defense_defaults='{"omega": 0.05}')
        for row in omegas([0.04])
    ]

    found = only([*omegas([0.01, 0.04]), *now])

    assert estimates(found, "nasty")[0.04] == proportion(around(0.7))


@pytest.mark.parametrize(
    "other", [{"dataset": "planets"}, {"student": "resnet8"}, {"query_budget": 10}]
)
def test_rows_of_another_scene_are_another_ablation(other: dict[str, Any]) -> None:
    half, rest = omegas([0.0, 0.01]), omegas([0.1, 1.0])
    strange = [replace(row, **other) for row in rest if isinstance(row, StealRow)]

    found = found_in([*half, *strange])

    points = sorted([p.value for p in one.points] for one in found)
    assert points == [[0.0, 0.01], [0.1, 1.0]]
    assert found_in([*half[:6], *strange[:3]]) == []


# The terminal


def printed(rows: Iterable[Row]) -> list[list[str]]:
    paper = StringIO()
    for table in ablation_tables(found_in(rows)):
        Console(file=paper, width=110).print(table)
    return [line.split() for line in paper.getvalue().splitlines() if line.strip()]


def test_the_terminal_has_a_line_a_value_and_the_controls_below() -> None:
    bad = {"status": Status.OOM, "reason": "why", "accuracy": None}

    lines = printed(changed(STUDY, '"omega": 0.1', [1, 2], **bad))

    firsts = [line[0] for line in lines]
    assert firsts[-9:-1] == [
        *("0", "0.001", "0.01", "0.04", "0.1", "1"),
        *("none", "scratch"),
    ]
    [tenth] = [line for line in lines if line[0] == "0.1"]
    assert tenth[-5:] == ["60.0", "(1)", "student:", "2", "oom"]
    [none] = [line for line in lines if line[0] == "none"]
    assert (none[1], none[5]) == ("98.0", "91.0")


def test_the_printed_boards_leave_out_what_an_ablation_shows_unless_official() -> None:
    few = Access(SOFT, TRAIN_IMAGES, 0.3)
    rows = [*STUDY, *played("none", "kd", 0.5, access=few)]
    rows += played("none", "kd", 0.4, track="limited")
    rows += played(("wall", {"height": 9}), "kd", 0.5)
    entered = PROTOCOL.model_copy(update={"defenses": ("nasty", "nasty[omega=0.1]")})

    for protocol, more in ((PROTOCOL, set()), (entered, {"nasty[omega=0.1]"})):
        shown = unswept(rows, ablations(rows, protocol), protocol)
        (open_, limited) = boards(shown, protocol)
        found = {e.defense for e in open_.entries}
        assert found == {"nasty", "none", "wall[height=9]"} | more
        assert limited.scene.access.fraction == 0.1
