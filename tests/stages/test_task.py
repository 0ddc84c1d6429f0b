"""A task's key covers the computation, all of it and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.networks.catalogue import find
from bench.plugins.registry import resolve
from bench.recipe import Recipe
from bench.stages import Data, Protect, Steal, TrainTeacher, task
from bench.stages.task import with_parents
from bench.threat.access import Access, ImageGrant, TeacherGrant

DATA = Data("digits", "f" * 16)
OPEN = Access(TeacherGrant.SOFT_LABELS, ImageGrant.TRAIN_IMAGES)
TEACHER = TrainTeacher(DATA, 0, "fp32", find("resnet8"), Recipe(epochs=3))


def tasks(teacher: TrainTeacher = TEACHER) -> tuple[TrainTeacher, Protect, Steal]:
    release = Protect(teacher, resolve("defense", "nasty", {}))
    kd = resolve("attack", "kd", {})
    student = find("cnn2")
    return teacher, release, Steal(release, kd, OPEN, student, Recipe(epochs=4))


def test_equal_tasks_have_equal_keys_and_each_kind_its_own() -> None:
    first, again = [t.key for t in tasks()], [t.key for t in tasks()]

    assert first == again
    assert len(set(first)) == 3
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in first)
    assert set(tasks()) == set(tasks())


def test_a_key_does_not_depend_on_what_a_plugin_is_called_in_tables() -> None:
    teacher, release, steal = tasks()

    defense = replace(release.defense, label="else")
    attack = replace(steal.attack, label="else")
    other = replace(steal, attack=attack, target=Protect(teacher, defense))

    assert other == steal
    assert other.key == steal.key


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"network": find("cnn2")},
        {"recipe": Recipe(epochs=4)},
        {"precision": "bf16"},
        {"data": replace(DATA, name="planets")},
        {"data": replace(DATA, fingerprint="0" * 16)},
        {"data": replace(DATA, fraction=0.5)},
        {"data": replace(DATA, augmentation='{"flip": true}')},
        {"data": replace(DATA, normalisation="[[0], [1]]")},
    ],
    ids=str,
)
def test_every_key_depends_on_all_that_made_the_teacher(
    change: dict[str, Any],
) -> None:
    for one, other in zip(tasks(), tasks(replace(TEACHER, **change)), strict=True):
        assert one.key != other.key


def test_a_key_depends_on_plugins_with_their_options_and_sources() -> None:
    teacher, release, steal = tasks()
    keys = {steal.key}

    for plugin in (release.defense, steal.attack):
        code = replace(plugin.code, hash="0" * 16)
        for change in ({"code": code}, {"class_name": "Other"}, {"options": ()}):
            other = replace(plugin, **change)
            if plugin is steal.attack:
                keys.add(replace(steal, attack=other).key)
            else:
                keys.add(replace(steal, target=Protect(teacher, other)).key)

    assert len(keys) == 7


@pytest.mark.parametrize(
    "change",
    [
        {"attack": resolve("attack", "kd[tau=8]", {})},
        {"student": find("resnet8")},
        {"recipe": Recipe()},
        {"surrogates": "0" * 16},
        {"access": replace(OPEN, fraction=0.5)},
        {"access": replace(OPEN, queries=9)},
        {"access": replace(OPEN, teacher=TeacherGrant.HARD_LABELS)},
    ],
    ids=str,
)
def test_a_key_depends_on_student_attack_and_access(change: dict[str, Any]) -> None:
    *_, steal = tasks()

    assert replace(steal, **change).key != steal.key


def test_every_key_depends_on_the_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [t.key for t in tasks()]

    monkeypatch.setattr(task, "REVISION", task.REVISION + 1)
    fresh = tasks(replace(TEACHER))

    assert not {t.key for t in fresh} & set(before)


def test_an_edited_plugin_is_another_task_and_an_integer_for_a_default_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from bench import Attack, SoftLabels, TrainImages\n"
        "@dataclass(frozen=True)\n"
        "class Own(Attack[SoftLabels, TrainImages]):\n"
        "    strength: float = 1\n"
        "    def steal(self, student, teacher, images, run): pass\n"
    )
    *_, steal = tasks()

    def keyed(spec: str) -> str:
        return replace(steal, attack=resolve("attack", spec, {})).key

    plain = keyed(f"{path}:Own")
    assert keyed(f"{path}:Own[strength=1]") == plain
    path.write_text(path.read_text() + "\n# edited\n")
    assert keyed(f"{path}:Own") != plain


def test_tasks_are_gathered_once_with_their_parents() -> None:
    teacher, release, steal = tasks()

    assert with_parents([steal, release, steal]) == [teacher, release, steal]
    assert with_parents([]) == []
