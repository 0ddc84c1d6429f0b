"""Portraits of released teachers: their numbers, and what goes wrong with them."""

from __future__ import annotations

from dataclasses import fields
from io import BytesIO
from math import exp, inf, log
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from torch import Tensor, nn

from bench.cli.report import _as_json
from bench.cli.show import _row
from bench.data import PLAIN, Dataset, Images
from bench.errors import TimedOut
from bench.plugins.base import Released
from bench.results.scores import Portrait
from bench.stages import Protect, Steal
from bench.worker import portrait
from bench.worker.portrait import (
    BINS,
    EXAMPLES,
    FLOOR,
    balanced,
    draw,
    histogram,
    tsne,
)
from bench.worker.referee import Referee

CLASSES = 4
COLUMNS = {f.name for f in fields(Portrait)}
CPU = torch.device("cpu")


def images(count: int, classes: int = CLASSES, side: int = 4) -> Images:
    """Random images, their classes in turn."""
    generator = torch.Generator().manual_seed(count)
    shape = (count, 1, side, side)
    pixels = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(count).flip(0) % classes)


def referee(count: int = 40) -> Referee:
    test = images(count)
    empty = Images(test.pixels[:0], test.labels[:0])
    names = tuple("abcd")
    return Referee(Dataset("tiny", names, empty, test, PLAIN, (0.0,), (1.0,)), CPU)


def network(seed: int = 0) -> nn.Sequential:
    """One hidden layer of six, which is the feature."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.BatchNorm2d(1),
        nn.Flatten(),
        nn.Linear(16, 6),
        nn.ReLU(),
        nn.Linear(6, CLASSES),
    ).eval()


class Linearless(nn.Module):
    """The means of the image's four rows, as logits."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 3))


class Sparse(nn.Module):
    """Rules out all classes but the likeliest two."""

    def forward(self, images: Tensor, log_probs: Tensor) -> Tensor:
        least = log_probs.topk(2, dim=1).values[:, -1:]
        return log_probs.masked_fill(log_probs < least, -inf)


class Noisy(nn.Module):
    """Draws from torch's global generator."""

    def forward(self, images: Tensor, log_probs: Tensor) -> Tensor:
        return log_probs + torch.rand_like(log_probs)


def test_a_portrait_holds_the_columns_of_the_row_in_their_shapes():
    found = referee().portrait(Released(network()))

    assert vars(found).keys() == COLUMNS
    assert len(found.responses) == CLASSES * CLASSES
    assert found.response_classes == [0, 1, 2, 3]
    assert len(found.map_classes) == 40
    assert len(found.features_map) == len(found.logits_map) == 80
    assert found.features_map != found.logits_map
    assert len(found.confidence) == BINS


def test_responses_are_the_replies_to_the_first_image_of_each_class():
    judge, released = referee(), Released(network())
    test = judge.dataset.test
    found = judge.portrait(released).responses

    for label in range(CLASSES):
        place = next(
            n for n, other in enumerate(test.labels.tolist()) if other == label
        )
        row = found[label * CLASSES : (label + 1) * CLASSES]
        with torch.no_grad():
            expected = released.reply(test.pixels[place : place + 1].float() / 255)
        assert row == pytest.approx(expected[0].tolist(), abs=1e-5)
        assert sum(map(exp, row)) == pytest.approx(1, abs=1e-5)


def test_the_examples_are_one_line_of_tiles_as_a_png():
    test, blank = images(40), torch.zeros(40, 4)
    sheet = Image.open(BytesIO(draw(test, blank, []).response_images))

    assert (sheet.format, sheet.size) == ("PNG", (4 * 34, 34))
    for label in range(4):
        place = test.labels.tolist().index(label)
        corner = sheet.getpixel((label * 34 + 1, 1))
        assert corner == int(test.pixels[place, 0, 0, 0])
    large = draw(images(8, side=200), torch.zeros(8, 4), []).response_images
    assert Image.open(BytesIO(large)).size == (4 * 66, 66), "they are made smaller"


def test_of_many_classes_the_first_ten_have_an_example():
    found = draw(images(60, classes=15), torch.zeros(60, 15).log_softmax(1), [])

    assert found.response_classes == list(range(EXAMPLES))
    assert len(found.responses) == EXAMPLES * 15


@pytest.mark.parametrize("seed", range(3))
def test_the_histogram_is_the_share_of_images_in_each_bin(seed):
    generator = torch.Generator().manual_seed(seed)
    log_probs = (3 * torch.randn(200, 5, generator=generator)).log_softmax(1)

    expected = [0.0] * BINS
    for row in log_probs.tolist():
        expected[min(int(exp(max(row)) * BINS), BINS - 1)] += 1 / 200

    assert histogram(log_probs) == pytest.approx(expected)
    certain = torch.tensor([[0.0, -inf]] * 3)
    assert histogram(certain) == [0.0] * (BINS - 1) + [1.0]


