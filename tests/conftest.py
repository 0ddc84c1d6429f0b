"""Tiny problems that fit a test: images, networks, runs whose harness takes notes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import nn

from bench.data import Images
from bench.testing import run as noted
from bench.testing.run import NotedRun
from bench.worker import portrait

SHAPE, CLASSES = noted.SHAPE, noted.CLASSES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: on several cores none of them waits for it at the end."""
    items.sort(key=lambda item: item.path.name != "test_on_ray.py")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the import path and the imported modules of outsiders back."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("bench_file_", "beside_", "package_")):
            del sys.modules[name]


@pytest.fixture(scope="session", autouse=True)
def _small_portraits() -> None:
    """Every release of seed 0 has one: with all points they take seconds each."""
    portrait.POINTS = 60


def _line() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES))


def _mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 12),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Linear(12, CLASSES),
    )


MAKERS = {"line": lambda *_: _line(), "mlp": lambda *_: _mlp()}


@pytest.fixture
def make_run() -> Iterator[Callable[..., NotedRun]]:
    """Makes a run on 1x8x8 images of 4 classes that takes notes.

    From the call to the end of the test torch's global generator is seeded alike.
    """
    with ExitStack() as stack:

        def make(**asked: Any) -> NotedRun:
            known = {"teacher": "mlp", "makers": MAKERS}
            return stack.enter_context(noted.make_run(**{**known, **asked}))

        yield make


@pytest.fixture(scope="session")
def toy_images() -> Images:
    """48 images, 1x8x8, of 4 classes; one quarter of each is brighter than the rest."""
    rng = torch.Generator().manual_seed(5)
    labels = torch.arange(48) % CLASSES
    pixels = torch.randint(120, (48, *SHAPE), generator=rng, dtype=torch.uint8)
    for image, label in zip(pixels, labels.tolist(), strict=True):
        top, left = 4 * (label // 2), 4 * (label % 2)
        image[:, top : top + 4, left : left + 4] += 100
    return Images(pixels, labels)


@pytest.fixture
def toy_teacher() -> nn.Module:
    """A linear teacher that is sure of the brightest quarter, whatever its name is."""
    teacher = _line()
    quarter = torch.arange(64).view(8, 8)
    with torch.no_grad():
        for label in range(CLASSES):
            weight = torch.full((64,), -1.0)
            top, left = 4 * (label // 2), 4 * (label % 2)
            weight[quarter[top : top + 4, left : left + 4].flatten()] = 3.0
            teacher[1].weight[(label + 1) % CLASSES] = weight
        teacher[1].bias.zero_()
    return teacher.eval()
