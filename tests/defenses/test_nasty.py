"""The nasty teacher: its divergence and the direction of it, and what it trains."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import train
from bench.data import Augmentation, Batch, Images, ViewPlan
from bench.errors import Diverged
from bench.plugins.base import Released
from bench.recipe import Recipe
from bench.testing.run import NotedRun
from bench.threat.images import TrainImages
from bench.threat.replies import Replies, Shelf
from bench.worker.harness import Handed
from defenses.nasty import NastyTeacher, divergence

MakeRun = Callable[..., NotedRun]
LONG = Recipe(
    epochs=20, batch_size=16, lr=0.05, lr_schedule="constant", weight_decay=0.0
)


def naive_divergence(nasty: Tensor, adversary: Tensor, tau: float) -> float:
    """The nasty distribution stands first: it is the one that is averaged over."""
    return naive.soft_loss(adversary, nasty, tau)


def logits(count: int, seed: int, scale: float = 5.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, 6, generator=rng, dtype=torch.float64)


def agreement(network: nn.Module, images: Images) -> float:
    guess = network(images.as_float()).argmax(dim=1)
    return float((guess == images.labels).float().mean())


@pytest.fixture
def teacher(make_run: MakeRun, toy_images: Images) -> nn.Module:
    """An ordinary network, trained on the labels."""
    run = make_run(seed=9, recipe=LONG)
    network = run.network("mlp")

    def loss(batch: Batch) -> Tensor:
        return F.cross_entropy(network(batch.pixels), batch.labels)

    train(network, TrainImages(toy_images), loss, run)
    network.zero_grad()
    return network


@pytest.mark.parametrize("tau", [0.5, 1.0, 4.0, 20.0])
def test_the_divergence_equals_a_naive_one(tau: float) -> None:
    nasty, adversary = logits(9, seed=1), logits(9, seed=2)

    got = divergence(nasty, adversary, tau)

    assert float(got) == pytest.approx(naive_divergence(nasty, adversary, tau), 1e-5)


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_its_gradient_is_that_of_the_paper(tau: float) -> None:
    nasty, adversary = logits(5, seed=3).requires_grad_(), logits(5, seed=4)

    divergence(nasty, adversary, tau).backward()

    z, a = nasty.detach().numpy() / tau, adversary.numpy() / tau
    q = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    kl = (q * np.log(q / p)).sum(axis=1, keepdims=True)
    expected = tau * q * (np.log(q / p) - kl) / len(z)
    np.testing.assert_allclose(nasty.grad.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 10.0, 1000.0])
def test_it_is_bounded_by_the_adversarys_least_likely_class(scale: float) -> None:
    tau, adversary = 4.0, logits(8, seed=5)
    least = -(adversary / tau).log_softmax(dim=1).min(dim=1).values

    for seed in range(20):
        nasty = logits(8, seed=100 + seed, scale=scale)
        for z, a, most in zip(nasty, adversary, least, strict=True):
            got = float(divergence(z[None], a[None], tau))
            assert 0 <= got <= tau**2 * float(most) + 1e-9
    sure = torch.full_like(adversary[:1], -1e6)
    sure[0, adversary[0].argmin()] = 0.0
    reached = float(divergence(sure, adversary[:1], tau))
    assert reached == pytest.approx(tau**2 * float(least[0]))


def test_it_releases_a_new_network_and_leaves_the_teacher_as_it_was(
    make_run: MakeRun, toy_images: Images, teacher: nn.Module
) -> None:
    before = deepcopy(teacher.state_dict())
    seen: list[tuple[bool, bool]] = []
    teacher.train().register_forward_hook(
        lambda module, _, out: seen.append((module.training, out.requires_grad))
    )

    released = NastyTeacher(omega=1.0).protect(
        teacher, TrainImages(toy_images), make_run()
    )

    assert released.network is not teacher
    assert released.answer is None
    assert not released.network.training
    assert not torch.equal(released.network[1].weight, teacher[1].weight)
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert set(seen) == {(False, False)}, "the adversary is held still, in eval mode"
    assert all(p.grad is None for p in teacher.parameters())


@pytest.mark.parametrize("omega", [0.0, 0.3])
def test_it_follows_the_plainest_loop_from_fresh_weights(
    omega: float, make_run: MakeRun, toy_images: Images, teacher: nn.Module
) -> None:
    run = make_run(recipe=replace(LONG, epochs=3))
    images = TrainImages(toy_images, Augmentation(pad=2, flip=True))
    ours = NastyTeacher(omega=omega, tau=2.0).protect(teacher, images, run).network

    again = make_run()
    plain = again.network("mlp")
    sgd = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9)
    for _ in range(3):
        for batch in images.batches(16, again.generator):
            z_t, z_a = plain(batch.pixels), teacher(batch.pixels).detach()
            q, p = (z_t / 2).softmax(dim=1), (z_a / 2).softmax(dim=1)
            apart = 4 * (q * (q.log() - p.log())).sum(dim=1).mean()
            sgd.zero_grad()
            (F.cross_entropy(z_t, batch.labels) - omega * apart).backward()
            sgd.step()

    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


def test_replies_from_memory_train_what_live_ones_train(
    make_run: MakeRun, toy_images: Images, teacher: nn.Module, tmp_path: Path
) -> None:
    augment = Augmentation(pad=1)
    schedule = ViewPlan(augment, seed=0)
    calls: list[int] = []
    before = Released(deepcopy(teacher))
    shelf = Shelf(tmp_path, schedule, horizon=3, classes=4)
    memory = Replies(before.reply, toy_images, augment, shelf)
    handed = Handed(teacher, memory)
    teacher.register_forward_hook(lambda *_: calls.append(1))

    def answers(network: nn.Module) -> Callable[[Batch], Tensor]:
        assert handed.equals(network)
        return lambda batch: memory(batch.view)

    released = []
    for answering in (None, answers):
        run = make_run(seed=1)
        if answering:
            object.__setattr__(run, "answers", answering)
        images = TrainImages(toy_images, augment, schedule)
        released.append(NastyTeacher(omega=0.1).protect(teacher, images, run))

    live, remembered = released
    for name, value in live.network.state_dict().items():
        torch.testing.assert_close(remembered.network.state_dict()[name], value)
    # Nine batches live; and once each for the figure at the end.
    assert len(calls) == 9 + 1 + 1


def test_another_adversary_is_trained_and_then_held_against(
    make_run: MakeRun, toy_images: Images, teacher: nn.Module
) -> None:
    calls: list[int] = []
    teacher.register_forward_hook(lambda *_: calls.append(1))
    run = make_run(recipe=LONG)

    released = NastyTeacher(omega=0.1, adversary="line").protect(
        teacher, TrainImages(toy_images), run
    )

    assert [name for name, _ in run.built] == ["line", "mlp"]
    rival, nasty = (network for _, network in run.built)
    assert released.network is nasty
    assert agreement(rival, toy_images) > 0.9
    assert calls == []
    pixels = toy_images.as_float()
    expected = divergence(nasty(pixels), rival(pixels), 4.0).detach()
    assert run.figures["tau2_kl"] == pytest.approx(float(expected), rel=1e-4)


def test_it_reports_the_final_divergence_over_the_plain_training_images(
    make_run: MakeRun, toy_images: Images, teacher: nn.Module
) -> None:
    images, run = TrainImages(toy_images, Augmentation(pad=2)), make_run(recipe=LONG)

    released = NastyTeacher(omega=0.1, tau=3.0).protect(teacher, images, run)

    with torch.no_grad():
        z_t = released.network.eval()(toy_images.as_float()).double()
        z_a = teacher.eval()(toy_images.as_float()).double()
    expected = naive_divergence(z_t, z_a, 3.0)
    assert run.figures.keys() == {"tau2_kl"}
    assert run.figures["tau2_kl"] == pytest.approx(expected, rel=1e-4)


def test_a_loss_of_nan_ends_as_diverged(
    make_run: MakeRun, toy_images: Images, teacher: nn.Module
) -> None:
    with torch.no_grad():
        teacher[1].weight.fill_(float("nan"))

    with pytest.raises(Diverged, match="epoch 1 became nan"):
        NastyTeacher().protect(teacher, TrainImages(toy_images), make_run())
