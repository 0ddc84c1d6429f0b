"""What a plugin meets beside its grants: public facts, networks, and a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from math import isfinite

import torch
from torch import Tensor, nn

from bench.data import Batch
from bench.errors import Diverged
from bench.recipe import Recipe


def check_finite(value: float, what: str) -> None:
    """Pass finite numbers.

    Raises:
        Diverged: `value` is NaN or infinite.
    """
    if not isfinite(value):
        raise Diverged(f"{what} became {value}")


@dataclass
class Step:
    """One iteration of a long training."""

    number: int
    """From 1."""
    of: int
    losses: dict[str, Tensor] = field(default_factory=dict)

    def log(self, **losses: Tensor) -> None:
        """Name the losses of this step, as scalars; few steps have theirs read."""
        self.losses = losses


@dataclass(frozen=True)
class Run(ABC):
    """What one run may know beside its grants, and its own randomness."""

    shape: tuple[int, int, int]
    """One image, `(C, H, W)`."""
    classes: int
    """K."""
    seed: int
    device: torch.device
    generator: torch.Generator
    """On `device`; the only source of explicit randomness. Inside a run torch's global
    generator is seeded as well, so new layers start alike in every repetition."""
    teacher: str = ""
    """The name of the teacher's network."""
    student: str = ""
    """The name of the student's network; empty for a defense."""
    recipe: Recipe = field(default_factory=Recipe)
    """How the protocol trains the network at hand from images."""

    @abstractmethod
    def network(self, name: str) -> nn.Module:
        """Another freshly initialised network on `device`, such as an adversary.

        Raises:
            UnknownName: no network is called `name`.
        """

    @abstractmethod
    def place(self, module: nn.Module) -> nn.Module:
        """`module`, say a generator, on `device` and computing as networks do here."""

    @abstractmethod
    def answers(self, network: nn.Module) -> Callable[[Batch], Tensor]:
        """The replies of `network` to the batches that this run's image grant deals.

        It answers as it is now, whatever becomes of it: in eval mode, without
        gradients, with log-probabilities `(B, K)`. Replies of the teacher that was
        handed to `protect` are remembered; any other network is asked about each batch.
        """

    @abstractmethod
    def progress(self, step: int, of: int, **losses: float) -> None:
        """Tell how far the work is: `step` of `of`, with losses worth watching."""

    @abstractmethod
    def checkpoint(self, student: nn.Module) -> None:
        """Let the harness score `student` for the curve; nothing comes back."""

    @abstractmethod
    def keep(self, images: Tensor) -> None:
        """Keep up to 512 of `images` `(N, C, H, W)` in [0, 1] that the attack made.

        The site shows some; tuning asks which of several students agrees best with the
        teacher on the images that the others made.
        """

    @abstractmethod
    def report(self, **figures: float) -> None:
        """Put health figures into the row; a later value replaces an earlier one."""

    @abstractmethod
    def flag(self, word: str) -> None:
        """Put a visible warning into the row, such as "collapsed"."""

    def steps(
        self, count: int, student: nn.Module, reports: int = 20
    ) -> Iterator[Step]:
        """Count `count` steps of a training of `student`, and watch it.

        About `reports` times, and after the last step, the losses that the step logged
        are read and told, and the student is scored for the curve in eval mode. It is
        in train mode during each step and in eval mode at the end.

        Args:
            count: Steps.
            student: Trained in place.
            reports: How often to look; at most once a step.

        Raises:
            Diverged: a loss that was logged is not finite.
        """
        every = max(1, count // reports)
        student.train()
        for number in range(1, count + 1):
            step = Step(number, count)
            yield step
            if number % every and number != count:
                continue
            losses = {k: float(v.detach()) for k, v in step.losses.items()}
            for name, value in losses.items():
                check_finite(value, f"the loss {name!r} at step {number}")
            self.progress(number, count, **losses)
            student.eval()
            self.checkpoint(student)
            student.train()
        student.eval()


def answers_of(network: nn.Module) -> Callable[[Batch], Tensor]:
    """What answers batches as `network` does now, live."""
    frozen = deepcopy(network).eval()

    def answer(batch: Batch) -> Tensor:
        with torch.no_grad():
            logits: Tensor = frozen(batch.pixels)
        return logits.log_softmax(dim=1)

    return answer
