"""bf16 where it is safe: what comes out, what is kept, and who is left alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.entry_points import installed
from bench.networks import find
from bench.networks.precision import Mixed
from bench.seeds import seeded

CPU = torch.device("cpu")
SMALL = ["cnn2", "resnet8"]


def network(name: str, precision: str) -> nn.Module:
    """Always of the same weights."""
    with seeded(4, CPU):
        return find(name).build(1, 10, (0.3,), (0.4,), precision)


def pixels(count: int = 16) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def lesson(taught: nn.Module) -> Tensor:
    """Logits of a training step that is taken."""
    optimizer = torch.optim.SGD(taught.train().parameters(), lr=0.05, momentum=0.9)
    logits: Tensor = taught(pixels())
    F.cross_entropy(logits, torch.arange(16) % 10).backward()
    optimizer.step()
    return logits


@pytest.mark.parametrize("name", SMALL)
def test_bf16_computes_in_bf16_and_gives_float32_near_that_of_fp32(name: str) -> None:
    exact, low = network(name, "fp32").eval(), network(name, "bf16").eval()
    kinds = set()
    for module in low.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda _, __, out: kinds.add(out.dtype))

    with torch.no_grad():
        first, second = exact(pixels()), low(pixels())

    assert kinds == {torch.bfloat16}
    assert first.dtype == second.dtype == torch.float32
    assert 0 < float((first - second).abs().max()) < 0.1


@pytest.mark.parametrize("name", SMALL)
def test_what_is_kept_and_what_is_learned_by_is_float32(name: str) -> None:
    low, given = network(name, "bf16"), pixels().requires_grad_()
    before = {k: v.clone() for k, v in low.state_dict().items()}

    logits = lesson(low)
    low.eval()(given)[:, 0].sum().backward()

    floats = [v for v in low.state_dict().values() if v.is_floating_point()]
    assert logits.dtype == given.grad.dtype == torch.float32
    assert bool(given.grad.isfinite().all() and given.grad.abs().sum() > 0)
    assert {value.dtype for value in floats} == {torch.float32}
    assert {p.dtype for p in low.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in low.parameters()} == {torch.float32}
    after = low.state_dict()
    means = [k for k in before if k.endswith(("running_mean", "running_var"))]
    assert means
    assert all(not torch.equal(after[k], before[k]) for k in means)


@pytest.mark.parametrize("name", [*installed("bench.networks")])
def test_both_precisions_draw_and_name_the_same_weights(name: str) -> None:
    exact, low = (network(name, p).state_dict() for p in ("fp32", "bf16"))

    assert list(exact) == list(low)
    assert all(torch.equal(value, low[k]) for k, value in exact.items())


def test_layers_that_bf16_makes_slower_are_exact_on_processors() -> None:
    exact, low = (network("shufflenet_v2", p) for p in ("fp32", "bf16"))

    assert torch.equal(lesson(exact), lesson(low))
    first, second = exact.state_dict(), low.state_dict()
    assert all(torch.equal(value, second[k]) for k, value in first.items())


def test_layers_in_a_row_are_exact_whatever_autocast_is_around_them() -> None:
    layer, given = nn.Linear(4, 3), torch.rand(5, 4)
    exact = layer(given)

    assert torch.equal(Mixed(layer)(given), exact)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Mixed(layer)(given), exact)
