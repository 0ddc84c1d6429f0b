"""A run that takes notes, for tests of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bench.data import Batch
from bench.networks import find
from bench.plugins.run import Run, answers_of
from bench.recipe import Recipe
from bench.seeds import seeded

CPU = torch.device("cpu")
SHAPE, CLASSES = (1, 8, 8), 4
SHORT = Recipe(
    epochs=3, batch_size=16, lr=0.05, lr_schedule="constant", weight_decay=0.0
)
"""A training that ends within a second."""


@dataclass(frozen=True)
class NotedRun(Run):
    """Builds networks by name, and remembers everything that it is told."""

    makers: Mapping[str, Callable[[int, int], nn.Module]] = field(default_factory=dict)
    """Networks of the test's own by name: functions of C and K."""
    built: list[tuple[str, nn.Module]] = field(default_factory=list)
    told: list[tuple[int, int, dict[str, float]]] = field(default_factory=list)
    """Progress: step, of how many, losses."""
    modes: list[bool] = field(default_factory=list)
    """Whether the student was in train mode at each checkpoint."""
    kept: list[Tensor] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)

    def network(self, name: str) -> nn.Module:
        """One of `makers`, or any network that is installed."""
        channels = self.shape[0]
        if name in self.makers:
            network = self.makers[name](channels, self.classes)
        else:
            half = (0.5,) * channels
            network = find(name).build(channels, self.classes, half, half)
        self.built.append((name, network))
        return network

    def place(self, module: nn.Module) -> nn.Module:
        """The module as it is."""
        return module

    def answers(self, network: nn.Module) -> Callable[[Batch], Tensor]:
        """Live, always."""
        return answers_of(network)

    def progress(self, step: int, of: int, **losses: float) -> None:
        """Remember it."""
        self.told.append((step, of, losses))

    def checkpoint(self, student: nn.Module) -> None:
        """Remember the mode of the student."""
        self.modes.append(student.training)

    def keep(self, images: Tensor) -> None:
        """Remember them."""
        self.kept.append(images)

    def report(self, **figures: float) -> None:
        """Remember them."""
        self.figures.update(figures)

    def flag(self, word: str) -> None:
        """Remember it."""
        self.flags.append(word)


@contextmanager
def make_run(
    seed: int = 0,
    recipe: Recipe = SHORT,
    shape: tuple[int, int, int] = SHAPE,
    classes: int = CLASSES,
    teacher: str = "cnn2",
    makers: Mapping[str, Callable[[int, int], nn.Module]] | None = None,
) -> Iterator[NotedRun]:
    """A run on the CPU; inside the block torch's global generator is seeded as well."""
    with seeded(seed, CPU) as generator:
        yield NotedRun(
            shape=shape,
            classes=classes,
            seed=seed,
            device=CPU,
            generator=generator,
            teacher=teacher,
            student="cnn2",
            recipe=recipe,
            makers=makers or {},
        )
