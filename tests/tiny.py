"""A protocol that ends within a second, and outsiders' plugins in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.engines.run_task import Session, run_task
from bench.planning import protocol
from bench.planning.plan import plan
from bench.planning.request import Request
from bench.results.rows import Row
from bench.results.store import Store
from bench.stages import Task

PROTOCOL = """
name = "tiny"
version = 1
dataset = "digits"
teachers = ["cnn2"]
students = ["lenet5"]
defenses = ["none", "nasty"]
attacks = ["scratch", "kd", "dafl"]
seeds = 1
[tracks.open]
teacher = "SoftLabels"
images = "TrainImages"
[tracks.white]
teacher = "Weights"
images = "NoImages"
[recipe.default]
epochs = 1
batch_size = 128
lr = 0.05
lr_schedule = "cosine"
[options.dafl]
iterations = 3
batch_size = 16
latent = 8
width = 8
"""


def tasks(folder: Path, text: str = PROTOCOL, **asked: Any) -> tuple[Task, ...]:
    """All tasks of the protocol `text`, or of what is `asked` of it."""
    path = folder / "tiny.toml"
    path.write_text(text)
    return plan(Request(protocol.load(str(path)), **asked)).tasks


def plugin(folder: Path, body: str, base: str = "Defense", name: str = "fog") -> str:
    """The spec of the class `Fog` in a file of its own."""
    path = folder / f"{name}.py"
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


def session(folder: Path, **more: Any) -> Session:
    """On one CPU thread, with a store in `folder`."""
    return Session(Store(folder / "store"), "bench run", "cpu", threads=1, **more)


def run(todo: Any, session: Session) -> dict[Task, Row]:
    """Do the tasks in their order."""
    return {task: run_task(task, session, lambda *_: None) for task in todo}


def pick(rows: dict[Task, Row], kind: type[Any], **columns: Any) -> list[Any]:
    """The rows of one kind whose columns are as asked."""
    return [
        row
        for row in rows.values()
        if isinstance(row, kind)
        and all(getattr(row, name) == value for name, value in columns.items())
    ]
