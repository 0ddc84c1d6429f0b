"""In whose words rows are told, and what a site shows of them."""

from __future__ import annotations

from typing import Any

from bench.boards.overview import UNNAMED, Overview
from bench.planning.protocol import Protocol, Track
from bench.results.index import Results
from bench.results.rows import Row
from bench.testing.protocol import PROTOCOL, SOFT, TRAIN_IMAGES
from bench.testing.rows import release_row, steal_row

TAUS = (1.0, 4.0, 20.0)


def variant(name: str, **changes: Any) -> Protocol:
    return PROTOCOL.model_copy(update={"name": name, **changes})


STUDY = variant("a study", sweeps={"kd": {"tau": TAUS}}, attacks=("kd",))
OTHER = variant("other", recipe={"default": {"epochs": 3}})


def swept(taus: tuple[float, ...] = TAUS, **columns: Any) -> list[Row]:
    rows: list[Row] = [steal_row("none", "scratch", s, 0.4, **columns) for s in (0, 1)]
    for seed in (0, 1):
        for tau in taus:
            options = {"attack_options": {"tau": tau}}
            rows.append(steal_row("none", "kd", seed, 0.8, **options, **columns))
    return rows


def overview(rows: list[Row], *protocols: Protocol) -> Overview:
    return Overview(Results(rows), protocols)


def test_a_row_is_told_in_the_words_of_who_covers_it_and_ranks() -> None:
    rows = swept()
    found = overview(rows, STUDY, OTHER, PROTOCOL)

    plain, odd = rows[0], rows[2]
    assert [p.name for p in found.covering(plain)] == ["toy", "a study"]
    assert found.words(plain).protocol == PROTOCOL
    assert [p.name for p in found.covering(odd)] == ["a study"]
    assert found.words(odd).protocol == STUDY
    assert (found.is_ranked(plain), found.is_ranked(odd)) == (True, False)


def test_what_nobody_covers_is_told_by_who_trains_the_same_networks() -> None:
    mine = steal_row("nasty", "kd", dataset="planets", defense_options={"omega": 0.2})
    strange = release_row("nasty", teacher_recipe="{}", defense_options={"omega": 0.2})
    own = variant("own", options={"nasty": {"omega": 0.2}})
    found = overview([mine, strange], OTHER, own)

    assert found.words(mine).protocol == own
    assert [s.defense for s in found.students] == ["nasty"]
    assert found.words(strange) is UNNAMED
    assert [r.defense for r in found.releases] == ["nasty[omega=0.2]"]
    assert found.covering(mine) == found.covering(strange) == []


def test_students_and_releases_are_the_current_ones() -> None:
    old = steal_row("nasty", "kd", attack_source="1" * 16, key="old")
    new = steal_row("nasty", "kd", started=old.started.replace(year=2027))

    assert [s.row for s in overview([new, old], PROTOCOL).students] == [new]


def test_two_protocols_that_hold_the_same_study_show_it_once() -> None:
    again = STUDY.model_copy(update={"name": "again", "version": 7})

    found = overview(swept(), STUDY, again, PROTOCOL).ablations

    assert [(one.protocol, one.name) for one in found] == [("a study", "kd.tau")]


def test_a_sweep_by_hand_is_read_beside_what_the_protocol_covers() -> None:
    [found] = overview(swept((4.0, 8.0)), OTHER, PROTOCOL).ablations

    assert (found.protocol, found.name) == ("toy", "kd.tau")
    assert [p.label for p in found.points] == ["kd", "kd[tau=8]"]
    assert found.zero_is == "scratch"


def test_a_sweep_that_fits_no_protocol_is_told_in_words() -> None:
    [found] = overview(swept(teacher_recipe="{}"), PROTOCOL).ablations

    assert (found.protocol, found.track) == ("", "confidences, all training images")
    assert [p.label for p in found.points] == ["kd[tau=1]", "kd", "kd[tau=20]"]


def test_boards_are_those_of_the_protocols_that_rank() -> None:
    few = Track(teacher=SOFT, images=TRAIN_IMAGES, fraction=(0.1, 0.5))
    curve = variant("curve", tracks={"few": few})

    found = overview(swept(), STUDY, PROTOCOL, curve).boards

    assert [(b.protocol, b.scene.track) for b in found] == [("toy", "open")]
