"""What every plugin promises, as checks that an outsider can run on their own.

Each promise takes a plugin class and raises `BadPlugin` with what it saw. The plugin
meets the problem of `tiny`.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench import testing as tiny
from bench.errors import BadOption, BadPlugin, Stopped
from bench.plugins import registry
from bench.plugins.base import Attack, Defense, Released
from bench.seeds import seeded
from bench.threat import grants as threat

DefenseClass = type[Defense]
AttackClass = type[Attack[Any, Any]]


def has_defaults(cls: type[Any]) -> None:
    """It is a frozen dataclass of its own whose options all have defaults."""
    if "__dataclass_fields__" not in vars(cls) or not is_dataclass(cls):
        raise BadPlugin(f"{cls.__name__} lacks @dataclass(frozen=True)")
    try:
        cls()
    except TypeError as error:
        raise BadPlugin(f"{cls.__name__}() needs defaults: {error}") from error


def has_plain_options(cls: type[Any]) -> None:
    """Its options are text, numbers, truth values or None: rows can hold them."""
    plain = cls()
    for option in fields(cls):
        value = getattr(plain, option.name)
        if not isinstance(value, str | int | float | bool | None):
            raise BadPlugin(f"option {option.name} is a {type(value).__name__}")
    registry.options_of(cls, cls.__name__, dict(cls.brief))


def documents_itself(cls: type[Any]) -> None:
    """Its class has a docstring of its own."""
    if not vars(cls).get("__doc__") or str(cls.__doc__).startswith(f"{cls.__name__}("):
        raise BadPlugin(f"{cls.__name__} has no docstring")


def replies_with_log_probabilities(cls: DefenseClass) -> None:
    """Its replies are `(N, K)` log-probabilities: no NaN, and exp sums to one."""
    answers = _ask(tiny.protect(cls), tiny.dealt_images().pixels)
    if answers.shape != (tiny.COUNT, tiny.CLASSES):
        raise BadPlugin(
            f"replies are {tuple(answers.shape)}, not {(tiny.COUNT, tiny.CLASSES)}"
        )
    sums = answers.exp().sum(dim=1)
    if bool(answers.isnan().any()) or not torch.allclose(
        sums, sums.new_ones(tiny.COUNT)
    ):
        raise BadPlugin("replies are no log-probabilities: exp does not sum to one")


def replies_alike_alone_and_in_a_batch(cls: DefenseClass) -> None:
    """An image's reply does not depend on what else was asked, unless it says so."""
    released, pixels = tiny.protect(cls), tiny.dealt_images().pixels
    together, alone = _ask(released, pixels)[:1], _ask(released, pixels[:1])
    if released.randomised:
        return
    again = _ask(released, pixels, seed=1)[:1]
    if not torch.equal(together, again):
        raise BadPlugin(
            "the reply to an image changes by chance, or with what was asked before: "
            "if that is meant, release it with randomised=True"
        )
    if not torch.allclose(together, alone, atol=1e-4):
        raise BadPlugin(
            "the reply to an image changes with the batch around it: if that is meant, "
            "release it with randomised=True"
        )


def fits_its_skeleton(cls: DefenseClass) -> None:
    """What it releases can be stored and loaded into what `skeleton` builds."""
    released = tiny.protect(cls)
    with tiny.a_run(seed=3) as run:
        shell = cls(**cls.brief).skeleton(run)
    if shell.parts().keys() != released.parts().keys():
        raise BadPlugin("protect and skeleton release different parts")
    if shell.randomised != released.randomised:
        raise BadPlugin("protect and skeleton must say alike whether it is randomised")
    for name, part in shell.parts().items():
        try:
            part.load_state_dict(released.parts()[name].state_dict())
        except RuntimeError as error:
            text = " ".join(str(error).split())
            raise BadPlugin(f"skeleton's {name} does not fit: {text}") from error
        part.eval()
    pixels = tiny.dealt_images().pixels
    if not torch.allclose(_ask(shell, pixels), _ask(released, pixels), atol=1e-5):
        raise BadPlugin("loaded from the store, it replies otherwise")


