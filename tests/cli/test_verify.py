"""`bench verify` does a published student again from nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from bench.boards.again import band_of
from bench.cli import main
from bench.results.publish import publish, published
from bench.results.rows import StealRow
from bench.results.verified import verified
from bench.testing.rows import steal_rows

TUNED = (
    tiny.PROTOCOL.replace("epochs = 1", "steps = 4")
    + """
[tuning.grid]
kd = [{alpha = 0.5}, {tau = 1.0}]
"""
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder, with its protocol beside it."""
    folder = tmp_path_factory.mktemp("verify")
    asked = {"defenses": ("none",), "attacks": ("kd",)}
    rows = tiny.run(tiny.tasks(folder, TUNED, **asked), tiny.session(folder))
    publish(rows.values(), folder / "results")
    return folder


def run(folder: Path, key: str, *more: str) -> int:
    protocol = str(folder / "tiny.toml")
    results = str(folder / "results")
    return main(["verify", key, "--protocol", protocol, "--results", results, *more])


def kd(folder: Path) -> StealRow:
    rows = published(folder / "results")
    return next(r for r in rows if isinstance(r, StealRow) and r.attack == "kd")


def test_a_tuned_student_comes_out_again_to_the_bit(done, capsys) -> None:
    assert run(done, kd(done).key[:8], "--note") == 0

    told = capsys.readouterr().out
    assert "the same environment" in told and told.endswith("\nverified\n")
    [line] = verified(done / "results")
    assert line.holds and line.difference == 0 and line.there == line.here


def test_a_row_that_does_not_come_out_again_fails(done, tmp_path, capsys) -> None:
    row = kd(done)
    wrong = replace(row, accuracy=(row.accuracy or 0) / 2 + 0.4)
    (tmp_path / "tiny.toml").write_text((done / "tiny.toml").read_text())
    publish([wrong], tmp_path / "results")

    assert run(tmp_path, row.key) == 4
    assert "NOT verified" in capsys.readouterr().out


def test_another_environment_is_told_and_may_differ_a_little(done, tmp_path, capsys):
    row = replace(kd(done), device="another processor", threads=7)
    (tmp_path / "tiny.toml").write_text((done / "tiny.toml").read_text())
    publish([row], tmp_path / "results")

    assert run(tmp_path, row.key) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "threads 1 here, 7 there" in told
    assert "expected within" in told


@pytest.mark.parametrize(
    ("key", "says"), [("zzzz", "0 rows begin with 'zzzz'"), ("", "0 rows begin")]
)
def test_a_key_of_no_student_is_told(done, capsys, key, says) -> None:
    assert run(done, key) == 2
    assert says in capsys.readouterr().err


def test_a_row_whose_plugin_was_edited_is_not_planned_any_more(
    done, tmp_path, capsys
) -> None:
    publish([replace(kd(done), key="0123456789abcdef")], tmp_path / "results")
    (tmp_path / "tiny.toml").write_text((done / "tiny.toml").read_text())

    assert run(tmp_path, "0123") == 2
    assert "were edited since" in capsys.readouterr().err


def test_sister_seeds_say_where_another_run_should_end() -> None:
    rows = steal_rows("nasty", "kd", [0.90, 0.92, 0.94])

    band = band_of(rows[0], [*rows, *steal_rows("none", "kd", [0.1, 0.2, 0.3])])

    half = 4.302653 * 0.02 * (1 + 1 / 3) ** 0.5
    assert (band.low, band.high) == pytest.approx((0.92 - half, 0.92 + half), abs=1e-6)
