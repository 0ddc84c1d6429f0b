"""Every plugin keeps every promise; one that breaks a promise is caught by that one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import bad_plugins as bad
import pytest
from torch import nn

from bench import Run, SoftLabels, TrainImages
from bench.contract import check as contract
from bench.errors import BadPlugin, BudgetExhausted, Diverged
from bench.plugins import registry
from bench.plugins.spec import Kind
from bench.testing.problem import Theft

Promise = Callable[[Any], None]
CASES: list[tuple[Kind, bad.Case]] = [
    *(("defense", case) for case in bad.DEFENSES),
    *(("attack", case) for case in bad.ATTACKS),
]


def pairs() -> Iterator[Any]:
    for kind, promises in contract.PROMISES.items():
        for name in registry.installed(kind):
            for promise in promises:
                yield pytest.param(kind, name, promise, id=f"{name}-{promise.__name__}")


@pytest.mark.parametrize(("kind", "name", "promise"), list(pairs()))
def test_every_plugin_keeps_every_promise(
    kind: Kind, name: str, promise: Promise
) -> None:
    contract.kept(promise, registry.load(kind, name))


def broken(kind: Kind, cls: type[Any]) -> dict[str, str]:
    """What `cls` breaks: the names of the promises, each with the complaint."""
    found = {}
    for promise in contract.PROMISES[kind]:
        try:
            contract.kept(promise, cls)
        except (BadPlugin, BudgetExhausted) as error:
            found[promise.__name__] = str(error)
    return found


def named(value: Kind | bad.Case) -> str:
    return value if isinstance(value, str) else value[0].__name__


@pytest.mark.parametrize(("kind", "case"), CASES, ids=named)
def test_a_bad_plugin_is_caught_by_the_promise_that_it_breaks(
    kind: Kind, case: bad.Case
) -> None:
    cls, promise, complaint = case

    found = broken(kind, cls)

    assert next(iter(found)) == promise
    assert re.search(complaint, found[promise])
    if cls.__name__ in bad.ALONE_IN_IT:
        assert len(found) == 1, found


@pytest.mark.parametrize("kind", ["defense", "attack"])
def test_every_promise_is_broken_by_a_bad_plugin(kind: Kind) -> None:
    names = {promise.__name__ for promise in contract.PROMISES[kind]}

    # What reads a plugin's source is broken in files of their own, in tests/dishonest.
    names -= {"takes_what_it_was_granted"}
    assert {case[1] for of, case in CASES if of == kind} == names


@pytest.mark.parametrize(
    ("kind", "cls"),
    [("defense", bad.Answering), ("defense", bad.FRANK), ("attack", bad.NUDGING)],
)
def test_a_plugin_that_is_no_more_than_odd_breaks_no_promise(
    kind: Kind, cls: type[Any]
) -> None:
    assert broken(kind, cls) == {}


def test_an_attack_that_overspends_is_stopped() -> None:
    with pytest.raises(BudgetExhausted, match="32 images with 10 left"):
        Theft(bad.TWOFOLD, budget=10)


def test_a_control_that_says_it_never_asks_gets_no_answer() -> None:
    with pytest.raises(BudgetExhausted, match="32 images with 0 left"):
        contract.kept(contract.of_attacks.trains_the_student, bad.FALSE_CONTROL)


def stubborn(
    student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
) -> None:
    bad.nudge(student, run)
    for image in images.pixels.split(4):
        try:
            teacher(image)
        except BudgetExhausted:
            continue


def test_an_attack_that_asks_on_gets_no_answer_beyond_its_budget() -> None:
    cls = bad.stealing("Stubborn", stubborn, SoftLabels, TrainImages)

    theft = Theft(cls, budget=10)

    assert broken("attack", cls) == {}
    assert (theft.ledger.queries, theft.grant.remaining) == (8, 2)


def exploding(*_: object) -> None:
    raise Diverged("the loss became nan")


def test_a_task_that_stops_by_itself_says_how_it_ended() -> None:
    cls = bad.stealing("Exploding", exploding)

    with pytest.raises(Diverged, match="the loss became nan"):
        contract.kept(contract.of_attacks.trains_the_student, cls)
