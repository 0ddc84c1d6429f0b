"""A protocol file: which defenses meet which attacks, with whose recipes.

It is TOML data without code, and reading it needs no torch.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bench.errors import BadProtocol, UnknownName
from bench.options import Count, Fraction
from bench.recipe import Recipe

HOME = Path(__file__).parents[1] / "protocols"

Precision = Literal["fp32", "bf16"]
"""bf16 computes in bfloat16 where autocast finds it safe."""
SELF = "self"
"""Among the students: the teacher's own network."""


class Protocol(BaseModel):
    """What a plan is made from. A change of anything in it needs a new `version`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: Count
    summary: str = ""
    dataset: str
    share: Fraction = 1.0
    """Of the training images, for teacher and attackers alike."""
    teachers: tuple[str, ...] = Field(min_length=1)
    """Networks of the teachers, each on a board of its own."""
    students: tuple[str, ...] = Field(min_length=1)
    """Networks of the students; `self` is the teacher's own."""
    defenses: tuple[str, ...] = Field(min_length=1)
    """Specs; `none` is added by itself."""
    attacks: tuple[str, ...] = Field(min_length=1)
    """Specs of the panel; `scratch` is added by itself."""
    seeds: Count = 3
    precision: Precision = "fp32"
    recipe: dict[str, dict[str, Any]] = {}
    """Fields of `Recipe` by network; `default` serves all that are not named."""
    options: dict[str, dict[str, Any]] = {}
    """Options by plugin, in place of the class's defaults."""
    sweeps: dict[str, dict[str, tuple[Any, ...]]] = {}
    """Values by option by plugin. One option varies at a time, all others staying as
    they are: a study of them, whose rows are shown and never ranked."""

    def students_of(self, teacher: str, asked: Iterable[str] = ()) -> tuple[str, ...]:
        """The students' networks, each once; those `asked` in place of the file's."""
        named = tuple(asked) or self.students
        return tuple(dict.fromkeys(teacher if n == SELF else n for n in named))

    def recipe_of(self, network: str, asked: Mapping[str, Any]) -> Recipe:
        """How `network` is trained.

        Args:
            network: Its name.
            asked: Fields that the command line sets, above those of the file.

        Raises:
            BadProtocol: a field does not exist, or its value does not fit.
        """
        own = {**self.recipe.get("default", {}), **self.recipe.get(network, {})}
        known = [f.name for f in fields(Recipe)]
        for name in (given := {**own, **asked}):
            if name not in known:
                where = f"a recipe has: {', '.join(known)}"
                raise BadProtocol(str(UnknownName.among("field", name, known, where)))
        try:
            return TypeAdapter(Recipe).validate_python(given)
        except ValidationError as error:
            raise BadProtocol(f"recipe of {network}: {_first(error)}") from error


def names() -> list[str]:
    """The protocols that come with the bench."""
    return sorted(path.stem for path in HOME.glob("*.toml"))


def load(name: str) -> Protocol:
    """The protocol called `name`, or the one in the file of that path.

    Raises:
        UnknownName: there is none.
        BadProtocol: the file does not say what it must.
    """
    path = Path(name) if name.endswith(".toml") else HOME / f"{name}.toml"
    if not path.is_file():
        raise UnknownName.among("protocol", name, names(), "bench list")
    try:
        text = path.read_text()
        return Protocol.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadProtocol(f"cannot read protocol {path}: {error}") from error
    except ValidationError as error:
        raise BadProtocol(f"protocol {path}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}"
