"""Distillation with a share of the images: the share is granted, the loss the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from attacks._distillation import Distillation
from attacks.kd import VanillaKD
from attacks.limited_kd import LimitedKD
from bench import data
from bench.planning.tasks import Protect, Setting, Steal, TrainTeacher, with_parents
from bench.plugins import registry
from bench.recipe import Recipe
from bench.results.rows import StealRow
from bench.results.store import Store
from bench.threat.grants import SoftLabels, TrainImages
from bench.worker.perform import Session, perform

EPOCH = Recipe(epochs=1, batch=64, rate=0.01, schedule="constant")


def do(attack: str, store: Path) -> StealRow:
    setting = Setting("test", 1, "digits", data.load("digits").fingerprint)
    none = registry.resolve("defense", "none", {})
    target = Protect(TrainTeacher(setting, "cnn2", EPOCH, 0), none)
    task = Steal(target, registry.resolve("attack", attack, {}), "cnn2", EPOCH)
    session = Session(Store(store), "test", "cpu", threads=1)
    rows = [perform(t, session, lambda *_: None) for t in with_parents([task])]
    assert [row.reason for row in rows] == ["", "", ""]
    return rows[-1]


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_the_fraction_reaches_the_harness(fraction: float, tmp_path: Path) -> None:
    labels = data.load("digits").train.labels
    share = sum(round(fraction * count) for count in labels.bincount().tolist())

    row = do(f"limited_kd[fraction={fraction}]", tmp_path)

    assert row.fraction == fraction
    assert row.track == "limited"
    assert row.queries == share  # one epoch: one view of every image of the share


def test_a_tenth_is_the_default() -> None:
    assert LimitedKD().fraction == 0.1
    assert VanillaKD().fraction == 1.0


def test_it_is_the_same_loss_under_the_same_grants() -> None:
    assert LimitedKD.steal is Distillation.steal
    assert VanillaKD.steal is Distillation.steal
    assert LimitedKD.grants() == VanillaKD.grants() == (SoftLabels, TrainImages)
    assert (LimitedKD().tau, LimitedKD().alpha) == (VanillaKD().tau, VanillaKD().alpha)
