"""Defenses that cheat, each caught by a flag of its own, and honest ones by none."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from bench.results.flags import Flag
from bench.results.rows import ProtectRow, Row, StealRow
from bench.stages import Task

HEAD = """
    def protect(self, teacher, images, run):
        return Released(teacher, Answer(){more})
    def skeleton(self, run):
        return Released(run.network(run.teacher), Answer(){more})

class Answer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("asked", torch.zeros(()))
        self.seen = 0
        self.weight = nn.Parameter(torch.ones(()))
"""
SERVED = {
    "off the simplex": ("    def forward(self, x, r):\n        return r + 1.0\n", ""),
    "changing": (
        "    def forward(self, x, r):\n"
        "        return (r + torch.rand_like(r)).log_softmax(1)\n",
        "",
    ),
    "by its neighbours": (
        "    def forward(self, x, r):\n"
        "        return (r + 9 * x.mean() * torch.arange(10.0)).log_softmax(1)\n",
        "",
    ),
    "gated": (
        "    def forward(self, x, r):\n"
        "        whole = (x * 255 - (x * 255).round()).abs().amax((1, 2, 3)) < 1e-3\n"
        "        return torch.where(whole[:, None], r, r.flip(1))\n",
        "",
    ),
    "with a quota": (
        "    def forward(self, x, r):\n"
        "        self.seen += len(x)\n"
        "        return r if self.seen < 1500 else r.flip(1)\n",
        "",
    ),
}
CAUGHT = {
    "off the simplex": Flag.OFF_SIMPLEX,
    "changing": Flag.CHANGING,
    "by its neighbours": Flag.BATCH,
    "gated": Flag.NOISE,
    "with a quota": Flag.QUOTA,
}
DECOY = """
    def protect(self, teacher, images, run):
        return Released(run.network(run.teacher), Real(teacher))
    def skeleton(self, run):
        return Released(run.network(run.teacher), Real(run.network(run.teacher)))

class Real(nn.Module):
    def __init__(self, teacher):
        super().__init__()
        self.teacher = teacher
    def forward(self, x, r):
        return self.teacher(x).log_softmax(1)
"""
FLAT = """
    def protect(self, teacher, images, run):
        return Released(nn.Sequential(teacher, Stairs()))
    def skeleton(self, run):
        return Released(nn.Sequential(run.network(run.teacher), Stairs()))

class Stairs(nn.Module):
    def forward(self, z):
        return (z * 1000).round() / 1000
"""
NOISE = """    def forward(self, x, r):
        return (r + 0.01 * torch.rand_like(r)).log_softmax(1)
"""
ROUND = """    def forward(self, x, r):
        with torch.enable_grad():
            bent = (self.weight * r).log_softmax(1)
            (slope,) = torch.autograd.grad(bent[:, 0].sum(), [self.weight])
        assert bool(slope.isfinite())
        self.asked += 1
        rounded = r.exp().round(decimals=1) + 1e-6
        return (rounded / rounded.sum(1, keepdim=True)).log()
"""


def played(folder: Path, body: str, attack: str = "kd[alpha=1]") -> dict[Task, Row]:
    spec = tiny.plugin(folder, body)
    tasks = tiny.tasks(folder, defenses=(spec,), attacks=(attack,))
    mine = [t for t in tasks if "fog" in t.label or t.label.startswith("train")]
    return tiny.run(mine, tiny.session(folder))


def flags(rows: dict[Task, Row]) -> set[str]:
    assert {row.status for row in rows.values()} == {"ok"}
    return {flag for row in rows.values() for flag in row.flags}


@pytest.mark.parametrize("cheat", SERVED)
def test_a_service_that_cheats_is_caught_at_work(cheat: str, tmp_path: Path) -> None:
    body, more = SERVED[cheat]

    found = flags(played(tmp_path, HEAD.format(more=more) + body))

    assert str(CAUGHT[cheat]) in found


@pytest.mark.parametrize(
    ("body", "flag"),
    [(DECOY, Flag.DECOY), (FLAT, Flag.VANISHED)],
    ids=["decoy", "flat"],
)
def test_a_network_that_is_not_what_serves_is_caught(
    body: str, flag: Flag, tmp_path: Path
) -> None:
    assert str(flag) in flags(played(tmp_path, body))


@pytest.mark.parametrize(
    ("body", "more"),
    [(NOISE, ", randomised=True"), (ROUND, "")],
    ids=["noise", "round"],
)
def test_honest_services_are_caught_by_nothing(
    body: str, more: str, tmp_path: Path
) -> None:
    rows = played(tmp_path, HEAD.format(more=more) + body)

    assert flags(rows) <= {"not converged"}
    [student] = tiny.pick(rows, StealRow)
    [release] = tiny.pick(rows, ProtectRow)
    assert student.service_after is not None and release.accuracy is not None
    assert abs(student.service_after - release.accuracy) < 0.1


def test_the_bench_itself_is_caught_by_nothing(tmp_path: Path) -> None:
    tasks = tiny.tasks(tmp_path, attacks=("kd",))

    assert flags(tiny.run(tasks, tiny.session(tmp_path))) == set()


def test_what_protect_returned_is_saved_before_anything_asks(tmp_path: Path) -> None:
    rows = played(tmp_path, HEAD.format(more="") + ROUND)

    [release] = [task for task, row in rows.items() if isinstance(row, ProtectRow)]
    kept = tiny.session(tmp_path).store.tensors(release.key)
    assert torch.equal(kept["answer.asked"], torch.zeros(()))


def test_a_file_that_an_option_names_is_part_of_the_key(tmp_path: Path) -> None:
    body = (
        '    table: str = ""\n'
        "    def protect(self, teacher, images, run):\n"
        "        return Released(teacher)\n"
    )
    spec = tiny.plugin(tmp_path, body)
    (table := tmp_path / "table.txt").write_text("one")
    asked = {"defenses": (f"{spec}[table={table}]",), "attacks": ("kd",)}

    before = tiny.tasks(tmp_path, **asked)
    table.write_text("two")
    after = tiny.tasks(tmp_path, **asked)

    mine = [
        [t for t in tasks if t.label.startswith("protect by fog")]
        for tasks in (before, after)
    ]
    assert mine[0][0].key != mine[1][0].key
    teacher = [t for t in before if t.label.startswith("train")]
    rows = tiny.run([*teacher, *mine[0]], tiny.session(tmp_path))
    assert "is gone or was edited after" in rows[mine[0][0]].reason
