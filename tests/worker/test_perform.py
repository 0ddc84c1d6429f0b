"""A task ends in one row, whatever the plugin does, and means the same everywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench import REVISION
from bench.data import load as load_data
from bench.planning import protocol
from bench.planning.plan import Request, plan
from bench.planning.tasks import Protect, Steal, Task, TrainTeacher, key
from bench.results.rows import ProtectRow, StealRow, TeacherRow
from bench.results.store import Store
from bench.worker.perform import Session, kind_of, perform, record

TINY = """
name = "tiny"
version = 1
dataset = "digits"
teachers = ["cnn2"]
students = ["cnn2"]
defenses = ["none", "nasty"]
attacks = ["scratch", "kd", "dafl"]
seeds = 1
[recipe.default]
epochs = 1
batch = 128
rate = 0.05
schedule = "cosine"
[options.dafl]
iterations = 3
batch = 16
latent = 8
width = 8
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Store(tmp_path / "store"), "bench run", "cpu", threads=1)


def tiny(tmp_path: Path, **asked) -> tuple[Task, ...]:
    """All tasks of the tiny protocol, or of what is `asked` of it."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return plan(Request(protocol.load(str(path)), **asked)).tasks


def plugin(tmp_path: Path, body: str, base: str = "Defense") -> str:
    """The spec of a plugin in a file of its own."""
    path = tmp_path / "fog.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from torch import nn\n"
        "from bench import *\n"
        "@dataclass(frozen=True)\n"
        f"class Fog({base}):\n"
        '    """Fog."""\n' + body
    )
    return f"{path}:Fog"


def do(tasks, session: Session) -> dict[Task, object]:
    return {task: perform(task, session, lambda *_: None) for task in tasks}


def pick(rows, kind, **columns):
    """The rows of one kind whose columns are as asked."""
    return [
        row
        for row in rows.values()
        if isinstance(row, kind)
        and all(getattr(row, name) == value for name, value in columns.items())
    ]


def test_every_task_of_a_plan_ends_in_a_row_with_what_it_measured(tmp_path, session):
    tasks = tiny(tmp_path)

    rows = do(tasks, session)

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
    assert dafl.track == "data-free white-box" and kd.track == "open"


def test_the_same_task_gives_the_same_row_to_the_bit(tmp_path, session):
    tasks = tiny(tmp_path)
    again = Session(Store(tmp_path / "again"), "bench run", "cpu", threads=1)

    first, second = do(tasks, session), do(tasks, again)

    for task in tasks:
        for column in ("accuracy", "curve", "figures", "flags", "status"):
            assert getattr(first[task], column) == getattr(second[task], column)
        one = session.store.tensors(key(task))
        two = again.store.tensors(key(task))
        assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_task_leaves_the_global_random_state_alone(tmp_path, session):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)

    perform(tiny(tmp_path)[0], session, lambda *_: None)

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
    ],
)
def test_a_defense_that_breaks_is_a_row_with_the_reason(
    tmp_path, session, body, status, reason
):
    spec = plugin(
        tmp_path, f"    def protect(self, teacher, images, run):\n        {body}\n"
    )
    tasks = tiny(tmp_path, defenses=(spec,), attacks=("kd",))

    rows = do([t for t in tasks if not isinstance(t, Steal)], session)

    [row] = pick(rows, ProtectRow, defense="fog:Fog")
    assert (row.status, reason in row.reason, "\n" in row.reason) == (
        status,
        True,
        False,
    )
    assert row.accuracy is None
    log = session.store.folder(row.key) / "log.txt"
    assert log.exists() == (status == "failed")
    assert session.store.row(ProtectRow, row.key) == row


def test_a_task_that_runs_too_long_is_stopped(tmp_path, session):
    spec = plugin(
        tmp_path,
        "    def protect(self, teacher, images, run):\n"
        "        while True:\n"
        "            pass\n",
    )
    tasks = tiny(tmp_path, defenses=(spec,), attacks=("kd",))
    teacher = next(t for t in tasks if isinstance(t, TrainTeacher))
    release = next(
        t for t in tasks if isinstance(t, Protect) and t.defense.name == "Fog"
    )
    perform(teacher, session, lambda *_: None)
    hasty = Session(session.store, "bench run", "cpu", threads=1, timeout=0.5)

    row = perform(release, hasty, lambda *_: None)

    assert (row.status, row.reason) == ("timeout", "ran past its limit of 0.5 s")


def test_an_attack_that_overspends_is_stopped_and_says_by_how_much(tmp_path, session):
    tasks = tiny(tmp_path, defenses=("none",), attacks=("kd[queries=200]",))

    rows = do(tasks, session)

    [row] = pick(rows, StealRow, attack="kd[queries=200]")
    assert row.status == "failed"
    assert row.reason == "asked about 128 images with 72 left"


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
    tasks = tiny(tmp_path, defenses=(spec,), attacks=("kd[alpha=1]", "dafl"))

    rows = do(tasks, session)

    [plain] = pick(rows, ProtectRow, defense="none")
    [fog] = pick(rows, ProtectRow, defense="fog:Fog")
    by_weights = pick(rows, StealRow, attack="dafl")
    by_labels = pick(rows, StealRow, attack="kd[alpha=1]")
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
    attacks = ("kd", "kd[tau=2]", "label_kd")
    tasks = tiny(
        tmp_path,
        defenses=("none",),
        attacks=attacks,
        students=("cnn2", "lenet5"),
        settings={"recipe": {"epochs": "2"}},
    )

    rows = do(tasks, session)

    assert {row.status for row in rows.values()} == {"ok"}
    assert tables(session) == [2]
    asked = {row.queries for row in pick(rows, StealRow) if row.attack != "scratch"}
    assert len(pick(rows, StealRow)) == 8
    assert len(asked) == 1
    assert 1257 < asked.pop() < 2 * 1257


def test_each_released_teacher_has_tables_of_its_own_and_the_adversary_too(
    tmp_path, session
):
    do(tiny(tmp_path, attacks=("kd",)), session)

    # Students of none, students of nasty, and nasty's own look at the teacher.
    assert tables(session) == [1, 1, 1]


def test_other_shares_of_the_images_have_other_tables(tmp_path, session):
    attacks = ("kd", "kd[fraction=0.5]", "limited_kd[fraction=0.5]")

    rows = do(tiny(tmp_path, defenses=("none",), attacks=attacks), session)

    assert tables(session) == [1, 1]
    half = {r.queries for r in pick(rows, StealRow, fraction=0.5)} - {0}
    counts = load_data("digits").train.labels.bincount().tolist()
    assert half == {sum(round(0.5 * count) for count in counts)}


def test_rows_do_not_depend_on_what_is_remembered(tmp_path, session):
    tasks = tiny(tmp_path, attacks=("kd",))
    first = do(tasks, session)
    replies = session.store.root / "replies"
    taught = [task for task in tasks if isinstance(task, Steal)]

    remembered = do(taught, session)
    shutil.rmtree(replies)
    anew = do(taught, session)

    assert replies.exists()
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
def test_a_randomised_teacher_is_not_remembered_and_paid_for_each_time(
    tmp_path, session, randomised, kept
):
    spec = plugin(tmp_path, DOUBT.replace("{randomised}", str(randomised)))
    tasks = tiny(
        tmp_path,
        defenses=(spec,),
        attacks=("kd",),
        settings={"recipe": {"epochs": "2"}},
    )
    mine = [t for t in tasks if "fog" in t.label or isinstance(t, TrainTeacher)]

    rows = do(mine, session)

    assert [row.status for row in rows.values()] == ["ok"] * 3
    [kd] = pick(rows, StealRow)
    assert (kd.queries == 2 * 1257) == randomised
    assert tables(session) == kept


ASKS = """    def protect(self, teacher, images, run):
        ask = run.answers(teacher)
        other = run.network(run.teacher).eval()
        batches = list(images.batches(500, run.generator))
        def gap(network, ask):
            with torch.no_grad():
                live = [network(b.pixels).log_softmax(dim=1) for b in batches]
            said = [ask(b) for b in batches]
            assert not any(reply.requires_grad for reply in said)
            both = zip(said, live, strict=True)
            return max(float((a - b).abs().max()) for a, b in both)
        run.report(still=gap(teacher, ask), other=gap(other, run.answers(other)))
        before = ask(batches[0])
        with torch.no_grad():
            teacher.get_parameter('1.8.bias').add_(torch.arange(10.0))
        now = run.answers(teacher)
        run.report(changed=gap(teacher, now))
        run.report(moved=float((now(batches[0]) - before).abs().max()))
        run.report(kept=float((ask(batches[0]) - before).abs().max()))
        return Released(teacher)
