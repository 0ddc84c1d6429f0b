"""The site says what the rows say, needs no script to be read and no other host."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.errors import Unfit
from bench.pages import build, words
from bench.pages.words import slug
from bench.results.rows import BULKY, TABLES, ProtectRow, Row, StealRow, TeacherRow

COMMON = {
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
    "torch": "2.11",
    "python": "3.11.7",
    "platform": "Linux",
    "device": "a processor",
    "threads": 1,
    "command": "bench run --defense nasty",
    "started": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "seconds": 1.5,
}
STUDENT = {"kd": ("SoftLabels", "TrainImages", "open")} | {
    "scratch": ("HardLabels", "TrainImages", "open"),
    "dafl": ("Weights", "NoImages", "data-free white-box"),
}
ACCURACY = {
    ("none", "scratch"): 0.9,
    ("none", "kd"): 0.95,
    ("nasty", "kd"): 0.6,
    ("none", "dafl"): 0.7,
    ("nasty", "dafl"): 0.3,
}
PNG = b"\x89PNG not really"


def table(seeds: int = 3) -> list[Row]:
    """Rows of a small grid; each seed adds a little to every accuracy."""
    rows: list[Row] = []
    for seed in range(seeds):
        rows.append(TeacherRow(key=f"t{seed}", seed=seed, accuracy=0.99, **COMMON))
        for name in ("none", "nasty"):
            rows.append(
                ProtectRow(
                    **COMMON | {"key": f"p{name}{seed}", "seed": seed},
                    parent=f"t{seed}",
                    defense=name,
                    defense_options="{}",
                    defense_source="s",
                    accuracy=0.98,
                    figures={"tau2_kl": 9.5} if name == "nasty" else {},
                )
            )
        rows += [student(who, how, seed) for who, how in ACCURACY]
    return rows


def student(defense: str, attack: str, seed: int, **columns) -> StealRow:
    teacher_grant, image_grant, track = STUDENT[attack]
    facts = COMMON | {
        "key": f"s{defense}{attack}{seed}",
        "parent": f"p{defense}{seed}",
        "seed": seed,
        "defense": defense,
        "defense_options": "{}",
        "defense_source": "s",
        "attack": attack,
        "attack_options": '{"tau": 4.0}',
        "attack_source": "s",
        "teacher_grant": teacher_grant,
        "image_grant": image_grant,
        "fraction": 1.0,
        "track": track,
        "teacherless": attack == "scratch",
        "student": "cnn2",
        "student_recipe": "{}",
        "accuracy": ACCURACY.get((defense, attack), 0.5) + seed / 100,
        "curve": [0.1, 0.2, 0.3],
        "samples": PNG if attack == "dafl" else None,
    }
    return StealRow(**facts | columns)


class Page(HTMLParser):
    """Text, links, images and scripts of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.targets: list[str] = []
        self.cells: list[str] = []
        self.alts: list[str | None] = []
        self._silent = 0
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs) -> None:
        found = dict(attrs)
        self._silent += tag in ("script", "style")
        if tag == "img":
            self.alts.append(found.get("alt"))
        if tag == "th":
            self.cells.append(found.get("scope") or "missing")
        self.targets += [v for k, v in found.items() if k in ("href", "src") and v]

    def handle_endtag(self, tag) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data) -> None:
        if not self._silent:
            self.words.append(data)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    build(table(), tmp_path / "build")
    return tmp_path / "build"


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_there_is_a_page_for_every_defense_attack_and_run(site):
    names = {str(path.relative_to(site)) for path in pages(site)}

    assert {"index.html", "published.html"} <= names
    assert {"defense/nasty.html", "defense/none.html"} <= names
    assert {"attack/kd.html", "attack/dafl.html", "attack/scratch.html"} <= names
    assert {f"run/{row.key}.html" for row in table()} <= names
    assert len(names) == 2 + 2 + 3 + len(table())


def test_the_leaderboard_says_what_the_rows_say_without_a_script(site):
    text = Page(site / "index.html").text

    assert "Open The attacker holds" in text
    # W of nasty in the open track is scratch: an attacker may ignore the teacher.
    assert re.search(r"1 nasty 98\.0 scratch 91\.0 \[88\.5, 93\.5\] 3 \+35\.0", text)
    assert "control none 98.0 kd 96.0" in text
    # (0.71 - 0.31) / (0.71 - 0.1)
    assert re.search(r"1 nasty 98\.0 dafl 31\.0 .* 65\.6 \[", text)
    assert "10.0, chance, 1/10" in text


