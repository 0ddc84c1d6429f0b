"""A value of ours meets only a reported one that answers the same question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.boards.board import leaderboard
from bench.boards.papers import (
    ATTACKS,
    DATASETS,
    DEFENSES,
    NETWORKS,
    Comparison,
    compare,
)
from bench.entry_points import installed
from bench.planning.protocol import Protocol
from bench.results.index import Results
from bench.results.literature import Reported
from bench.results.rows import Row
from bench.testing.protocol import PROTOCOL
from bench.testing.rows import release_row, steal_row, teacher_row

PAPER = Reported(
    paper="A paper",
    venue="ICCV",
    table="Table 3",
    dataset="CIFAR-10",
    defense="none",
    attack="vanilla KD",
    teacher="ResNet-34",
    student="ResNet-18",
    setting="200 epochs",
    metric="test top1 %",
    value=0.94,
    note="",
    source="a file",
    url="https://example.org/a",
)


def protocol(
    dataset: str = "cifar10",
    teacher: str = "resnet34",
    student: str = "resnet18",
    name: str = "photographs",
) -> Protocol:
    new = {"name": name, "dataset": dataset, "teachers": (teacher,)}
    return PROTOCOL.model_copy(update={**new, "students": (student,)})


PHOTOGRAPHS = protocol()


def measured(
    of: Protocol = PHOTOGRAPHS, kd: tuple[float, ...] = (0.94, 0.95, 0.96), **more: str
) -> list[Row]:
    """Rows of an undefended teacher at 0.97, of `kd` and of `scratch` at 0.90."""
    at = {"dataset": of.dataset, "teacher": of.teachers[0]}
    rows: list[Row] = []
    for seed, accuracy in enumerate(kd):
        rows += [teacher_row(seed, 0.97, **at), release_row("none", seed, 0.97, **at)]
        student = {**at, "student": of.students[0], **more}
        rows.append(steal_row("none", "kd", seed, accuracy, **student))
        rows.append(steal_row("none", "scratch", seed, 0.90, **student))
    return rows


def beside(
    rows: list[Row], *reported: Reported, under: tuple[Protocol, ...] = (PHOTOGRAPHS,)
) -> Comparison:
    return compare(leaderboard(Results(rows), under), reported)


def found(comparison: Comparison) -> list[tuple[str, float]]:
    """Attack of ours and value of theirs, for every pair."""
    return [
        (ours.question.attack, pair.theirs.value)
        for ours, pairs in comparison.pairs.items()
        for pair in pairs
    ]


def test_names_of_the_literature_lead_to_things_that_the_bench_has() -> None:
    assert set(DATASETS.values()) <= set(installed("bench.datasets"))
    assert set(NETWORKS.values()) <= set(installed("bench.networks"))
    assert set(DEFENSES.values()) <= set(installed("bench.defenses"))
    assert set(ATTACKS.values()) - {""} <= set(installed("bench.attacks"))


@pytest.mark.parametrize(("theirs", "inside"), [(0.94, True), (0.90, False)])
def test_a_pair_has_our_interval_less_the_reported_value(
    theirs: float, inside: bool
) -> None:
    comparison = beside(measured(), replace(PAPER, value=theirs))

    [(ours, [pair])] = comparison.pairs.items()
    half = 4.302653 * 0.01 / 3**0.5  # Student's t, two degrees of freedom
    gap, expected = pair.difference, 0.95 - theirs
    assert (ours.protocol, ours.version) == ("photographs", 2)
    assert (gap.value, gap.low, gap.high) == pytest.approx(
        (expected, expected - half, expected + half), abs=1e-6
    )
    assert pair.inside is inside


def test_one_seed_has_no_interval_to_be_inside_of() -> None:
    [[pair]] = beside(measured(kd=(0.94,)), PAPER).pairs.values()

    assert pair.inside is None


@pytest.mark.parametrize(
    "other",
    [
        {"student": "ResNet-34"},
        {"student": "ResNet-18-8x"},
        {"teacher": "VGG-11"},
        {"teacher": ""},
        {"dataset": "CIFAR-100"},
        {"defense": "nasty (SUKD)"},
        {"attack": "KD on alternative similar data"},
        {"metric": "AutoAttack acc %"},
    ],
    ids=str,
)
def test_what_differs_in_one_part_is_not_set_side_by_side(
    other: dict[str, str],
) -> None:
    assert found(beside(measured(), replace(PAPER, **other))) == []


def test_who_was_granted_less_answers_another_question() -> None:
    few = beside(measured(track="limited"), PAPER)
    part = PHOTOGRAPHS.model_copy(update={"data_fraction": 0.1})
    rows = [replace(row, data_fraction=0.1) for row in measured()]

    assert found(few) == []
    [(_, asked), *_] = [(k, v) for k, v in few.alone.items() if k[2]]
    assert [q.attack for q in asked] == [
        f"{name} (confidences, 10 % of the training images)"
        for name in ("kd", "scratch")
    ]
    assert beside(rows, PAPER, under=(part,)).pairs == {}


def test_a_teachers_own_value_meets_the_teacher_once() -> None:
    theirs = replace(PAPER, attack="teacher (no attack)", student="WRN-16-1")
    twice = protocol(student="resnet34", name="other")

    comparison = beside(
        [*measured(), *measured(twice)], theirs, under=(PHOTOGRAPHS, twice)
    )

    values = {
        (m.question.student, round(m.accuracy.value, 9)) for m in comparison.pairs
    }
    assert values == {("", 0.97)}


def test_scratch_meets_values_of_its_teacher_and_of_none() -> None:
    scratch = replace(PAPER, attack="train from scratch (labels)", value=0.9)

    comparison = beside(
        measured(),
        scratch,
        replace(scratch, teacher="", value=0.8),
        replace(scratch, teacher="WRN-40-2", value=0.7),
    )

    assert found(comparison) == [("scratch", 0.9), ("scratch", 0.8)]


def test_rows_that_depart_from_their_protocol_are_not_compared() -> None:
    assert found(beside(measured(student_recipe="{}"), PAPER)) == []


def test_cells_that_nobody_reported_are_told_by_data_set_and_networks() -> None:
    digits = protocol("digits", "resnet8", "cnn2", "figures")
    again = protocol(name="again")

    comparison = beside(
        [*measured(), *measured(digits)], PAPER, under=(PHOTOGRAPHS, digits, again)
    )

    assert comparison.unheard == ["digits"]
    assert {place: len(asked) for place, asked in comparison.alone.items()} == {
        ("cifar10", "resnet34", ""): 1,
        ("cifar10", "resnet34", "resnet18"): 1,
    }
