"""What an attack promises, on the tiny problem of `bench.testing`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from bench.contract.of_all import check_same
from bench.errors import BadPlugin, Diverged, Skipped
from bench.plugins.base import Attack
from bench.testing import problem
from bench.testing.problem import Theft
from bench.threat.access import ImageGrant, TeacherGrant
from bench.threat.grants import Weights

AttackClass = type[Attack[Any, Any]]
BUDGET = 10
"""Images that the teacher answers where a budget is tried."""


def names_its_grants(cls: AttackClass) -> None:
    """Its two type parameters name what it needs."""
    cls.needs()


def trains_the_student(cls: AttackClass) -> None:
    """The student it is given has learned something, and is finite."""
    student = Theft(cls).student
    if not _has_learned(student):
        raise BadPlugin("the student's weights are what they were")
    if not all(bool(p.isfinite().all()) for p in student.parameters()):
        raise BadPlugin("the student's weights are not finite")


def steals_alike_twice(cls: AttackClass) -> None:
    """The same seed gives the same student, to the bit."""
    first, second = Theft(cls).student, Theft(cls).student
    check_same(first, second, "two runs with one seed taught others")


def leaves_the_student_in_eval_mode(cls: AttackClass) -> None:
    """It scores the student for the curve in eval mode, and leaves it there."""
    theft = Theft(cls)
    if any(theft.run.modes) or theft.student.training:
        raise BadPlugin(
            "the student was scored or left in train mode: use `train` or "
            "`run.steps`, or call student.eval() first"
        )


def leaves_the_weights_alone(cls: AttackClass) -> None:
    """It does not change the network behind `Weights`."""
    before = deepcopy(problem.a_teacher().state_dict())
    grant = Theft(cls).grant
    if isinstance(grant, Weights):
        for name, value in grant.network.state_dict().items():
            if not torch.equal(value, before[name]):
                raise BadPlugin(f"{name} of the teacher was changed")


def asks_about_no_view_twice(cls: AttackClass) -> None:
    """It passes the view of an image that was dealt, and so pays for it once."""
    needs = cls.needs()
    if needs.images is ImageGrant.NO_IMAGES or needs.teacher is TeacherGrant.WEIGHTS:
        return
    most = problem.COUNT * problem.MOVED.codes
    queries = Theft(cls).ledger.queries
    epochs = problem.RECIPE.epochs
    if queries > min(most, problem.COUNT * epochs):
        raise BadPlugin(
            f"it was billed for {queries} answers about {problem.COUNT} images in "
            f"{epochs} epoch: pass batch.view along with batch.pixels"
        )


def keeps_to_its_budget(cls: AttackClass) -> None:
    """Under a budget of queries it spends no more, and trains on what it got."""
    if cls.teacherless:
        queries = Theft(cls).ledger.queries
        if queries:
            raise BadPlugin(f"a teacherless control asked about {queries} images")
        return
    if cls.needs().teacher is TeacherGrant.WEIGHTS:
        return
    theft = Theft(cls, BUDGET)  # an oracle that is asked for more raises
    if not theft.ledger.queries:
        raise BadPlugin(f"with {BUDGET} queries to spend it asked about nothing")
    if not _has_learned(theft.student):
        raise BadPlugin(f"with {BUDGET} queries to spend it taught the student nothing")


def ends_where_numbers_end(cls: AttackClass) -> None:
    """A student of NaN, or a teacher that replies with it, ends it as diverged."""
    with problem.a_run() as run:
        student = _broken(run.network("cnn2"))
    for who, sick in (("student", student), ("teacher", _broken(problem.a_teacher()))):
        try:
            theft = Theft(cls, **{who: sick})  # type: ignore[arg-type]
        except (Diverged, Skipped):
            continue
        if not all(bool(p.isfinite().all()) for p in theft.student.parameters()):
            raise BadPlugin(
                f"with a {who} of NaN it went on: check its losses with check_finite, "
                "or log them in run.steps"
            )


def _has_learned(student: nn.Module) -> bool:
    """Whether a weight of it is another than it was handed out with."""
    with problem.a_run() as run:
        fresh = run.network("cnn2")
    pairs = zip(fresh.parameters(), student.parameters(), strict=True)
    return not all(torch.equal(a, b) for a, b in pairs)


def _broken(network: nn.Module) -> nn.Module:
    """`network` with a last layer of NaN."""
    for parameter in list(network.parameters())[-2:]:
        nn.init.constant_(parameter, float("nan"))
    return network
