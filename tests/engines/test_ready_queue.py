"""Parents come first, orphans get their row at once, nothing is handed out twice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.engines.ready_queue import Agenda, run_here
from bench.planning.tasks import Protect, Setting, Steal, TrainTeacher, with_parents
from bench.plugins.registry import Plugin
from bench.recipe import Recipe

SETTING = Setting("tiny", 1, "digits", "0")


def plugin(kind: str, name: str) -> Plugin:
    return Plugin(kind, name, (), "", label=name, target=name)


def tasks(seeds: int = 2) -> list:
    """Per seed a teacher, releases by none and nasty, and two students of each."""
    steals = [
        Steal(
            Protect(
                TrainTeacher(SETTING, "cnn2", Recipe(), seed),
                plugin("defense", defense),
            ),
            plugin("attack", attack),
            "cnn2",
            Recipe(),
        )
        for seed in range(seeds)
        for defense in ("none", "nasty")
        for attack in ("kd", "dafl")
    ]
    return with_parents(steals)


class Ears:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def started(self, task) -> None:
        self.heard.append(("started", task.label))

    def progress(self, task, step, of, losses) -> None:
        raise AssertionError("nothing reports progress here")

    def ended(self, task, row) -> None:
        self.heard.append((row.status, task.label))


def outcome(status: str, reason: str = "") -> SimpleNamespace:
    return SimpleNamespace(status=status, reason=reason)


def agenda(waiting, done=(), ears=None) -> Agenda:
    return Agenda(
        list(waiting),
        set(done),
        lambda task, status, reason: outcome(status, reason),
        ears or Ears(),
    )


def test_every_task_is_begun_once_and_after_what_it_builds_on():
    plan, order = tasks(), []

    run_here(agenda(reversed(plan)), lambda task: order.append(task) or outcome("ok"))

    assert sorted(map(repr, order)) == sorted(map(repr, plan))
    for task in order:
        assert task.parent is None or order.index(task.parent) < order.index(task)


def test_teachers_come_before_releases_before_students():
    plan = tasks(seeds=3)
    ready = agenda(reversed(plan))
    first = [ready.next() for _ in range(3)]

    assert all(isinstance(task, TrainTeacher) for task in first)
    assert ready.next() is None and not ready.over


def test_a_failure_drops_its_children_and_no_other():
    plan, ears = tasks(), Ears()
    broken = next(t for t in plan if t.label == "protect by nasty #0")

    run_here(
        agenda(plan, ears=ears),
        lambda task: outcome("failed" if task == broken else "ok", "fog"),
    )

    dropped = sorted(label for status, label in ears.heard if status == "skipped")
    assert dropped == ["dafl from nasty to cnn2 #0", "kd from nasty to cnn2 #0"]
    assert sum(status == "ok" for status, _ in ears.heard) == len(plan) - 3


def test_a_failed_teacher_drops_everything_that_comes_of_it():
    plan, ears = tasks(seeds=1), Ears()

    run_here(agenda(plan, ears=ears), lambda task: outcome("diverged", "NaN"))

    statuses = [status for status, _ in ears.heard]
    assert statuses == ["started", "diverged"] + ["skipped"] * (len(plan) - 1)


def test_what_is_done_is_neither_begun_nor_waited_for():
    plan, order = tasks(), []
    releases = [task for task in plan if not isinstance(task, Steal)]
    students = [task for task in plan if isinstance(task, Steal)]

    run_here(
        agenda(students, done=releases),
        lambda task: order.append(task) or outcome("ok"),
    )

    assert order == students


def test_a_task_that_lost_its_worker_is_begun_again():
    work = agenda(tasks(seeds=1))
    teacher = work.next()

    work.put_back([teacher])

    assert work.next() == teacher and work.running == {teacher}


@pytest.mark.parametrize("waiting", [[], tasks()])
def test_it_is_over_when_nothing_waits_and_nothing_runs(waiting):
    assert agenda(waiting).over == (not waiting)
