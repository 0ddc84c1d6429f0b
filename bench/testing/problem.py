"""A tiny problem that a plugin is tried on, on the CPU, with its `brief` options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from bench.data import Augmentation, Images
from bench.errors import BadPlugin
from bench.plugins.base import Attack, Defense, Released
from bench.recipe import Recipe
from bench.testing.run import NotedRun, make_run
from bench.threat import images as dealers
from bench.threat.grants import Weights
from bench.threat.ledger import Ledger
from bench.threat.replies import Replies

SHAPE, CLASSES, COUNT = (3, 8, 8), 4, 32
MOVED = Augmentation(pad=1)
RECIPE = Recipe(epochs=1, batch_size=16, lr=0.01, lr_schedule="constant", milestones=())


@contextmanager
def a_run(seed: int = 0) -> Iterator[NotedRun]:
    """A run on the tiny problem: 3x8x8 images, 4 classes, one short epoch."""
    with make_run(seed, RECIPE, SHAPE, CLASSES, "resnet8") as run:
        yield run


def raw_images() -> Images:
    """32 random images with random labels."""
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (COUNT, *SHAPE), generator=rng, dtype=torch.uint8)
    return Images(pixels, torch.randint(CLASSES, (COUNT,), generator=rng))


def dealt_images() -> dealers.TrainImages:
    """`raw_images`, dealt with a shift of one pixel."""
    return dealers.TrainImages(raw_images(), MOVED)


def a_teacher() -> nn.Module:
    """A network for the tiny problem, always the same."""
    with a_run(seed=7) as run:
        return run.network("resnet8").eval()


def protect(cls: type[Defense]) -> Released:
    """The tiny teacher as `cls` releases it."""
    with a_run() as run:
        released = cls(**cls.brief).protect(a_teacher(), dealt_images(), run)
    if not isinstance(released, Released):
        raise BadPlugin(f"protect returned {type(released).__name__}, not Released")
    for part in released.parts().values():
        part.eval()
    return released


class Theft:
    """One attack on the tiny teacher, and what became of it."""

    def __init__(
        self,
        cls: type[Attack[Any, Any]],
        budget: int | None = None,
        teacher: nn.Module | None = None,
        student: nn.Module | None = None,
    ) -> None:
        """Let `cls` train a student.

        Args:
            cls: The attack.
            budget: Images that the teacher answers; None sets no limit.
            teacher: In place of the tiny one.
            student: In place of a fresh `cnn2`.
        """
        network = teacher or a_teacher()
        of_teacher, of_images = cls.grants()
        self.ledger = Ledger(0 if cls.teacherless else budget)
        raw, reply = raw_images(), Released(network).reply
        images: Any = dealers.NoImages()
        memory = None
        if of_images is not dealers.NoImages:
            images, memory = of_images(raw, MOVED), Replies(reply, raw, MOVED)
        self.grant: Any = (
            Weights(network)
            if of_teacher is Weights
            else of_teacher(reply, self.ledger, memory)
        )
        with a_run() as self.run:
            fresh = self.run.network("cnn2")
            self.student = student or fresh
            cls(**cls.brief).steal(self.student, self.grant, images, self.run)
