"""Vanilla knowledge distillation: learn from the teacher's confidences."""

from __future__ import annotations

from dataclasses import dataclass

from attacks._distillation import Distillation


@dataclass(frozen=True)
class VanillaKD(Distillation):
    """Vanilla distillation by an attacker who holds the whole training set."""
