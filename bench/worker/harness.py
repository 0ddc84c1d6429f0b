"""The run that a plugin meets: it builds networks, answers, and takes notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bench.data import Batch
from bench.networks.catalogue import Network, find
from bench.plugins.run import Run, answers_of
from bench.threat.replies import Replies
from bench.worker.notes import Notes

KEPT = 512
"""Images that are kept of an attack that makes some."""


@dataclass(frozen=True)
class Handed:
    """A teacher as it was handed to a defense, and its replies."""

    copy: nn.Module
    replies: Replies

    def equals(self, network: nn.Module) -> bool:
        """Whether `network` is that teacher still, by its layers and its values."""
        own, theirs = self.copy.state_dict(), network.state_dict()
        return (
            str(network) == str(self.copy)
            and own.keys() == theirs.keys()
            and all(torch.equal(own[name], theirs[name]) for name in own)
        )


@dataclass(frozen=True)
class TaskRun(Run):
    """The run of one task."""

    _build: Callable[[Network], nn.Module] = field(repr=False, kw_only=True)
    """Builds a network for the task's images and classes, on its device."""
    _settle: Callable[[nn.Module], nn.Module] = field(repr=False, kw_only=True)
    """Lets a module of the plugin's own compute as networks do."""
    _score: Callable[[nn.Module], float] | None = field(repr=False, kw_only=True)
    """Test accuracy, for the diagnostic curve alone: plugins are told nothing. None
    draws no curve."""
    _notes: Notes = field(repr=False, kw_only=True)
    _subject: nn.Module | None = field(default=None, repr=False, kw_only=True)
    """The only network whose curve is drawn; None while it is not known."""
    _handed: Handed | None = field(default=None, repr=False, kw_only=True)
    """The teacher that a defense was given."""

    def network(self, name: str) -> nn.Module:
        """A freshly initialised network on the device.

        Raises:
            UnknownName: no network is called `name`.
        """
        return self._build(find(name))

    def place(self, module: nn.Module) -> nn.Module:
        """`module` on the device, computing as networks do here."""
        return self._settle(module)

    def answers(self, network: nn.Module) -> Callable[[Batch], Tensor]:
        """From memory, if it is the teacher as it was handed out."""
        if self._handed is None or not self._handed.equals(network):
            return answers_of(network)
        replies = self._handed.replies
        return lambda batch: replies(batch.view)

    def progress(self, step: int, of: int, **losses: float) -> None:
        """Pass it on."""
        self._notes.tell(step, of, losses)

    def checkpoint(self, student: nn.Module) -> None:
        """Add a point to the curve, if it is the network that this task is about."""
        if self._score is None:
            return
        if self._subject is None or student is self._subject:
            self._notes.curve.append(self._score(student))

    def keep(self, images: Tensor) -> None:
        """Note the first of them as they would be sent, in whole grey levels."""
        few = images[:KEPT].detach().float().clamp(0, 1)
        self._notes.made = few.mul(255).round().to(torch.uint8).cpu()

    def report(self, **figures: float) -> None:
        """Note the figures."""
        self._notes.report(figures)

    def flag(self, word: str) -> None:
        """Note the word once."""
        self._notes.flag(word)
