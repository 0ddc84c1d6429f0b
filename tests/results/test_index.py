"""Rows are found by key, kind and parent; of one question the newest answer counts."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from boarding import later

from bench.errors import Status
from bench.results.index import Results
from bench.testing.protocol import SOFT, TRAIN_IMAGES
from bench.testing.rows import release_row, steal_row, teacher_row
from bench.threat.access import Access

TEACHER, RELEASE = teacher_row(), release_row("wall")
STUDENTS = [steal_row("wall", "kd"), steal_row("wall", "dafl")]
OLD = STUDENTS[0]


def test_rows_are_found_by_key_and_kind_and_by_what_they_build_on() -> None:
    results = Results([*STUDENTS, TEACHER, RELEASE])

    assert results.by_key[RELEASE.key] is RELEASE
    assert results.teachers == [TEACHER]
    assert results.releases == [RELEASE]
    assert results.students == STUDENTS
    assert results.parent(STUDENTS[0]) is RELEASE
    assert results.parent(RELEASE) is TEACHER
    assert results.parent(TEACHER) is None
    assert results.children(TEACHER) == [RELEASE]
    assert results.children(RELEASE) == STUDENTS
    assert results.children(STUDENTS[0]) == []
    assert Results(STUDENTS).parent(STUDENTS[0]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"defense_source": "1" * 16},
        {"attack_source": "1" * 16},
        {"defense_defaults": '{"height": 2}'},
        {"revision": 2},
        {"data_fingerprint": "0" * 16},
        {"version": "0.2.0"},
        {"status": Status.FAILED, "accuracy": None},
    ],
    ids=str,
)
def test_of_rows_that_answer_the_same_question_the_latest_stays(
    change: dict[str, Any],
) -> None:
    new = later(OLD, key="new", **change)

    for rows in permutations([OLD, new, later(new, key="newest")]):
        assert [row.key for row in Results(rows).current.rows] == ["newest"]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"defense": "rope"},
        {"defense_options": {"height": 2}},
        {"attack": "copy"},
        {"attack_options": {"tau": 8.0}},
        {"access": Access(SOFT, TRAIN_IMAGES, 0.5)},
        {"access": Access(SOFT, TRAIN_IMAGES, queries=10)},
        {"track": "white box"},
        {"student": "resnet8"},
        {"student_recipe": "{}"},
        {"dataset": "planets"},
        {"data_fraction": 0.5},
        {"precision": "bf16"},
        {"teacher": "cnn2"},
        {"teacher_recipe": "{}"},
    ],
    ids=str,
)
def test_rows_that_answer_other_questions_stay_beside_each_other(
    other: dict[str, Any],
) -> None:
    one = later(steal_row(**{"defense": "wall", "attack": "kd", **other}))

    assert Results([one, OLD]).current.rows == [OLD, one]
