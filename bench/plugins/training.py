"""The one training loop over images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from bench.data import Batch
from bench.plugins.run import Run, check_finite
from bench.recipe import Recipe
from bench.threat.images import SurrogateImages, TrainImages

Loss = Callable[[Batch], Tensor]
"""Maps a batch to a scalar."""
LOOKS = 30
"""Times that a training of so many steps is looked at."""


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
    """It is stepped once an epoch, or once a step where the length is in steps."""
    if recipe.lr_schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=recipe.steps or recipe.epochs)
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

    At each look, once an epoch or about `LOOKS` times where the recipe's length is in
    steps, the mean loss is read, and the harness may score the network for the
    diagnostic curve.

    Args:
        network: On `run.device`.
        images: Dealt anew each epoch.
        loss: Computes its own forward pass through `network`.
        run: Its generator draws order and augmentation.
        recipe: In place of `run.recipe`.
        curve: Whether it is the network that the task is about.

    Raises:
        Diverged: the mean loss since the last look is not finite.
    """
    recipe = recipe or run.recipe
    optimizer = make_optimizer(network, recipe)
    scheduler = _make_scheduler(optimizer, recipe)
    for place, batches in _stretches(images, recipe, run):
        network.train()
        total = torch.zeros((), device=run.device)
        count = 0
        for batch in batches:
            value = loss(batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if recipe.steps is not None:
                scheduler.step()
            total += value.detach()
            count += 1
        if recipe.steps is None:
            scheduler.step()
        mean = float(total) / max(count, 1)
        unit = "epoch" if recipe.steps is None else "step"
        check_finite(mean, f"the loss of {unit} {place}")
        run.progress(place, recipe.steps or recipe.epochs, loss=mean)
        network.eval()
        if curve:
            run.checkpoint(network)
    network.eval()


def _stretches(
    images: TrainImages | SurrogateImages, recipe: Recipe, run: Run
) -> Iterator[tuple[int, Iterable[Batch]]]:
    """The epoch or the step at each look, and the batches that lead there."""
    if recipe.steps is None:
        for epoch in range(1, recipe.epochs + 1):
            yield epoch, images.batches(recipe.batch_size, run.generator)
        return
    endless = _endless(images, recipe.batch_size, run)
    looks = min(LOOKS, recipe.steps)
    ends = [recipe.steps * look // looks for look in range(looks + 1)]
    for start, end in pairwise(ends):
        yield end, islice(endless, end - start)


def _endless(
    images: TrainImages | SurrogateImages, size: int, run: Run
) -> Iterator[Batch]:
    """One epoch after another."""
    while True:
        yield from images.batches(size, run.generator)
