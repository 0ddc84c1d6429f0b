"""Ray for real: the rows of the local engine, contained failures, survived kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.cli import main
from bench.results.rows import Row, StealRow
from bench.results.store import Store, published

PROTOCOL = """
name = "tiny"
version = 1
dataset = "digits"
teachers = ["cnn2"]
students = ["cnn2"]
defenses = ["none", "nasty"]
attacks = ["scratch", "kd", "dafl"]
seeds = 2
[recipe.default]
epochs = {epochs}
batch = 128
rate = 0.05
schedule = "cosine"
[options.dafl]
iterations = 5
batch = 16
latent = 8
width = 8
"""

SAME = (
    "key",
    "status",
    "reason",
    "accuracy",
    "curve",
    "figures",
    "flags",
    "official",
)
"""Columns in which two engines must agree; the others tell of time and place."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with the tiny protocol in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(PROTOCOL.format(epochs=1))
    return tmp_path


def rows(here: Path, results: str = "results") -> dict[str, Row]:
    return {row.key: row for row in published(here / results)}


def test_both_engines_give_the_same_rows(here):
    words = ["run", "--protocol", "tiny.toml"]

    on_ray = main([*words, "--results", "a", "--store", "a/store"])
    local = main([*words, "--engine", "local", "--results", "b", "--store", "b/store"])

    assert (on_ray, local) == (0, 0)
    first, second = rows(here, "a"), rows(here, "b")
    assert len(first) == 2 + 4 + 10
    assert first.keys() == second.keys()
    for key, row in first.items():
        for column in SAME:
            assert getattr(row, column) == getattr(second[key], column), column


def test_a_worker_that_dies_costs_its_own_cell_and_no_other(here):
    (here / "grave.py").write_text(
        "import os\n"
        "from dataclasses import dataclass\n"
        "from bench import Attack, NoImages, Weights\n"
        "@dataclass(frozen=True)\n"
        "class Grave(Attack[Weights, NoImages]):\n"
        '    """Kills its worker."""\n'
        "    def steal(self, student, teacher, images, run):\n"
        "        os.kill(os.getpid(), 9)\n"
    )

    code = main(
        [
            *("run", "--protocol", "tiny.toml", "--seeds", "1", "--defense", "none"),
            *("--attack", "grave.py:Grave", "--attack", "kd"),
        ]
    )

    steals = {r.attack: r for r in rows(here).values() if isinstance(r, StealRow)}
    assert code == 1
    assert steals["grave:Grave"].status == "failed"
    assert "died" in steals["grave:Grave"].reason
    assert (steals["kd"].status, steals["scratch"].status) == ("ok", "ok")


def test_a_killed_run_goes_on_where_it_was(here):
    (here / "tiny.toml").write_text(PROTOCOL.format(epochs=8))
    words = [sys.executable, "-m", "bench", "run", "--protocol", "tiny.toml"]
    store = Store(here / "results" / "store")

    run = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(store.root.glob("*/row.parquet"))) < 3:
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.1)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = {row.key: row for row in store.rows()}
    again = subprocess.run(words, capture_output=True, text=True, timeout=300)

    assert again.returncode == 0, again.stderr
    after = rows(here)
    assert len(before) >= 3
    assert len(after) == 16 and all(row.status == "ok" for row in after.values())
    assert {row.key: row for row in store.rows()}.keys() == after.keys()
    # Workers outlive a killed driver for seconds: what they finish is kept, not redone.
    assert all(after[key] == row for key, row in before.items())
