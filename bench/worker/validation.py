"""How well a student does on images that its attacker holds: no test images here."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor, nn

from bench.data import Augmentation, Images
from bench.plugins.base import Released
from bench.seeds import seeded

VIEWS = 9
"""Views of a labelled image that count: few images tell little by themselves."""


def validation(
    student: nn.Module, images: Images, served: Released, augment: Augmentation
) -> float:
    """The share of granted images whose first class is the label, or the teacher's.

    Labelled images are often few, and a student may be right about all of them: each
    counts in up to `VIEWS` of the views that training shows. Other images count as
    they are, for each view would be a query.

    Args:
        student: In eval mode.
        images: On the device, not trained on; without labels where they are -1.
        served: Whom it should agree with where there are no labels.
        augment: What makes views of the data set's images.
    """
    pixels, wanted = images.pixels, images.labels
    if bool((wanted < 0).any()):
        wanted = firsts(served.reply, pixels)
    else:
        pixels, wanted = _in_views(images, augment)
    return float((firsts(student, pixels) == wanted).float().mean())


def _in_views(images: Images, augment: Augmentation) -> tuple[Tensor, Tensor]:
    """Some views of all `images`, uint8, and their labels; always the same views."""
    order = torch.randperm(augment.codes, generator=torch.Generator().manual_seed(0))
    codes = order[:VIEWS].to(images.labels.device)
    rows = torch.arange(len(images), device=codes.device)
    views = (rows[None] * augment.codes + codes[:, None]).flatten()
    seen = images.seen(views, augment).mul(255).round().to(torch.uint8)
    return seen, images.labels.repeat(len(codes))


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
