"""DAFL: the generator's loss and shape, who steps when, collapse, and learning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import exp, log10
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from attacks import dafl
from attacks._distillation import soft_loss
from attacks._generator import Generator
from attacks.dafl import DAFL, generator_loss
from bench.data import Images
from bench.errors import Skipped
from bench.plugins.run import Run
from bench.threat.grants import Weights
from bench.threat.images import NoImages

MakeRun = Callable[..., Run]
BRIEF = {"iterations": 3, "batch_size": 16, "latent": 8, "width": 8}


def naive_terms(logits: np.ndarray, features: np.ndarray) -> tuple[float, float, float]:
    """L_oh, L_ie and L_a of the paper."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    typical = -sum(log10(row.max()) for row in p) / log10(exp(1)) / len(p)
    mean = [sum(row[k] for row in p) / len(p) for k in range(p.shape[1])]
    spread = sum(m * log10(m) for m in mean)
    active = -sum(abs(f) for row in features for f in row) / features.size
    return typical, spread, active


def draw(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=rng, dtype=torch.float64)


def certain(classes: list[int], of: int = 4) -> Tensor:
    """Logits that put each image into one class."""
    logits = torch.full((len(classes), of), -1000.0)
    logits[range(len(classes)), classes] = 0.0
    return logits


def linear(weight: Tensor, bias: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return nn.Sequential(nn.Flatten(), layer).eval()


def steal(run: Run, teacher: nn.Module, **options: float) -> nn.Module:
    student = run.network("mlp")
    DAFL(**{**BRIEF, **options}).steal(student, Weights(teacher), NoImages(), run)
    return student


Step = tuple[torch.optim.Optimizer, list[Tensor | None]]


@pytest.fixture
def steps() -> Iterator[list[Step]]:
    """Every make_optimizer step of the test: who stepped, and the gradients it had."""
    seen: list[Step] = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        gradients = [p.grad for g in optimizer.param_groups for p in g["params"]]
        seen.append((optimizer, [None if g is None else g.clone() for g in gradients]))

    handle = register_optimizer_step_pre_hook(note)
    yield seen
    handle.remove()


def test_the_generators_loss_equals_a_naive_one() -> None:
    logits, features = draw(9, 5), draw(9, 7, seed=1)

    got = generator_loss(logits, features, 0.05, 5.0, 0.01)

    typical, spread, active = naive_terms(logits.numpy(), features.numpy())
    expected = 0.05 * typical + 5.0 * spread + 0.01 * active
    assert float(got) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("weights", "term"), [((2, 0, 0), 0), ((0, 2, 0), 1), ((0, 0, 2), 2)]
)
def test_each_term_equals_a_naive_one(weights: tuple[int, int, int], term: int) -> None:
    logits, features = draw(6, 4, seed=2), draw(6, 3, seed=3)

    got = generator_loss(logits, features, *weights)

    expected = 2 * naive_terms(logits.numpy(), features.numpy())[term]
    assert float(got) == pytest.approx(expected, abs=1e-5)


def test_the_entropy_term_is_least_for_a_uniform_mean_prediction() -> None:
    uniform = generator_loss(certain([0, 1, 2, 3]), torch.zeros(4, 1), 0, 1, 0)

    others = [
        generator_loss(draw(4, 4, seed=s), torch.zeros(1), 0, 1, 0) for s in range(9)
    ]

    assert float(uniform) == pytest.approx(-log10(4))
    assert all(float(uniform) < float(other) < 0 for other in others)


def test_the_entropy_term_is_zero_for_a_single_class() -> None:
    got = generator_loss(certain([2, 2, 2]), torch.zeros(3, 1), 0, 1, 0)

    assert float(got) == 0.0


def test_a_class_that_no_image_is_put_into_leaves_the_gradient_finite() -> None:
    logits = certain([2, 1, 2]).requires_grad_()

    generator_loss(logits, torch.zeros(3, 1), 0, 1, 0).backward()

    assert bool(logits.grad.isfinite().all())


def test_the_one_hot_term_rewards_certainty_whatever_the_class() -> None:
    sure = generator_loss(certain([0, 3, 1]), torch.zeros(3, 1), 1, 0, 0)
    unsure = generator_loss(torch.zeros(3, 4), torch.zeros(3, 1), 1, 0, 0)

    assert float(sure) == 0.0
    assert float(unsure) == pytest.approx(np.log(4))


