"""A task ends in one row, whatever happens, and means the same everywhere."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import tiny
import torch
from safetensors.torch import load_file
from tiny import pick, plugin

from bench import REVISION
from bench.data import load as load_data
from bench.engines.run_task import Session, record, run_task
from bench.errors import BadData, Status, Unfit
from bench.results.rows import (
    TABLES,
    ProtectRow,
    Row,
    StealRow,
    StudentScores,
    TeacherRow,
)
from bench.stages import Protect, Result, Steal, Task, TrainTeacher
from bench.stages.task import with_parents


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return tiny.session(tmp_path)


def test_every_task_of_a_plan_ends_in_a_row_with_what_it_measured(tmp_path, session):
    tasks = tiny.tasks(tmp_path)

    rows = tiny.run(tasks, session)

    assert [row.status for row in rows.values()] == ["ok"] * len(tasks)
    [teacher] = pick(rows, TeacherRow)
    [plain] = pick(rows, ProtectRow, defense="none")
    [nasty] = pick(rows, ProtectRow, defense="nasty")
    [kd] = pick(rows, StealRow, defense="nasty", attack="kd")
    [dafl] = pick(rows, StealRow, defense="none", attack="dafl")
    [scratch] = pick(rows, StealRow, attack="scratch")
    assert plain.accuracy == plain.network_accuracy == teacher.accuracy
    assert plain.fidelity == 1.0
    assert nasty.figures["tau2_kl"] > 0
    assert kd.parent == nasty.key
    assert kd.queries == 1257
    assert kd.curve == [kd.accuracy] and kd.best_accuracy == kd.accuracy
    assert (dafl.queries, scratch.queries) == (None, 0)
    assert dafl.samples is not None and dafl.samples.startswith(b"\x89PNG")
    assert (dafl.teacher_grant, kd.teacher_grant) == ("Weights", "SoftLabels")


def test_a_task_leaves_the_global_random_state_alone(tmp_path, session):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)

    run_task(tiny.tasks(tmp_path)[0], session, lambda *_: None)

    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("raise KeyError('mist')", "failed", "KeyError: 'mist'"),
        ("return teacher", "failed", "returned Mixed, not Released"),
        ("raise MemoryError", "oom", "out of memory"),
        ("raise Skipped('no BatchNorm here')", "skipped", "no BatchNorm here"),
        (
            "teacher.get_parameter('1.8.bias').data.fill_(float('nan'));"
            " return Released(teacher)",
            "diverged",
            "replies with NaN",
        ),
        ("check_finite(float('inf'), 'the loss')", "diverged", "the loss became inf"),
        (
            "return Released(nn.Flatten())",
            "failed",
            "does not fit the one that `skeleton` builds",
        ),
        (
            "return Released(teacher, nn.Flatten())",
            "failed",
            "releases network, answer and its skeleton builds network",
        ),
    ],
)
def test_a_defense_that_breaks_is_a_row_with_the_reason(
    tmp_path, session, body, status, reason
):
    spec = plugin(
        tmp_path, f"    def protect(self, teacher, images, run):\n        {body}\n"
    )
    tasks = tiny.tasks(tmp_path, defenses=(spec,), attacks=("kd",))

    rows = tiny.run([t for t in tasks if not isinstance(t, Steal)], session)

    [row] = pick(rows, ProtectRow, defense="fog:Fog")
    assert (row.status, reason in row.reason, "\n" in row.reason) == (
        status,
        True,
        False,
    )
    assert row.accuracy is None
    log = session.store.folder(row.key) / "log.txt"
    assert log.exists() == (status == "failed")
    assert session.store.row(row.key) == row


def test_a_task_that_runs_too_long_is_stopped(tmp_path, session):
    spec = plugin(
        tmp_path,
        "    def protect(self, teacher, images, run):\n"
        "        while True:\n"
        "            pass\n",
    )
    tasks = tiny.tasks(tmp_path, defenses=(spec,), attacks=("kd",))
    teacher = next(t for t in tasks if isinstance(t, TrainTeacher))
    release = next(
        t for t in tasks if isinstance(t, Protect) and t.defense.name == "fog:Fog"
    )
    run_task(teacher, session, lambda *_: None)
    hasty = replace(session, timeout=0.5)

    row = run_task(release, hasty, lambda *_: None)

    assert (row.status, row.reason) == ("timeout", "ran past its limit of 0.5 s")


def test_a_budget_is_enforced_whatever_the_attack_does(tmp_path, session):
    greedy = "    def steal(self, student, teacher, images, run):\n        %s\n"
    asks = "[teacher(b.pixels, b.view) for b in images.batches(128, run.generator)]"
    spec = plugin(tmp_path, greedy % asks, "Attack[SoftLabels, TrainImages]")
    tasks = tiny.tasks(
        tmp_path,
        defenses=("none",),
        attacks=(spec, "kd"),
        tracks=("open[queries=200]",),
    )

    rows = tiny.run(tasks, session)

    [row] = pick(rows, StealRow, attack="fog:Fog")
    assert (row.status, row.query_budget) == ("failed", 200)
    assert row.reason == "asked about 128 images with 72 left"
    [kd] = pick(rows, StealRow, attack="kd")
    assert (kd.status, kd.queries) == ("ok", 200)


def test_weights_answer_whatever_labels_answer(tmp_path, session):
    replies = "replies[teacher=SoftLabels,images=NoImages]"
    tasks = tiny.tasks(
        tmp_path,
        defenses=("none",),
        attacks=("noise_kd[iterations=3,batch_size=16]",),
        tracks=("white", replies),
    )

    rows = tiny.run(tasks, session)

    asked, held = sorted(pick(rows, StealRow), key=lambda row: row.teacher_grant)
    assert (asked.teacher_grant, held.teacher_grant) == ("SoftLabels", "Weights")
    assert asked.accuracy == held.accuracy
    assert (asked.queries, held.queries) == (48, None)


def test_an_answer_of_the_service_is_stored_and_meets_label_attacks_only(
    tmp_path, session
):
    spec = plugin(
        tmp_path,
        "    def protect(self, teacher, images, run):\n"
        "        return Released(teacher, Shuffled())\n"
        "    def skeleton(self, run):\n"
        "        return Released(run.network(run.teacher), Shuffled())\n"
        "class Shuffled(nn.Module):\n"
        "    def forward(self, images, log_probs):\n"
        "        return log_probs.roll(1, dims=1)\n",
    )
    tasks = tiny.tasks(
        tmp_path,
        defenses=(spec,),
        attacks=("kd[alpha=1]", "dafl"),
        students=("resnet8",),
    )

    rows = tiny.run(tasks, session)

    [plain] = pick(rows, ProtectRow, defense="none")
    [fog] = pick(rows, ProtectRow, defense="fog:Fog")
    by_weights = pick(rows, StealRow, attack="dafl")
    by_labels = pick(rows, StealRow, attack="kd")
    assert fog.network_accuracy == plain.accuracy
    assert fog.accuracy < 0.2 < plain.accuracy
    assert by_weights[0].accuracy == by_weights[1].accuracy
    assert by_labels[0].accuracy != by_labels[1].accuracy


def tables(session: Session) -> list[int]:
    """How many epochs of training images are remembered, teacher by teacher."""
    found = []
    for place in (session.store.root / "replies").glob("*"):
        counts = [len(load_file(p)["replies"]) for p in place.glob("*.safetensors")]
        found.append(sum(count != 540 for count in counts))
    return sorted(count for count in found if count)


def test_all_students_of_one_teacher_read_one_set_of_tables(tmp_path, session):
    tasks = tiny.tasks(
        tmp_path,
        defenses=("none",),
        attacks=("kd", "kd[tau=2]", "label_kd"),
        students=("cnn2", "lenet5"),
        settings={"recipe": {"epochs": "2"}},
    )

    rows = tiny.run(tasks, session)

    assert {row.status for row in rows.values()} == {"ok"}
    assert tables(session) == [2]
    asked = {row.queries for row in pick(rows, StealRow) if row.attack != "scratch"}
    assert len(pick(rows, StealRow)) == 8
    assert len(asked) == 1
    assert 1257 < asked.pop() < 2 * 1257


def test_other_shares_of_the_images_have_other_tables(tmp_path, session):
    asked = {"tracks": ("open", "open[fraction=0.5]"), "attacks": ("kd", "kd[tau=2]")}

    rows = tiny.run(tiny.tasks(tmp_path, defenses=("none",), **asked), session)

    assert tables(session) == [1, 1]
    half = {r.queries for r in pick(rows, StealRow, fraction=0.5)} - {0}
    counts = load_data("digits").train.labels.bincount().tolist()
    assert half == {sum(round(0.5 * count) for count in counts)}


def test_rows_do_not_depend_on_what_is_remembered(tmp_path, session):
    tasks = tiny.tasks(tmp_path, attacks=("kd",))
    first = tiny.run(tasks, session)
    # Students of none, students of nasty, and nasty's own look at the teacher.
    assert tables(session) == [1, 1, 1]
    taught = [task for task in tasks if isinstance(task, Steal)]

    remembered = tiny.run(taught, session)
    shutil.rmtree(session.store.root / "replies")
    anew = tiny.run(taught, session)

    assert (session.store.root / "replies").exists()
    for task in taught:
        for column in ("accuracy", "kl", "fidelity", "curve", "queries"):
            value = getattr(first[task], column)
            assert getattr(remembered[task], column) == value
            assert getattr(anew[task], column) == value


DOUBT = """    def protect(self, teacher, images, run):
        return Released(teacher, Doubt(), randomised={randomised})
    def skeleton(self, run):
        return Released(run.network(run.teacher), Doubt(), randomised={randomised})
