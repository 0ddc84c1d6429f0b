"""How well a student does on images that its attacker holds: no test images here."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor, nn

from bench.data import Images
from bench.plugins.base import Released
from bench.seeds import seeded


def validation(student: nn.Module, images: Images, served: Released) -> float:
    """The share of granted images whose first class is the label, or the teacher's.

    Args:
        student: In eval mode.
        images: On the device, not trained on; without labels where they are -1.
        served: Whom it should agree with where there are no labels.
    """
    wanted = images.labels
    if bool((wanted < 0).any()):
        wanted = firsts(served.reply, images.pixels)
    return float((firsts(student, images.pixels) == wanted).float().mean())


def agreement_by_class(student: nn.Module, pixels: Tensor, named: Tensor) -> float:
    """Mean over the classes in `named` of how often `student` names them too.

    Args:
        student: In eval mode.
        pixels: `(N, C, H, W)`, uint8.
        named: The teacher's first class of each, `(N,)`.
    """
    agrees = (firsts(student, pixels) == named).float()
    return fmean(float(agrees[named == k].mean()) for k in named.unique())


def firsts(ask: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
    """The first class that `ask` names for each of `pixels`, uint8, `(N,)`."""
    size = Images(pixels, pixels).at_once(pixels.device)
    with torch.no_grad(), seeded(0, pixels.device):  # an answer may draw
        parts = [ask(few.float() / 255) for few in pixels.split(size)]
    return torch.cat(parts).argmax(dim=1)
