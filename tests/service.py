"""A teacher behind a counted oracle, that remembers what it was asked."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from bench.threat.grants import HardLabels, SoftLabels
from bench.threat.ledger import Ledger
from bench.threat.replies import Replies


class Service:
    """Answers as `network` does."""

    def __init__(
        self,
        network: nn.Module,
        images: Any = None,
        budget: int | None = None,
        grant: type[SoftLabels] | type[HardLabels] = SoftLabels,
    ) -> None:
        self.network = network
        self.asked: list[Tensor] = []
        self.ledger = Ledger(budget)
        known = None
        if images is not None:
            owned, augment = images._Dealer__images, images._Dealer__augment
            known = Replies(self._answer, owned, augment)
        self.door: Any = grant(self._answer, self.ledger, known)

    @property
    def answered(self) -> int:
        """Images."""
        return sum(map(len, self.asked))

    def _answer(self, images: Tensor) -> Tensor:
        self.asked.append(images)
        return self.network(images).log_softmax(dim=1)
