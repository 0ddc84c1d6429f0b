"""The one training loop."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from bench.data import Batch
from bench.errors import Diverged
from bench.plugins.base import Run
from bench.recipe import Recipe
from bench.threat.grants import SurrogateImages, TrainImages

Loss = Callable[[Batch], Tensor]
"""Maps a batch to a scalar."""


def optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser that `recipe` names, over all parameters of `network`, fused."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            network.parameters(),
            lr=recipe.rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
        fused=True,
    )


def _schedule(steps: torch.optim.Optimizer, recipe: Recipe) -> LRScheduler:
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(steps, T_max=recipe.epochs)
    drops = recipe.milestones if recipe.schedule == "steps" else ()
    return MultiStepLR(steps, milestones=list(drops), gamma=recipe.gamma)


def check_finite(value: float, what: str) -> None:
    """Pass finite numbers.

    Raises:
        Diverged: `value` is NaN or infinite.
    """
    if not isfinite(value):
        raise Diverged(f"{what} became {value}")


def train(
    network: nn.Module,
    images: TrainImages | SurrogateImages,
    loss: Loss,
    run: Run,
    recipe: Recipe | None = None,
    curve: bool = True,
) -> None:
    """Minimise `loss` over `images`, changing `network` in place; it ends in eval mode.

    The loss is read once an epoch, and once an epoch the harness may score the network
    for the diagnostic curve.

    Args:
        network: On `run.device`.
        images: Dealt anew each epoch.
        loss: Computes its own forward pass through `network`.
        run: Its generator draws order and augmentation.
        recipe: In place of `run.recipe`.
        curve: Whether it is the network that the task is about.

    Raises:
        Diverged: the mean loss of an epoch is not finite.
    """
    recipe = recipe or run.recipe
    steps = optimiser(network, recipe)
    schedule = _schedule(steps, recipe)
    for epoch in range(recipe.epochs):
        network.train()
        total = torch.zeros((), device=run.device)
        count = 0
        for batch in images.batches(recipe.batch, run.generator):
            value = loss(batch)
            steps.zero_grad()
            value.backward()
            steps.step()
            total += value.detach()
            count += 1
        schedule.step()
        mean = float(total) / max(count, 1)
        check_finite(mean, f"the loss of epoch {epoch + 1}")
        run.progress(epoch + 1, recipe.epochs, loss=mean)
        network.eval()
        if curve:
            run.checkpoint(network)
    network.eval()
