"""bf16 where it is safe: what comes out, what is kept, and who is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UnknownName
from bench.networks import FLOAT_ON_CPU, NETWORKS, Mixed, build
from bench.planning.plan import Request, plan
from bench.planning.protocol import Protocol
from bench.planning.tasks import Task, key
from bench.plugins.training import optimiser
from bench.recipe import Recipe
from bench.results.rows import Row
from bench.results.store import Store
from bench.seeds import seeded
from bench.worker import provenance as machine
from bench.worker.harness import Desk
from bench.worker.perform import Session, perform
from bench.worker.referee import Referee

CPU = torch.device("cpu")
SMALL = ["cnn2", "resnet8"]
TINY = Protocol(
    name="tiny",
    version=1,
    dataset="digits",
    teachers=("cnn2",),
    students=("cnn2",),
    defenses=("none",),
    attacks=("kd",),
    seeds=1,
    precision="bf16",
    recipe={"default": {"epochs": 1, "batch": 128, "rate": 0.05, "schedule": "cosine"}},
)


def network(name: str, precision: str) -> nn.Module:
    """Always of the same weights."""
    with seeded(4, CPU):
        return build(name, 1, 10, (0.3,), (0.4,), precision)


def pixels(count: int = 16) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def lesson(taught: nn.Module) -> Tensor:
    """Logits of a training step that is taken."""
    steps = optimiser(taught.train(), Recipe(rate=0.05))
    logits: Tensor = taught(pixels())
    F.cross_entropy(logits, torch.arange(16) % 10).backward()
    steps.step()
    return logits


@pytest.mark.parametrize("name", SMALL)
def test_logits_of_bf16_are_float32_and_near_those_of_fp32(name: str) -> None:
    exact, low = network(name, "fp32").eval(), network(name, "bf16").eval()

    with torch.no_grad():
        first, second = exact(pixels()), low(pixels())

    assert first.dtype == second.dtype == torch.float32
    assert 0 < float((first - second).abs().max()) < 0.1


@pytest.mark.parametrize("name", SMALL)
def test_bf16_computes_in_bf16(name: str) -> None:
    low, kinds = network(name, "bf16"), set()
    for module in low.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda _, __, out: kinds.add(out.dtype))

    low(pixels())

    assert kinds == {torch.bfloat16}


@pytest.mark.parametrize("name", SMALL)
def test_what_is_kept_and_what_is_learned_by_is_float32(name: str) -> None:
    low = network(name, "bf16")
    before = {k: v.clone() for k, v in low.state_dict().items()}

    logits = lesson(low)

    floats = [v for v in low.state_dict().values() if v.is_floating_point()]
    assert logits.dtype == torch.float32
    assert {value.dtype for value in floats} == {torch.float32}
    assert {p.dtype for p in low.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in low.parameters()} == {torch.float32}
    after = low.state_dict()
    means = [k for k in before if k.endswith(("running_mean", "running_var"))]
    assert means
    assert all(not torch.equal(after[k], before[k]) for k in means)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_both_precisions_draw_and_name_the_same_weights(name: str) -> None:
    exact, low = (network(name, p).state_dict() for p in ("fp32", "bf16"))

    assert list(exact) == list(low)
    assert all(torch.equal(value, low[k]) for k, value in exact.items())


@pytest.mark.parametrize("name", FLOAT_ON_CPU)
def test_networks_that_bf16_makes_slower_are_exact_on_processors(name: str) -> None:
    exact, low = network(name, "fp32"), network(name, "bf16")

    assert torch.equal(lesson(exact), lesson(low))
    first, second = exact.state_dict(), low.state_dict()
    assert all(torch.equal(value, second[k]) for k, value in first.items())


def test_layers_in_a_row_are_exact_where_nothing_else_is_asked_for() -> None:
    layer = nn.Linear(4, 3)
    given = torch.rand(5, 4)

    assert torch.equal(Mixed(layer)(given), layer(given))


def test_fp32_shuts_out_the_autocast_around_it() -> None:
    layer = nn.Linear(4, 3)
    given, expected = torch.rand(5, 4), layer
    exact = expected(given)

    with torch.autocast("cpu", torch.bfloat16):
        found = Mixed(layer)(given)

    assert torch.equal(found, exact)


def test_gradients_of_bf16_reach_the_images() -> None:
    low = network("resnet8", "bf16").eval()
    given = pixels().requires_grad_()

    low(given)[:, 0].sum().backward()

    assert given.grad.dtype == torch.float32
    assert bool(given.grad.isfinite().all() and given.grad.abs().sum() > 0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_a_plugin_has_placed_computes_as_networks_do(precision: str) -> None:
    from bench.data import load

    desk = Desk(load("digits"), Referee(load("digits"), CPU), print, precision)
    module, kinds = nn.Linear(4, 3), set()
    module.register_forward_hook(lambda _, __, out: kinds.add(out.dtype))

    placed = desk.place(module, CPU)

    assert placed(torch.rand(5, 4)).dtype == torch.float32
    assert kinds == {{"fp32": torch.float32, "bf16": torch.bfloat16}[precision]}
    assert [id(p) for p in placed.parameters()] == [id(p) for p in module.parameters()]


@pytest.mark.parametrize(("precision", "tf32"), [("bf16", True), ("fp32", False)])
def test_float32_products_are_exact_under_fp32_alone(
    precision: str, tf32: bool
) -> None:
    machine.set_precision("fp32" if tf32 else "bf16")

    machine.set_precision(precision)

    assert torch.backends.cuda.matmul.allow_tf32 is tf32
    assert torch.backends.cudnn.allow_tf32 is tf32


def done(folder: Path, precision: str = "") -> dict[Task, Row]:
    session = Session(Store(folder), "bench run", "cpu", threads=1)
    tasks = plan(Request(TINY, precision=precision)).tasks
    return {task: perform(task, session, lambda *_: None) for task in tasks}


def test_tasks_under_bf16_repeat_to_the_bit_and_say_so(tmp_path: Path) -> None:
    first, second = done(tmp_path / "first"), done(tmp_path / "second")

    assert [row.status for row in first.values()] == ["ok"] * 4
    assert {row.precision for row in first.values()} == {"bf16"}
    assert first.keys() == second.keys()
    for task, row in first.items():
        for column in ("accuracy", "curve", "kl", "fidelity", "calibration_error"):
            if hasattr(row, column):
                assert getattr(row, column) == getattr(second[task], column)
        one = Store(tmp_path / "first").tensors(key(task))
        two = Store(tmp_path / "second").tensors(key(task))
        assert all(torch.equal(value, two[name]) for name, value in one.items())
        floats = {v.dtype for v in one.values() if v.is_floating_point()}
        assert floats == {torch.float32}


def test_another_precision_is_other_tasks_with_other_numbers(tmp_path: Path) -> None:
    low, exact = done(tmp_path), done(tmp_path, precision="fp32")

    assert {row.precision for row in exact.values()} == {"fp32"}
    assert not {key(task) for task in low} & {key(task) for task in exact}
    pairs = zip(low, exact, strict=True)
    store = Store(tmp_path)
    for task, other in pairs:
        mine, others = store.tensors(key(task)), store.tensors(key(other))
        assert mine.keys() == others.keys()
        assert any(not torch.equal(v, others[k]) for k, v in mine.items())


def test_an_unknown_network_is_unknown_in_any_precision() -> None:
    with pytest.raises(UnknownName, match="did you mean 'cnn2'"):
        build("cn2", 1, 10, (0.3,), (0.4,), "bf16")
