"""The options of a plugin: which there are, and whether a value fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from bench.errors import BadOption, BadPlugin, UnknownName, one_line
from bench.plugins.spec import Value

if TYPE_CHECKING:
    from bench.plugins.base import Attack, Defense


def options_of(
    cls: type[Attack[Any, Any]] | type[Defense], name: str, given: Mapping[str, Any]
) -> dict[str, Value]:
    """Every option of `cls`, from `given` or else its default.

    Raises:
        BadOption: an option does not exist, its value does not fit, or it has none.
    """
    try:
        hints = get_type_hints(cls, include_extras=True)
        plain = cls()
    except Exception as error:
        text = one_line(error)
        raise BadPlugin(
            f"{name} cannot be made with its defaults: {type(error).__name__}: {text}"
        ) from error
    known = {f.name: f for f in fields(cls)}
    for option in given:
        if option not in known:
            options = ", ".join(known) or "none"
            near = UnknownName.among("option", option, known, f"{name} has: {options}")
            raise BadOption(f"{name}: {near}")
    decided: dict[str, Value] = {}
    for option in known:
        value = given.get(option, getattr(plain, option))
        if value in ("none", "None") and type(None) in get_args(hints[option]):
            value = None
        try:
            decided[option] = TypeAdapter(hints[option]).validate_python(value)
        except ValidationError as error:
            what = error.errors()[-1]["msg"]
            raise BadOption(f"{name}: {option}={value!s}: {what}") from error
        except PydanticUserError as error:
            raise BadPlugin(f"{name}: {option} has a type of its own") from error
        if not isinstance(decided[option], str | int | float | bool | None):
            raise BadPlugin(
                f"{name}: {option} must hold text, a number, a truth value or None"
            )
    return decided