def test_images_are_dealt_class_by_class_and_kept_in_order():
    assert balanced([0, 0, 0, 0, 1, 1, 2], 5) == [0, 1, 4, 5, 6]
    assert balanced([1, 0], 500) == [0, 1]
    assert [label // 100 for label in balanced([0] * 100 + [1] * 100, 6)] == [0] * 3 + [
        1
    ] * 3


def test_points_that_lie_together_stay_together_on_the_map():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(60, 8, generator=generator)
    points[30:] += 50

    flat = np.array(tsne(points)).reshape(60, 2)

    near = np.linalg.norm(flat[:30] - flat[:30].mean(axis=0), axis=1).max()
    between = np.linalg.norm(flat[:30].mean(axis=0) - flat[30:].mean(axis=0))
    assert between > 2 * near


@pytest.mark.parametrize("answer", [None, Noisy()], ids=["still", "noisy"])
def test_a_portrait_repeats_to_the_bit_and_draws_from_nobody_elses_randomness(answer):
    judge, released = referee(), Released(network(), answer)
    torch.manual_seed(7)
    np.random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()

    first, second = judge.portrait(released), judge.portrait(released)

    assert first == second
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("training", [True, False])
def test_a_portrait_leaves_no_hook_and_no_other_mode_behind(training):
    net = network().train(training)

    referee().portrait(Released(net))

    assert [m.training for m in net.modules()] == [training] * 6
    assert not any(m._forward_pre_hooks for m in net.modules())


def test_no_linear_layer_makes_no_map_of_features_and_equal_replies_none_of_logits():
    found = referee().portrait(Released(Linearless()))
    same = draw(images(40), torch.zeros(40, 4).log_softmax(1), [])

    assert (found.features_map, len(found.logits_map)) == ([], 80)
    assert same.logits_map == []
    assert same.confidence[5] == 1.0


def test_replies_that_rule_classes_out_are_finite_in_the_portrait():
    found = referee().portrait(Released(network(), Sparse()))

    assert sorted(found.responses)[0] == pytest.approx(FLOOR) == log(1e-12)
    assert np.isfinite(found.responses).all()
    assert np.isfinite(found.logits_map).all()
    assert len(found.logits_map) == 80


@pytest.mark.parametrize(
    ("count", "mapped"), [(3, 0), (4, 4), (11, 11), (12, 12), (40, 12)]
)
def test_few_images_make_a_portrait_and_of_many_so_many_are_mapped_class_by_class(
    count, mapped, monkeypatch
):
    monkeypatch.setattr(portrait, "POINTS", 12)

    found = referee(count).portrait(Released(network()))

    assert len(found.features_map) == len(found.logits_map) == 2 * mapped
    assert len(found.map_classes) == min(count, 12)
    if count >= 12:
        assert sorted(found.map_classes) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


@pytest.fixture
def rows(tmp_path: Path):
    """The rows of both released teachers, by seed."""
    todo = tiny.tasks(tmp_path, defenses=("none",), attacks=("kd",), seeds=2)
    todo = [task for task in todo if not isinstance(task, Steal)]
    done = tiny.run(todo, tiny.session(tmp_path))
    return {row.seed: row for task, row in done.items() if isinstance(task, Protect)}


def test_the_first_seed_alone_has_a_portrait(rows):
    assert [row.status for row in rows.values()] == ["ok", "ok"]
    assert [bool(row.responses) for row in rows.values()] == [True, False]
    assert all(getattr(rows[0], name) for name in COLUMNS)
    assert not any(getattr(rows[1], name) for name in COLUMNS)


def test_what_machines_are_told_leaves_the_portrait_out(rows, tmp_path):
    store = rows[0].key, tmp_path / "results", tmp_path / "store"

    for told in (_as_json([rows[0]], [], [])["rows"][0], _row(*store)):
        assert not told.keys() & COLUMNS
        assert told["accuracy"] == rows[0].accuracy


@pytest.mark.parametrize(
    ("error", "status", "flags"),
    [
        (ValueError("no\nface"), "ok", ["no portrait: ValueError: no face"]),
        (TimedOut("ran past its limit"), "timeout", []),
    ],
    ids=["fails", "is late"],
)
def test_a_portrait_that_fails_is_a_flag_and_one_that_is_late_ends_the_task(
    error, status, flags, monkeypatch, request
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(portrait, "draw", fail)

    row = request.getfixturevalue("rows")[0]

    assert (row.status, row.flags) == (status, flags)
    assert (row.accuracy is None) == (status != "ok")
    assert row.responses == [] and row.response_images is None
