"""Boards as text: one list of columns serves the terminal and Markdown."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.boards import columns
from bench.boards.board import Board, boards
from bench.boards.columns import COLUMNS, Column
from bench.boards.intervals import Estimate
from bench.boards.sentence import sentence
from bench.cli import leaderboard as terminal
from bench.cli.leaderboard import leaderboard, markdown, show_boards
from bench.results.rows import Row
from bench.testing.protocol import PROTOCOL, SOFT, TRAIN_IMAGES
from bench.testing.rows import release_row, steal_row, teacher_row
from bench.threat.access import Access

WALL = {"defense_options": {"adversary": "resnet8"}}
TEACHERS: list[Row] = [
    row
    for seed in range(3)
    for row in (teacher_row(seed), release_row("none", seed, 0.98))
]
STUDENTS: list[Row] = [
    steal_row(defense, attack, seed, middle + seed / 100, flags=flags, **options)
    for defense, attack, middle, flags, options in (
        ("none", "scratch", 0.2, [], {}),
        ("none", "kd", 0.9, [], {}),
        ("none", "label_kd", 0.8, [], {}),
        ("nasty", "kd", 0.5, ["collapsed", "strange"], WALL),
        ("nasty", "label_kd", 0.6, [], WALL),
        ("nasty", "kd", 0.7, [], {}),
    )
    for seed in range(3)
]


def board() -> Board:
    official = PROTOCOL.model_copy(
        update={
            "defenses": ("nasty", "nasty[adversary=resnet8]"),
            "attacks": ("kd", "label_kd"),
        }
    )
    [found] = boards([*TEACHERS, *STUDENTS], official)
    return found


def printed(width: int, shown: Board | None = None) -> str:
    out = Console(width=width, file=StringIO())
    for table in leaderboard([shown or board()], width):
        out.print(table)
    return out.file.getvalue()  # type: ignore[attr-defined]


def test_markdown_is_a_table_of_all_tracks_of_a_setting() -> None:
    assert markdown([board()]) == (
        "digits, resnet8 to cnn2, protocol `toy` 2:\n\n"
        "| track | rank | defense | teacher | cost | strongest attack "
        "| student accuracy | n | naive damage | immunity |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
        "| open | 1 of 1 | `nasty[adversary=resnet8]` | - | - | `label_kd` "
        "| 61.0 [58.5, 63.5] | 3 | +40.0 [+40.0, +40.0] | 42.9 [42.9, 42.9] |\n"
        "| open | preliminary | `nasty` | - | - | `kd` | 71.0 [68.5, 73.5] | 3 "
        "| +20.0 [+20.0, +20.0] | 28.6 [28.6, 28.6] |\n"
        "| open | control | `none` | 98.0 | - | `kd` | 91.0 [88.5, 93.5] | 3 | - | - |"
    )


@pytest.mark.parametrize("width", [80, 100, 130])
def test_no_name_is_cut_short_on_a_terminal(width: int) -> None:
    text = printed(width)

    words = " ".join(text.split())
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    for name in ("nasty", "none", "label_kd", "kd", "control"):
        assert name in text
    assert "kd: collapsed, kd: strange" in words
    assert "zero line Z: 21.0 [18.5, 23.5] (scratch)" in words
    assert "Ceiling U: 91.0 [88.5, 93.5] (kd)" in words
    assert "nasty: preliminary: no label_kd" in words
    assert words.startswith("open: digits, resnet8 to cnn2, protocol toy 2")
    assert "not ranked" not in words
    if width == 130:  # each attack has a line below its defense
        assert re.search(r"kd +51\.0 \[48\.5, 53\.5\] +3", text)
        assert re.search(r"label_kd +81\.0 \[78\.5, 83\.5\] +3", text)


def test_a_board_that_ranks_nothing_says_so() -> None:
    few = Access(SOFT, TRAIN_IMAGES, 0.25, 1000)
    [shown] = boards([steal_row("nasty", "kd", access=few)], PROTOCOL)

    text = " ".join(printed(130, shown).split())
    assert text.startswith("limited (25 % of the images, 1,000 queries): digits")
    assert "(not ranked: a study, or apart from its protocol)" in text
    assert "No line is known." in text
    assert "unresolved" in text


def test_a_new_column_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Column(
        name="price",
        title="utility cost",
        meaning="Accuracy of the teacher that the defense takes.",
        value=lambda entry, board: entry.utility_cost,
        text=lambda entry, board: columns.percent(entry.utility_cost, signed=True),
    )
    monkeypatch.setattr(terminal, "COLUMNS", (*COLUMNS, own))

    assert "utility cost |" in markdown([board()])
    assert "| +0.0 [+0.0, +0.0] |" in markdown([board()])
    assert "utility cost" in printed(130)


@pytest.mark.parametrize(
    ("estimate", "text", "signed"),
    [
        (None, "-", "-"),
        (Estimate(0.9, 0.0, 1.0, 1), "90.0", "+90.0"),
        (Estimate(0.05, -0.01, 0.11, 3), "5.0 [-1.0, 11.0]", "+5.0 [-1.0, +11.0]"),
    ],
)
def test_percent_has_an_interval_where_there_is_one(
    estimate: Estimate | None, text: str, signed: str
) -> None:
    assert columns.percent(estimate) == text
    assert columns.percent(estimate, signed=True) == signed


def test_json_has_the_sentence_and_no_single_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = boards([*TEACHERS, *STUDENTS], PROTOCOL)[:1]
    monkeypatch.setattr("bench.cli.leaderboard.official", lambda *_: found)

    show_boards(tmp_path, [PROTOCOL], as_json=True, as_markdown=False)

    text = capsys.readouterr().out
    assert json.loads(text)[0]["sentence"] == sentence(found[0])
    assert "right" not in text
