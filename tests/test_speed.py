"""The baseline of `make speed` computes what the bench does; nothing here is timed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from attacks._distillation import soft_loss
from defenses.nasty import divergence

TINY = "--images 64 --test-images 32 --epochs 1 --repeats 1 --threads 1 --workers 0"
TINY += " --teacher cnn2 --students lenet5 --precision fp32 --steps 2 --batch 8 --cold"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files import one another as a script's do."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "speed")


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of a network, of its teacher, and labels."""
    draw = torch.Generator().manual_seed(3)
    mine, other = (4 * torch.randn(32, 10, generator=draw) for _ in range(2))
    return mine, other, torch.randint(10, (32,), generator=draw)


@pytest.mark.parametrize(
    ("tau", "weight"), [(1.0, 0.5), (4.0, 0.9), (20.0, 1.0), (4.0, 0.04)]
)
def test_the_classical_losses_are_those_of_the_bench(logits, tau, weight):
    import classical

    mine, other, labels = logits
    hard, replies = F.cross_entropy(mine, labels), other.log_softmax(1)
    kd = weight * soft_loss(mine, replies, tau) + (1 - weight) * hard
    nasty = hard - weight * divergence(mine, replies, tau)

    for loss, expected in ((classical.kd_loss, kd), (classical.nasty_loss, nasty)):
        found = loss(mine, other, labels, tau, weight)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def measured(words: str, capsys: pytest.CaptureFixture[str]) -> dict:
    import measure

    assert measure.main([*f"{words} {TINY}".split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("workload", "count"), [("students", 1), ("table", 1), ("dafl", 1), ("input", 2)]
)
def test_a_workload_is_done_by_both_sides(workload, count, capsys):
    found = measured(f"{workload} --dataset random", capsys)

    assert len(found["lines"]) == count
    for line in found["lines"]:
        numbers = [*line["classical"], *line["bench"], line["ratio"]]
        assert all(math.isfinite(n) and n > 0 for n in numbers)


def test_accuracies_of_both_sides_stand_side_by_side(capsys):
    found = measured("parity --dataset digits", capsys)["parity"]

    names = [line["name"] for line in found]
    assert names == ["teacher", "nasty", "kd from none", "kd from nasty"]
    for line in found:
        assert len(line["classical"]) == len(line["bench"]) == 3
        assert all(0 <= n <= 1 for n in [*line["classical"], *line["bench"]])
        assert math.isfinite(line["difference"]) and math.isfinite(line["error"])
