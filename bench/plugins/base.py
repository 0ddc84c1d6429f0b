"""The two things an outsider may write, a Defense and an Attack, and what they meet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, get_args, get_origin

import torch
from torch import Tensor, nn

from bench.data import Batch
from bench.errors import BadPlugin
from bench.options import Fraction, NonNegative
from bench.recipe import Recipe
from bench.threat.grants import (
    IMAGE_GRANTS,
    TEACHER_GRANTS,
    ImageGrant,
    TeacherGrant,
    TrainImages,
)


@dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    title: str
    year: int
    url: str


class Harness:
    """What stands behind a `Run`. This one builds nothing and hears nothing."""

    def build(self, name: str) -> nn.Module:
        """Build the network called `name` for this run's images and classes."""
        raise BadPlugin(f"network {name!r} was asked for outside a run of the bench")

    def place(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Put `module` where and into the form in which networks compute."""
        return module.to(device)

    def answers(self, network: nn.Module) -> Callable[[Batch], Tensor]:
        """What answers batches as `network` does now."""
        frozen = deepcopy(network).eval()

        def answer(batch: Batch) -> Tensor:
            with torch.no_grad():
                logits: Tensor = frozen(batch.pixels)
            return logits.log_softmax(dim=1)

        return answer

    def progress(self, step: int, of: int, losses: Mapping[str, float]) -> None:
        """Take note of how far the task is."""

    def checkpoint(self, student: nn.Module) -> None:
        """Score `student` for the diagnostic curve."""

    def keep(self, images: Tensor) -> None:
        """Keep samples for the site."""

    def report(self, figures: Mapping[str, float]) -> None:
        """Take note of health figures."""

    def flag(self, word: str) -> None:
        """Take note of a visible warning."""


@dataclass(frozen=True)
class Run:
    """What one run may know beside its grants: public facts, and its own randomness."""

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
    recipe: Recipe = field(default_factory=Recipe)
    """How the protocol trains the network at hand from images."""
    _harness: Harness = field(default_factory=Harness, repr=False)
    """Behind it stand test images: nothing public leads there."""

    def network(self, name: str) -> nn.Module:
        """Another freshly initialised network on `device`, such as an adversary.

        Raises:
            UnknownName: no network is called `name`.
        """
        return self._harness.build(name).to(self.device)

    def place(self, module: nn.Module) -> nn.Module:
        """`module`, say a generator, on `device` and computing as networks do here."""
        return self._harness.place(module, self.device)

    def answers(self, network: nn.Module) -> Callable[[Batch], Tensor]:
        """What `network` says to the batches that this run's image grant deals.

        It answers as it is now, whatever becomes of it: in eval mode, without
        gradients, with log-probabilities `(B, K)`. The harness remembers what the
        teacher that it handed to `protect` says; any other network is asked about each
        batch.
        """
        return self._harness.answers(network)

    def progress(self, step: int, of: int, **losses: float) -> None:
        """Tell how far the work is: `step` of `of`, with losses worth watching."""
        self._harness.progress(step, of, losses)

    def checkpoint(self, student: nn.Module) -> None:
        """Let the harness score `student` for the curve; nothing comes back."""
        self._harness.checkpoint(student)

    def keep(self, images: Tensor) -> None:
        """Keep up to 64 of `images` `(N, C, H, W)` in [0, 1] for the site."""
        self._harness.keep(images)

    def report(self, **figures: float) -> None:
        """Put health figures into the row; a later value replaces an earlier one."""
        self._harness.report(figures)

    def flag(self, word: str) -> None:
        """Put a visible warning into the row, such as "collapsed"."""
        self._harness.flag(word)


@dataclass(frozen=True)
class Released:
    """A teacher as the defender releases it."""

    network: nn.Module
    """What leaks if the weights leak: images `(N, C, H, W)` to logits `(N, K)`."""
    answer: nn.Module | None = None
    """What the service makes of the network's reply, called as `answer(images,
    log_probabilities)` and returning log-probabilities `(N, K)`; None leaves it."""
    randomised: bool = False
    """Equal images may get other replies, by chance or by what was asked before: then
    none is remembered, and every one is a query."""

    def reply(self, images: Tensor) -> Tensor:
        """Log-probabilities `(N, K)` that the service gives for `(N, C, H, W)`."""
        logits: Tensor = self.network(images)
        plain = logits.log_softmax(dim=1)
        if self.answer is None:
            return plain
        answered: Tensor = self.answer(images, plain)
        return answered

    def parts(self) -> dict[str, nn.Module]:
        """Its modules by name: `network`, and `answer` where there is one."""
        both = {"network": self.network, "answer": self.answer}
        return {name: part for name, part in both.items() if part is not None}


@dataclass(frozen=True)
class Defense(ABC):
    """Makes a teacher that is as accurate and harder to distil.

    A subclass is a frozen dataclass whose fields are its options.
    """

    paper: ClassVar[Paper | None] = None
    brief: ClassVar[Mapping[str, Any]] = {}
    """Options under which it ends within seconds; the contract's checks use them."""

    @abstractmethod
    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        """Return what the defender releases in place of `teacher`.

        Args:
            teacher: The undefended network, trained; may be changed.
            images: The whole training set, as the defender owns it.
            run: Public facts; `run.recipe` is that of the teacher's network.
        """

    def skeleton(self, run: Run) -> Released:
        """What `protect` returns, without its knowledge: weights are loaded into it.

        A defense that releases another network than the teacher's, or an `answer`,
        builds the same modules here, and says here as well whether they are
        `randomised`.
        """
        return Released(run.network(run.teacher))


@dataclass(frozen=True)
class Attack(ABC, Generic[TeacherGrant, ImageGrant]):
    """Trains a student from what its two grants give and nothing more.

    A subclass is a frozen dataclass whose fields are its options, and names its grants
    as type parameters: `class DAFL(Attack[Weights, NoImages])`.
    """

    paper: ClassVar[Paper | None] = None
    brief: ClassVar[Mapping[str, Any]] = {}
    """Options under which it ends within seconds; the contract's checks use them."""
    teacherless: ClassVar[bool] = False
    """A control that never asks the teacher: it meets the undefended one alone."""

    queries: NonNegative | None = None
    """Images that the teacher will answer; None sets no limit."""
    fraction: Fraction = 1.0
    """Share of the training set granted, in (0, 1]."""

    @abstractmethod
    def steal(
        self, student: nn.Module, teacher: TeacherGrant, images: ImageGrant, run: Run
    ) -> None:
        """Train `student` in place; its last state is the one that counts."""

    @classmethod
    def grants(cls) -> tuple[type, type]:
        """The teacher grant and the image grant that the type parameters name.

        Raises:
            BadPlugin: the class names none.
        """
        for base in cls.__mro__:
            for generic in getattr(base, "__orig_bases__", ()):
                if get_origin(generic) is Attack:
                    teacher, images = get_args(generic)
                    if teacher in TEACHER_GRANTS and images in IMAGE_GRANTS:
                        return teacher, images
        known = [g.__name__ for g in (*TEACHER_GRANTS, *IMAGE_GRANTS)]
        raise BadPlugin(
            f"{cls.__name__} does not name its two grants: write class {cls.__name__}"
            f"(Attack[SoftLabels, TrainImages]); there are {', '.join(known)}"
        )
