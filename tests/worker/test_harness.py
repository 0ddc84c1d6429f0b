"""The harness behind a run: what it answers from memory, and when it asks live."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import Augmentation, Batch, Dataset, Images, Schedule
from bench.plugins.base import Released, Run
from bench.plugins.training import optimiser
from bench.recipe import Recipe
from bench.threat.grants import TrainImages
from bench.threat.replies import Replies, Shelf
from bench.worker.harness import Desk, Handed
from bench.worker.referee import Referee

CPU = torch.device("cpu")
MOVED = Augmentation(pad=1, flip=True)


@pytest.fixture
def dataset(toy_images: Images) -> Dataset:
    return Dataset("toy", tuple("abcd"), toy_images, toy_images, MOVED, (0.4,), (0.3,))


@pytest.fixture
def desk(dataset: Dataset) -> Desk:
    return Desk(dataset, Referee(dataset, CPU), lambda *_: None)


@pytest.fixture
def teacher(desk: Desk) -> nn.Module:
    torch.manual_seed(0)
    return desk.build("cnn2").eval()


@pytest.fixture
def asked() -> list[int]:
    """How many images the remembered copy was asked about, time after time."""
    return []


@pytest.fixture
def run(
    desk: Desk,
    teacher: nn.Module,
    toy_images: Images,
    tmp_path: Path,
    asked: list[int],
) -> Run:
    """A run whose desk handed out `teacher`."""
    copy = Released(deepcopy(teacher))

    def reply(images: Tensor) -> Tensor:
        asked.append(len(images))
        return copy.reply(images)

    shelf = Shelf(tmp_path, Schedule(MOVED, 0), horizon=2, classes=4)
    memory = Replies(reply, toy_images, MOVED, shelf)
    desk.teacher = Handed(copy.network, memory)
    generator = torch.Generator().manual_seed(0)
    return Run((1, 8, 8), 4, 0, CPU, generator, "cnn2", _harness=desk)


def dealt(images: Images) -> list[Batch]:
    grant = TrainImages(images, MOVED, Schedule(MOVED, 0))
    draws = torch.Generator().manual_seed(3)
    return [*grant.batches(20, draws), *grant.batches(20, draws)]


def says(network: nn.Module, batch: Batch) -> Tensor:
    with torch.no_grad():
        return network(batch.pixels).log_softmax(dim=1)


def test_the_teacher_as_it_was_handed_out_is_answered_for_from_memory(
    run: Run, teacher: nn.Module, toy_images: Images, asked: list[int]
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


def test_another_network_is_asked_live(
    run: Run, desk: Desk, toy_images: Images, asked: list[int]
) -> None:
    other = desk.build("cnn2").train()

    answer = run.answers(other)

    assert other.training
    other.eval()
    for batch in dealt(toy_images):
        assert torch.equal(answer(batch), says(other, batch))
    assert asked == []


def test_an_equal_copy_of_the_teacher_is_the_teacher(
    run: Run, teacher: nn.Module, toy_images: Images, asked: list[int]
) -> None:
    copy = deepcopy(teacher)

    run.answers(copy)(dealt(toy_images)[0])

    assert asked == [48]


def added(teacher: nn.Module) -> None:
    with torch.no_grad():
        next(teacher.parameters()).add_(0.5)


def trained(teacher: nn.Module) -> None:
    steps = optimiser(teacher.train(), Recipe(rate=0.5))
    F.cross_entropy(teacher(torch.rand(8, 1, 8, 8)), torch.arange(8) % 4).backward()
    steps.step()
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
    run: Run,
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
    run: Run,
    desk: Desk,
    teacher: nn.Module,
    toy_images: Images,
) -> None:
    network = teacher if handed_out else desk.build("cnn2").eval()
    batch = dealt(toy_images)[0]
    answer, before = run.answers(network), says(network, batch)

    change(network)
    network.train()

    torch.testing.assert_close(answer(batch), before)


def test_looking_at_a_teacher_does_not_change_it(
    desk: Desk, run: Run, teacher: nn.Module
) -> None:
    handed = desk.teacher
    assert handed is not None

    teacher.eval().requires_grad_(False)
    with torch.no_grad():
        teacher(torch.rand(4, 1, 8, 8))
    teacher.state_dict()
    deepcopy(teacher)

    assert handed.equals(teacher)


def test_a_desk_that_handed_nothing_out_asks_live(
    desk: Desk, teacher: nn.Module, toy_images: Images
) -> None:
    batch = dealt(toy_images)[0]

    assert torch.equal(desk.answers(teacher)(batch), says(teacher, batch))


def test_a_flag_is_noted_once_and_figures_are_numbers(desk: Desk) -> None:
    desk.flag("collapsed")
    desk.flag("collapsed")
    desk.report({"a": torch.tensor(2.0)})  # type: ignore[dict-item]
    desk.report({"a": 3, "b": True})

    assert desk.flags == ["collapsed"]
    assert desk.figures == {"a": 3.0, "b": 1.0}
    assert all(type(value) is float for value in desk.figures.values())


def test_the_curve_is_that_of_the_network_that_the_task_is_about(
    desk: Desk, teacher: nn.Module
) -> None:
    desk.checkpoint(teacher)
    desk.subject = desk.build("cnn2")
    desk.checkpoint(teacher)
    desk.checkpoint(desk.subject)

    assert len(desk.curve) == 2
