"""The site says what the rows say, needs no script to be read and no other host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from reading import Page

from bench.boards.columns import COLUMNS, Column
from bench.boards.overview import Overview
from bench.errors import Unfit
from bench.pages import build, formats, leaderboard
from bench.pages.formats import slug
from bench.planning.protocol import Protocol
from bench.results.index import Results
from bench.results.rows import TABLES, ProtectRow, Row
from bench.results.verified import Verified
from bench.testing.protocol import PROTOCOL
from bench.testing.rows import (
    release_row,
    steal_row,
    teacher_row,
)
from bench.testing.tuning_rows import try_row, tune_row

ACCURACY = {
    ("none", "scratch", "open"): 0.9,
    ("none", "kd", "open"): 0.95,
    ("nasty", "kd", "open"): 0.6,
    ("none", "dafl", "white box"): 0.7,
    ("nasty", "dafl", "white box"): 0.3,
}
PNG = b"\x89PNG not really"


def table(seeds: int = 3, **columns: Any) -> list[Row]:
    """Rows of a small grid; each seed adds a little to every accuracy."""
    rows: list[Row] = []
    for seed in range(seeds):
        rows.append(teacher_row(seed, 0.99, **columns))
        rows.append(release_row("none", seed, 0.98, **columns))
        figures = {"figures": {"tau2_kl": 9.5}}
        rows.append(release_row("nasty", seed, 0.98, **figures, **columns))
        rows += [
            steal_row(
                who,
                how,
                seed,
                accuracy + seed / 100,
                track,
                curve=[0.1, 0.2, 0.3],
                samples=PNG if how == "dafl" else None,
                **columns,
            )
            for (who, how, track), accuracy in ACCURACY.items()
        ]
    return rows


def made(rows: Sequence[Row], out: Path, *protocols: Protocol) -> Path:
    build(Overview(Results(list(rows)), [PROTOCOL, *protocols]), out)
    return out


def run_of(site: Path, row: Row) -> Path:
    return site / "run" / f"{row.key}.html"


KD = steal_row("nasty", "kd", 0, 0.6)
DAFL = steal_row("none", "dafl", 0, 0.7, "white box")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return made(table(), tmp_path / "build")


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_there_is_a_page_for_every_defense_attack_and_run_and_samples_beside_it(
    site: Path,
) -> None:
    names = {path.relative_to(site).as_posix() for path in pages(site)}

    assert {"index.html", "published.html"} <= names
    assert {"defense/nasty.html", "defense/none.html"} <= names
    assert {"attack/kd.html", "attack/dafl.html", "attack/scratch.html"} <= names
    assert {f"run/{row.key}.html" for row in table()} <= names
    assert len(names) == 3 + 2 + 3 + len(table())
    assert (site / "run" / f"{DAFL.key}.png").read_bytes() == PNG
    assert f"../run/{DAFL.key}.png" in Page(site / "attack" / "dafl.html").targets


def test_the_leaderboard_says_what_the_rows_say_without_a_script(site: Path) -> None:
    text = Page(site / "index.html").text

    assert "Open The attacker holds confidences, all training images" in text
    # W of nasty in the open track is scratch: an attacker may ignore the teacher.
    row = r"1 of 1 nasty 98\.0 \+1\.0 scratch 91\.0 \[88\.5, 93\.5\] 3 \+35\.0"
    assert re.search(row, text)
    assert "control none 98.0 – kd 96.0" in text
    assert "nasty is at the zero line (gain −30.0" in text
    # (0.71 - 0.31) / (0.71 - 0.1)
    assert re.search(r"1 of 1 nasty 98\.0 \+1\.0 dafl 31\.0 .* 65\.6 \[", text)
    assert "zero line Z: 10.0 (chance, 1/10)" in text


def test_a_new_column_of_boards_is_a_column_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    price = Column(
        name="price",
        title="price",
        meaning="What it costs.",
        value=lambda entry, board: 7,
        text=lambda entry, board: f"{len(entry.defense)} coins",
    )
    monkeypatch.setattr(leaderboard, "COLUMNS", (*COLUMNS, price))

    text = Page(made(table(), tmp_path) / "index.html").text

    assert "Immunity Price" in text
    assert "5 coins" in text and "4 coins" in text


def test_options_of_one_name_that_protocols_set_apart_are_all_named(
    tmp_path: Path,
) -> None:
    slow = PROTOCOL.model_copy(
        update={
            "name": "slow",
            "options": {"kd": {"tau": 20.0}},
            "recipe": {"default": {"epochs": 9}},
        }
    )
    recipes = {"teacher_recipe": KD.teacher_recipe.replace("160", "9")}
    recipes["student_recipe"] = KD.student_recipe.replace("160", "9")
    other = steal_row("none", "kd", attack_options={"tau": 20.0}, **recipes)

    made([*table(), other], tmp_path, slow)

    text = Page(tmp_path / "attack" / "kd.html").text
    assert "tau = 4.0, alpha = 0.9 in toy 2 ; tau = 20.0, alpha = 0.9 in slow 2" in text
    assert " in toy 2" not in Page(tmp_path / "attack" / "dafl.html").text


def test_every_link_leads_to_a_file_of_the_site_whatever_protocols_call_things(
    tmp_path: Path,
) -> None:
    tau = {"tau": 9.0}
    changes = {"name": "other", "options": {"nasty": tau, "kd": tau}}
    changes |= {"defenses": ("none", "nasty[tau=4]"), "attacks": ("kd[tau=4]",)}
    other = PROTOCOL.model_copy(update=changes)

    text = Page(made(table(), tmp_path / "two", other) / "index.html").text
    made(table(), tmp_path / "one")

    assert "nasty[tau=4]" in text and "kd[tau=4]" in text
    for page in pages(tmp_path):
        for target in Page(page).targets:
            place = target.partition("#")[0]
            if place and not place.startswith("data:"):
                assert (page.parent / place).resolve().is_file(), (page, target)


def test_no_page_asks_another_host_headers_have_scopes_and_pictures_words(
    site: Path,
) -> None:
    for page in pages(site):
        found, text = Page(page), page.read_text(encoding="utf-8")
        assert not any("//" in target for target in found.targets)
        assert "@import" not in text and "fetch(" not in text
        assert "missing" not in found.cells
        assert all(found.alts)
    assert "url(" not in (site / "assets" / "style.css").read_text()


def test_a_run_page_holds_its_provenance_and_the_line_that_made_it(
    tmp_path: Path,
) -> None:
    facts = {"command": "bench run --defense nasty", "torch": "2.11", "curve": [0.1]}
    row = steal_row("nasty", "kd", device="a processor", **facts)

    text = Page(run_of(made([*table(), row], tmp_path), row)).text

    assert "kd from nasty to cnn2, seed 0" in text
    for word in ("2.11", "a processor", "2026-01-02 03:04:05 UTC", "ffffffffffffffff"):
        assert word in text
    assert "bench run --defense nasty" in text and "toy 2, digits, resnet8" in text


def test_a_run_page_tells_every_column_or_draws_it() -> None:
    rows: list[Row] = [teacher_row(), release_row(), steal_row()]
    rows += [try_row(), tune_row()]
    assert {row.table for row in rows} == TABLES.keys()

    for row in rows:
        told = [name for group in formats.facts(row).values() for name, _ in group]
        assert sorted(told) == sorted(
            f.name for f in fields(row) if f.name not in formats.DRAWN
        )


def test_a_failure_is_shown_in_words(tmp_path: Path) -> None:
    bad = {"status": "diverged", "reason": "NaN <b>"}
    row = steal_row("nasty", "kd", 1, None, **bad)
    rows = [other for other in table() if other.key != row.key]

    made([*rows, row], tmp_path)

    index = Page(tmp_path / "index.html").text
    assert "kd: diverged" in index
    assert "preliminary: 2 of 3 students" in index
    assert "diverged: NaN <b>" in Page(run_of(tmp_path, row)).text


def test_unofficial_rows_have_a_page_and_no_rank(tmp_path: Path) -> None:
    odd = steal_row("none", "kd", 7, 1.0)

    index = Page(made([*table(), odd], tmp_path) / "index.html")

    assert f"run/{odd.key}.html" in index.targets
    assert "seed 7 no protocol not ranked , digits, resnet8 ok 100.0" in index.text
    assert "control none 98.0 – kd 96.0" in index.text


def test_labels_with_options_make_addresses_that_are_file_names(
    tmp_path: Path,
) -> None:
    row = steal_row("none", "kd", attack_options={"tau": 8.0, "alpha": 0.5})

    made([row], tmp_path)

    label = "kd[tau=8,alpha=0.5]"
    assert (tmp_path / "attack" / f"{slug(label)}.html").exists()
    assert slug(label).startswith("kd-tau-8-alpha-0.5-")
    assert slug("a[x=-1]") != slug("a[x=1]")
    assert slug("nasty") == "nasty"


def test_no_rows_make_a_page_and_a_defense_without_releases_has_one(
    tmp_path: Path,
) -> None:
    assert build(Overview(Results([]), [PROTOCOL]), tmp_path) == 3
    assert "No official rows yet" in Page(tmp_path / "index.html").text

    made([row for row in table() if not isinstance(row, ProtectRow)], tmp_path)

    assert (tmp_path / "defense" / "nasty.html").exists()


def test_a_second_build_leaves_nothing_of_the_first(site: Path) -> None:
    gone = steal_row("nasty", "kd", 2)
    assert run_of(site, gone).exists()

    made(table(seeds=1), site)

    assert not run_of(site, gone).exists()


def test_a_folder_of_somebody_else_is_left_alone_and_a_file_is_no_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "mine.css").touch()

    with pytest.raises(Unfit, match="holds files that are not of this site"):
        made(table(1), tmp_path)
    assert (tmp_path / "assets" / "mine.css").exists()
    with pytest.raises(Unfit, match=r"cannot write the site to .*--out"):
        made(table(1), tmp_path / "assets" / "mine.css" / "site")


def test_what_is_unusual_about_data_and_numbers_is_said_where_they_are(
    tmp_path: Path,
) -> None:
    unusual = {"data_fraction": 0.1, "precision": "bf16"}
    own = PROTOCOL.model_copy(update={"name": "own", **unusual})

    made(table(**unusual), tmp_path, own)

    for page in ("index.html", "defense/nasty.html", "attack/kd.html"):
        assert "digits (10 % of it), bf16" in (tmp_path / page).read_text()


def test_an_ablation_stands_on_the_page_of_what_is_varied(tmp_path: Path) -> None:
    study = PROTOCOL.model_copy(
        update={"name": "study", "sweeps": {"nasty": {"omega": (0.0, 0.1)}}}
    )
    points = [
        row
        for omega in (0.0, 0.1)
        for row in (
            release_row("nasty", defense_options={"omega": omega}),
            steal_row("nasty", "kd", defense_options={"omega": omega}),
        )
    ]

    made([*table(1), *points], tmp_path, study)

    text = Page(tmp_path / "defense" / "nasty.html").text
    variant = Page(tmp_path / "defense" / f"{slug('nasty[omega=0.1]')}.html").text
    assert "nasty.omega , students by kd" in text
    assert "A variant of nasty , whose page shows its ablations." in variant


def test_the_same_rows_make_the_same_site(tmp_path: Path) -> None:
    rows = [replace(row) for row in table()]
    first = made(rows, tmp_path / "first")
    second = made(reversed(rows), tmp_path / "second")

    for page in pages(first):
        other = second / page.relative_to(first)
        assert page.read_bytes() == other.read_bytes(), page.name


def test_pages_tell_what_tuning_chose_and_what_it_tried(tmp_path: Path) -> None:
    tries = [try_row(value, key=f"try{value}") for value in (0.81, 0.62)]
    tune = tune_row(validation=0.81, validations=[0.81, 0.62], key="tune")
    tune = replace(tune, tries=[row.key for row in tries])
    chosen = {"grid": tune.grid, "tuned_by": "tune", "chosen": tune.chosen}
    student = steal_row("nasty", "kd", 9, key="student", **chosen)

    made([*table(), *tries, tune, student], tmp_path)

    run = Page(tmp_path / "run" / "tune.html")
    assert "What tuning chose: kd from nasty to cnn2" in run.text
    assert '{"alpha": 0.0} 81.0 ok' in run.text and "{} 62.0 ok" in run.text
    assert {"try0.81.html", "try0.62.html"} <= set(run.targets)
    assert "tune.html" in Page(tmp_path / "run" / "student.html").targets
    attack = tmp_path / "attack" / f"{slug('kd[tuned otherwise]')}.html"
    assert "../run/tune.html" in Page(attack).targets
    assert "never scored" in Page(tmp_path / "run" / "try0.62.html").text


def test_the_method_page_tells_what_tuning_costs_and_how_far_a_key_moves(
    tmp_path: Path,
) -> None:
    moved = Verified(
        key=KD.key, what="kd from nasty", published=0.6, again=0.65, low=0.5, high=0.7,
        there="one processor", here="another", commit="c",
    )  # fmt: skip
    build(Overview(Results(table()), [PROTOCOL]), tmp_path, verified=[moved])

    text = Page(tmp_path / "method.html").text
    assert "kd from nasty one processor another 60.0 65.0 5.0 50.0 to 70.0 yes" in text
