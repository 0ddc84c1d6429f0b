"""Tiny problems that fit a test: images, networks, runs whose harness takes notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from bench.data import Images
from bench.plugins.base import Harness, Run
from bench.recipe import Recipe
from bench.seeds import seeded
from bench.worker import portrait

CPU = torch.device("cpu")
SHAPE, CLASSES = (1, 8, 8), 4
SHORT = Recipe(epochs=3, batch=16, rate=0.05, schedule="constant", weight_decay=0.0)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


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


@dataclass
class Notes(Harness):
    """Builds `line` and `mlp`, and remembers everything that it is told."""

    built: list[tuple[str, nn.Module]] = field(default_factory=list)
    heard: list[tuple[int, int, dict[str, float]]] = field(default_factory=list)
    modes: list[bool] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)

    def build(self, name: str) -> nn.Module:
        network = {"line": _line, "mlp": _mlp}[name]()
        self.built.append((name, network))
        return network

    def progress(self, step: int, of: int, losses: Mapping[str, float]) -> None:
        self.heard.append((step, of, dict(losses)))

    def checkpoint(self, student: nn.Module) -> None:
        self.modes.append(student.training)

    def keep(self, images: Tensor) -> None:
        self.kept.append(images)

    def report(self, figures: Mapping[str, float]) -> None:
        self.figures.update(figures)

    def flag(self, word: str) -> None:
        self.flags.append(word)


@pytest.fixture
def make_run() -> Iterator[Callable[..., Run]]:
    """Makes a run on 1x8x8 images of 4 classes; its harness is a `Notes`.

    From the call to the end of the test torch's global generator is seeded alike.
    """
    with ExitStack() as stack:

        def make(
            seed: int = 0,
            recipe: Recipe = SHORT,
            shape: tuple[int, int, int] = SHAPE,
            classes: int = CLASSES,
        ) -> Run:
            generator = stack.enter_context(seeded(seed, CPU))
            return Run(
                shape, classes, seed, CPU, generator, "mlp", recipe, _harness=Notes()
            )

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