class Doubt(nn.Module):
    def __init__(self):
        super().__init__()
        self.asked = 0
    def forward(self, images, log_probs):
        self.asked += {randomised}
        return (log_probs * (1 + self.asked)).log_softmax(dim=1)
"""


@pytest.mark.parametrize(("randomised", "kept"), [(True, []), (False, [2])])
def test_a_randomised_teacher_is_remembered_by_its_attacker_alone(
    tmp_path, session, randomised, kept
):
    spec = plugin(tmp_path, DOUBT.replace("{randomised}", str(randomised)))
    tasks = tiny.tasks(
        tmp_path,
        defenses=(spec,),
        attacks=("kd",),
        settings={"recipe": {"epochs": "2"}},
    )
    mine = [t for t in tasks if "fog" in t.label or isinstance(t, TrainTeacher)]

    rows = tiny.run(mine, session)

    assert [row.status for row in rows.values()] == ["ok"] * 3
    [kd] = pick(rows, StealRow)
    assert 1257 < kd.queries < 2 * 1257  # a view is billed once
    assert tables(session) == kept


def test_a_share_is_what_teacher_and_attackers_have_and_the_test_set_is_whole(
    tmp_path, session
):
    part = tiny.PROTOCOL.replace("version = 1", "version = 1\ndata_fraction = 0.2")
    asked = {"tracks": ("open", "open[fraction=0.1]"), "attacks": ("kd",)}
    tasks = tiny.tasks(tmp_path, part, defenses=("none",), **asked)

    rows = tiny.run(tasks, session)

    assert {row.status for row in rows.values()} == {"ok"}
    assert {row.data_fraction for row in rows.values()} == {0.2}
    counts = load_data("digits").train.labels.bincount().tolist()
    own = [round(0.2 * count) for count in counts]
    tenth = [max(1, round(0.1 * count)) for count in own]
    queries = {r.fraction: r.queries for r in pick(rows, StealRow, attack="kd")}
    assert queries == {1.0: sum(own), 0.1: sum(tenth)}
    for row in rows.values():
        right = row.accuracy * 540
        assert right == pytest.approx(round(right), abs=1e-3)
        assert row.data_fingerprint == load_data("digits").fingerprint


def test_a_task_that_was_never_begun_has_a_row_as_well(tmp_path, session):
    task = tiny.tasks(tmp_path)[-1]

    row = record(task, session, Status.SKIPPED, "its teacher failed")

    assert session.store.row(task.key) == row
    assert (row.status, row.accuracy, row.seconds) == ("skipped", None, 0.0)
    assert row.classes is None


def test_a_row_tells_what_made_it_and_progress_is_told_to_the_last(tmp_path, session):
    told: list[tuple[int, int]] = []
    [task, *_] = tiny.tasks(tmp_path, settings={"recipe": {"epochs": "3"}})

    row = run_task(task, session, lambda step, of, losses: told.append((step, of)))

    assert told[-1] == (3, 3)
    assert row.torch == torch.__version__
    assert row.command == "bench run"
    assert row.classes == 10
    assert (row.threads, row.cuda) == (1, None)
    assert row.device and row.platform and row.python.count(".") == 2
    assert row.seconds > 0 and row.peak_memory > 2**20
    assert row.started.tzinfo is not None
    assert (row.data_fraction, row.precision, row.compiled) == (1.0, "fp32", False)
    assert row.revision == REVISION == 3


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadData("row 7 has no image"), "failed"), (Unfit("cannot write"), "unfit")],
    ids=["bad data", "unfit"],
)
def test_data_that_fails_to_load_is_a_row_with_the_true_reason(
    tmp_path, session, monkeypatch, error, status
):
    [task, *_] = tiny.tasks(tmp_path)

    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr("bench.data.load", fail)
    row = run_task(task, session, lambda *_: None)

    assert row.status == status
    assert str(error) in row.reason
    assert session.store.row(task.key) == row


@dataclass(frozen=True, kw_only=True)
class VerifyScores:
    """What a second look finds."""

    difference: float | None = None


@dataclass(frozen=True, eq=False)
class Verify(Task):
    """A new kind of task, all of it in this file: trains twice and compares."""

    teacher: TrainTeacher
    beside: tuple[Task, ...] = ()
    misspelt: bool = False

    plural: ClassVar = "verifications"
    keeps_weights: ClassVar = False

    @property
    def parents(self) -> tuple[Task, ...]:
        return (self.teacher, *self.beside)

    @property
    def label(self) -> str:
        return f"verify {self.teacher.label}"

    @property
    def stream(self) -> tuple[object, ...]:
        return self.teacher.stream

    def columns(self) -> dict[str, Any]:
        return self.teacher.columns()

    def perform(self, bench: Any) -> Result:
        [again] = self.teacher.perform(bench).scores
        before = bench.referee.teacher(self.teacher.load(bench)).accuracy
        if self.misspelt:
            return Result((StudentScores(acuracy=before),), {})  # type: ignore[call-arg]
        return Result((VerifyScores(difference=again.accuracy - before),), {})


@pytest.fixture
def verify_row(monkeypatch: pytest.MonkeyPatch) -> type[Row]:
    """The table of the new kind, for one test."""
    monkeypatch.setattr("bench.results.rows.TABLES", TABLES)
    kept = dict(TABLES)

    @dataclass(frozen=True, kw_only=True)
    class VerifyRow(VerifyScores, Row, table="verify"):
        """One teacher, seen twice."""

    monkeypatch.setattr(Verify, "row", VerifyRow, raising=False)
    yield VerifyRow
    TABLES.clear()
    TABLES.update(kept)


def test_a_new_kind_of_task_is_one_file_with_any_parents_and_its_slips_are_rows(
    tmp_path, session, verify_row
):
    [teacher, release, *_] = tiny.tasks(tmp_path)
    check, slip = Verify(teacher, (release,)), Verify(teacher, misspelt=True)
    assert with_parents([check]) == [teacher, release, check]
    assert check.root == teacher
    assert check.key != Verify(teacher).key

    rows = tiny.run([teacher, release, check], session)

    assert rows[check].status == "ok", rows[check].reason
    assert rows[check].difference == 0.0
    assert session.store.row(check.key) == rows[check]
    kinds = {type(row) for row in session.store.rows()}
    assert kinds == {TeacherRow, ProtectRow, verify_row}
    row = tiny.run([slip], session)[slip]
    assert row.status == "failed"
    assert "unexpected keyword argument 'acuracy'" in row.reason
