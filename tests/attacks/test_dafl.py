"""DAFL: the generator's loss and shape, who steps when, collapse, and learning."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log10

import numpy as np
import pytest
import torch
from inversion import draw
from service import stolen
from torch import Tensor, nn
from torch.autograd import grad

from attacks._distillation import soft_loss
from attacks._generator import Generator
from attacks.dafl import DAFL, generator_loss
from bench.errors import Skipped
from bench.testing.run import NotedRun

MakeRun = Callable[..., NotedRun]
BRIEF = {"iterations": 3, "batch_size": 16, "latent": 8, "width": 8}


def naive_terms(logits: np.ndarray, features: np.ndarray) -> tuple[float, float, float]:
    """L_oh, L_ie and L_a of the paper."""
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    typical = -sum(log10(row.max()) for row in p) / log10(exp(1)) / len(p)
    mean = [sum(row[k] for row in p) / len(p) for k in range(p.shape[1])]
    spread = sum(m * log10(m) for m in mean)
    active = -sum(abs(f) for row in features for f in row) / features.size
    return typical, spread, active


def certain(classes: list[int], of: int = 4) -> Tensor:
    """Logits that put each image into one class."""
    logits = torch.full((len(classes), of), -1000.0)
    logits[range(len(classes)), classes] = 0.0
    return logits


def linear(bias: Tensor) -> nn.Module:
    """Answers every image of 1x8x8 alike."""
    layer = nn.Linear(64, len(bias))
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(bias)
    return nn.Sequential(nn.Flatten(), layer).eval()


def steal(run: NotedRun, teacher: nn.Module, **options: float) -> nn.Module:
    return stolen(DAFL(**{**BRIEF, **options}), run, teacher)[0]


@pytest.mark.parametrize(
    "weights", [(0.05, 5.0, 0.01), (2, 0, 0), (0, 2, 0), (0, 0, 2)]
)
def test_the_generators_loss_equals_a_naive_one(
    weights: tuple[float, float, float],
) -> None:
    logits, features = draw(9, 5), draw(9, 7, seed=1)

    got = generator_loss(logits, features, *weights)

    terms = naive_terms(logits.numpy(), features.numpy())
    expected = sum(w * term for w, term in zip(weights, terms, strict=True))
    assert float(got) == pytest.approx(expected, abs=1e-5)


def test_the_generators_loss_has_the_gradient_of_its_formula() -> None:
    logits, features = draw(4, 3).requires_grad_(), draw(4, 2, seed=1).requires_grad_()

    assert torch.autograd.gradcheck(
        lambda z, f: generator_loss(z, f, 0.05, 5.0, 0.01), (logits, features)
    )


@pytest.mark.parametrize("weights", [(1, 0, 0), (0, 1, 0)])
def test_certain_images_of_one_class_cost_nothing_and_have_a_finite_gradient(
    weights: tuple[int, int, int],
) -> None:
    logits = certain([2, 2, 2]).requires_grad_()

    loss = generator_loss(logits, torch.zeros(3, 1), *weights)
    loss.backward()

    assert float(loss.detach()) == 0.0
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 8, 12)]
)
def test_the_generator_draws_from_a_quarter_of_the_size(
    shape: tuple[int, int, int],
) -> None:
    generator = Generator(5, shape, width=6)

    images = generator(torch.randn(3, 5)).detach()

    convolutions = [m for m in generator.modules() if isinstance(m, nn.Conv2d)]
    widths = [(layer.in_channels, layer.out_channels) for layer in convolutions]
    assert widths == [(6, 6), (6, 3), (3, shape[0])]
    assert generator.start == (6, shape[1] // 4, shape[2] // 4)
    assert images.shape == (3, *shape)
    assert 0.0 <= float(images.min()) < float(images.max()) <= 1.0


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


def test_it_follows_the_plainest_loop(make_run: MakeRun) -> None:
    teacher = make_run(seed=5).network("mlp").eval().requires_grad_(False)
    run, weights = make_run(), {"one_hot": 1.0, "entropy": 3.0, "activation": 2.0}
    rates = {"student_lr": 0.2, "generator_lr": 0.1}
    taught = steal(run, teacher, iterations=10, **rates, **weights)

    again = make_run()
    student, generator = again.network("mlp"), Generator(8, again.shape, 8)
    sgd = torch.optim.SGD(student.parameters(), momentum=0.9, weight_decay=5e-4)
    adam = torch.optim.Adam(generator.parameters(), lr=0.1)
    for step in range(10):
        made = generator(torch.randn(16, 8, generator=again.generator))
        features = teacher[:-1](made)
        logits = teacher[-1](features)
        make = generator_loss(logits, features, **weights)
        learn = soft_loss(student(made.detach()), logits.detach(), tau=1.0)
        sgd.param_groups[0]["lr"] = 0.2 if step < 4 else 0.02 if step < 8 else 0.002
        for optimizer, loss in ((adam, make), (sgd, learn)):
            own = optimizer.param_groups[0]["params"]
            for weight, gradient in zip(own, grad(loss, own), strict=True):
                weight.grad = gradient
            optimizer.step()

    # The latest batch first.
    torch.testing.assert_close(run.kept[0][:16], made.detach())
    assert not run.kept[0].requires_grad
    assert run.told[-1][2] == {
        "student": pytest.approx(float(learn.detach()), abs=1e-5),
        "generator": pytest.approx(float(make.detach()), abs=1e-5),
    }
    for name, value in student.state_dict().items():
        torch.testing.assert_close(taught.state_dict()[name], value)


@pytest.mark.parametrize(
    ("liked", "flags"), [(1, ["collapsed"]), (2, ["collapsed"]), (4, []), (8, [])]
)
def test_it_reports_entropy_and_flags_less_than_half_of_what_there_can_be(
    liked: int, flags: list[str], make_run: MakeRun
) -> None:
    bias = torch.tensor([50.0] * liked + [0.0] * (8 - liked))
    run = make_run(classes=8, makers={"mlp": lambda *_: linear(bias)})

    steal(run, linear(bias))

    entropy = log10(liked) / log10(8)
    assert run.figures["class_entropy"] == pytest.approx(entropy, abs=1e-5)
    assert run.flags == flags


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
