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


def dist_loss(student: Tensor, teacher: Tensor, tau: float) -> float:
    """tau^2 (2 - the mean correlation over classes - that over images)."""
    p = [softmax(row, tau) for row in student.tolist()]
    q = [softmax(row, tau) for row in teacher.tolist()]
    rows = [correlation(a, b) for a, b in zip(p, q, strict=True)]
    columns = [
        correlation(list(a), list(b))
        for a, b in zip(zip(*p, strict=True), zip(*q, strict=True), strict=True)
    ]
    return tau**2 * (2 - sum(rows) / len(rows) - sum(columns) / len(columns))


def correlation(a: list[float], b: list[float]) -> float:
    a = [x - sum(a) / len(a) for x in a]
    b = [x - sum(b) / len(b) for x in b]
    return sum(x * y for x, y in zip(a, b, strict=True)) / (norm(a) * norm(b) + 1e-8)


def standardised(logits: Tensor) -> Tensor:
    """Each row less its mean, by its unbiased standard deviation."""
    rows = []
    for row in logits.tolist():
        centre = [z - sum(row) / len(row) for z in row]
        spread = norm(centre) / sqrt(len(row) - 1) + 1e-7
        rows.append([z / spread for z in centre])
    return Tensor(rows).double()


def cross_entropy(logits: Tensor, labels: Tensor) -> float:
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    return sum(-log(softmax(z)[y]) for z, y in rows) / len(logits)


def norm(values: list[float]) -> float:
    return sqrt(sum(v * v for v in values))