def test_options_of_one_name_that_protocols_set_apart_are_all_named(tmp_path):
    other = {"official": False, "protocol": "slow", "attack_options": '{"tau": 20.0}'}
    rows = [*table(), student("none", "kd", 7, key="other", **other)]

    build(rows, tmp_path)

    text = Page(tmp_path / "attack" / "kd.html").text
    assert "tau = 4.0 in digits 1 ; tau = 20.0 in slow 1" in text
    assert "tau = 4.0 in" not in Page(tmp_path / "attack" / "dafl.html").text


def test_every_link_leads_to_a_file_of_the_site(site):
    for page in pages(site):
        for target in Page(page).targets:
            place = target.partition("#")[0]
            if place and not place.startswith("data:"):
                assert (page.parent / place).resolve().is_file(), (page, target)


def test_no_page_makes_a_request_to_another_host(site):
    for page in pages(site):
        for target in Page(page).targets:
            assert "//" not in target
        text = page.read_text(encoding="utf-8")
        assert "@import" not in text
        assert "fetch(" not in text
    assert "url(" not in (site / "assets" / "style.css").read_text()


def test_headers_have_scopes_and_pictures_have_words(site):
    for page in pages(site):
        found = Page(page)
        assert "missing" not in found.cells
        assert all(found.alts)


def test_a_run_page_holds_its_provenance_and_the_line_that_made_it(site):
    text = Page(site / "run" / "snastykd0.html").text

    assert "kd from nasty to cnn2, seed 0" in text
    assert "bench run --defense nasty" in text
    for word in ("2.11", "a processor", "2026-01-02 03:04:05 UTC", "ffffffffffffffff"):
        assert word in text
    assert "10.0, 20.0, 30.0" in text


def test_samples_are_files_beside_the_run(site):
    assert (site / "run" / "snonedafl0.png").read_bytes() == PNG
    assert "../run/snonedafl0.png" in Page(site / "attack" / "dafl.html").targets


def test_a_failure_is_shown_in_words(tmp_path):
    rows = [row for row in table() if row.key != "snastykd1"]
    rows.append(
        student("nasty", "kd", 1, status="diverged", reason="NaN <b>", accuracy=None)
    )

    build(rows, tmp_path)

    index = Page(tmp_path / "index.html").text
    assert "kd: diverged" in index
    assert "2 of 3 done nasty" in index
    assert "diverged: NaN <b>" in Page(tmp_path / "run" / "snastykd1.html").text


def test_unofficial_rows_have_a_page_and_no_rank(tmp_path):
    rows = [*table(), student("none", "kd", 7, official=False, key="odd", accuracy=1.0)]

    build(rows, tmp_path)

    index = Page(tmp_path / "index.html")
    assert "run/odd.html" in index.targets
    assert "seed 7 digits 1 not ranked , digits, resnet8 ok 100.0" in index.text
    assert "control none 98.0 kd 96.0" in index.text


def test_labels_with_options_make_addresses_that_are_file_names(tmp_path):
    row = replace(student("none", "kd", 0), attack="kd[tau=8,alpha=0.5]")

    build([row], tmp_path)

    assert (tmp_path / "attack" / f"{slug(row.attack)}.html").exists()
    assert slug(row.attack).startswith("kd-tau-8-alpha-0.5-")
    assert slug("a[x=-1]") != slug("a[x=1]")
    assert slug("nasty") == "nasty"


def test_an_empty_results_folder_still_makes_a_page(tmp_path):
    assert build([], tmp_path) == 2
    assert "No official rows yet" in Page(tmp_path / "index.html").text


def test_a_second_build_leaves_nothing_of_the_first(site):
    build(table(seeds=1), site)

    assert not (site / "run" / "snastykd2.html").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "mine.css").touch()

    with pytest.raises(Unfit, match="holds files that are not of this site"):
        build(table(), tmp_path)
    assert (tmp_path / "assets" / "mine.css").exists()


def test_a_defense_without_a_released_teacher_has_a_page_all_the_same(tmp_path):
    rows = [row for row in table() if not isinstance(row, ProtectRow)]

    build(rows, tmp_path / "site")

    assert (tmp_path / "site" / "defense" / "nasty.html").exists()


def test_a_place_that_takes_no_files_is_one_line(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Unfit, match=r"cannot write the site to .*--out"):
        build(table(), tmp_path / "file" / "site")


def test_a_run_s_page_tells_every_column_or_draws_it():
    told = {name for names in words.GROUPS.values() for name in names.split()}

    for kind in TABLES.values():
        assert {f.name for f in fields(kind)} <= told | BULKY | {"curve"}


def test_what_is_unusual_about_data_and_numbers_is_said_where_they_are(tmp_path):
    rows = [replace(row, data_share=0.1, precision="bf16") for row in table()]

    build(rows, tmp_path)

    for page in ("index.html", "defense/nasty.html", "attack/kd.html"):
        assert "digits (10 % of it), bf16" in (tmp_path / page).read_text()