"""


def test_a_defense_that_changes_its_teacher_is_told_what_it_says_now(tmp_path, session):
    spec = plugin(tmp_path, ASKS)
    tasks = [t for t in tiny(tmp_path, defenses=(spec,)) if not isinstance(t, Steal)]

    rows = do(tasks, session)

    [row] = pick(rows, ProtectRow, defense="fog:Fog")
    assert row.status == "ok", row.reason
    assert row.figures["still"] < 1e-4
    assert row.figures["other"] == 0.0
    assert row.figures["changed"] == 0.0
    assert row.figures["moved"] > 1
    assert row.figures["kept"] == 0.0
    assert tables(session) == [1]


def test_a_share_is_what_teacher_and_attackers_have_and_the_test_set_is_whole(
    tmp_path, session
):
    path = tmp_path / "part.toml"
    path.write_text(TINY.replace("version = 1", "version = 1\nshare = 0.2"))
    whole = tiny(tmp_path, defenses=("none",), attacks=("kd", "limited_kd"))
    asked = {"defenses": ("none",), "attacks": ("kd", "limited_kd")}
    tasks = plan(Request(protocol.load(str(path)), **asked)).tasks

    rows = do(tasks, session)

    assert {row.status for row in rows.values()} == {"ok"}
    assert {row.data_share for row in rows.values()} == {0.2}
    assert not {key(t) for t in tasks} & {key(t) for t in whole}
    counts = load_data("digits").train.labels.bincount().tolist()
    own = [round(0.2 * count) for count in counts]
    tenth = [max(1, round(0.1 * count)) for count in own]
    queries = {r.attack: r.queries for r in pick(rows, StealRow)}
    assert queries["kd"] == sum(own) < 260
    assert queries["limited_kd"] == sum(tenth)
    for row in rows.values():
        right = row.accuracy * 540
        assert right == pytest.approx(round(right), abs=1e-3)
        assert row.data_fingerprint == load_data("digits").fingerprint


def test_a_task_that_was_never_begun_has_a_row_as_well(tmp_path, session):
    task = tiny(tmp_path)[-1]

    row = record(task, session, "skipped", "its teacher failed")

    assert session.store.row(kind_of(task), key(task)) == row
    assert (row.status, row.accuracy, row.seconds) == ("skipped", None, 0.0)
    assert row.classes is None


def test_a_row_tells_what_made_it(tmp_path, session):
    [task, *_] = tiny(tmp_path)

    row = perform(task, session, lambda *_: None)

    assert row.torch == torch.__version__
    assert row.command == "bench run"
    assert row.classes == 10
    assert (row.threads, row.cuda) == (1, None)
    assert row.device and row.platform and row.python.count(".") == 2
    assert row.seconds > 0 and row.peak_memory > 2**20
    assert row.started.tzinfo is not None
    assert (row.data_share, row.precision, row.compiled) == (1.0, "fp32", False)
    assert row.revision == REVISION == 2
