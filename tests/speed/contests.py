"""The workloads: what the classical loop and the bench each do, side by side.

A `Side` prepares untimed what one repetition needs and lends what is to be timed. On
the bench's side that is whole tasks through `bench.engines.run_task`: rows, store,
scoring and tables of replies included, in a fresh store every time, so that nothing is
remembered from before. A task that ends otherwise than well stops the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import classical
import torch
import torch.nn.functional as F
from cases import Case, do, session_of, tasks_of
from torch import nn

from attacks.dafl import DAFL
from bench.data import Augmentation, Images, ViewPlan
from bench.engines.run_task import record
from bench.errors import Status
from bench.networks import find
from bench.recipe import Recipe
from bench.results.store import Store
from bench.seeds import seeded
from bench.stages import Steal
from bench.threat.grants import Weights
from bench.threat.images import NoImages, TrainImages
from bench.worker import provenance
from bench.worker.notes import Notes
from bench.worker.weights import state_of
from bench.worker.workbench import Workbench

CPU = torch.device("cpu")
VARIANTS = [(tau, alpha) for tau in (1.0, 2.0, 4.0, 8.0) for alpha in (0.5, 0.9)]
"""tau and alpha of the eight students."""

Side = Callable[[], AbstractContextManager[Callable[[], object]]]


@dataclass(frozen=True)
class Contest:
    """One workload, done by both sides."""

    name: str
    note: str
    classical: Side
    bench: Mapping[str, Side]
    """By precision; `-` where there is none."""


@contextmanager
def old(case: Case, work: Callable[[], object]) -> Iterator[Callable[[], object]]:
    """A classical side, which needs nothing but the threads that the bench has."""
    torch.set_num_threads(case.threads)
    yield work


def students(case: Case) -> Contest:
    """Eight students of one teacher, whose own training is not timed: it is untrained.

    Classical: eight runs one after the other. Bench: eight whole Steal tasks. Both
    score the student on the test images after every epoch; the bench does so once more
    at the end of each task, for its accuracy and fidelity, and asks the teacher about
    the test images, once for all eight.
    """
    torch.manual_seed(0)
    teacher = classical.build(case.teacher, case.dataset)
    student = case.students[0]

    def runs() -> None:
        for tau, alpha in VARIANTS:
            fresh = classical.build(student, case.dataset)
            classical.train_kd(fresh, teacher, case.dataset, case.how, tau, alpha)

    @contextmanager
    def new(precision: str) -> Iterator[Callable[[], object]]:
        attacks = [f"kd[tau={tau},alpha={alpha}]" for tau, alpha in VARIANTS]
        few = replace(case, students=(student,))
        mine = [
            task
            for task in tasks_of(few, precision, attacks)
            if isinstance(task, Steal)
            and task.attack.name == "kd"
            and task.target.defense.name == "none"
        ]
        with session_of(case.threads) as session:
            row = record(mine[0].target, session, Status.OK, "")
            session.store.save(row, state_of({"network": teacher}))
            yield lambda: do(mine, session)

    note = f"{len(VARIANTS)} x {student} of one {case.teacher} by kd, {case.size}"
    sides = {p: partial(new, p) for p in case.precisions}
    return Contest("students", note, partial(old, case, runs), sides)


def table(case: Case) -> Contest:
    """Teacher, nasty teacher, and each student from scratch and by kd from either.

    On the bench these are whole tasks: the teacher, its releases by `none` and `nasty`
    (of which it also draws portraits, t-SNE included), and the students.
    """

    @contextmanager
    def new(precision: str) -> Iterator[Callable[[], object]]:
        mine = tasks_of(case, precision, ["kd"])
        with session_of(case.threads) as session:
            yield lambda: do(mine, session)

    def work() -> None:
        torch.manual_seed(0)
        classical.table(case.teacher, case.students, case.dataset, case.how)

    note = f"{case.teacher}, nasty, 3 x {'/'.join(case.students)}, {case.size}"
    sides = {p: partial(new, p) for p in case.precisions}
    return Contest("table", note, partial(old, case, work), sides)


def dafl(case: Case) -> Contest:
    """Steps of DAFL with an untrained teacher; neither side scores the student.

    The bench reads its losses at most twenty times and keeps a picture at the end.
    """
    dataset, student = case.dataset, case.students[0]
    sizes = (case.batch, case.latent, case.width)

    @contextmanager
    def loop() -> Iterator[Callable[[], object]]:
        torch.set_num_threads(case.threads)
        torch.manual_seed(0)
        copy = classical.build(student, dataset)
        teacher = classical.build(case.teacher, dataset)
        yield lambda: classical.dafl(copy, teacher, dataset.shape, case.steps, *sizes)

    @contextmanager
    def new(precision: str) -> Iterator[Callable[[], object]]:
        torch.set_num_threads(case.threads)
        provenance.set_precision(precision)
        with seeded(0, CPU) as generator:
            bench = Workbench(
                dataset=dataset,
                asked=dataset.name,
                store=Store(Path()),
                device=CPU,
                generator=generator,
                seed=0,
                precision=precision,
                compiled=False,
                notes=Notes(lambda *_: None),
            )
            # Another subject, so that checkpoints of the student are no task.
            run = bench.run(case.teacher, Recipe(), student, subject=nn.Identity())
            copy = bench.network(find(student))
            teacher = Weights(bench.network(find(case.teacher)))
            batch, latent, width = sizes
            attack = DAFL(
                iterations=case.steps, batch_size=batch, latent=latent, width=width
            )
            yield lambda: attack.steal(copy, teacher, NoImages(), run)

    note = (
        f"{case.steps} steps, batch/latent/width {sizes}, {case.teacher} to {student}"
    )
    sides = {p: partial(new, p) for p in case.precisions}
    return Contest("dafl", note, loop, sides)


def inputs(case: Case) -> list[Contest]:
    """One epoch of images and nothing else, as each side gives them to a network.

    `arrays` begin with decoded uint8 arrays on both sides. `JPEG` is what an
    ImageFolder does with Tiny-ImageNet: it decodes every file anew in every epoch,
    where the bench has decoded it once for all and begins with the array. Images of
    another size are scaled to the one at hand.
    """
    crop, turn = Augmentation(pad=4, flip=True), Augmentation(flip=True, rotate=20)
    small, large = (_scaled(case.dataset.train, side) for side in (32, 64))
    return [
        _input(case, "input 32x32 arrays", small, crop, classical.Pictures),
        _input(case, "input 64x64 JPEG", large, turn, classical.Files),
    ]


def _input(
    case: Case,
    name: str,
    images: Images,
    augment: Augmentation,
    pictures: Callable[..., object],
) -> Contest:
    how = case.how
    torch.manual_seed(0)
    steps = classical.transform(augment, images.pixels.shape[2])
    batches = classical.loader(pictures(images, steps), how, shuffle=True)
    dealer = TrainImages(images, augment, ViewPlan(augment, 0))
    generator = torch.Generator().manual_seed(0)

    def epoch() -> None:
        seen = sum(len(batch.labels) for batch in dealer.batches(how.batch, generator))
        assert seen >= len(images) - 1

    @contextmanager
    def new() -> Iterator[Callable[[], object]]:
        torch.set_num_threads(case.threads)
        yield epoch

    turned = "rotation and flip" if augment.rotate else "crop and flip"
    note = f"an epoch of {len(images)} images, {turned}"
    side = partial(old, case, lambda: sum(len(labels) for _, labels in batches))
    return Contest(name, note, side, {"-": new})


def _scaled(images: Images, side: int) -> Images:
    pixels = images.pixels
    if pixels.shape[1] == 1:
        pixels = pixels.expand(-1, 3, -1, -1)
    if pixels.shape[2:] != (side, side):
        smooth = F.interpolate(
            pixels.float(), (side, side), mode="bilinear", antialias=True
        )
        pixels = smooth.round().clamp(0, 255).byte()
    return Images(pixels.contiguous(), images.labels)
