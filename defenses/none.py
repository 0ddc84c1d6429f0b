"""No defense: the control that every other defense is measured against."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bench import Defense, Released, Run, TrainImages


@dataclass(frozen=True)
class NoDefense(Defense):
    """Release the teacher as it is."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        """Return `teacher` untouched."""
        return Released(teacher)
