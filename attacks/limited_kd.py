"""Vanilla knowledge distillation with a share of the training set."""

from __future__ import annotations

from dataclasses import dataclass

from attacks._distillation import Distillation
from bench.options import Fraction


@dataclass(frozen=True)
class LimitedKD(Distillation):
    """Vanilla distillation by an attacker who holds a tenth of the training set.

    Unlike the authors' `fetch_subset_dataloader`, which keeps the first indices of one
    shuffle, the share here is class-balanced and another one for every seed.
    """

    fraction: Fraction = 0.1
    """Share of each class; the study goes from 0.1 to 0.9."""
