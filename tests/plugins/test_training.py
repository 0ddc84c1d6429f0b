"""The one training loop: schedules, optimisers, divergence, repetition."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, inf, nan, pi
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data import Augmentation, Batch, Images
from bench.errors import Diverged
from bench.plugins.run import check_finite
from bench.plugins.training import make_optimizer, train
from bench.recipe import Recipe
from bench.testing.run import NotedRun
from bench.threat.images import TrainImages


@dataclass(frozen=True)
class Notebook(NotedRun):
    """Remembers the network at each checkpoint as well."""

    states: list[dict[str, Tensor]] = field(default_factory=list)

    def checkpoint(self, student: nn.Module) -> None:
        super().checkpoint(student)
        state = student.state_dict()
        self.states.append({k: v.detach().clone() for k, v in state.items()})


class Slope(nn.Module):
    """One number; with itself as the loss, every gradient is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.zeros((), dtype=torch.float64))


def run(recipe: Recipe, seed: int = 0) -> Notebook:
    return Notebook(
        shape=(1, 2, 2),
        classes=3,
        seed=seed,
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(seed),
        recipe=recipe,
    )


def steady(**fields: Any) -> Recipe:
    """No momentum, no decay, a constant rate; but for `fields`."""
    known = {"momentum": 0.0, "weight_decay": 0.0, "lr_schedule": "constant"}
    return Recipe(**{**known, **fields})


def images(count: int = 12) -> Images:
    pixels = torch.randint(
        256, (count, 1, 2, 2), generator=torch.Generator().manual_seed(0)
    )
    return Images(pixels.to(torch.uint8), torch.arange(count) % 3)


def falls(recipe: Recipe, count: int = 2) -> list[float]:
    """How far each epoch over `count` images moves a number whose gradient is 1."""
    slope, notes = Slope(), run(recipe)
    train(slope, TrainImages(images(count)), lambda _: slope.height, notes)
    heights = [0.0, *(float(state["height"]) for state in notes.states)]
    return [before - after for before, after in pairwise(heights)]


def learner(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)
    )


def gathered(nesterov: bool) -> list[float]:
    """The moves of SGD with momentum 0.9 and rate 0.1, by torch's formula."""
    moves, velocity = [], 0.0
    for _ in range(5):
        velocity = 0.9 * velocity + 1
        moves.append(0.1 * (1 + 0.9 * velocity if nesterov else velocity))
    return moves


def decayed() -> list[float]:
    """The moves of rate 0.1 under a weight decay of 0.5."""
    moves, height = [], 0.0
    for _ in range(4):
        moves.append(0.1 * (1 + 0.5 * height))
        height -= moves[-1]
    return moves


@pytest.mark.parametrize(
    ("recipe", "moves"),
    [
        (
            steady(epochs=8, lr=0.4, lr_schedule="cosine"),
            [0.2 * (1 + cos(pi * epoch / 8)) for epoch in range(8)],
        ),
        (
            steady(epochs=6, lr=0.5, lr_schedule="steps", milestones=(2, 5), gamma=0.1),
            [0.5, 0.5, 0.05, 0.05, 0.05, 0.005],
        ),
        (steady(epochs=4, lr=0.3, milestones=(1, 2)), [0.3] * 4),
        (steady(epochs=5, lr=0.1, momentum=0.9), gathered(nesterov=False)),
        (steady(epochs=5, lr=0.1, momentum=0.9, nesterov=True), gathered(True)),
        (steady(epochs=4, lr=0.1, weight_decay=0.5), decayed()),
        (steady(epochs=4, optimizer="adam", lr=0.01), [0.01] * 4),
    ],
    ids=["cosine", "steps", "constant", "momentum", "nesterov", "decay", "adam"],
)
def test_a_recipe_moves_a_number_as_its_formula_says(
    recipe: Recipe, moves: list[float]
) -> None:
    assert falls(recipe) == pytest.approx(moves, rel=1e-6)


def test_adam_keeps_its_own_momentum() -> None:
    recipe = Recipe(optimizer="adam", lr=0.002, momentum=0.8, weight_decay=0.01)

    [group] = make_optimizer(learner(), recipe).param_groups

    assert group["betas"] == (0.9, 0.999)
    assert (group["lr"], group["weight_decay"]) == (0.002, 0.01)


