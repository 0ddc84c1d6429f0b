"""What a randomised service replied first, remembered by view."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.data import Augmentation, Images
from bench.threat.replies import Answer


@dataclass
class FirstReplies:
    """The first reply of one service to each view of one set of images.

    An attacker remembers what it was told. So an image is billed once and answered
    once, and asking again does not average the noise away. It takes 4 K bytes of memory
    a view that was asked about. Images that no grant dealt have no view: equal pixels
    are not recognised, and asked about again they are billed and answered anew.
    """

    answer: Answer
    images: Images
    augment: Augmentation

    _row: Tensor = field(init=False)
    """Where the reply to each view stands, `(views,)`; -1 where there is none yet."""
    _replies: Tensor | None = field(default=None, init=False)
    """The replies so far, `(rows, K)`; the last rows are spare."""
    _count: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        device = self.images.labels.device
        self._row = torch.full((self.views,), -1, dtype=torch.long, device=device)

    @property
    def views(self) -> int:
        """How many views there are."""
        return len(self.images) * self.augment.codes

    def __call__(self, view: Tensor) -> Tensor:
        """Log-probabilities `(B, K)` for each `view` in `(B,)`."""
        met = view[self._row[view] < 0].tolist()
        # In the order of asking, each once: what is asked first may matter.
        new = torch.tensor(list(dict.fromkeys(met)), dtype=view.dtype).to(view.device)
        known = self._replies
        if len(new) or known is None:
            known = self._keep(new, self.answer(self.images.seen(new, self.augment)))
        return known[self._row[view]]

    def _keep(self, view: Tensor, replies: Tensor) -> Tensor:
        """Remember `replies` `(B, K)` to `view` `(B,)`; returns all there are."""
        end = self._count + len(view)
        known = replies[:0] if self._replies is None else self._replies
        if end > len(known):  # twice as much, so that copies stay rare
            spare = replies.new_empty(2 * end - len(known), replies.shape[1])
            known = torch.cat([known, spare])
        known[self._count : end] = replies
        self._row[view] = torch.arange(self._count, end, device=view.device)
        self._replies, self._count = known, end
        return known
