"""Portraits of released teachers: their numbers, their manners, and their figures."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, datetime
from io import BytesIO
from math import exp, inf, log
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from bench.cli.report import _as_json
from bench.cli.show import _row
from bench.data import PLAIN, Dataset, Images
from bench.errors import TimedOut
from bench.pages import build
from bench.planning.plan import Request, plan
from bench.planning.protocol import Protocol
from bench.planning.tasks import Protect, Steal
from bench.plugins.base import Released
from bench.results.rows import BULKY, ProtectRow, read, write
from bench.results.store import Store
from bench.worker import portrait
from bench.worker.perform import Session, perform
from bench.worker.portrait import BINS, EXAMPLES, FLOOR, columns, dealt, histogram, tsne
from bench.worker.referee import Referee

CLASSES = 4
COLUMNS = BULKY - {"samples"}
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

    assert found.keys() == COLUMNS <= {f.name for f in fields(ProtectRow)}
    assert len(found["responses"]) == CLASSES * CLASSES
    assert found["response_classes"] == [0, 1, 2, 3]
    assert len(found["map_classes"]) == 40
    assert len(found["features_map"]) == len(found["logits_map"]) == 80
    assert found["features_map"] != found["logits_map"]
    assert len(found["confidence"]) == BINS


def test_responses_are_the_replies_to_the_first_image_of_each_class():
    judge, released = referee(), Released(network())
    test = judge.dataset.test
    found = judge.portrait(released)["responses"]

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
    sheet = Image.open(
        BytesIO(columns(images(40), torch.zeros(40, 4), [])["response_images"])
    )
    test = images(40)

    tile, edge = 32, 1
    assert sheet.format == "PNG"
    assert sheet.size == (4 * (tile + 2 * edge), tile + 2 * edge)
    for label in range(4):
        place = test.labels.tolist().index(label)
        corner = sheet.getpixel((label * 34 + 1, 1))
        assert corner == int(test.pixels[place, 0, 0, 0])


def test_large_examples_are_made_smaller():
    found = columns(images(8, side=200), torch.zeros(8, 4), [])

    assert Image.open(BytesIO(found["response_images"])).size == (4 * 66, 66)


def test_of_many_classes_the_first_ten_have_an_example():
    found = columns(images(60, classes=15), torch.zeros(60, 15).log_softmax(1), [])

    assert found["response_classes"] == list(range(EXAMPLES))
    assert len(found["responses"]) == EXAMPLES * 15


@pytest.mark.parametrize("seed", range(3))
def test_the_histogram_is_the_share_of_images_in_each_bin(seed):
    generator = torch.Generator().manual_seed(seed)
    log_probs = (3 * torch.randn(200, 5, generator=generator)).log_softmax(1)

    expected = [0.0] * BINS
    for row in log_probs.tolist():
        expected[min(int(exp(max(row)) * BINS), BINS - 1)] += 1 / 200

    assert histogram(log_probs) == pytest.approx(expected)
    assert sum(histogram(log_probs)) == pytest.approx(1)


def test_certainty_lies_in_the_last_bin():
    certain = torch.tensor([[0.0, -inf]] * 3)

    assert histogram(certain) == [0.0] * (BINS - 1) + [1.0]


def test_images_are_dealt_class_by_class_and_kept_in_order():
    assert dealt([0, 0, 0, 0, 1, 1, 2], 5) == [0, 1, 4, 5, 6]
    assert dealt([1, 0], 500) == [0, 1]
    assert [label // 100 for label in dealt([0] * 100 + [1] * 100, 6)] == [0] * 3 + [
        1
    ] * 3


def test_the_features_are_the_input_of_the_last_linear_layer():
    judge, net = referee(), network()
    pixels = judge.dataset.test.as_float()

    with portrait.features(net) as seen, torch.no_grad():
        net(pixels[:30])
        net(pixels[30:])

    with torch.no_grad():
        torch.testing.assert_close(torch.cat(seen), net[:-1](pixels))


def test_points_that_lie_together_stay_together_on_the_map():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(60, 8, generator=generator)
    points[30:] += 50

    flat = np.array(tsne(points)).reshape(60, 2)

    near = np.linalg.norm(flat[:30] - flat[:30].mean(axis=0), axis=1).max()
    between = np.linalg.norm(flat[:30].mean(axis=0) - flat[30:].mean(axis=0))
    assert between > 2 * near


def test_a_portrait_repeats_to_the_bit():
    judge = referee()

    assert judge.portrait(Released(network())) == judge.portrait(Released(network()))
    noisy = Released(network(), Noisy())
    assert judge.portrait(noisy) == judge.portrait(noisy)


def test_a_portrait_draws_from_nobody_elses_randomness():
    released = Released(network(), Noisy())
    torch.manual_seed(7)
    np.random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()

    referee().portrait(released)

    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("training", [True, False])
def test_a_portrait_leaves_no_hook_and_no_other_mode_behind(training):
    net = network().train(training)

    referee().portrait(Released(net))

    assert [m.training for m in net.modules()] == [training] * 6
    assert not any(m._forward_pre_hooks for m in net.modules())


def test_hooks_are_removed_after_a_failure():
    net = network()

    with pytest.raises(RuntimeError), portrait.features(net):
        net(torch.zeros(2, 1, 9, 9))

    assert not any(m._forward_pre_hooks for m in net.modules())


def test_a_network_without_a_linear_layer_has_no_map_of_features():
    found = referee().portrait(Released(Linearless()))

    assert found["features_map"] == []
    assert len(found["logits_map"]) == 80


def test_a_linear_layer_that_meets_an_image_twice_gives_no_map_of_features():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, images: Tensor) -> Tensor:
            return self.layer(self.layer(images.mean(dim=(1, 3))))

    assert referee().portrait(Released(Twice()))["features_map"] == []


def test_replies_that_rule_classes_out_are_finite_in_the_portrait():
    found = referee().portrait(Released(network(), Sparse()))

    assert sorted(found["responses"])[0] == pytest.approx(FLOOR) == log(1e-12)
    assert np.isfinite(found["responses"]).all()
    assert np.isfinite(found["logits_map"]).all()
    assert len(found["logits_map"]) == 80


def test_replies_that_are_all_the_same_have_no_map():
    found = columns(images(40), torch.zeros(40, 4).log_softmax(1), [])

    assert found["logits_map"] == []
    assert found["confidence"][5] == 1.0


@pytest.mark.parametrize(("count", "mapped"), [(3, 0), (4, 4), (11, 11), (29, 29)])
def test_few_images_make_a_portrait_as_well(count, mapped):
    found = referee(count).portrait(Released(network()))

    assert len(found["features_map"]) == len(found["logits_map"]) == 2 * mapped
    assert len(found["map_classes"]) == count


def test_of_many_images_so_many_are_mapped(monkeypatch):
    monkeypatch.setattr(portrait, "POINTS", 12)

    found = referee().portrait(Released(network()))

    assert len(found["features_map"]) == 24
    assert sorted(found["map_classes"]) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


TINY = Protocol(
    name="tiny",
    version=1,
    dataset="digits",
    teachers=("cnn2",),
    students=("cnn2",),
    defenses=("none",),
    attacks=("kd",),
    seeds=2,
    recipe={"default": {"epochs": 1, "batch": 128, "rate": 0.05, "schedule": "cosine"}},
)


@pytest.fixture
def rows(tmp_path: Path):
    """The rows of both released teachers, by seed."""
    session = Session(Store(tmp_path / "store"), "bench run", "cpu", threads=1)
    tasks = [task for task in plan(Request(TINY)).tasks if not isinstance(task, Steal)]
    done = {task: perform(task, session, lambda *_: None) for task in tasks}
    return {row.seed: row for t, row in done.items() if isinstance(t, Protect)}


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


def test_a_portrait_that_fails_is_a_flag_and_the_scores_stand(monkeypatch, request):
    def fail(*_: object) -> None:
        raise ValueError("no such\nface")

    monkeypatch.setattr(portrait, "columns", fail)

    row = request.getfixturevalue("rows")[0]

    assert (row.status, row.accuracy is None) == ("ok", False)
    assert row.flags == ["no portrait: ValueError: no such face"]
    assert row.responses == [] and row.response_images is None


def test_a_portrait_that_runs_past_the_limit_ends_the_task(monkeypatch, request):
    def late(*_: object) -> None:
        raise TimedOut("ran past its limit")

    monkeypatch.setattr(portrait, "columns", late)

    assert request.getfixturevalue("rows")[0].status == "timeout"


def release(defense: str, seed: int = 0, **more) -> ProtectRow:
    """A row with the portrait of a small network."""
    drawn = referee().portrait(Released(network(len(defense)))) if seed == 0 else {}
    facts = {
        "key": f"p{defense}{seed}",
        "status": "ok",
        "official": True,
        "protocol": "digits",
        "protocol_version": 1,
        "dataset": "digits",
        "data_fingerprint": "f" * 16,
        "teacher": "resnet8",
        "teacher_recipe": "{}",
        "seed": seed,
        "revision": 1,
        "version": "0.1.0",
        "torch": "2.11",
        "python": "3.11.7",
        "platform": "Linux",
        "device": "a processor",
        "threads": 1,
        "command": "bench run",
        "started": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "seconds": 1.5,
        "parent": f"t{seed}",
        "defense": defense,
        "defense_options": "{}",
        "defense_source": "s",
        "accuracy": 0.9,
    }
    return ProtectRow(**facts | drawn | more)


def bare(row: ProtectRow) -> ProtectRow:
    """The row as it was before there were portraits."""
    plain = release("bare", seed=1)
    return replace(row, **{name: getattr(plain, name) for name in COLUMNS})


def charts_of(text: str) -> list[str]:
    return re.findall(r'<div id="([^"]+)" class="plotly-graph-div"', text)


def test_a_file_from_before_there_were_portraits_still_reads(tmp_path):
    path, row = tmp_path / "protect.parquet", release("nasty")
    write([row], ProtectRow, path)
    assert list(read(ProtectRow, path)) == [row]

    pq.write_table(pq.read_table(path).drop_columns(sorted(COLUMNS)), path)

    assert list(read(ProtectRow, path)) == [bare(row)]


def test_the_page_of_a_defense_shows_both_teachers(tmp_path):
    build([release("none"), release("nasty"), release("nasty", seed=1)], tmp_path)

    text = (tmp_path / "defense" / "nasty.html").read_text(encoding="utf-8")
    names = charts_of(text)
    # Four classes, two maps of two teachers, one histogram.
    assert len(names) == len(set(names)) == 4 + 4 + 1
    assert text.count("<h3>") == 1
    assert '"name":"none"' in text and '"name":"nasty"' in text
    assert text.count('class="tile"') == 4
    assert "Seed 0: t-SNE of the network" in text
    assert "assets/plotly.min.js" in text
    assert '<a href="../run/pnone0.html">pnone0</a> and' in text


def test_the_undefended_teacher_stands_alone_on_its_page(tmp_path):
    build([release("none"), release("nasty")], tmp_path)

    text = (tmp_path / "defense" / "none.html").read_text(encoding="utf-8")
    assert len(charts_of(text)) == 4 + 2 + 1
    assert '"name":"nasty"' not in text


def test_the_undefended_teacher_of_another_setting_does_not_stand_beside(tmp_path):
    build([release("none", parent="another"), release("nasty")], tmp_path)

    text = (tmp_path / "defense" / "nasty.html").read_text(encoding="utf-8")
    assert len(charts_of(text)) == 4 + 2 + 1
    assert '"name":"none"' not in text


def test_every_setting_has_figures_and_a_heading_of_its_own(tmp_path):
    other = release("nasty", key="p2", parent="t2", dataset="cifar10")

    build([release("nasty"), other], tmp_path)

    text = (tmp_path / "defense" / "nasty.html").read_text(encoding="utf-8")
    assert re.findall(r"<h3>.*?, (\w+), resnet8, seed 0</h3>", text) == [
        "digits",
        "cifar10",
    ]
    assert len(set(charts_of(text))) == 2 * (4 + 2 + 1)


def test_of_many_classes_the_ten_likeliest_have_a_bar(tmp_path):
    replies = torch.full((40, 30), -8.0)
    replies[:, 15:25] = 0
    drawn = columns(images(40), replies.log_softmax(1), [])

    build([release("nasty", **drawn)], tmp_path)

    text = (tmp_path / "defense" / "nasty.html").read_text(encoding="utf-8")
    assert str([str(c) for c in range(15, 25)]).replace("'", '"').replace(
        ", ", ","
    ) in (text)
    assert "the ten likeliest are shown" in text


def test_rows_without_a_portrait_have_no_section(tmp_path):
    build([bare(release("none")), bare(release("nasty"))], tmp_path)

    text = (tmp_path / "defense" / "nasty.html").read_text(encoding="utf-8")
    assert "Portrait" not in text
    assert charts_of(text) == []
    assert not list((tmp_path / "run").glob("*.png"))


def test_the_examples_are_a_file_and_the_numbers_are_no_text(tmp_path):
    row = release("nasty")

    build([row], tmp_path)

    assert (tmp_path / "run" / "pnasty0.png").read_bytes() == row.response_images
    assert "../run/pnasty0.png" in (tmp_path / "defense" / "nasty.html").read_text()
    run = (tmp_path / "run" / "pnasty0.html").read_text(encoding="utf-8")
    assert "features map" not in run and str(row.features_map[0]) not in run
