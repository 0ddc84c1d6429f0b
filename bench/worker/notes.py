"""What a task tells while it runs: its curve, its figures, its flags, its samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Tell = Callable[[int, int, Mapping[str, float]], None]
"""Receives progress: step, of how many, losses."""


@dataclass
class Notes:
    """One task's, kept whatever becomes of it."""

    tell: Tell
    curve: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    made: Tensor | None = None
    """Images that the attack kept, `(N, C, H, W)`, uint8 on the CPU."""
    classes: int | None = None
    """Of the data set, once it is loaded."""

    def report(self, figures: Mapping[str, float]) -> None:
        """Note the figures; a later value replaces an earlier one."""
        self.figures.update({k: float(v) for k, v in figures.items()})

    def flag(self, word: str) -> None:
        """Note the word once."""
        if str(word) not in self.flags:
            self.flags.append(str(word))

    @property
    def best_accuracy(self) -> float | None:
        """The highest finite point of the curve."""
        return max(filter(isfinite, self.curve), default=None)


def now_and_then(tell: Tell, every: float = 0.5) -> Tell:
    """`tell` at most once in `every` seconds, and always the last."""
    heard = 0.0

    def told(step: int, of: int, losses: Mapping[str, float]) -> None:
        nonlocal heard
        now = time.monotonic()
        if now - heard >= every or step == of:
            heard = now
            tell(step, of, losses)

    return told
