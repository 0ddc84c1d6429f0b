"""What a whole task computes under bf16, and how tasks of two precisions differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

from bench.data import load
from bench.recipe import Recipe
from bench.results.rows import Row
from bench.results.store import Store
from bench.stages import Task
from bench.worker import provenance
from bench.worker.notes import Notes
from bench.worker.workbench import Workbench


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_a_plugin_has_placed_computes_as_networks_do(
    precision: str, tmp_path: Path
) -> None:
    draws, notes = torch.Generator(), Notes(lambda *_: None)
    about = (load("digits"), "digits", Store(tmp_path), torch.device("cpu"), draws)
    run = Workbench(*about, 0, precision, False, notes).run("cnn2", Recipe())
    module, kinds = nn.Linear(4, 3), set()
    module.register_forward_hook(lambda _, __, out: kinds.add(out.dtype))

    placed = run.place(module)

    assert placed(torch.rand(5, 4)).dtype == torch.float32
    assert kinds == {{"fp32": torch.float32, "bf16": torch.bfloat16}[precision]}
    assert [id(p) for p in placed.parameters()] == [id(p) for p in module.parameters()]


@pytest.mark.parametrize(("precision", "tf32"), [("bf16", True), ("fp32", False)])
def test_float32_products_are_exact_under_fp32_alone(
    precision: str, tf32: bool
) -> None:
    provenance.set_precision("fp32" if tf32 else "bf16")

    provenance.set_precision(precision)

    assert torch.backends.cuda.matmul.allow_tf32 is tf32
    assert torch.backends.cudnn.allow_tf32 is tf32


def done(folder: Path, precision: str = "bf16") -> dict[Task, Row]:
    folder.mkdir(exist_ok=True)
    asked = {"defenses": ("none",), "attacks": ("kd", "scratch")}
    tasks = tiny.tasks(folder, precision=precision, **asked)
    return tiny.run(tasks, tiny.session(folder))


def test_tasks_under_bf16_repeat_to_the_bit_and_are_other_tasks_than_under_fp32(
    tmp_path: Path,
) -> None:
    first, second = done(tmp_path / "first"), done(tmp_path / "second")
    exact = done(tmp_path / "exact", precision="fp32")
    stores = [Store(tmp_path / n / "store") for n in ("first", "second", "exact")]

    assert [row.status for row in first.values()] == ["ok"] * 4
    assert {row.precision for row in first.values()} == {"bf16"}
    assert {row.precision for row in exact.values()} == {"fp32"}
    assert first.keys() == second.keys()
    assert not {task.key for task in first} & {task.key for task in exact}
    for (task, row), other in zip(first.items(), exact, strict=True):
        for column in ("accuracy", "curve", "kl", "fidelity", "calibration_error"):
            if hasattr(row, column):
                assert getattr(row, column) == getattr(second[task], column)
        keys = (task.key, task.key, other.key)
        one, two, three = (s.tensors(k) for s, k in zip(stores, keys, strict=True))
        assert all(torch.equal(value, two[name]) for name, value in one.items())
        floats = {v.dtype for v in one.values() if v.is_floating_point()}
        assert floats == {torch.float32}
        assert one.keys() == three.keys()
        assert any(not torch.equal(v, three[k]) for k, v in one.items())
