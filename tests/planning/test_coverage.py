"""What a protocol covers, and what it calls plugins and accesses."""

from __future__ import annotations

from typing import Any

import pytest

from bench.planning import protocol as protocols
from bench.planning.coverage import Coverage, stands_for
from bench.planning.labels import access_of, used
from bench.planning.protocol import Track
from bench.results.rows import Row
from bench.testing.protocol import (
    HARD,
    NO_IMAGES,
    PROTOCOL,
    SOFT,
    SURROGATE_IMAGES,
    TRAIN_IMAGES,
    WEIGHTS,
)
from bench.testing.rows import release_row, steal_row, teacher_row
from bench.threat.access import Access


def asking(**changes: Any) -> Coverage:
    return Coverage(PROTOCOL.model_copy(update=changes))


PLAIN = asking()
TAU, OMEGA = {"attack_options": {"tau": 20.0}}, {"defense_options": {"omega": 0.1}}


# Labels


def test_a_label_is_the_name_and_what_departs_from_the_protocol() -> None:
    usual = asking(options={"kd": {"tau": 20.0}, "nasty": {"omega": 0.1}})
    row = steal_row("nasty", "kd", **TAU, **OMEGA)

    assert (PLAIN.defense(row), PLAIN.attack(row)) == ("nasty[omega=0.1]", "kd[tau=20]")
    assert (usual.defense(row), usual.attack(row)) == ("nasty", "kd")
    assert usual.attack(steal_row("nasty", "kd")) == "kd[tau=4]"
    assert PLAIN.label("x", {"b": 1, "a": None}, {"a": 3}) == "x[b=1,a=None]"


def test_options_under_the_entry_of_a_plugin_are_those_of_its_name() -> None:
    usual = asking(options={"some/rounding.py:Rounding": {"digits": 3}})
    options = {"defense_options": '{"digits": 3}', "defense_defaults": '{"digits": 2}'}

    assert usual.defense(release_row("rounding:Rounding", **options)) == (
        "rounding:Rounding"
    )


CURVES = asking(
    tracks={
        "open": Track(teacher=SOFT, images=TRAIN_IMAGES),
        "few": Track(teacher=SOFT, images=TRAIN_IMAGES, fraction=(0.1, 0.5)),
        "paid": Track(teacher=SOFT, images=NO_IMAGES, queries=(10, 1000)),
    }
)


@pytest.mark.parametrize(
    ("access", "label"),
    [
        (Access(SOFT, TRAIN_IMAGES), "open"),
        (Access(SOFT, TRAIN_IMAGES, 0.1), "few"),
        (Access(SOFT, TRAIN_IMAGES, 0.5), "few[fraction=0.5]"),
        (Access(SOFT, TRAIN_IMAGES, 0.7), "few[fraction=0.7]"),
        (Access(SOFT, TRAIN_IMAGES, queries=5), "open[queries=5]"),
        (Access(SOFT, NO_IMAGES, queries=1000), "paid"),
        (Access(SOFT, NO_IMAGES, queries=10), "paid[queries=10]"),
        (Access(SOFT, NO_IMAGES), "paid[queries=None]"),
        (Access(HARD, TRAIN_IMAGES, 0.1), "labels alone, 10 % of the training images"),
    ],
    ids=str,
)
def test_an_access_goes_by_the_nearest_track(access: Access, label: str) -> None:
    assert CURVES.track(access) == label


def test_a_row_tells_its_plugins_and_its_access() -> None:
    row = steal_row("nasty", "kd", track="limited", **TAU)

    assert access_of(row) == Access(SOFT, TRAIN_IMAGES, 0.1)
    assert used(row, "attack")[:2] == ("kd", {"tau": 20.0, "alpha": 0.9})
    assert used(row, "defense").defaults["omega"] == 0.04
    with pytest.raises(ValueError, match="no attack"):
        used(release_row(), "attack")


# Coverage


@pytest.mark.parametrize("row", [teacher_row(), release_row(), steal_row()])
def test_rows_that_nothing_departs_in_are_covered(row: Row) -> None:
    assert PLAIN.covers(row) and PLAIN.fits(row)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 3},
        {"dataset": "planets"},
        {"data_fraction": 0.5},
        {"precision": "bf16"},
        {"teacher": "cnn2"},
        {"teacher_recipe": "{}"},
        {"student": "resnet8"},
        {"student_recipe": "{}"},
        {"attack": "copy"},
        TAU,
        OMEGA,
        {"defense_options": '{"omega": 0.04}', "defense_defaults": '{"omega": 1}'},
        {"access": Access(SOFT, TRAIN_IMAGES, 0.5)},
        {"access": Access(SOFT, TRAIN_IMAGES, queries=10)},
        {"access": Access(WEIGHTS, SURROGATE_IMAGES)},
        {"access": Access(HARD, TRAIN_IMAGES)},
    ],
    ids=str,
)
def test_a_row_that_departs_is_not_covered(other: dict[str, Any]) -> None:
    row = steal_row(**other)
    ground = {"seed", "dataset", "attack", "access", *TAU, *OMEGA}

    assert not PLAIN.covers(row)
    assert PLAIN.fits(row) is (not other.keys() - {*ground, "defense_defaults"})


