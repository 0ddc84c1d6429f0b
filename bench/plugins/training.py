"""The one training loop over images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from bench.data import Batch
from bench.plugins.run import Run, check_finite
from bench.recipe import Recipe
from bench.threat.images import SurrogateImages, TrainImages

Loss = Callable[[Batch], Tensor]
"""Maps a batch to a scalar."""


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer that `recipe` names, over all parameters of `network`, fused."""
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            network.parameters(),
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
        fused=True,
    )


def _make_scheduler(optimizer: torch.optim.Optimizer, recipe: Recipe) -> LRScheduler:
    if recipe.lr_schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=recipe.epochs)
    drops = recipe.milestones if recipe.lr_schedule == "steps" else ()
    return MultiStepLR(optimizer, milestones=list(drops), gamma=recipe.gamma)


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
    optimizer = make_optimizer(network, recipe)
    scheduler = _make_scheduler(optimizer, recipe)
    for epoch in range(recipe.epochs):
        network.train()
        total = torch.zeros((), device=run.device)
        count = 0
        for batch in images.batches(recipe.batch_size, run.generator):
            value = loss(batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.detach()
            count += 1
        scheduler.step()
        mean = float(total) / max(count, 1)
        check_finite(mean, f"the loss of epoch {epoch + 1}")
        run.progress(epoch + 1, recipe.epochs, loss=mean)
        network.eval()
        if curve:
            run.checkpoint(network)
    network.eval()
