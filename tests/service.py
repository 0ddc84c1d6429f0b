"""A teacher as an attack meets it: asked, counted, and what it taught."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bench.data import PLAIN, Augmentation, Images
from bench.plugins.base import Attack
from bench.testing.run import NotedRun
from bench.threat.grants import Weights
from bench.threat.images import NoImages
from bench.threat.ledger import Ledger
from bench.threat.replies import Replies


class Service:
    """Grants what an attack names of `network` and of `images`."""

    def __init__(
        self,
        attack: Attack[Any, Any],
        network: nn.Module,
        images: Images | None = None,
        augment: Augmentation = PLAIN,
        budget: int | None = None,
    ) -> None:
        of_teacher, of_images = attack.grants()
        self.network = network
        self.asked: list[Tensor] = []
        """Every batch that was answered."""
        self.ledger = Ledger(budget)
        self.images: Any = NoImages()
        known = None
        if images is not None and of_images is not NoImages:
            self.images = of_images(images, augment)
            known = Replies(self._answer, images, augment)
        self.door: Any = (
            Weights(network)
            if of_teacher is Weights
            else of_teacher(self._answer, self.ledger, known)
        )

    def _answer(self, images: Tensor) -> Tensor:
        self.asked.append(images)
        logits: Tensor = self.network(images)
        return logits.log_softmax(dim=1)


def stolen(
    attack: Attack[Any, Any],
    run: NotedRun,
    network: nn.Module,
    images: Images | None = None,
    augment: Augmentation = PLAIN,
    budget: int | None = None,
) -> tuple[nn.Module, Service]:
    """The student, which began as a fresh `mlp` of `run`, and whom it asked."""
    student = run.network("mlp")
    service = Service(attack, network, images, augment, budget)
    attack.steal(student, service.door, service.images, run)
    return student, service


def agreement(first: nn.Module, second: nn.Module, images: Images) -> float:
    """Share of `images` that two networks put into the same class."""
    with torch.no_grad():
        one, other = (n(images.as_float()).argmax(dim=1) for n in (first, second))
    return float((one == other).float().mean())
