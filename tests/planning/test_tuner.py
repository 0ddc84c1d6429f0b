"""What is tuned, with which tries, and what protocols say of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.errors import BadOption, BadProtocol
from bench.planning.coverage import Coverage
from bench.planning.plan import Plan, needed, plan, preview
from bench.planning.protocol import Protocol, Track, Tuning
from bench.planning.request import Request
from bench.recipe import Recipe
from bench.stages import TUNING_SEED, Steal, Try, Tune

ITEMS: tuple[dict[str, Any], ...] = (
    {"alpha": 0.0},
    {"tau": 1, "recipe.lr": 0.2},
    {"recipe.pad": 1},
)
SMOOTH: tuple[dict[str, Any], ...] = ({}, {"label_smoothing": 0.1})
TRAIN = {"teacher": "SoftLabels", "images": "TrainImages"}
PROTOCOL = Protocol(
    name="small",
    version=1,
    dataset="digits",
    teachers=("resnet8",),
    students=("cnn2",),
    defenses=("nasty",),
    attacks=("kd", "label_kd"),
    tracks={
        "open": Track(**TRAIN),
        "budgets": Track(**TRAIN, fraction=0.5, queries=(100, 200)),
    },
    seeds=3,
    recipe={"default": {"steps": 10}},
    tuning=Tuning(
        held_out=0.25, untuned=("kd",), grid={"kd": ITEMS, "scratch": SMOOTH}
    ),
)


def planned(**asked: Any) -> Plan:
    protocol = PROTOCOL.model_copy(update=asked.pop("update", {}))
    return plan(Request(protocol, **asked))


def of(found: Plan, kind: type[Any], attack: str = "kd") -> list[Any]:
    return [t for t in found.tasks if isinstance(t, kind) and t.attack.name == attack]


def test_each_defense_is_tuned_once_a_track_on_a_seed_that_is_not_ranked() -> None:
    found = planned()

    tunes = of(found, Tune)
    assert len(tunes) == 2 * 2  # defenses, tracks
    assert {t.root.seed for t in (*tunes, *of(found, Try))} == {TUNING_SEED}
    assert {len(t.tries) for t in tunes} == {3}
    tuned = [s for s in of(found, Steal) if s.tuned]
    assert len(tuned) == 2 * 3 * 3  # defenses, accesses, seeds
    for steal in tuned:
        assert steal.tuned.target.defense == steal.target.defense
        assert steal.tuned.access.queries in (None, 200)  # where the track ranks
        assert steal.tuned.access.fraction == steal.access.fraction


def test_a_try_departs_from_the_base_as_its_item_says() -> None:
    first, second, third = of(planned(seeds=1, defenses=("none",)), Tune)[0].tries

    assert dict(first.attack.options)["alpha"] == 0.0
    assert first.recipe == Recipe(steps=10)
    assert dict(second.attack.options)["tau"] == 1.0
    assert second.recipe == Recipe(steps=10, lr=0.2)
    assert third.recipe == Recipe(steps=10, pad=1)
    assert len({first.key, second.key, third.key}) == 3


def test_controls_are_tuned_and_attacks_without_a_grid_are_not() -> None:
    found = planned()

    assert [len(t.tries) for t in of(found, Tune, "scratch")] == [2, 2]
    assert of(found, Tune, "label_kd") == []
    assert {s.tuned for s in of(found, Steal, "label_kd")} == {None}


@pytest.mark.parametrize(
    "asked",
    [
        {"untuned": True},
        {"attacks": ("kd[tau=2]",)},
        {"settings": {"kd": {"tau": "2"}}},
        {"sweeps": {"kd": {"tau": ("2",)}}},
        {"update": {"tuning": None}},
        {"tracks": ("mine[teacher=SoftLabels,images=TrainImages,fraction=0.3]",),
         "attacks": ("kd[alpha=0.3]",)},
    ],
    ids=str,
)  # fmt: skip
def test_what_was_asked_for_is_run_as_it_was_asked(asked: dict[str, Any]) -> None:
    found = planned(**asked)

    assert of(found, Tune) == of(found, Try) == []
    assert of(found, Steal)


def test_a_field_of_the_recipe_that_was_asked_for_is_not_tuned_away() -> None:
    settings = {"recipe": {"lr": "0.3", "pad": "2"}}

    [tune, *_] = of(planned(settings=settings), Tune)

    assert [json.loads(i) for i in tune.items] == [{"alpha": 0.0}, {"tau": 1}, {}]
    assert {(t.recipe.lr, t.recipe.pad) for t in tune.tries} == {(0.3, 2)}


def test_twice_the_effort_is_another_student_with_the_same_choice() -> None:
    once, twice = (of(planned(effort=n, seeds=1), Steal) for n in (1, 2))

    assert {s.effort for s in twice} == {2}
    assert {s.key for s in once}.isdisjoint(s.key for s in twice)
    assert [s.tuned for s in once] == [s.tuned for s in twice]
    with pytest.raises(BadOption, match="--effort 2: the recipe of cnn2 is in epochs"):
        planned(effort=2, update={"recipe": {"default": {"epochs": 1}}})


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"tua": 1}, r"\[tuning.grid\], kd: kd: unknown option 'tua'"),
        ({"recipe.step": 1}, "unknown field 'step'"),
        ({"alpha": 2}, "less than or equal to 1"),
    ],
)
def test_an_item_that_does_not_fit_is_the_protocols_mistake(item, says) -> None:
    tuning = Tuning(grid={"kd": ({}, item)})

    with pytest.raises(BadProtocol, match=says):
        planned(update={"tuning": tuning})


def test_a_protocol_covers_what_chose_from_its_grid() -> None:
    tuned = Coverage(PROTOCOL)
    other = Coverage(
        PROTOCOL.model_copy(update={"tuning": Tuning(grid={"kd": ITEMS[:2]})})
    )
    plain = Coverage(PROTOCOL.model_copy(update={"tuning": None}))
    row = {s.tuned is not None: preview(s) for s in of(planned(), Steal)}
    longer = preview(of(planned(effort=2), Steal)[0])
    labels = [
        [words.attack(r) for r in (row[True], row[False], longer)]
        for words in (tuned, other, plain)
    ]

    assert [tuned.covers(row[True]), tuned.covers(row[False])] == [True, True]
    assert [other.covers(row[True]), other.covers(row[False])] == [False, False]
    assert [plain.covers(row[True]), plain.covers(row[False])] == [False, True]
    assert not tuned.covers(longer)
    assert not any(tuned.covers(preview(t)) for t in of(planned(), Tune))
    assert labels == [
        ["kd", "kd[untuned]", "kd[effort=2]"],
        ["kd[tuned otherwise]", "kd[untuned]", "kd[tuned otherwise, effort=2]"],
        ["kd[tuned otherwise]", "kd", "kd[tuned otherwise, effort=2]"],
    ]


def test_a_try_that_failed_is_of_no_use_once_its_choice_is_made() -> None:
    tasks = planned(seeds=1, defenses=("none",), attacks=("kd",)).tasks
    tries = [t for t in tasks if isinstance(t, Try)]

    assert needed(tasks, set()) == list(tasks)
    assert needed(tasks, set(tasks) - {tries[0]}) == []
    choice = next(t for t in tasks if isinstance(t, Tune) and tries[0] in t.tries)
    student = next(t for t in tasks if isinstance(t, Steal) and t.tuned == choice)
    lost = {tries[0], choice, student}
    assert set(needed(tasks, set(tasks) - lost)) == lost
