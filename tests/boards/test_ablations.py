"""Ablations from rows that are written by hand: found, read, drawn and printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from rich.console import Console

from bench.boards.ablations import Ablation, Reading, ablations
from bench.boards.board import boards
from bench.boards.intervals import Estimate, share
from bench.cli.ablation import ablation_tables, unswept
from bench.pages import build
from bench.pages.words import slug, spread
from bench.results.rows import ProtectRow, Row, StealRow
from bench.threat.tracks import track

MORNING = datetime(2026, 1, 1, 9, tzinfo=UTC)
COMMON: dict[str, Any] = {
    "status": "ok",
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
PLAIN: dict[str, dict[str, Any]] = {
    "none": {},
    "nasty": {"adversary": "", "omega": 0.04, "tau": 4.0},
    "wall": {"height": 1},
    "kd": {"alpha": 0.9, "fraction": 1.0, "queries": None, "tau": 4.0},
    "limited_kd": {"alpha": 0.9, "fraction": 0.1, "queries": None, "tau": 4.0},
    "dafl": {"fraction": 1.0, "iterations": 1600},
    "scratch": {"fraction": 1.0, "queries": 0},
}
"""Every option as a protocol has it, by plugin."""
SEEDS = range(3)

Spec = tuple[str, Mapping[str, Any]]


def plugin(spec: str | Spec) -> tuple[str, str, dict[str, Any]]:
    """Label, options as JSON and options of a plugin that departs as `spec` says."""
    name, other = (spec, {}) if isinstance(spec, str) else spec
    options = PLAIN[name] | other
    odd = [
        f"{k}={repr(v).removesuffix('.0') if isinstance(v, float) else v}"
        for k, v in options.items()
        if v != PLAIN[name][k]
    ]
    label = name + (f"[{','.join(odd)}]" if odd else "")
    return label, json.dumps(options), options


def release(
    defense: str | Spec, seed: int, accuracy: float | None = 0.97, **more: Any
) -> ProtectRow:
    """What a defense made of the teacher of a seed."""
    label, options, _ = plugin(defense)
    known = COMMON | {
        "key": f"{label}-{seed}",
        "official": "[" not in label,
        "parent": f"t{seed}",
        "seed": seed,
        "defense": label,
        "defense_options": options,
        "defense_source": "0" * 16,
        "accuracy": accuracy,
    }
    return ProtectRow(**(known | more))


def steal(
    defense: str | Spec,
    attack: str | Spec,
    seed: int,
    accuracy: float | None,
    **more: Any,
) -> StealRow:
    """The student that an attack on that release trained."""
    whose, defense_options, _ = plugin(defense)
    label, attack_options, options = plugin(attack)
    grants = ("SoftLabels", "TrainImages", options["fraction"])
    if label.startswith("dafl"):
        grants = ("Weights", "NoImages", 1.0)
    known = COMMON | {
        "key": f"{whose}-{label}-{seed}",
        "official": "[" not in whose + label,
        "classes": 10,
        "parent": f"{whose}-{seed}",
        "seed": seed,
        "defense": whose,
        "defense_options": defense_options,
        "defense_source": "0" * 16,
        "attack": label,
        "attack_options": attack_options,
        "attack_source": "0" * 16,
        "teacher_grant": grants[0],
        "image_grant": grants[1],
        "fraction": grants[2],
        "track": track(*grants),
        "teacherless": label.startswith("scratch"),
        "student": "cnn2",
        "student_recipe": "{}",
        "accuracy": accuracy,
    }
    return StealRow(**(known | more))


def around(middle: float) -> list[float]:
    """An accuracy a seed."""
    return [round(middle + seed / 100, 4) for seed in SEEDS]


def taught(defense: str | Spec) -> float:
    """About what its released teachers reach: the less, the larger omega is."""
    return 0.97 - plugin(defense)[2].get("omega", 0) / 2


def played(defense: str | Spec, attack: str | Spec, middle: float) -> list[Row]:
    """A released teacher and a student, a seed each."""
    rows: list[Row] = []
    for seed, value in enumerate(around(middle)):
        rows.append(release(defense, seed, around(taught(defense))[seed]))
        rows.append(steal(defense, attack, seed, value))
    return rows


CONTROLS = [*played("none", "scratch", 0.8), *played("none", "kd", 0.9)]
OMEGAS = {0.0: 0.88, 0.001: 0.87, 0.01: 0.8, 0.04: 0.7, 0.1: 0.6, 1.0: 0.2}
"""Students of nasty by omega."""


def omegas(values: Iterable[float] = OMEGAS) -> list[Row]:
    return [
        row
        for omega in values
        for row in played(("nasty", {"omega": omega}), "kd", OMEGAS[omega])
    ]


STUDY = [*CONTROLS, *omegas()]


def only(rows: Iterable[Row]) -> Ablation:
    (found,) = ablations(rows)
    return found


def estimates(found: Ablation, who: str) -> dict[Any, Estimate | None]:
    readings = {p.value: p.students[who] for p in found.points if who in p.students}
    return {value: reading.estimate for value, reading in readings.items()}


def the(reading: Reading | None) -> Reading:
    assert reading is not None
    return reading


def test_an_option_of_a_defense_that_takes_several_values_is_an_ablation() -> None:
    found = only(STUDY)

    assert (found.name, found.kind, found.attack) == ("nasty.omega", "defense", "kd")
    assert found.held == ""
    assert found.defenses == ["nasty"]
    assert estimates(found, "nasty") == {
        omega: share(around(middle)) for omega, middle in OMEGAS.items()
    }


def test_each_value_has_the_accuracy_of_the_teachers_that_were_released() -> None:
    found = only(STUDY)

    for point in found.points:
        expected = share(around(taught(("nasty", {"omega": point.value}))))
        assert the(point.teacher).estimate == expected


def test_the_plain_point_takes_part_with_the_value_from_its_options() -> None:
    labels = {point.value: point.label for point in only(STUDY).points}

    assert labels[0.04] == "nasty"
    assert labels[0.1] == "nasty[omega=0.1]"


def test_numbers_stand_in_their_order_whatever_their_texts_are() -> None:
    taus = [20.0, 4.0, 100.0, 8.0, 1.0]
    rows = [r for tau in taus for r in played("nasty", ("kd", {"tau": tau}), 0.5)]

    assert [p.value for p in only(rows).points] == sorted(taus)
    assert [p.text for p in only(rows).points] == ["1", "4", "8", "20", "100"]
    assert [p.text for p in only(STUDY).points] == [
        *("0", "0.001", "0.01", "0.04", "0.1", "1")
    ]


def test_names_stand_by_the_alphabet_and_an_empty_one_has_words() -> None:
    names = ["resnet34", "", "cnn5"]
    rows = [r for n in names for r in played(("nasty", {"adversary": n}), "kd", 0.5)]

    found = only(rows)

    assert found.name == "nasty.adversary"
    assert [p.text for p in found.points] == ["(empty)", "cnn5", "resnet34"]


def test_an_option_that_may_be_none_stands_after_its_numbers() -> None:
    budgets = [None, 500, 60]
    rows = [r for n in budgets for r in played("nasty", ("kd", {"queries": n}), 0.5)]

    assert [p.text for p in only(rows).points] == ["60", "500", "none"]


@pytest.mark.parametrize("shuffle", range(3))
def test_the_order_of_the_rows_changes_nothing(shuffle: int) -> None:
    rows = [*STUDY, *played("nasty", ("kd", {"tau": 20.0}), 0.5)]
    mixed = Random(shuffle).sample(rows, len(rows))

    assert ablations(mixed) == ablations(rows)


def test_one_value_alone_is_no_ablation() -> None:
    assert ablations([*CONTROLS, *omegas([0.04])]) == []
    assert ablations([*CONTROLS, *omegas([0.1])]) == []
    assert ablations([]) == []


def test_the_zero_lines_of_the_protocol_are_no_ablation_of_scratch() -> None:
    tenth = played("none", ("scratch", {"fraction": 0.1}), 0.4)

    assert ablations([*CONTROLS, *tenth]) == []


def test_two_sweeps_from_one_plain_point_are_an_ablation_each() -> None:
    rows = [*STUDY, *played(("nasty", {"tau": 20.0}), "kd", 0.5)]

    found = {one.name: [p.value for p in one.points] for one in ablations(rows)}

    assert found == {"nasty.omega": list(OMEGAS), "nasty.tau": [4.0, 20.0]}


def grid(omegas: Sequence[float], taus: Sequence[float]) -> list[Row]:
    return [
        row
        for omega in omegas
        for tau in taus
        for row in played(("nasty", {"omega": omega, "tau": tau}), "kd", omega + 0.1)
    ]


def test_of_a_grid_the_lines_through_the_plain_point_are_ablations() -> None:
    found = ablations(grid([0.01, 0.04, 0.1], [1.0, 4.0]))

    assert [(one.name, one.held) for one in found] == [
        ("nasty.omega", ""),
        ("nasty.tau", ""),
    ]
    assert all("," not in p.label for one in found for p in one.points)


def test_a_grid_without_the_plain_point_has_an_ablation_a_line() -> None:
    found = ablations(grid([0.01, 0.1], [1.0, 8.0]))

    assert [(one.name, one.held) for one in found] == [
        ("nasty.omega", "tau=1"),
        ("nasty.omega", "tau=8"),
        ("nasty.tau", "omega=0.01"),
        ("nasty.tau", "omega=0.1"),
    ]


def test_a_line_beside_the_plain_point_is_found_where_none_goes_through_it() -> None:
    rows = [*played("nasty", "kd", 0.7), *grid([0.01, 0.1], [8.0])]

    found = only(rows)

    assert (found.name, found.held) == ("nasty.omega", "tau=8")


def test_points_that_differ_in_two_options_are_no_ablation() -> None:
    rows = [
        *played("nasty", "kd", 0.7),
        *played(("nasty", {"omega": 0.1, "tau": 8.0}), "kd", 0.5),
    ]

    assert ablations(rows) == []


def test_an_option_of_an_attack_is_read_from_every_defense_that_met_it() -> None:
    taus = {1.0: 0.5, 4.0: 0.6, 20.0: 0.7}
    rows: list[Row] = [*played("none", "scratch", 0.8), *played("wall", "kd", 0.5)]
    for tau, middle in taus.items():
        rows += played("none", ("kd", {"tau": tau}), middle + 0.1)
        rows += played("nasty", ("kd", {"tau": tau}), middle)

    found = only(rows)

    assert (found.name, found.kind) == ("kd.tau", "attack")
    assert found.defenses == ["none", "nasty"]
    for who, more in (("none", 0.1), ("nasty", 0.0)):
        assert estimates(found, who) == {
            tau: share(around(middle + more)) for tau, middle in taus.items()
        }
    assert {p.zero for p in found.points} == {share(around(0.8))}
    assert found.undefended is None
    assert all(point.teacher is None for point in found.points)


def test_a_value_that_one_defense_has_not_met_is_no_point_of_it() -> None:
    rows = [
        *(r for t in (1.0, 4.0) for r in played("nasty", ("kd", {"tau": t}), 0.6)),
        *(r for t in (1.0, 4.0, 8.0) for r in played("none", ("kd", {"tau": t}), 0.9)),
    ]

    found = only(rows)

    assert list(estimates(found, "none")) == [1.0, 4.0, 8.0]
    assert list(estimates(found, "nasty")) == [1.0, 4.0]


def test_the_students_of_the_plain_attack_tell_of_a_defense() -> None:
    swept = [("nasty", {"omega": omega}) for omega in (0.04, 0.1)]
    odd = ("kd", {"tau": 20.0})
    rows = [r for spec in swept for r in played(spec, odd, 0.5)]

    assert only(rows).attack == "kd[tau=20]"

    rows += [r for spec in swept for r in played(spec, "kd", 0.6)]
    found = [one for one in ablations(rows) if one.kind == "defense"]
    assert [one.attack for one in found] == ["kd"]


def test_there_is_an_ablation_for_each_attack_that_met_the_sweep() -> None:
    rows = [
        *omegas([0.04, 0.1]),
        *(r for w in (0.04, 0.1) for r in played(("nasty", {"omega": w}), "dafl", 0.5)),
    ]

    found = ablations(rows)

    assert [(one.name, one.attack) for one in found] == [
        ("nasty.omega", "dafl"),
        ("nasty.omega", "kd"),
    ]
    assert [one.zero_is for one in found] == ["chance, 1/10", ""]
    assert {p.zero for p in found[0].points} == {Estimate(0.1, 0.1, 0.1, n=0)}


def test_the_lines_are_none_its_students_by_the_same_attack_and_scratch() -> None:
    found = only([*STUDY, *played("none", "dafl", 0.5)])

    assert the(found.undefended).estimate == share(around(0.97))
    assert the(found.control).estimate == share(around(0.9))
    assert {p.zero for p in found.points} == {share(around(0.8))}
    assert found.zero_is == "scratch"


def test_each_share_of_the_images_is_read_against_scratch_with_that_share() -> None:
    shares = [0.1, 0.3, 0.9]
    rows: list[Row] = played("none", "scratch", 0.95)
    for part in shares:
        rows += played("none", ("limited_kd", {"fraction": part}), 0.5 + part / 5)
        rows += played("nasty", ("limited_kd", {"fraction": part}), 0.4 + part / 5)
        rows += played("none", ("scratch", {"fraction": part}), 0.3 + part / 5)

    found = only(rows)

    assert found.name == "limited_kd.fraction"
    assert {p.value: p.zero for p in found.points} == {
        part: share(around(0.3 + part / 5)) for part in shares
    }
    assert found.zero_is == "scratch"


@pytest.mark.parametrize("status", ["failed", "oom", "diverged", "timeout", "skipped"])
def test_a_failed_seed_is_missing_and_shown(status: str) -> None:
    bad = {"status": status, "reason": "why", "accuracy": None}
    rows = [
        replace(row, **bad) if row.key == "nasty[omega=0.1]-kd-1" else row
        for row in STUDY
    ]

    points = {point.value: point for point in only(rows).points}

    reading = points[0.1].students["nasty"]
    assert reading.estimate == share([around(0.6)[0], around(0.6)[2]])
    assert reading.troubles == {"nasty[omega=0.1]-kd-1": status}
    assert points[0.01].students["nasty"].troubles == {}


def test_a_value_whose_tasks_all_failed_is_listed_with_their_statuses() -> None:
    bad = {"status": "diverged", "reason": "why", "accuracy": None}
    lost = {"status": "skipped", "reason": "why", "accuracy": 0.01}
    rows = [
        row
        if getattr(row, "defense", "") != "nasty[omega=1]"
        else replace(row, **(lost if isinstance(row, StealRow) else bad))
        for row in STUDY
    ]

    point = only(rows).points[-1]

    assert point.value == 1.0
    assert the(point.teacher).estimate is None
    assert list(the(point.teacher).troubles.values()) == ["diverged"] * 3
    assert point.students["nasty"].estimate is None
    assert list(point.students["nasty"].troubles.values()) == ["skipped"] * 3


def test_flags_of_teachers_and_students_are_told() -> None:
    rows = [
        replace(row, flags=["collapsed"]) if row.key == "nasty[omega=1]-kd-0" else row
        for row in STUDY
    ]

    flags = {p.value: p.students["nasty"].flags for p in only(rows).points}

    assert [value for value, words in flags.items() if words] == [1.0]
    assert flags[1.0] == ["collapsed"]


def edited(row: Row, **changes: Any) -> Row:
    """The same by another text of the defense, an hour later."""
    parent = f"new-{row.parent}" if isinstance(row, StealRow) else "t0"
    new = {"key": f"new-{row.key}", "defense_source": "1" * 16, "parent": parent}
    return replace(
        row, **(new | {"started": row.started + timedelta(hours=1)}), **changes
    )


def test_what_the_text_before_an_edit_did_is_not_averaged_in() -> None:
    again = [
        edited(row, accuracy=0.5)
        for row in omegas([0.04, 0.1])
        if isinstance(row, ProtectRow | StealRow) and row.seed == 0
    ]

    found = only([*STUDY, *again])

    assert estimates(found, "nasty") == {0.04: share([0.5]), 0.1: share([0.5])}
    assert {the(p.teacher).estimate for p in found.points} == {share([0.5])}


def test_a_value_that_is_another_by_default_now_counts_once() -> None:
    before = omegas([0.01, 0.04])
    same = {"defense": "nasty[omega=0.04]"}
    now: list[Row] = [
        replace(row, **same, key=f"now-{row.key}", started=MORNING + timedelta(hours=1))
        for row in omegas([0.04])
        if isinstance(row, StealRow)
    ]

    found = only([*before, *now])

    assert estimates(found, "nasty")[0.04] == share(around(0.7))


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": "mine"},
        {"protocol_version": 2},
        {"dataset": "planets"},
        {"data_fingerprint": "0" * 16},
        {"teacher": "cnn2"},
        {"student": "resnet8"},
        {"revision": 2},
        {"teacher_recipe": '{"epochs": 1}'},
        {"student_recipe": '{"epochs": 1}'},
    ],
)
def test_rows_of_another_scene_are_another_ablation(other: dict[str, Any]) -> None:
    half, rest = omegas([0.0, 0.01]), omegas([0.1, 1.0])
    strange = [replace(row, **other) for row in rest if isinstance(row, StealRow)]

    found = ablations([*half, *strange])

    assert sorted([p.value for p in one.points] for one in found) == [
        [0.0, 0.01],
        [0.1, 1.0],
    ]
    assert ablations([*half[:6], *strange[:3]]) == []


# The pages


def text_of(path: Path) -> str:
    """A page without its scripts and tags."""
    page = re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def charts_of(path: Path) -> list[str]:
    return re.findall(r'<div id="(ablation-\d+)"', path.read_text())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    rows = [*STUDY, *played("wall", "kd", 0.5)]
    for tau in (1.0, 20.0):
        for who in ("none", "nasty", "wall"):
            rows += played(who, ("kd", {"tau": tau}), 0.5)
    build(rows, tmp_path / "site")
    return tmp_path / "site"


def test_the_page_of_a_defense_has_a_chart_and_the_same_numbers(site: Path) -> None:
    page = site / "defense" / "nasty.html"

    text = text_of(page)

    assert "Ablations" in text
    assert charts_of(page) == ["ablation-0", "ablation-1"]
    assert "assets/plotly.min.js" in page.read_text()
    for omega, middle in OMEGAS.items():
        line = f"{omega:g} {spread(share(around(taught(('nasty', {'omega': omega})))))}"
        assert f"{line} {spread(share(around(middle)))}" in text
        assert f"{100 * share(around(middle)).value!r}" in page.read_text()
    none = f"{spread(share(around(0.97)))} {spread(share(around(0.9)))}"
    assert f"undefended {none} zero line: scratch {spread(share(around(0.8)))}" in text


def test_each_chart_draws_its_own_option(site: Path) -> None:
    page = (site / "defense" / "nasty.html").read_text()

    drawn = re.findall(
        r'Plotly\.newPlot\(\s*"(ablation-\d)",(.*?)</script>', page, re.S
    )

    titles = {name: re.findall(r'"text":"(\w+\.\w+)"', code) for name, code in drawn}
    assert titles == {"ablation-0": ["nasty.omega"], "ablation-1": ["kd.tau"]}
    values = re.search(r'"categoryarray":(\[[^]]*\])', drawn[0][1])
    assert values is not None
    assert json.loads(values[1]) == ["0", "0.001", "0.01", "0.04", "0.1", "1"]


def test_a_defense_is_beside_none_and_an_attack_among_all(site: Path) -> None:
    columns = r"Student from none Student from nasty( Student from wall)? Zero line"

    on_nasty = re.search(columns, text_of(site / "defense" / "nasty.html"))
    on_kd = re.search(columns, text_of(site / "attack" / "kd.html"))

    assert on_nasty is not None and on_nasty[1] is None
    assert on_kd is not None and on_kd[1] is not None
    assert "Ablations" not in text_of(site / "defense" / "none.html")


def test_the_page_of_a_variant_leads_to_the_plain_one(site: Path) -> None:
    for kind, label in (("defense", "nasty[omega=0.1]"), ("attack", "kd[tau=20]")):
        page = site / kind / f"{slug(label)}.html"
        home = label.partition("[")[0]

        assert f"A variant of {home} , whose page shows its ablations" in text_of(page)
        assert f'href="../{kind}/{home}.html#ablations"' in page.read_text()
        assert charts_of(page) == []


def test_without_a_plain_page_the_variants_show_their_ablation(tmp_path: Path) -> None:
    build(omegas([0.0, 0.1]), tmp_path / "site")

    for label in ("nasty[omega=0]", "nasty[omega=0.1]"):
        page = tmp_path / "site" / "defense" / f"{slug(label)}.html"
        assert charts_of(page) == ["ablation-0"]


def test_without_an_ablation_there_is_no_section(tmp_path: Path) -> None:
    build([*CONTROLS, *omegas([0.04])], tmp_path / "site")

    for page in (tmp_path / "site").rglob("*.html"):
        assert "blation" not in text_of(page)


def test_a_value_that_failed_stands_on_the_page_with_its_runs(tmp_path: Path) -> None:
    bad = {"status": "diverged", "reason": "why", "accuracy": None}
    rows = [
        replace(row, **bad) if row.key == "nasty[omega=1]-kd-1" else row
        for row in STUDY
    ]

    build(rows, tmp_path / "site")

    page = tmp_path / "site" / "defense" / "nasty.html"
    kept = share([around(0.2)[0], around(0.2)[2]])
    assert f"{spread(kept)} diverged" in text_of(page)
    assert 'href="../run/nasty[omega=1]-kd-1.html">diverged</a>' in page.read_text()


# The terminal


def printed(rows: Iterable[Row]) -> str:
    paper = StringIO()
    for table in ablation_tables(ablations(rows)):
        Console(file=paper, width=110).print(table)
    return paper.getvalue()


def test_the_terminal_has_a_line_a_value_and_the_controls_below() -> None:
    bad = {"status": "oom", "reason": "why", "accuracy": None}
    lost = ("nasty[omega=0.1]-kd-1", "nasty[omega=0.1]-kd-2")
    rows = [replace(row, **bad) if row.key in lost else row for row in STUDY]

    lines = [line.split() for line in printed(rows).splitlines()]

    firsts = [line[0] for line in lines if line]
    assert firsts[-9:-1] == [
        *("0", "0.001", "0.01", "0.04", "0.1", "1"),
        "none",
        "scratch",
    ]
    (tenth,) = [line for line in lines if line[:1] == ["0.1"]]
    assert tenth[-5:] == ["60.0", "(1)", "student:", "2", "oom"]
    (none,) = [line for line in lines if line[:1] == ["none"]]
    assert (none[1], none[5]) == ("98.0", "91.0")


def test_the_printed_boards_leave_the_points_of_a_sweep_out() -> None:
    rows = [*STUDY, *played("none", ("limited_kd", {"fraction": 0.3}), 0.5)]
    rows += played("none", "limited_kd", 0.4)

    (open_, limited) = boards(unswept(rows, ablations(rows)))

    assert [entry.defense for entry in open_.entries] == ["nasty", "none"]
    assert open_.official
    assert limited.scene.fraction == 0.1


def test_what_no_ablation_shows_and_what_is_official_stays_on_the_boards() -> None:
    alone = played(("wall", {"height": 9}), "kd", 0.5)
    entered = [replace(row, official=True) for row in omegas([0.1])]
    rows = [*CONTROLS, *omegas([0.01, 0.04]), *entered, *alone]

    (board,) = boards(unswept(rows, ablations(rows)))

    assert {entry.defense for entry in board.entries} == {
        *("none", "nasty", "nasty[omega=0.1]", "wall[height=9]")
    }
