"""Scores teachers and students; the only user of test images.

Shapes: N test images, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.data import PLAIN, Dataset, Images
from bench.errors import BadPlugin, Diverged
from bench.plugins.base import Released
from bench.results.scores import Portrait, ReleaseScores, StudentScores, TeacherScores
from bench.seeds import seeded
from bench.threat.replies import Replies, Shelf
from bench.worker import portrait
from bench.worker.metrics import (
    accuracy,
    agreement,
    calibration_error,
    divergence,
    first_classes,
    right_bits,
)

SOME = 2000
"""Test images that checks show: a difference of 2 points has an error below 0.5."""


@dataclass(frozen=True)
class Referee:
    """Holds the test images of one data set on one device."""

    dataset: Dataset
    device: torch.device

    @property
    def batch(self) -> int:
        """Images that a network is shown at a time."""
        return self.dataset.test.at_once(self.device)

    def replies(self, ask: Callable[[Tensor], Tensor], what: str) -> Tensor:
        """Log-probabilities `(N, K)` for the test images.

        Args:
            ask: Maps `(B, C, H, W)` in [0, 1] to logits or log-probabilities `(B, K)`.
            what: What is asked, for the message.

        Raises:
            BadPlugin: the replies are not `(N, K)`.
            Diverged: a reply is NaN.
        """
        with torch.no_grad():
            parts = [ask(few).float() for few in self._shown(self.dataset.test.pixels)]
        return self._checked(torch.cat(parts), what)

    def service(self, released: Released, shelf: Shelf | None) -> Tensor:
        """Log-probabilities `(N, K)` of `released`, from the `shelf` if they are there.

        Raises:
            BadPlugin: the replies are not `(N, K)`.
            Diverged: a reply is NaN.
        """
        images = self.dataset.test.to(self.device)
        memory = Replies(released.reply, images, PLAIN, shelf)
        views = torch.arange(len(images), device=self.device).split(self.batch)
        replies = torch.cat([memory(view).float() for view in views])
        return self._checked(replies, "the released teacher")

    def some(self) -> Images:
        """Up to `SOME` of the test images, drawn at random and always the same."""
        test = self.dataset.test
        order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
        rows = order[:SOME]
        return Images(test.pixels[rows], test.labels[rows]).to(self.device)

    def _shown(self, pixels: Tensor) -> Iterator[Tensor]:
        """Batches of `(N, C, H, W)`, uint8, as networks see them."""
        for few in pixels.split(self.batch):
            yield few.to(self.device).float() / 255

    def _checked(self, replies: Tensor, what: str) -> Tensor:
        expected = (len(self.dataset.test), len(self.dataset.classes))
        if tuple(replies.shape) != expected:
            raise BadPlugin(
                f"{what} replies {tuple(replies.shape)} to the test images, "
                f"not {expected}"
            )
        replies = replies.log_softmax(dim=1)
        if bool(replies.isnan().any()):
            raise Diverged(f"{what} replies with NaN")
        return replies

    def network(self, network: nn.Module, what: str = "the network") -> Tensor:
        """Log-probabilities of `network` in eval mode; every module keeps its mode."""
        modes = {module: module.training for module in network.modules()}
        network.eval()
        try:
            return self.replies(network, what)
        finally:
            for module, mode in modes.items():
                module.training = mode

    def teacher(self, network: nn.Module) -> TeacherScores:
        """Scores of an undefended teacher."""
        replies, labels = self.network(network, "the teacher"), self._labels()
        return TeacherScores(
            accuracy=accuracy(replies, labels),
            calibration_error=calibration_error(replies, labels),
            constant=float(labels.bincount().max()) / len(labels),
            predictions=first_classes(replies),
            correct=right_bits(replies, labels),
        )

    def released(
        self, released: Released, shelf: Shelf | None, undefended: Tensor
    ) -> ReleaseScores:
        """Scores of a released teacher.

        Args:
            released: What is scored.
            shelf: Of its replies.
            undefended: What the teacher replied before, `(N, K)`.

        Raises:
            BadPlugin: the replies are not `(N, K)`.
            Diverged: a reply is NaN.
        """
        replies = leaked = self.service(released, shelf)
        labels = self._labels()
        if released.answer is not None:
            leaked = self.network(released.network, "the released network")
        return ReleaseScores(
            accuracy=accuracy(replies, labels),
            network_accuracy=accuracy(leaked, labels),
            network_agreement=agreement(leaked, replies),
            fidelity=agreement(replies, undefended),
            calibration_error=calibration_error(replies, labels),
            predictions=first_classes(replies),
            correct=right_bits(replies, labels),
        )

    def portrait(self, released: Released, shelf: Shelf | None = None) -> Portrait:
        """A picture of a released teacher.

        Raises:
            BadPlugin: what it replies is not `(N, K)`.
            Diverged: a reply is NaN.
        """
        # An answer may draw at random: it does so aside from the run.
        with seeded(0, self.device):
            replies = self.service(released, shelf)
        images = self.dataset.test
        points = self._shown(images.pixels[portrait.on_maps(images)])
        seen = portrait.features_of(released.network, points)
        return portrait.draw(images, replies.cpu(), seen)

    def student(
        self,
        student: nn.Module,
        released: Released,
        shelf: Shelf | None = None,
        **known: Any,
    ) -> StudentScores:
        """Scores of a student in its last state.

        Args:
            student: Is scored.
            released: Whom it learned from.
            shelf: Of the replies to test images.
            known: Columns that are measured elsewhere.
        """
        replies = self.network(student, "the student")
        taught, labels = self.service(released, shelf), self._labels()
        return StudentScores(
            accuracy=accuracy(replies, labels),
            fidelity=agreement(replies, taught),
            kl=divergence(taught, replies),
            predictions=first_classes(replies),
            correct=right_bits(replies, labels),
            **known,
        )

    def point(self, network: nn.Module) -> float:
        """Accuracy of `network`, for a curve; NaN where it replies with NaN."""
        with suppress(Diverged):
            return accuracy(self.network(network), self._labels())
        return float("nan")

    def _labels(self) -> Tensor:
        return self.dataset.test.labels.to(self.device)