def test_a_new_defense_is_covered_with_its_default_options_alone() -> None:
    default = {"defense_defaults": '{"height": 1}'}

    assert PLAIN.covers(release_row("wall", defense_options='{"height": 1}', **default))
    assert not PLAIN.covers(
        release_row("wall", defense_options='{"height": 2}', **default)
    )
    own = asking(options={"wall": {"height": 2}})
    assert own.covers(release_row("wall", defense_options='{"height": 2}', **default))


def test_specs_name_variants_and_options_of_the_protocol_apply_beside_them() -> None:
    both = asking(
        defenses=("nasty", "nasty[omega=0.1]"),
        attacks=("kd[tau=20]",),
        options={"nasty": {"tau": 8.0}},
    )
    row = steal_row("nasty", "kd", **TAU, defense_options={"omega": 0.1, "tau": 8.0})

    assert both.covers(row)
    assert not both.covers(steal_row("nasty", "kd", **TAU, **OMEGA))
    assert not both.covers(steal_row("nasty", "kd", defense_options={"tau": 8.0}))


def test_the_controls_belong_to_every_protocol_and_scratch_to_its_images() -> None:
    small = asking(defenses=("nasty",), attacks=("dafl",))
    tenth, fifth = Access(HARD, TRAIN_IMAGES, 0.1), Access(SOFT, TRAIN_IMAGES, 0.2)

    assert small.covers(steal_row("none", "scratch"))
    assert not small.covers(steal_row("none", "kd"))
    assert PLAIN.covers(steal_row("none", "scratch", access=tenth))
    assert not PLAIN.covers(steal_row("none", "scratch", access=fifth))


SWEEPS = {"nasty": {"omega": (0.1, 0.2)}, "kd": {"tau": (4.0, 20.0)}}


@pytest.mark.parametrize(
    ("columns", "covered"),
    [
        ({}, True),
        (TAU, True),
        (OMEGA, True),
        (TAU | OMEGA, False),
        (TAU | {"track": "limited"}, True),
        ({"attack_options": {"tau": 8.0}}, False),
        ({"attack_options": {"tau": 20.0, "alpha": 0.5}}, False),
        (TAU | {"access": Access(SOFT, NO_IMAGES, queries=10)}, False),
        (TAU | {"access": Access(SOFT, NO_IMAGES, queries=1000)}, True),
        ({"access": Access(SOFT, NO_IMAGES, queries=10)}, True),
    ],
    ids=str,
)
def test_points_of_a_sweep_meet_plain_plugins_where_a_track_ranks(
    columns: dict[str, Any], covered: bool
) -> None:
    paid = Track(teacher=SOFT, images=NO_IMAGES, queries=(10, 1000))
    study = asking(sweeps=SWEEPS, tracks={**PROTOCOL.tracks, "paid": paid})

    assert study.covers(steal_row(**columns)) is covered


def test_self_is_the_teachers_own_network() -> None:
    own = asking(students=("self", "cnn2"))

    assert own.covers(steal_row(student="resnet8"))
    assert own.covers(steal_row(student="cnn2"))
    assert not own.covers(steal_row(student="cnn5"))


# Ranks


def test_a_study_ranks_nothing_and_a_curve_ranks_where_it_is_widest() -> None:
    few = {"few": CURVES.protocol.tracks["few"]}

    assert PLAIN.ranks and CURVES.ranks
    assert not asking(sweeps=SWEEPS).ranks
    assert not asking(tracks=few).ranks
    ranked = [Access(SOFT, TRAIN_IMAGES), Access(SOFT, NO_IMAGES, queries=1000)]
    every = [a for t in CURVES.protocol.tracks.values() for a in t.accesses()]
    assert [a for a in every if CURVES.ranks_under(a)] == ranked


def test_another_protocol_under_a_name_of_the_bench_ranks_nothing() -> None:
    digits = protocols.load("digits")

    assert Coverage(digits).ranks
    assert not Coverage(digits.model_copy(update={"seeds": 1})).ranks
    assert not Coverage(protocols.load("ablations-digits")).ranks


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, True) for text in ("true", "Yes", "1")],
        *[(text, False) for text in ("false", "No", "0")],
        *[(text, 8.0) for text in ("8", "8.0", "8e0")],
        *[(text, None) for text in ("none", "None", "")],
        ("normal", "normal"),
    ],
)
def test_a_text_stands_for_the_value_that_a_user_would_write_so(
    text: str, value: object
) -> None:
    assert stands_for(text, value)
    assert not stands_for(text, 3)
    assert not stands_for("other", value)
