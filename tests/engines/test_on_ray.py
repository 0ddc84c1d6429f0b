"""Ray for real: the rows of the local engine, contained failures, survived kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from PIL import Image

from bench import data
from bench.cli import main
from bench.results.publish import published
from bench.results.rows import Row, StealRow, TeacherRow
from bench.results.store import Store

SAME = (
    "key",
    "status",
    "reason",
    "accuracy",
    "curve",
    "figures",
    "flags",
)
"""Columns in which two engines must agree; the others tell of time and place."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with the tiny protocol in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(tiny.PROTOCOL)
    return tmp_path


def rows(here: Path, results: str = "results") -> dict[str, Row]:
    return {row.key: row for row in published(here / results)}


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


def test_data_that_workers_cannot_cache_is_told_with_the_true_reason(here, monkeypatch):
    images = here / "images"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (images / split / name).mkdir(parents=True)
            for number in range(4):
                picture = Image.new("L", (8, 8), 60 * number)
                picture.save(images / split / name / f"{number}.png")
    monkeypatch.setenv("BENCH_DATA", str(here / "good"))
    words = ["run", "--protocol", "tiny.toml", "--seeds", "1", "--defense", "none"]
    words += ["--attack", "kd", "--dataset", f"folder:{images}"]
    assert main([*words, "--dry-run"]) == 0  # the plan decodes it in this process
    (here / "file").touch()
    monkeypatch.setenv("BENCH_DATA", str(here / "file" / "no"))

    codes = [main([*words, "--results", "a", "--store", "a/store"])]
    data.load.cache_clear()
    codes.append(
        main([*words, "--engine", "local", "--results", "b", "--store", "b/store"])
    )

    assert codes == [1, 3]  # in one process the plan itself meets it
    [teacher] = [r for r in rows(here, "a").values() if isinstance(r, TeacherRow)]
    assert teacher.status == "unfit"
    assert "cannot write to" in teacher.reason and "BENCH_DATA" in teacher.reason
    assert {r.status for r in rows(here, "a").values()} == {"unfit", "skipped"}


def test_a_killed_run_goes_on_where_it_was_and_ends_in_the_rows_of_the_local_engine(
    here,
):
    words = [sys.executable, "-m", "bench", "run", "--protocol", "tiny.toml"]
    store = Store(here / "results" / "store")

    run = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(store.root.glob("*/row.parquet")):
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = {row.key: row for row in store.rows()}
    again = subprocess.run(words, capture_output=True, text=True, timeout=300)
    local = [*words[3:], "--engine", "local", "--results", "b", "--store", "b/store"]

    assert again.returncode == main(local) == 0, again.stderr
    found, expected = rows(here), rows(here, "b")
    assert before and len(found) == 1 + 2 + 5
    assert {row.key for row in store.rows()} == found.keys() == expected.keys()
    for key, row in found.items():
        for column in SAME:
            assert getattr(row, column) == getattr(expected[key], column), column
    # Workers outlive a killed driver for seconds: what they finish is kept, not redone.
    assert all(found[key] == row for key, row in before.items())
