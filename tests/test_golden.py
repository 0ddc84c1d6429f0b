"""A tiny frozen run with exact numbers: it fails when the core's numbers move."""

from __future__ import annotations

import pytest
import torch

import bench
from bench.engines.run_task import Session, run_task
from bench.networks import find
from bench.planning.plan import plan
from bench.planning.protocol import Protocol, Track
from bench.planning.request import Request
from bench.results.store import Store
from bench.seeds import seeded

FROZEN = Protocol(
    name="golden",
    version=1,
    dataset="digits",
    teachers=("cnn2",),
    students=("cnn2", "lenet5"),
    defenses=("nasty",),
    attacks=("kd", "dafl"),
    tracks={
        "open": Track(teacher="SoftLabels", images="TrainImages"),
        "half": Track(teacher="SoftLabels", images="TrainImages", fraction=0.5),
        "white": Track(teacher="Weights", images="NoImages"),
    },
    seeds=1,
    recipe={
        "default": {
            "epochs": 1,
            "batch_size": 128,
            "lr": 0.05,
            "lr_schedule": "cosine",
        }
    },
    options={"dafl": {"iterations": 4, "batch_size": 16, "latent": 8, "width": 8}},
)

NUMBERS = {
    "scratch from none to cnn2 #0": 0.0011708,
    "kd from none to cnn2 #0": 0.0023209,
    "kd from none to cnn2, 50 % #0": 0.00396226,
    "dafl from none to lenet5 #0": 0.00431408,
    "scratch from none to cnn2, 50 % #0": 0.00328245,
    "protect by nasty #0": 0.00212956,
    "kd from nasty to cnn2 #0": 0.00247755,
    "kd from nasty to cnn2, 50 % #0": 0.00502619,
    "dafl from nasty to lenet5 #0": 0.00305354,
}
"""By task: a student's mean KL from its teacher, nasty's tau^2 KL. They are small, for
the networks are hardly trained, and any change of the computation moves them."""


def test_the_numbers_of_the_core_have_not_moved(tmp_path):
    session = Session(Store(tmp_path), "bench run", "cpu", threads=1)

    rows = {
        task.label: run_task(task, session, lambda *_: None)
        for task in plan(Request(FROZEN)).tasks
    }

    found = {
        label: row.figures.get("tau2_kl", getattr(row, "kl", None))
        for label, row in rows.items()
        if label in NUMBERS
    }
    # Processors and libraries round otherwise, by less than this in so short a run.
    assert found == pytest.approx(NUMBERS, rel=5e-3), (
        f"the core computes other numbers: raise bench.REVISION ({bench.REVISION}), "
        "tell of it in CHANGELOG.md, and write the new numbers here"
    )


@pytest.mark.parametrize(
    ("name", "mean", "spread"),
    [("cnn2", 2.457931, 0.267335), ("resnet8", 2.402643, 0.482035)],
)
def test_the_networks_of_the_digits_start_as_they_always_did(name, mean, spread):
    with seeded(1, torch.device("cpu")) as generator:
        network = find(name).build(1, 10, (0.3,), (0.3,)).train()
        images = torch.rand(16, 1, 8, 8, generator=generator)

    with torch.no_grad():
        logits = network(images)

    assert float(logits.logsumexp(dim=1).mean()) == pytest.approx(mean, rel=1e-4)
    assert float(logits.std()) == pytest.approx(spread, rel=1e-4)
