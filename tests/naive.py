"""Second implementations of the formulas that several plugins share, in plain loops."""

from __future__ import annotations

from math import exp, log, sqrt

from torch import Tensor


def softmax(logits: list[float], tau: float = 1.0) -> list[float]:
    raised = [exp(z / tau) for z in logits]
    return [r / sum(raised) for r in raised]


def soft_loss(student: Tensor, teacher: Tensor, tau: float) -> float:
    """tau^2 KL(teacher || student), mean over the batch."""
    total = 0.0
    for z_student, z_teacher in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = softmax(z_teacher, tau), softmax(z_student, tau)
        total += sum(a * log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
    return tau**2 * total / len(student)


def cross_entropy(logits: Tensor, labels: Tensor) -> float:
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    return sum(-log(softmax(z)[y]) for z, y in rows) / len(logits)


def norm(values: list[float]) -> float:
    return sqrt(sum(v * v for v in values))
