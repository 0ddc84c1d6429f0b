"""The loop that long attacks share, and the features of a network."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import bench
from bench import features
from bench.errors import Diverged
from bench.testing.run import NotedRun

MakeRun = Callable[..., NotedRun]


@pytest.mark.parametrize(
    ("count", "reports", "told"),
    [(40, 20, list(range(2, 41, 2))), (7, 20, list(range(1, 8))), (7, 3, [2, 4, 6, 7])],
)
def test_steps_tell_progress_so_often_and_after_the_last(
    count: int, reports: int, told: list[int], make_run: MakeRun
) -> None:
    run = make_run()
    student = nn.Linear(2, 2)

    for step in run.steps(count, student, reports):
        assert student.training
        step.log(loss=torch.tensor(float(step.number)))

    assert [(at, of, loss["loss"]) for at, of, loss in run.told] == [
        (n, count, float(n)) for n in told
    ]
    assert run.modes == [False] * len(told)
    assert not student.training


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_logged_loss_that_is_not_finite_stops_them(
    value: float, make_run: MakeRun
) -> None:
    run, seen = make_run(), []

    def train() -> None:
        for step in run.steps(8, nn.Linear(2, 2), reports=2):
            seen.append(step.number)
            step.log(fine=torch.zeros(()), student=torch.tensor(value))

    with pytest.raises(Diverged, match="the loss 'student' at step 4 became"):
        train()

    assert seen == [1, 2, 3, 4]
    assert run.told == []


def test_features_are_the_live_input_of_the_last_linear_layer() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    images = torch.rand(5, 3, requires_grad=True)

    with features(network) as seen:
        assert seen.last is None
        network(images)
        assert seen.last is not None
        seen.last.sum().backward()
        assert torch.equal(seen.last, network[:2](images))

    assert images.grad is not None and bool(images.grad.any())
    before = seen.last
    network(images)
    assert seen.last is before  # the hook is gone


class Decoys(nn.Module):
    """Its logits come of `last`; another layer is never called, one serves aside."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.aside, self.spare = (nn.Linear(3, 2) for _ in range(3))

    def forward(self, images: Tensor) -> Tensor:
        self.aside(images + 1)
        return self.last(images)


def test_the_layer_that_makes_the_logits_is_known_by_what_comes_out() -> None:
    network, images = Decoys(), torch.rand(4, 3)

    with features(network) as seen:
        network(images)
        assert seen.last is images
    with features(nn.Sequential(nn.Linear(3, 3), nn.Softmax(dim=1))) as none:
        pass

    assert none.last is None


def test_no_linear_layer_has_no_features_and_hooks_are_removed_after_a_failure() -> (
    None
):
    network = nn.Sequential(nn.Linear(2, 2))

    with features(nn.Flatten()) as seen:
        nn.Flatten()(torch.rand(2, 1, 2, 2))
    with pytest.raises(RuntimeError), features(network):
        raise RuntimeError

    assert seen.last is None
    assert not network[0]._forward_pre_hooks


def test_the_face_has_what_it_names() -> None:
    import ast
    from pathlib import Path

    tree = ast.parse(Path(str(bench.__file__)).read_text())
    typed = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert typed == set(bench.__all__) - {"REVISION", "__version__"}
    for name in bench.__all__:
        assert getattr(bench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bench.nothing
