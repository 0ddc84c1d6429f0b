"""What every plugin promises, as checks that an outsider can run on their own.

Each promise takes a plugin class and raises `BadPlugin` with what it saw. The plugin
meets the problem of `bench.testing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.contract import of_all, of_attacks, of_defenses
from bench.errors import BadOption, BadPlugin, Stopped, one_line
from bench.plugins import registry
from bench.plugins.spec import Kind, split

Promise = Callable[[Any], None]

OF_ALL: tuple[Promise, ...] = (
    of_all.has_defaults,
    of_all.has_plain_options,
    of_all.documents_itself,
    of_all.takes_what_it_was_granted,
)
PROMISES: dict[Kind, tuple[Promise, ...]] = {
    "defense": (
        *OF_ALL,
        of_defenses.replies_with_log_probabilities,
        of_defenses.replies_alike_alone_and_in_a_batch,
        of_defenses.fits_its_skeleton,
        of_defenses.protects_alike_twice,
    ),
    "attack": (
        *OF_ALL,
        of_attacks.names_its_grants,
        of_attacks.trains_the_student,
        of_attacks.steals_alike_twice,
        of_attacks.leaves_the_student_in_eval_mode,
        of_attacks.leaves_the_weights_alone,
        of_attacks.asks_about_no_view_twice,
        of_attacks.keeps_to_its_budget,
        of_attacks.ends_where_numbers_end,
    ),
}
"""Every promise by kind, in the order in which they are checked."""


def find(spec: str) -> tuple[Kind, type[Any]]:
    """The kind and the class of the plugin that `spec` names.

    Raises:
        BadOption: options were given: the contract is held with the defaults.
        BadPlugin: it cannot be loaded.
        UnknownName: nothing is installed under that name.
    """
    name, options = split(spec)
    if options:
        raise BadOption(f"{spec!r}: the contract is held with defaults; write {name}")
    kind = registry.kind_of(name)
    return kind, registry.load(kind, name)


def kept(promise: Promise, cls: type[Any]) -> None:
    """Check one `promise`; whatever the plugin raises is a broken promise.

    Raises:
        BadPlugin: the promise is broken.
    """
    try:
        promise(cls)
    except (BadPlugin, Stopped):
        raise
    except (Exception, SystemExit) as error:
        text = one_line(error)
        raise BadPlugin(f"it raised {type(error).__name__}: {text}") from error
