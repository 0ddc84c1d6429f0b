"""Accuracy, agreement, divergence and calibration of replies.

Shapes: N images, K classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BINS = 15
"""Of the calibration error, as in https://arxiv.org/abs/1706.04599."""


def accuracy(replies: Tensor, labels: Tensor) -> float:
    """Share of rows of `(N, K)` whose largest entry stands at its label in `(N,)`."""
    return float((replies.argmax(dim=1) == labels).float().mean())


def agreement(first: Tensor, second: Tensor) -> float:
    """Share of rows in which two replies `(N, K)` name the same class."""
    return accuracy(first, second.argmax(dim=1))


def first_classes(replies: Tensor) -> bytes:
    """The column `predictions` for replies `(N, K)`."""
    small = "<u1" if replies.shape[1] <= 256 else "<u2"
    return replies.argmax(dim=1).cpu().numpy().astype(small).tobytes()


def right_bits(replies: Tensor, labels: Tensor) -> bytes:
    """The column `correct` for replies `(N, K)` to images of `labels` `(N,)`."""
    right = (replies.argmax(dim=1) == labels).cpu().numpy()
    return np.packbits(right).tobytes()


def divergence(teacher: Tensor, student: Tensor) -> float:
    """Mean KL(teacher || student) of log-probabilities `(N, K)`, in nats.

    A class that the teacher rules out (log 0) adds nothing.
    """
    terms = teacher.exp() * (teacher - student)  # (N, K)
    return float(terms.where(teacher.isfinite(), 0).sum(dim=1).mean())


def calibration_error(log_probs: Tensor, labels: Tensor) -> float:
    """Expected calibration error: mean |confidence - accuracy| over `BINS` bins.

    Bins of confidence have equal width and count by the share of images in them.
    """
    confidence, guess = log_probs.exp().max(dim=1)  # (N,), (N,)
    right = (guess == labels).float()
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    gap = torch.zeros(BINS, device=bins.device).scatter_add(0, bins, confidence - right)
    return float(gap.abs().sum()) / len(labels)