def test_training_follows_the_plainest_loop() -> None:
    recipe = Recipe(epochs=3, batch_size=5, lr=0.1, lr_schedule="cosine")
    owned, augment = images(12), Augmentation(pad=1)
    plain, own = learner(), learner()

    def loss(batch: Batch) -> Tensor:
        return F.cross_entropy(own(batch.pixels), batch.labels)

    train(own, TrainImages(owned, augment), loss, run(recipe, seed=3))

    draws = torch.Generator().manual_seed(3)
    sgd = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    for epoch in range(3):
        for group in sgd.param_groups:
            group["lr"] = 0.05 * (1 + cos(pi * epoch / 3))
        for batch in owned.batches(5, augment, draws):
            sgd.zero_grad()
            F.cross_entropy(plain(batch.pixels), batch.labels).backward()
            sgd.step()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(own.state_dict()[name], value)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_one_batch_that_is_not_finite_stops_training_and_its_epoch_is_named(
    value: float,
) -> None:
    slope, notes = Slope(), run(steady(epochs=4, batch_size=4))
    values = iter([1.0] * 3 + [1.0, value, 1.0] + [1.0] * 6)

    def loss(_: Batch) -> Tensor:
        return slope.height * 0 + next(values)

    with pytest.raises(Diverged, match=rf"^the loss of epoch 2 became {value}$"):
        train(slope, TrainImages(images(12)), loss, notes)

    assert [step for step, _, _ in notes.told] == [1]
    assert notes.modes == [False]


def test_numbers_that_are_not_finite_are_told_with_what_they_are() -> None:
    for value in (0.0, -1.0, 1e30):
        check_finite(value, "the loss")
    for value in (nan, inf, -inf):
        with pytest.raises(Diverged, match=f"^the generator's loss became {value}$"):
            check_finite(value, "the generator's loss")


def test_the_checkpoint_is_called_once_an_epoch_in_eval_mode() -> None:
    network, notes = learner().eval(), run(Recipe(epochs=3, batch_size=4))
    modes: list[bool] = []

    def loss(batch: Batch) -> Tensor:
        modes.extend(module.training for module in network.modules())
        return F.cross_entropy(network(batch.pixels), batch.labels)

    train(network, TrainImages(images()), loss, notes)

    assert all(modes), "the loss sees train mode"
    assert notes.modes == [False, False, False]
    last = notes.states[-1]
    assert all(torch.equal(last[k], v) for k, v in network.state_dict().items())
    assert not any(module.training for module in network.modules())


def test_progress_is_the_mean_loss_of_every_epoch_with_a_curve_or_without() -> None:
    slope, notes = Slope(), run(Recipe(epochs=2, batch_size=4))
    values = iter([1.0, 2.0, 6.0, 0.0, 0.0, 3.0])

    def loss(_: Batch) -> Tensor:
        return slope.height * 0 + next(values)

    train(slope, TrainImages(images(12)), loss, notes, curve=False)

    assert notes.told == [(1, 2, {"loss": 3.0}), (2, 2, {"loss": 1.0})]
    assert (notes.modes, slope.training) == ([], False)


def test_a_recipe_that_is_passed_stands_above_the_runs() -> None:
    slope, notes = Slope(), run(Recipe(epochs=9))
    recipe = steady(epochs=2, lr=0.25)

    train(slope, TrainImages(images(2)), lambda _: slope.height, notes, recipe)

    assert [of for _, of, _ in notes.told] == [2, 2]
    assert slope.height.item() == pytest.approx(-0.5)


@pytest.mark.parametrize("count", [2, 5, 30])
def test_a_length_in_steps_is_the_same_for_few_images_and_for_many(count: int) -> None:
    recipe = Recipe(
        steps=40,
        batch_size=4,
        lr=0.4,
        momentum=0.0,
        weight_decay=0.0,
        lr_schedule="cosine",
    )
    slope, notes = Slope(), run(recipe)

    train(slope, TrainImages(images(count)), lambda _: slope.height, notes)

    expected = -sum(0.2 * (1 + cos(pi * step / 40)) for step in range(40))
    assert float(slope.height.detach()) == pytest.approx(expected)
    assert [step for step, _, _ in notes.told][-2:] == [38, 40]
    assert len(notes.states) == 30


@pytest.mark.parametrize(
    ("images", "epochs"), [(64, 10), (65, 10), (66, 5), (1, 10), (640, 1), (20, 10)]
)
def test_steps_are_so_many_epochs(images: int, epochs: int) -> None:
    assert Recipe(steps=10, batch_size=64).epochs_of(images) == epochs


def test_a_recipe_in_steps_can_be_made_longer() -> None:
    recipe = Recipe(steps=10, milestones=(4, 8))

    assert recipe.longer(3) == Recipe(steps=30, milestones=(12, 24))
    assert recipe.longer(1) is recipe
    with pytest.raises(ValueError, match="in epochs cannot be made longer"):
        Recipe(epochs=3).longer(2)
