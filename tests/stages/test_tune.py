"""Tries are validated on what the attacker holds, and the best of them is chosen."""

from __future__ import annotations

import json
from statistics import fmean

import pytest
import tiny
import torch
from torch import nn

from bench.errors import Diverged
from bench.results.rows import StealRow, TryRow, TuneRow
from bench.stages import Steal, Try, Tune
from bench.stages.steal import still_climbs
from bench.worker.validation import agreement_by_class

HEAD, _, TAIL = tiny.PROTOCOL.partition("[recipe.default]")
GRID = (
    "[recipe.default]"
    + TAIL.replace("epochs = 1", "steps = 30")
    + """
[tuning]
held_out = 0.25
[tuning.grid]
kd = [{alpha = 0.0, "recipe.lr" = 1e-9}, {alpha = 0.0}, {alpha = 1.0, tau = 1.0}]
dafl = [{student_lr = 1e-9}, {student_lr = 0.1}]
"""
)
SERVICE = """[tracks.service]
teacher = "SoftLabels"
images = "SurrogateImages"
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tuned")
    text = (HEAD + GRID).replace('"none", "nasty"', '"none"')
    tasks = tiny.tasks(folder, text, attacks=("kd", "dafl"))
    return tiny.run(tasks, tiny.session(folder))


def test_the_try_with_the_highest_validation_is_chosen(rows) -> None:
    assert {row.status for row in rows.values()} == {"ok"}
    [tune] = tiny.pick(rows, TuneRow, attack="kd")
    tries = tiny.pick(rows, TryRow, attack="kd")
    [task] = [t for t in rows if isinstance(t, Tune) and t.key == tune.key]

    assert tune.validations == [rows[t].validation for t in task.tries]
    assert len(tries) == 3 and tune.validation == max(tune.validations)
    best = tune.validations.index(max(tune.validations))
    assert json.loads(tune.chosen) == json.loads(tune.grid)[best]
    assert best != 0  # a rate of 1e-9 teaches nothing
    assert (tune.held_out, tries[0].held_out) == (0.25, 0.25)


def test_a_student_is_trained_with_what_was_chosen(rows) -> None:
    [student] = tiny.pick(rows, StealRow, attack="kd")
    [tune] = tiny.pick(rows, TuneRow, attack="kd")

    assert student.tuned_by == tune.key and student.chosen == tune.chosen
    assert (student.queries == 0) == (json.loads(tune.chosen)["alpha"] == 0)
    assert json.loads(student.attack_options)["alpha"] == 0.9


def test_tries_see_no_test_images_and_leave_no_curve(rows) -> None:
    tries = tiny.pick(rows, TryRow)

    assert [row.curve for row in tries] == [[]] * 5
    assert not {"accuracy", "predictions"} & vars(tries[0]).keys()


def test_without_images_students_are_compared_on_what_the_others_made(rows) -> None:
    [tune] = tiny.pick(rows, TuneRow, attack="dafl")
    tries = tiny.pick(rows, TryRow, attack="dafl")

    assert [row.validation for row in tries] == [None, None]
    assert len(tune.validations) == 2
    assert all(0 <= value <= 1 for value in tune.validations)
    assert tune.validation == max(tune.validations)


def test_images_from_elsewhere_are_validated_by_agreement(tmp_path) -> None:
    text = (HEAD + SERVICE + GRID).replace("kd = [", "surrogate_kd = [{tau=1.0},")
    text = text.replace('"scratch", "kd", "dafl"', '"surrogate_kd"')
    text = text.replace("{alpha = 0.0}, {alpha = 1.0, tau = 1.0}", "{tau = 2.0}")
    text = text.replace("{alpha = 0.0, ", "{")
    tasks = tiny.tasks(tmp_path, text, defenses=("none",))

    found = tiny.run(tasks, tiny.session(tmp_path))

    values = [row.validation for row in tiny.pick(found, TryRow)]
    assert len(values) == 3 and all(0 <= value <= 1 for value in values)


def test_a_try_is_not_given_what_is_held_out(rows) -> None:
    asked = [row.queries for row in tiny.pick(rows, TryRow, attack="kd")]

    # 30 steps of at most 128 images are 4 epochs of three quarters of 1257 images.
    assert sorted(asked)[:2] == [0, 0] and 943 < max(asked) <= 4 * 943


class Choosy(nn.Module):
    """Names the class that the first pixel holds."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.eye(3)[(images[:, 0, 0, 0] * 255).round().long()]


def test_every_class_weighs_alike_in_the_agreement() -> None:
    named = torch.tensor([0, 0, 0, 0, 1, 2])
    images = torch.tensor([0, 0, 0, 1, 1, 0]).view(-1, 1, 1, 1).to(torch.uint8)

    found = agreement_by_class(Choosy(), images, named)

    assert found == pytest.approx(fmean([3 / 4, 1, 0]))


def test_a_try_that_ends_badly_is_not_chosen(tmp_path, monkeypatch) -> None:
    perform = Try.perform

    def breaks(self: Try, bench):
        if dict(self.attack.options)["alpha"] == 0.0 and self.recipe.lr == 0.05:
            raise Diverged("the loss became nan")
        return perform(self, bench)

    monkeypatch.setattr(Try, "perform", breaks)
    third = 'alpha = 0.0, "recipe.lr" = 0.01'
    text = (HEAD + GRID).replace("alpha = 1.0, tau = 1.0", third)
    tasks = tiny.tasks(tmp_path, text, defenses=("none",), attacks=("kd",))

    found = tiny.run(tasks, tiny.session(tmp_path))

    [tune] = tiny.pick(found, TuneRow, attack="kd")
    assert tune.validations[1] == -1 and json.loads(tune.chosen)["recipe.lr"] != 0.05
    monkeypatch.setattr(Try, "perform", lambda *_: 1 / 0)
    none = tiny.run(
        [t for t in tasks if isinstance(t, Try | Tune | Steal)],
        tiny.session(tmp_path / "again"),
    )
    assert tiny.pick(none, TuneRow)[0].reason == "none of 3 tries ended well"


@pytest.mark.parametrize(
    ("curve", "climbs"),
    [
        ([0.1] * 9, False),
        ([0.5] * 18 + [0.52, 0.52], True),
        ([0.5] * 18 + [0.505, 0.505], False),
        ([0.1] * 10 + [0.9] * 10, False),
        ([i / 30 for i in range(30)], True),
    ],
)
def test_a_curve_whose_last_tenth_rises_by_a_point_still_climbs(curve, climbs) -> None:
    assert still_climbs(curve) is climbs