def protects_alike_twice(cls: DefenseClass) -> None:
    """The same seed gives the same released teacher, to the bit."""
    first, second = tiny.protect(cls), tiny.protect(cls)
    for name, part in first.parts().items():
        _same(part, second.parts()[name], "two runs with one seed released others")


def names_its_grants(cls: AttackClass) -> None:
    """Its two type parameters name what it may touch."""
    cls.grants()


def trains_the_student(cls: AttackClass) -> None:
    """The student it is given has learned something, and is finite."""
    with tiny.a_run() as run:
        fresh = run.network("cnn2")
    student, _, _ = tiny.steal(cls)
    if all(
        torch.equal(a, b)
        for a, b in zip(fresh.parameters(), student.parameters(), strict=True)
    ):
        raise BadPlugin("the student's weights are what they were")
    if not all(bool(p.isfinite().all()) for p in student.parameters()):
        raise BadPlugin("the student's weights are not finite")


def steals_alike_twice(cls: AttackClass) -> None:
    """The same seed gives the same student, to the bit."""
    _same(
        tiny.steal(cls)[0], tiny.steal(cls)[0], "two runs with one seed taught others"
    )


def leaves_the_weights_alone(cls: AttackClass) -> None:
    """It does not change the network behind `Weights`."""
    before = deepcopy(tiny.a_teacher().state_dict())
    door = tiny.steal(cls)[2]
    if isinstance(door, threat.Weights):
        for name, value in door.network.state_dict().items():
            if not torch.equal(value, before[name]):
                raise BadPlugin(f"{name} of the teacher was changed")


def asks_no_more_than_granted(cls: AttackClass) -> None:
    """It spends no answer beyond its budget; a teacherless control spends none."""
    _, ledger, _ = tiny.steal(cls)
    if cls.teacherless and ledger.queries:
        raise BadPlugin(f"a teacherless control asked about {ledger.queries} images")
    if ledger.budget is not None and ledger.queries > ledger.budget:
        raise BadPlugin(f"{ledger.queries} answers of {ledger.budget} granted")


COMMON = (has_defaults, has_plain_options, documents_itself)
PROMISES: dict[registry.Kind, tuple[Callable[[Any], None], ...]] = {
    "defense": (
        *COMMON,
        replies_with_log_probabilities,
        replies_alike_alone_and_in_a_batch,
        fits_its_skeleton,
        protects_alike_twice,
    ),
    "attack": (
        *COMMON,
        names_its_grants,
        trains_the_student,
        steals_alike_twice,
        leaves_the_weights_alone,
        asks_no_more_than_granted,
    ),
}
"""Every promise by kind, in the order in which they are checked."""


def find(spec: str) -> tuple[registry.Kind, type[Any]]:
    """The kind and the class of the plugin that `spec` names.

    Raises:
        BadOption: options were given: the contract is held with the defaults.
        BadPlugin: it cannot be loaded.
        UnknownName: nothing is installed under that name.
    """
    name, options = registry.split(spec)
    if options:
        raise BadOption(f"{spec!r}: the contract is held with defaults; write {name}")
    kind = registry.kind_of(name)
    return kind, registry.load(kind, name)


def kept(promise: Callable[[Any], None], cls: type[Any]) -> None:
    """Check one `promise`; whatever the plugin raises is a broken promise.

    Raises:
        BadPlugin: the promise is broken.
    """
    try:
        promise(cls)
    except (BadPlugin, Stopped):
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        raise BadPlugin(f"it raised {type(error).__name__}: {text}") from error


def _ask(released: Released, pixels: Tensor, seed: int = 0) -> Tensor:
    with torch.no_grad(), seeded(seed, tiny.CPU):  # an answer may draw
        return released.reply(pixels)


def _same(first: nn.Module, second: nn.Module, complaint: str) -> None:
    other = second.state_dict()
    for name, value in first.state_dict().items():
        if not torch.equal(value, other[name]):
            raise BadPlugin(f"{complaint}: {name} differs")
