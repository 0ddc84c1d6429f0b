"""The harness behind a run: what it answers from memory, and when it asks live."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import Augmentation, Batch, Dataset, Images, ViewPlan
from bench.networks import find
from bench.plugins.base import Released
from bench.plugins.training import make_optimizer
from bench.recipe import Recipe
from bench.results.store import Store
from bench.threat.access import Access, ImageGrant, TeacherGrant
from bench.threat.images import TrainImages
from bench.threat.replies import Replies, Shelf
from bench.worker.harness import Handed, TaskRun
from bench.worker.notes import Notes
from bench.worker.workbench import Workbench

CPU = torch.device("cpu")
MOVED = Augmentation(pad=1, flip=True)


@pytest.fixture
def dataset(toy_images: Images) -> Dataset:
    return Dataset("toy", tuple("abcd"), toy_images, toy_images, MOVED, (0.4,), (0.3,))


@pytest.fixture
def bench(dataset: Dataset, tmp_path: Path) -> Workbench:
    generator = torch.Generator().manual_seed(0)
    notes = Notes(lambda *_: None)
    store = Store(tmp_path / "store")
    return Workbench(
        dataset, "toy", store, CPU, generator, 0, "fp32", compiled=False, notes=notes
    )


@pytest.fixture
def teacher(bench: Workbench) -> nn.Module:
    torch.manual_seed(0)
    return bench.network(find("cnn2")).eval()


@pytest.fixture
def asked() -> list[int]:
    """How many images the remembered copy was asked about, time after time."""
    return []


@pytest.fixture
def run(
    bench: Workbench,
    teacher: nn.Module,
    toy_images: Images,
    tmp_path: Path,
    asked: list[int],
) -> TaskRun:
    """A run in which `teacher` was handed out."""
    copy = Released(deepcopy(teacher))

    def reply(images: Tensor) -> Tensor:
        asked.append(len(images))
        return copy.reply(images)

    shelf = Shelf(tmp_path, ViewPlan(MOVED, 0), horizon=2, classes=4)
    memory = Replies(reply, toy_images, MOVED, shelf)
    return bench.run("cnn2", Recipe(), handed=Handed(copy.network, memory))


def dealt(images: Images) -> list[Batch]:
    grant = TrainImages(images, MOVED, ViewPlan(MOVED, 0))
    draws = torch.Generator().manual_seed(3)
    return [*grant.batches(20, draws), *grant.batches(20, draws)]


def says(network: nn.Module, batch: Batch) -> Tensor:
    with torch.no_grad():
        return network(batch.pixels).log_softmax(dim=1)


def test_the_teacher_as_it_was_handed_out_is_answered_for_from_memory(
    run: TaskRun, teacher: nn.Module, toy_images: Images, asked: list[int]
) -> None:
    heard: list[int] = []
    answer = run.answers(teacher)
    batches = dealt(toy_images)
    truth = [says(teacher, batch) for batch in batches]
    teacher.register_forward_hook(lambda *_: heard.append(1))

    found = [answer(batch) for batch in batches]

    for reply, expected in zip(found, truth, strict=True):
        torch.testing.assert_close(reply, expected)
        assert not reply.requires_grad
    assert asked == [48, 48]
    assert heard == []


def test_another_network_is_asked_live_and_an_equal_copy_is_the_teacher(
    run: TaskRun,
    bench: Workbench,
    teacher: nn.Module,
    toy_images: Images,
    asked: list[int],
) -> None:
    other, nothing = bench.network(find("cnn2")).train(), bench.run("cnn2", Recipe())

    answer, of_nothing = run.answers(other), nothing.answers(teacher)

    assert other.training
    other.eval()
    for batch in dealt(toy_images):
        assert torch.equal(answer(batch), says(other, batch))
        assert torch.equal(of_nothing(batch), says(teacher, batch))
    assert asked == []
    run.answers(deepcopy(teacher))(dealt(toy_images)[0])
    assert asked == [48]


def added(teacher: nn.Module) -> None:
    with torch.no_grad():
        next(teacher.parameters()).add_(0.5)


def trained(teacher: nn.Module) -> None:
    optimizer = make_optimizer(teacher.train(), Recipe(lr=0.5))
    F.cross_entropy(teacher(torch.rand(8, 1, 8, 8)), torch.arange(8) % 4).backward()
    optimizer.step()
    teacher.eval()


def loaded(teacher: nn.Module) -> None:
    teacher.load_state_dict({k: v + 1 for k, v in teacher.state_dict().items()})


def measured(teacher: nn.Module) -> None:
    with torch.no_grad():
        teacher.train()(torch.rand(8, 1, 8, 8))
    teacher.eval()


def replaced(teacher: nn.Module) -> None:
    parent = [m for m in teacher.modules() if isinstance(m, nn.Sequential)][-1]
    assert isinstance(parent[-1], nn.Linear)
    parent[-1] = nn.Linear(parent[-1].in_features, 4)


def written(teacher: nn.Module) -> None:
    next(teacher.parameters()).data.add_(0.5)


CHANGES = [added, trained, loaded, measured, replaced, written]


@pytest.mark.parametrize("change", CHANGES)
def test_a_teacher_that_was_changed_is_asked_live(
    change: Callable[[nn.Module], None],
    run: TaskRun,
    teacher: nn.Module,
    toy_images: Images,
    asked: list[int],
) -> None:
    batch = dealt(toy_images)[0]
    before = run.answers(teacher)(batch)
    assert asked == [48]

    change(teacher)
    answer = run.answers(teacher)

    assert torch.equal(answer(batch), says(teacher, batch))
    assert not torch.allclose(answer(batch), before)
    assert asked == [48]


@pytest.mark.parametrize("handed_out", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_network_answers_as_it_was_when_the_answers_were_asked_for(
    change: Callable[[nn.Module], None],
    handed_out: bool,
    run: TaskRun,
    bench: Workbench,
    teacher: nn.Module,
    toy_images: Images,
) -> None:
    network = teacher if handed_out else bench.network(find("cnn2")).eval()
    batch = dealt(toy_images)[0]
    answer, before = run.answers(network), says(network, batch)

    change(network)
    network.train()

    torch.testing.assert_close(answer(batch), before)


def test_looking_at_a_teacher_does_not_change_it(
    run: TaskRun, teacher: nn.Module
) -> None:
    handed = run._handed
    assert handed is not None

    teacher.eval().requires_grad_(False)
    with torch.no_grad():
        teacher(torch.rand(4, 1, 8, 8))
    teacher.state_dict()
    deepcopy(teacher)

    assert handed.equals(teacher)


def test_a_flag_is_noted_once_and_figures_are_numbers(bench: Workbench) -> None:
    run = bench.run("cnn2", Recipe())

    run.flag("collapsed")
    run.flag("collapsed")
    run.report(a=torch.tensor(2.0))  # type: ignore[arg-type]
    run.report(a=3, b=True)

    assert bench.notes.flags == ["collapsed"]
    assert bench.notes.figures == {"a": 3.0, "b": 1.0}
    assert all(type(value) is float for value in bench.notes.figures.values())


def test_the_curve_is_that_of_the_network_that_the_task_is_about(
    bench: Workbench, teacher: nn.Module
) -> None:
    student = bench.network(find("cnn2"))

    bench.run("cnn2", Recipe()).checkpoint(teacher)
    about = bench.run("cnn2", Recipe(), subject=student)
    about.checkpoint(teacher)
    about.checkpoint(student)

    assert len(bench.notes.curve) == 2


def test_granted_images_are_split_into_fit_and_validation(
    dataset: Dataset, bench: Workbench
) -> None:
    few = Access(TeacherGrant.SOFT_LABELS, ImageGrant.TRAIN_IMAGES, fraction=0.5)

    whole, none = bench.granted_images(few)
    fit, rest = bench.granted_images(few, held_out=0.25)
    again, _ = bench.granted_images(few, held_out=0.25)

    assert none is None and rest is not None
    assert (len(whole), len(fit), len(rest)) == (24, 16, 8)
    pixels = [tuple(p.flatten().tolist()) for p in (*fit.pixels, *rest.pixels)]
    assert sorted(pixels) == sorted(tuple(p.flatten().tolist()) for p in whole.pixels)
    assert rest.labels.bincount().tolist() == [2, 2, 2, 2]
    assert torch.equal(fit.pixels, again.pixels)


def test_nothing_public_of_a_run_leads_to_the_harness(run: TaskRun) -> None:
    seen = {name: getattr(run, name) for name in dir(run) if not name.startswith("_")}

    plain = (str, int, tuple, torch.device, torch.Generator, Recipe)
    assert all(isinstance(v, plain) or callable(v) for v in seen.values())
    assert set(seen) == {
        *("shape", "classes", "seed", "device", "generator", "recipe"),
        *("teacher", "student", "network", "place", "answers", "steps"),
        *("progress", "checkpoint", "keep", "report", "flag"),
    }
