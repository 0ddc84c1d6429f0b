"""Parents come first, the longest path first, orphans get their row at once."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from bench.engines.events import Ended, Event, Started
from bench.engines.ready_queue import ReadyQueue
from bench.errors import Status
from bench.stages.task import with_parents


@dataclass(frozen=True)
class Node:
    """All that the queue asks of a task."""

    label: str
    parents: tuple[Node, ...] = ()
    tolerant: bool = False


def line(seed: int) -> list[Node]:
    """A teacher, releases by none and nasty, and two students of each."""
    teacher = Node(f"teacher {seed}")
    releases = [Node(f"{name} {seed}", (teacher,)) for name in ("none", "nasty")]
    students = [
        Node(f"{attack} from {release.label}", (release,))
        for release in releases
        for attack in ("kd", "dafl")
    ]
    return with_parents(students)


def test_a_tolerant_task_waits_for_its_parents_however_they_end() -> None:
    tries = tuple(Node(f"try {n}") for n in range(3))
    choice = Node("choice", tries, tolerant=True)
    student = Node("student", (choice,))
    heard: list[Event] = []
    ready = queue([*tries, choice, student], heard=heard)

    order = drain(ready, {"try 0": "diverged", "try 2": "failed"})

    assert order == [*tries, choice, student] and ready.over
    assert ended(heard)["student"] == "ok"


def row(status: str, reason: str = "") -> Any:
    return SimpleNamespace(status=status, reason=reason)


def queue(waiting: Any, done: Any = (), heard: list[Event] | None = None) -> ReadyQueue:
    events: list[Event] = [] if heard is None else heard
    return ReadyQueue(
        list(waiting),
        set(done),
        lambda task, status, reason: row(status, reason),
        events.append,
    )


def drain(ready: ReadyQueue, ends: dict[str, str] | None = None) -> list[Node]:
    """Do everything; the order in which tasks were begun."""
    order: list[Node] = []
    while (task := ready.next()) is not None:
        order.append(task)
        ready.ended(task, row((ends or {}).get(task.label, "ok"), "fog"))
    return order


def ended(heard: list[Event]) -> dict[str, str]:
    return {e.task.label: e.row.status for e in heard if isinstance(e, Ended)}


def test_every_task_is_begun_once_and_after_what_it_builds_on() -> None:
    plan, heard = [*line(0), *line(1)], []

    order = drain(queue(reversed(plan), heard=heard))

    assert sorted(n.label for n in order) == sorted(n.label for n in plan)
    for task in order:
        assert all(order.index(p) < order.index(task) for p in task.parents)
    assert [e.task for e in heard if isinstance(e, Started)] == order
    assert ended(heard) == {node.label: "ok" for node in plan}


def test_the_longest_path_comes_first_among_those_that_are_ready() -> None:
    leaf, root = Node("leaf"), Node("root")
    middle = Node("middle", (root,))
    plan = [leaf, Node("twig", (root,)), middle, Node("end", (middle,)), root]

    order = [node.label for node in drain(queue(plan))]

    assert order == ["root", "middle", "leaf", "twig", "end"]


def test_a_task_waits_for_all_of_its_parents() -> None:
    first, second = Node("first"), Node("second")
    both = Node("both", (first, second))
    ready = queue([both, second, first])

    one = ready.next()
    other = ready.next()
    assert one is not None and other is not None
    ready.ended(one, row("ok"))
    assert ready.next() is None
    ready.ended(other, row("ok"))
    assert ready.next() == both


@pytest.mark.parametrize(
    ("broken", "dropped"),
    [
        ("nasty 0", {"kd from nasty 0", "dafl from nasty 0"}),
        ("teacher 0", {node.label for node in line(0)} - {"teacher 0"}),
    ],
)
def test_a_failure_drops_what_builds_on_it_and_nothing_else(
    broken: str, dropped: set[str]
) -> None:
    plan, heard = [*line(0), *line(1)], []

    drain(queue(plan, heard=heard), {broken: "diverged"})

    told = ended(heard)
    assert {label for label, status in told.items() if status == "skipped"} == dropped
    assert told[broken] == "diverged"
    assert sum(status == "ok" for status in told.values()) == 13 - len(dropped)
    [orphan] = [
        e.row.reason
        for e in heard
        if isinstance(e, Ended) and e.task.label == min(dropped)
    ]
    assert "ended as" in orphan


def test_an_orphan_of_two_parents_has_one_row() -> None:
    first, second, heard = Node("first"), Node("second"), []
    plan = [first, second, Node("both", (first, second))]

    drain(queue(plan, heard=heard), {"first": "failed", "second": "failed"})

    assert [e.task.label for e in heard if isinstance(e, Ended)].count("both") == 1


def test_what_is_done_is_neither_begun_nor_waited_for() -> None:
    plan = line(0)
    students = [node for node in plan if " from " in node.label]

    order = drain(queue(students, done=set(plan) - set(students)))

    assert order == students


def test_it_is_over_when_nothing_waits_and_nothing_runs_though_workers_are_lost() -> (
    None
):
    work = queue(line(0)[:1])
    assert queue([]).over and not work.over
    teacher = work.next()
    assert teacher is not None and not work.over

    work.put_back([teacher])

    assert work.next() == teacher and work.running == {teacher}
    work.ended(teacher, row(Status.OK))
    assert work.over
