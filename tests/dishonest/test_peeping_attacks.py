"""Attacks that take what they were not granted, each told by what it reaches for."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from bench.cli import main
from bench.code import Code
from bench.plugins.reaches import MOST, reaches
from bench.results.flags import REACHES
from bench.results.rows import StealRow
from bench.threat.grants import HardLabels
from bench.threat.ledger import Ledger

STEAL = "    def steal(self, student, teacher, images, run):\n"
PEEPS = {
    "the harness": (
        STEAL + "        run._score(student)\n        run._notes.flag('hi')\n",
        "run._score",
    ),
    "what an earlier task left": (
        STEAL + "        KEPT.append(student)\nKEPT = []\n",
        "KEPT.append",
    ),
    "behind the oracle": (
        STEAL + "        teacher._reply(torch.rand(2, 1, 8, 8), None)\n",
        "teacher._reply",
    ),
    "memory": (STEAL + "        import gc\n        gc.get_objects()\n", "import gc"),
    "frames": (
        STEAL + "        from sys import _getframe\n        _getframe(1)\n",
        "from sys import",
    ),
}


@pytest.mark.parametrize("peep", PEEPS)
def test_an_attack_that_peeps_is_flagged_in_its_row_and_breaks_the_contract(
    peep: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body, what = PEEPS[peep]
    spec = tiny.plugin(tmp_path, body, "Attack[SoftLabels, NoImages]")
    tasks = tiny.tasks(
        tmp_path, defenses=("none",), attacks=(spec,),
        tracks=("mine[teacher=SoftLabels,images=NoImages]",),
    )  # fmt: skip

    rows = tiny.run(tasks, tiny.session(tmp_path))

    [student] = tiny.pick(rows, StealRow, attack="fog:Fog")
    assert any(f.startswith(f"{REACHES}{what}") for f in student.flags)
    assert main(["check", spec]) == 4
    assert what in " ".join(capsys.readouterr().out.split())


def test_labels_alone_hold_no_confidences(toy_images, toy_teacher) -> None:
    def answer(pixels):
        return toy_teacher(pixels).log_softmax(dim=1)

    oracle = HardLabels(answer, Ledger())
    replies = oracle._reply(toy_images.as_float(), None)

    assert replies.shape == (48,) and replies.dtype.is_floating_point is False


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("class A:\n    def f(self):\n        return self._x\n", 0),
        ("class A(B):\n    def f(self):\n        super()._f()\n", 0),
        ("from attacks._distillation import soft_loss\n", 0),
        ("NAMES = ['a']\ndef f(x):\n    return [*NAMES, x.shape]\n", 0),
        ("def f(x):\n    return x.__class__.__name__\n", 0),
        ("from bench import Attack\nfrom bench.options import Count\n", 0),
        ("from bench.data import load\n", 1),
        ("from sklearn.datasets import load_digits\n", 1),
        ("def f(e):\n    return e.tb_frame\n", 1),
        ("def f(x):\n    return x.__self__.dataset\n", 1),
        ("def f(x, n):\n    return getattr(x, n)\n", 1),
        ("SEEN = {}\ndef f(x):\n    SEEN['a'] = x\n", 1),
        ("COUNT = 0\ndef f():\n    global COUNT\n    COUNT += 1\n", 1),
        ("def f(x):\n    return vars(x)\n", 1),
        ("import torch\ndef f(x):\n    return getattr(torch, x)\n", 0),
        ("KEPT = []\ndef f(x):\n    KEPT = [x]\n    KEPT.append(x)\n", 0),
        ("import bench\nclass A(bench.Attack):\n    pass\n", 0),
        ("class A:\n    def f(self, x):\n        self.x = x\n", 0),
        ("from sklearn import datasets\n", 1),
        ("import torchvision as t\ndef f():\n    t.datasets.MNIST\n", 1),
        ("from bench import data\n", 1),
        ("from .. import data\n", 1),
        ("import dataclasses\ndef f():\n    dataclasses.sys\n", 1),
        ("def f():\n    return __import__('gc')\n", 1),
        ("g = getattr\ndef f(x, n):\n    return g(x, n)\n", 1),
        ("from operator import attrgetter\n", 1),
        ("def f(x):\n    match x:\n        case object(_a=a):\n            a()\n", 1),
        ("SEEN = {'a': {}}\ndef f(x):\n    SEEN['a']['b'] = x\n", 1),
        ("SEEN = {'a': 0}\ndef f(x):\n    SEEN['a'] += x\n", 1),
        ("SEEN = [0]\ndef f():\n    return SEEN.pop()\n", 1),
        ("class A:\n    a = []\n    def f(self, x):\n        self.a.append(x)\n", 1),
        ("class A:\n    def f(self, x):\n        A.a = type(self).b = x\n", 2),
        ("def f(x, kept=[]):\n    kept.append(x)\n", 1),
        ("import torch\ndef f(x):\n    torch.nn.kept = x\n", 1),
        ("def f(x):\n    setattr(f, 'kept', x)\n", 1),
        ("import torch\ndef f(x):\n    torch.save(x, 'a')\n", 1),
        ("def f(x):\n    open('a', 'w').write(x)\n", 1),
        ("def f(x):\n" + "    x._a\n" * 9, MOST),
    ],
)  # fmt: skip
def test_what_reaches_and_what_does_not(text: str, count: int, tmp_path: Path) -> None:
    (file := tmp_path / "one.py").write_text(text)

    assert len(reaches(Code.at(f"{file}:A"))) == count
