"""What both sides work on: a few images, and the bench's tasks for them.

The images are a subset that `bench.data.load` finds in this module under a name of its
own, which names its pixels; a `Protocol` object made here asks for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import classical
import torch

from bench import data
from bench.data import Augmentation, Dataset, Images
from bench.data.cache import home
from bench.engines.run_task import Session, run_task
from bench.planning.plan import plan
from bench.planning.protocol import Protocol, Track
from bench.planning.request import Request
from bench.results.rows import Row
from bench.results.store import Store
from bench.stages import Task


@dataclass(frozen=True)
class Case:
    """How large the workloads are."""

    dataset: Dataset
    teacher: str
    students: tuple[str, ...]
    """The first is the one of `students` and of `dafl`."""
    how: classical.How
    threads: int
    precisions: tuple[str, ...] = ("fp32",)
    steps: int = 20
    """Of DAFL."""
    batch: int = 128
    """Of DAFL, as are the next two."""
    latent: int = 256
    width: int = 64

    def __post_init__(self) -> None:
        """See that no batch holds a single image: BatchNorm cannot train on it."""
        if len(self.dataset.train) % self.how.batch == 1:
            raise ValueError(
                f"{len(self.dataset.train)} images leave one for the last batch of "
                f"{self.how.batch}: ask for one more or less"
            )

    @property
    def size(self) -> str:
        """In words."""
        train, test = len(self.dataset.train), len(self.dataset.test)
        return f"{train} images, {test} to test on, epochs: {self.how.epochs}"


def subset(name: str, images: int, tests: int) -> Dataset:
    """So many images of the data set `name`, always the same, made known to the bench.

    Args:
        name: Of the bench; `random` makes noise of the size of CIFAR-10.
        images: To train on, at most.
        tests: To test on, at most.
    """
    draw = torch.Generator().manual_seed(0)
    if name == "random":
        half = (0.5,) * 3
        whole = Dataset(
            name="random",
            classes=tuple("0123456789"),
            train=_noise(images, draw),
            test=_noise(tests, draw),
            augment=Augmentation(pad=4, flip=True),
            mean=half,
            std=half,
        )
    else:
        whole = data.load(name)
    parts = [
        Images(part.pixels[rows].contiguous(), part.labels[rows])
        for part, count in ((whole.train, images), (whole.test, tests))
        for rows in [torch.randperm(len(part), generator=draw)[:count]]
    ]
    few = replace(whole, train=parts[0], test=parts[1], known="")
    few = few.called(f"cases:subset_{few.fingerprint}")
    globals()[few.name.removeprefix("cases:")] = lambda: few
    return few


def _noise(count: int, draw: torch.Generator) -> Images:
    shape = (count, 3, 32, 32)
    pixels = torch.randint(256, shape, generator=draw, dtype=torch.uint8)
    return Images(pixels, torch.randint(10, (count,), generator=draw))


def usual() -> str:
    """`cifar10` where it lies on this machine, else `random`."""
    return "cifar10" if (home() / "raw" / "cifar10").is_dir() else "random"


def tasks_of(
    case: Case, precision: str, attacks: Iterable[str], seeds: int = 1
) -> tuple[Task, ...]:
    """The bench's tasks for `none` and `nasty` against `attacks`."""
    how = case.how
    recipe = {
        "epochs": how.epochs,
        "batch_size": how.batch,
        "lr": how.rate,
        "momentum": how.momentum,
        "weight_decay": how.weight_decay,
        "lr_schedule": "cosine",
    }
    protocol = Protocol(
        name="speed",
        version=1,
        dataset=case.dataset.name,
        teachers=(case.teacher,),
        students=case.students,
        defenses=("nasty",),
        attacks=tuple(attacks),
        tracks={"open": Track(teacher="SoftLabels", images="TrainImages")},
        seeds=seeds,
        precision=precision,  # type: ignore[arg-type]
        recipe={"default": recipe},
    )
    return plan(Request(protocol)).tasks


@contextmanager
def session_of(threads: int) -> Iterator[Session]:
    """A session whose store is new and will be gone."""
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        yield Session(Store(Path(folder)), "make speed", "cpu", threads)


def do(tasks: Iterable[Task], session: Session) -> dict[Task, Row]:
    """The rows of `tasks`, all of which must end well."""
    rows = {}
    for task in tasks:
        row = rows[task] = run_task(task, session, lambda *_: None)
        if row.status != "ok":
            raise RuntimeError(f"{task.label} ended as {row.status}: {row.reason}")
    return rows
