"""A tiny problem that a plugin is tried on, on the CPU, with its `brief` options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from bench import networks
from bench.data import Augmentation, Images
from bench.errors import BadPlugin
from bench.plugins.base import Attack, Defense, Harness, Released, Run
from bench.recipe import Recipe
from bench.seeds import seeded
from bench.threat import grants as threat
from bench.threat.replies import Replies

SHAPE, CLASSES, COUNT = (3, 8, 8), 4, 32
CPU = torch.device("cpu")
MOVED = Augmentation(pad=1)
RECIPE = Recipe(epochs=1, batch=16, rate=0.01, schedule="constant", milestones=())


class _Bench(Harness):
    def build(self, name: str) -> nn.Module:
        return networks.build(name, SHAPE[0], CLASSES, (0.5,) * 3, (0.5,) * 3)


@contextmanager
def a_run(seed: int = 0) -> Iterator[Run]:
    """A run on the tiny problem: 3x8x8 images, 4 classes, one short epoch."""
    with seeded(seed, CPU) as generator:
        yield Run(
            SHAPE, CLASSES, seed, CPU, generator, "resnet8", RECIPE, _harness=_Bench()
        )


def raw_images() -> Images:
    """32 random images with random labels."""
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (COUNT, *SHAPE), generator=rng, dtype=torch.uint8)
    return Images(pixels, torch.randint(CLASSES, (COUNT,), generator=rng))


def dealt_images() -> threat.TrainImages:
    """`raw_images`, dealt with a shift of one pixel."""
    return threat.TrainImages(raw_images(), MOVED)


def a_teacher() -> nn.Module:
    """A network for the tiny problem, always the same."""
    with a_run(seed=7) as run:
        return run.network("resnet8").eval()


def protect(cls: type[Defense]) -> Released:
    """What `cls` releases for the tiny teacher."""
    with a_run() as run:
        released = cls(**cls.brief).protect(a_teacher(), dealt_images(), run)
    if not isinstance(released, Released):
        raise BadPlugin(f"protect returned {type(released).__name__}, not Released")
    for part in released.parts().values():
        part.eval()
    return released


def steal(cls: type[Attack[Any, Any]]) -> tuple[nn.Module, threat.Ledger, Any]:
    """A student after `cls` taught it, what was booked, and the teacher grant."""
    attack = cls(**cls.brief)
    teacher_grant, image_grant = cls.grants()
    teacher, ledger = a_teacher(), threat.Ledger(attack.queries)
    raw, reply = raw_images(), Released(teacher).reply
    images: Any = threat.NoImages()
    memory = None
    if image_grant is not threat.NoImages:
        deal: Any = image_grant
        images, memory = deal(raw, MOVED), Replies(reply, raw, MOVED)
    door: Any = threat.Weights(teacher)
    if teacher_grant is not threat.Weights:
        oracle: Any = teacher_grant
        door = oracle(reply, ledger, memory)
    with a_run() as run:
        student = run.network("cnn2")
        attack.steal(student, door, images, run)
    return student, ledger, door
