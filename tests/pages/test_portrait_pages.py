"""The page of a defense draws its released teacher beside the undefended one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bench.boards.overview import Overview
from bench.pages import build
from bench.results.index import Results
from bench.results.parquet import read, write
from bench.results.rows import ProtectRow
from bench.results.scores import Portrait
from bench.testing.protocol import PROTOCOL
from bench.testing.rows import release_row

DRAWN = {f.name for f in fields(Portrait)}


def drawn(classes: int = 4, likely: Sequence[int] = (), shift: float = 0) -> Portrait:
    """A portrait with an example of each of the first ten classes."""
    shown = min(classes, 10)
    reply = [-1.0 if c in likely else -8.0 - shift for c in range(classes)]
    return Portrait(
        responses=reply * shown,
        response_classes=list(range(shown)),
        response_images=b"\x89PNG not really",
        features_map=[0.5, 1.5 + shift, 2.5, 3.5],
        logits_map=[4.5, 5.5, 6.5, 7.5],
        map_classes=[0, 1],
        confidence=[0.05] * 20,
    )


def release(defense: str, seed: int = 0, **columns: Any) -> ProtectRow:
    picture = vars(drawn(shift=len(defense))) if seed == 0 else {}
    return release_row(defense, seed, 0.9, **{**picture, **columns})


def page_of(rows: Sequence[ProtectRow], out: Path, label: str = "nasty") -> str:
    build(Overview(Results(list(rows)), [PROTOCOL]), out)
    return (out / "defense" / f"{label}.html").read_text(encoding="utf-8")


def charts_of(text: str) -> list[str]:
    return re.findall(r'<div id="([^"]+)" class="plotly-graph-div"', text)


def test_a_file_from_before_there_were_portraits_still_reads(tmp_path: Path) -> None:
    path, row = tmp_path / "protect.parquet", release("nasty")
    write([row], ProtectRow, path)
    assert list(read(ProtectRow, path)) == [row]

    pq.write_table(pq.read_table(path).drop_columns(sorted(DRAWN)), path)

    [bare] = read(ProtectRow, path)
    assert {name: asdict(bare)[name] for name in DRAWN} == vars(Portrait())


def test_the_page_of_a_defense_shows_both_teachers(tmp_path: Path) -> None:
    plain = release("none")

    text = page_of([plain, release("nasty"), release("nasty", seed=1)], tmp_path)

    names = charts_of(text)
    # Four classes, two maps of two teachers, one histogram.
    assert len(names) == len(set(names)) == 4 + 4 + 1
    assert text.count("<h3>") == 1
    assert '"name":"none"' in text and '"name":"nasty"' in text
    assert text.count('class="tile"') == 4
    assert "Seed 0: t-SNE of the network" in text
    assert "assets/plotly.min.js" in text
    assert f'<a href="../run/{plain.key}.html">{plain.key}</a> and' in text


@pytest.mark.parametrize(
    ("label", "parent"), [("none", ""), ("nasty", "another")], ids=["own", "another"]
)
def test_a_teacher_stands_alone_on_its_own_page_or_in_another_setting(
    label: str, parent: str, tmp_path: Path
) -> None:
    plain = release("none", parent=parent) if parent else release("none")

    text = page_of([plain, release("nasty")], tmp_path, label)

    assert len(charts_of(text)) == 4 + 2 + 1
    assert ('"name":"none"' in text, '"name":"nasty"' in text) == (
        label == "none",
        label == "nasty",
    )


def test_every_setting_has_figures_and_a_heading_of_its_own(tmp_path: Path) -> None:
    text = page_of([release("nasty"), release("nasty", dataset="cifar10")], tmp_path)

    headings = re.findall(r"<h3>.*?, (\w+), resnet8, seed 0</h3>", text)
    assert sorted(headings) == ["cifar10", "digits"]
    assert len(set(charts_of(text))) == 2 * (4 + 2 + 1)


def test_of_many_classes_the_ten_likeliest_have_a_bar(tmp_path: Path) -> None:
    picture = drawn(classes=30, likely=range(15, 25))

    text = page_of([release("nasty", **vars(picture))], tmp_path)

    assert ",".join(f'"{c}"' for c in range(15, 25)) in text
    assert "the ten likeliest are shown" in text


def test_rows_without_a_portrait_have_no_section(tmp_path: Path) -> None:
    text = page_of([release("none", seed=1), release("nasty", seed=1)], tmp_path)

    assert "Portrait" not in text
    assert charts_of(text) == []
    assert not list((tmp_path / "run").glob("*.png"))


def test_the_examples_are_a_file_and_the_numbers_are_no_text(tmp_path: Path) -> None:
    row = release("nasty")

    text = page_of([row], tmp_path)

    assert (tmp_path / "run" / f"{row.key}.png").read_bytes() == row.response_images
    assert f"../run/{row.key}.png" in text
    run = (tmp_path / "run" / f"{row.key}.html").read_text(encoding="utf-8")
    assert "features map" not in run and str(row.features_map[1]) not in run
