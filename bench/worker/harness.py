"""The harness behind one run: it builds networks and takes notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bench import networks
from bench.data import Batch, Dataset
from bench.plugins.base import Harness
from bench.threat.replies import Replies
from bench.worker.image_grid import png
from bench.worker.referee import Referee

Notice = Callable[[int, int, Mapping[str, float]], None]
"""Hears of progress: step, of how many, losses."""


@dataclass(frozen=True)
class Handed:
    """A teacher as it was handed out, and what it replies."""

    copy: nn.Module
    replies: Replies

    def equals(self, network: nn.Module) -> bool:
        """Whether `network` is that teacher still, by its layers and its values."""
        mine, theirs = self.copy.state_dict(), network.state_dict()
        return (
            str(network) == str(self.copy)
            and mine.keys() == theirs.keys()
            and all(torch.equal(mine[name], theirs[name]) for name in mine)
        )


@dataclass
class Desk(Harness):
    """The harness behind one run: builds networks, takes notes."""

    dataset: Dataset
    referee: Referee
    notice: Notice
    precision: str = "fp32"
    compiled: bool = False
    curve: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    samples: bytes | None = None
    subject: nn.Module | None = None
    """The only network whose curve is drawn; None while it is not known."""
    teacher: Handed | None = None
    """The teacher that a defense was given."""

    def build(self, name: str) -> nn.Module:
        """Build the network called `name`, on the device."""
        facts, channels = self.dataset, self.dataset.shape[0]
        network = networks.build(
            name,
            channels,
            len(facts.classes),
            facts.mean,
            facts.std,
            self.precision,
        )
        return self._ready(network, self.referee.device)

    def place(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Let `module` compute on the device as networks do."""
        return self._ready(networks.Mixed(module, precision=self.precision), device)

    def _ready(self, network: nn.Module, device: torch.device) -> nn.Module:
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.compiled:
            network.compile()
        return network

    def answers(self, network: nn.Module) -> Callable[[Batch], Tensor]:
        """From memory, if it is the teacher as it was handed out."""
        if self.teacher is None or not self.teacher.equals(network):
            return super().answers(network)
        replies = self.teacher.replies
        return lambda batch: replies(batch.view)

    def progress(self, step: int, of: int, losses: Mapping[str, float]) -> None:
        """Pass it on."""
        self.notice(step, of, losses)

    def checkpoint(self, student: nn.Module) -> None:
        """Add a point to the curve, if it is the network that this task is about."""
        if self.subject is not None and student is not self.subject:
            return
        self.curve.append(self.referee.point(student))

    def keep(self, images: Tensor) -> None:
        """Make a picture of them."""
        self.samples = png(images)

    def report(self, figures: Mapping[str, float]) -> None:
        """Note the figures."""
        self.figures.update({k: float(v) for k, v in figures.items()})

    def flag(self, word: str) -> None:
        """Note the word once."""
        if str(word) not in self.flags:
            self.flags.append(str(word))
