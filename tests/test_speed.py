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


@pytest.mark.parametrize(("tau", "alpha"), [(1.0, 0.5), (4.0, 0.9), (20.0, 1.0)])
def test_the_classical_kd_loss_is_that_of_the_bench(logits, tau, alpha):
    import classical

    student, teacher, labels = logits
    hard = F.cross_entropy(student, labels)
    expected = alpha * soft_loss(student, teacher.log_softmax(1), tau)

    loss = classical.kd_loss(student, teacher, labels, tau, alpha)

    torch.testing.assert_close(loss, expected + (1 - alpha) * hard, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("tau", "omega"), [(4.0, 0.04), (20.0, 0.005), (1.0, 1.0)])
def test_the_classical_nasty_loss_is_that_of_the_bench(logits, tau, omega):
    import classical

    nasty, adversary, labels = logits
    apart = divergence(nasty, adversary.log_softmax(1), tau)
    expected = F.cross_entropy(nasty, labels) - omega * apart

    loss = classical.nasty_loss(nasty, adversary, labels, tau, omega)

    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)


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
