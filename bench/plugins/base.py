"""The two things an outsider may write: a Defense and an Attack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import torch
from torch import Tensor, nn

from bench.errors import BadPlugin
from bench.plugins.run import Run
from bench.threat.access import Needs
from bench.threat.grants import HardLabels, SoftLabels, Weights
from bench.threat.images import NoImages, SurrogateImages, TrainImages

TEACHER_GRANTS = (Weights, SoftLabels, HardLabels)
IMAGE_GRANTS = (TrainImages, SurrogateImages, NoImages)

T = TypeVar("T", Weights, SoftLabels, HardLabels)
"""What an attack is granted of the teacher."""
I = TypeVar("I", TrainImages, SurrogateImages, NoImages)  # noqa: E741
"""Which images an attack is granted."""


@dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    title: str
    year: int
    url: str


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
    none is shared among students. Each attacker remembers the first reply to a view."""

    def reply(self, images: Tensor) -> Tensor:
        """Log-probabilities `(N, K)` that the service gives for `(N, C, H, W)`.

        No gradient passes. An `answer` that needs gradients of its own parts computes
        them under `torch.enable_grad`.
        """
        with torch.no_grad():
            logits: Tensor = self.network(images)
            plain = logits.log_softmax(dim=1)
            if self.answer is None:
                return plain
            answered: Tensor = self.answer(images, plain)
            return answered.detach()

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
class Attack(ABC, Generic[T, I]):
    """Trains a student from what its two grants give and nothing more.

    A subclass is a frozen dataclass whose fields are its options, and names what it
    needs as type parameters: `class DAFL(Attack[Weights, NoImages])`. How much of it
    there is, a share of the images or a number of queries, the protocol decides.
    """

    paper: ClassVar[Paper | None] = None
    brief: ClassVar[Mapping[str, Any]] = {}
    """Options under which it ends within seconds; the contract's checks use them."""
    teacherless: ClassVar[bool] = False
    """A control that never asks the teacher: it meets the undefended one alone."""
    reference: ClassVar[bool] = False
    """A teacherless student that costs more than an attack does, such as the training
    of a teacher: a line to read others by, and no part of the zero line."""
    lengths: ClassVar[tuple[str, ...]] = ()
    """Options that are numbers of steps, if any: twice the effort doubles them, and
    `run.recipe.steps`."""

    @abstractmethod
    def steal(self, student: nn.Module, teacher: T, images: I, run: Run) -> None:
        """Train `student` in place; its last state is the one that counts."""

    @classmethod
    def needs(cls) -> Needs:
        """What it cannot do without.

        Raises:
            BadPlugin: the class names no grants.
        """
        teacher, images = cls.grants()
        return Needs(teacher.grant, images.grant)

    @classmethod
    def grants(cls) -> tuple[type[Any], type[Any]]:
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