@pytest.mark.parametrize("size", [8, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_generator_draws_from_a_quarter_of_the_size(
    size: int, channels: int
) -> None:
    generator = Generator(5, (channels, size, size), width=6)

    images = generator(torch.randn(3, 5))

    assert generator.start[1:] == (size // 4, size // 4)
    assert images.shape == (3, channels, size, size)
    assert float(images.detach().min()) >= 0.0
    assert float(images.detach().max()) <= 1.0


def test_the_generator_draws_images_that_are_not_square() -> None:
    images = Generator(5, (2, 8, 12), width=4)(torch.randn(3, 5))

    assert images.shape == (3, 2, 8, 12)


@pytest.mark.parametrize("size", [8, 32])
def test_the_generators_width_is_the_one_asked_for(size: int) -> None:
    layers = [
        m
        for m in Generator(5, (3, size, size), width=10).modules()
        if isinstance(m, nn.Conv2d)
    ]

    channels = [(layer.in_channels, layer.out_channels) for layer in layers]
    assert channels == [(10, 10), (10, 5), (5, 3)]


def test_the_generator_is_as_large_as_the_official_one() -> None:
    generator = Generator(1000, (3, 32, 32))

    parameters = sum(p.numel() for p in generator.parameters())
    spread = (1000 + 1) * 128 * 8 * 8
    convolutions = 128 * 128 * 9 + 128 + 128 * 64 * 9 + 64 + 64 * 3 * 9 + 3
    norms = 2 * (128 + 128 + 64 + 3)
    assert parameters == spread + convolutions + norms


def test_more_contrast_is_closer_to_black_and_white() -> None:
    torch.manual_seed(0)
    noise = torch.randn(16, 5)

    grey = Generator(5, (1, 8, 8), 8, contrast=1.0)(noise)
    stark = Generator(5, (1, 8, 8), 8, contrast=8.0)(noise)

    far = [float((x - 0.5).abs().mean().detach()) for x in (grey, stark)]
    assert far[0] < 0.25 < 0.4 < far[1]


def test_both_networks_step_once_an_iteration(
    make_run: MakeRun, toy_teacher: nn.Module, steps: list[Step]
) -> None:
    steal(make_run(), toy_teacher, iterations=7)

    assert Counter(type(who).__name__ for who, _ in steps) == {"Adam": 7, "SGD": 7}


def test_the_students_rate_drops_at_40_and_80_percent(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    rates: list[tuple[str, float]] = []
    handle = register_optimizer_step_pre_hook(
        lambda o, *_: rates.append((type(o).__name__, o.param_groups[0]["lr"]))
    )

    steal(make_run(), toy_teacher, iterations=10, student_lr=0.5)
    handle.remove()

    student = [rate for name, rate in rates if name == "SGD"]
    assert student == pytest.approx([0.5] * 4 + [0.05] * 4 + [0.005] * 2)
    assert [rate for name, rate in rates if name == "Adam"] == [0.02] * 10


def test_the_students_loss_sends_no_gradient_to_the_generator(
    make_run: MakeRun, toy_teacher: nn.Module, steps: list[Step]
) -> None:
    steal(make_run(), toy_teacher, one_hot=0.0, entropy=0.0, activation=0.0)

    generators = [grads for who, grads in steps if isinstance(who, torch.optim.Adam)]
    students = [grads for who, grads in steps if isinstance(who, torch.optim.SGD)]
    assert not any(bool(g.any()) for grads in generators for g in grads)
    assert all(bool(grads[0].any()) for grads in students)


def test_the_generator_draws_the_same_whoever_the_student_is(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    students, samples = [], []

    for rate in (0.1, 1e-6):
        run = make_run()
        students.append(steal(run, toy_teacher, student_lr=rate))
        samples += run.kept

    assert torch.equal(*samples)
    assert not torch.equal(students[0][1].weight, students[1][1].weight)


def test_a_gradient_of_the_generator_is_gone_after_its_step(
    make_run: MakeRun,
    toy_teacher: nn.Module,
    steps: list[Step],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def once(*arguments: Any) -> Tensor:
        calls.append(1)
        return generator_loss(*arguments) * (len(calls) == 1)

    monkeypatch.setattr(dafl, "generator_loss", once)
    steal(make_run(), toy_teacher, iterations=2)

    first, second = (g for who, g in steps if isinstance(who, torch.optim.Adam))
    assert any(bool(g.any()) for g in first)
    assert not any(bool(g.any()) for g in second)


def test_the_noise_comes_from_the_runs_own_generator(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    samples = []

    for seed in (0, 1):
        run = make_run()
        run.generator.manual_seed(seed)
        steal(run, toy_teacher)
        samples += run.kept

    assert not torch.equal(*samples)


def test_the_generators_loss_sends_no_gradient_to_the_student(
    make_run: MakeRun, toy_teacher: nn.Module, steps: list[Step]
) -> None:
    untaught = make_run().network("mlp").train()
    weights = {"one_hot": 100.0, "entropy": 100.0, "activation": 100.0}
    run = make_run()

    steal(run, toy_teacher, iterations=1, **weights)

    made = run.kept[0]
    learn = soft_loss(untaught(made), toy_teacher(made).detach(), tau=1.0)
    expected = torch.autograd.grad(learn, list(untaught.parameters()))
    (got,) = (grads for who, grads in steps if isinstance(who, torch.optim.SGD))
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_it_reports_and_flags_a_collapse_into_one_class(make_run: MakeRun) -> None:
    run = make_run()
    stubborn = linear(torch.zeros(4, 64), torch.tensor([50.0, 0.0, 0.0, 0.0]))

    steal(run, stubborn)

    assert run.figures["class_entropy"] == pytest.approx(0.0, abs=1e-6)
    assert run.flags == ["collapsed"]


def test_it_reports_and_does_not_flag_an_even_spread(make_run: MakeRun) -> None:
    run = make_run()

    steal(run, linear(torch.zeros(4, 64), torch.zeros(4)))

    assert run.figures["class_entropy"] == pytest.approx(1.0)
    assert run.flags == []


@pytest.mark.parametrize(("liked", "flags"), [(2, ["collapsed"]), (4, [])])
def test_it_flags_less_than_half_of_the_possible_entropy(
    liked: int, flags: list[str], make_run: MakeRun
) -> None:
    bias = torch.tensor([50.0] * liked + [0.0] * (8 - liked))
    run = make_run(classes=8)
    student = linear(torch.zeros(8, 64), torch.zeros(8))

    DAFL(**BRIEF).steal(
        student, Weights(linear(torch.zeros(8, 64), bias)), NoImages(), run
    )

    entropy = log10(liked) / log10(8)
    assert run.figures["class_entropy"] == pytest.approx(entropy, abs=1e-5)
    assert run.flags == flags


def test_it_keeps_samples_for_the_site(
    make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    run = make_run()

    steal(run, toy_teacher)

    (samples,) = run.kept
    assert samples.shape == (16, 1, 8, 8)
    assert not samples.requires_grad
    assert 0.0 <= float(samples.min()) < float(samples.max()) <= 1.0


@pytest.mark.parametrize("shape", [(1, 8, 10), (1, 9, 8), (3, 30, 30)])
def test_it_declines_sizes_that_are_no_multiple_of_4(
    shape: tuple[int, int, int], make_run: MakeRun, toy_teacher: nn.Module
) -> None:
    with pytest.raises(Skipped, match="multiple of 4"):
        steal(make_run(shape=shape), toy_teacher)


def test_it_declines_a_teacher_without_a_linear_layer(make_run: MakeRun) -> None:
    teacher = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()

    with pytest.raises(Skipped, match="no linear layer"):
        steal(make_run(), teacher)


def test_the_student_comes_to_agree_on_images_that_nobody_dealt(
    make_run: MakeRun, toy_teacher: nn.Module, toy_images: Images
) -> None:
    pixels = toy_images.as_float()
    taught = toy_teacher(pixels).argmax(dim=1)
    untaught = make_run().network("mlp").eval()

    student = steal(
        make_run(), toy_teacher, iterations=150, batch_size=32, contrast=4.0
    )

    before = float((untaught(pixels).argmax(dim=1) == taught).float().mean())
    after = float((student(pixels).argmax(dim=1) == taught).float().mean())
    assert before < 0.6
    assert after > 0.9
