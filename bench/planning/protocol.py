"""A protocol file: which defenses meet which attacks, with whose recipes.

It is TOML data without code, and reading it needs no torch.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from bench.errors import BadProtocol, UnknownName
from bench.options import Count, Fraction
from bench.recipe import Recipe
from bench.results.grid import grid_of
from bench.threat.access import Access, ImageGrant, TeacherGrant

HOME = Path(__file__).parents[1] / "protocols"

Precision = Literal["fp32", "bf16"]
"""bf16 computes in bfloat16 where autocast finds it safe."""
SELF = "self"
"""Among the students: the teacher's own network."""


class Track(BaseModel):
    """A threat model by name. Several fractions or budgets make a curve of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: TeacherGrant
    images: ImageGrant
    fraction: Fraction | Annotated[tuple[Fraction, ...], Field(min_length=1)] = 1.0
    """Share of the training images, or several shares in turn."""
    queries: Count | Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    """Images that the teacher answers at most, or several budgets in turn."""

    @model_validator(mode="after")
    def _can_be_enforced(self) -> Self:
        self.accesses()  # raises where one of them cannot be made
        return self

    def accesses(self) -> tuple[Access, ...]:
        """What is granted: one record a fraction and budget, in the order written."""
        fractions = (
            self.fraction if isinstance(self.fraction, tuple) else [self.fraction]
        )
        budgets = self.queries if isinstance(self.queries, tuple) else [self.queries]
        pairs = product(fractions, budgets)
        return tuple(Access(self.teacher, self.images, f, q) for f, q in pairs)

    @property
    def ranked(self) -> Access | None:
        """Under which of its accesses the board ranks: the largest budget.

        None where fractions vary: that is a study of them.
        """
        if isinstance(self.fraction, tuple):
            return None
        return max(self.accesses(), key=lambda access: access.queries or 0)


class Tuning(BaseModel):
    """How attackers tune: what they may try, and what they compare on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the granted images on which tries are compared."""
    untuned: tuple[str, ...] = ()
    """Attacks that are run as their options say as well: what papers print."""
    grid: dict[str, Annotated[tuple[dict[str, Any], ...], Field(min_length=2)]]
    """By attack, the items to try: options in place of the protocol's, and fields of
    the student's recipe as `recipe.NAME`. The same for every defense."""

    def items(self, attack: str) -> tuple[str, ...]:
        """The items of `attack` as JSON; none where it is not tuned."""
        return tuple(json.dumps(item) for item in self.grid.get(attack, ()))

    def as_json(self, attack: str) -> str:
        """All items of `attack`, as rows hold them."""
        return grid_of(self.items(attack))


class Protocol(BaseModel):
    """A selection of computations, and how they are called.

    It is no part of what a task is: protocols that have tasks in common share them.
    Raise `version` when the selection changes, so that readers can cite it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: Count
    summary: str = ""
    dataset: str
    data_fraction: Fraction = 1.0
    """Share of the training images that is used at all, by teacher and attackers."""
    teachers: tuple[str, ...] = Field(min_length=1)
    """Networks of the teachers, each on a board of its own."""
    students: tuple[str, ...] = Field(min_length=1)
    """Networks of the students; `self` is the teacher's own."""
    defenses: tuple[str, ...] = Field(min_length=1)
    """Specs; `none` is added by itself."""
    attacks: tuple[str, ...] = Field(min_length=1)
    """Specs of the panel; `scratch` is added by itself."""
    tracks: dict[str, Track] = Field(min_length=1)
    """Threat models by name, in the order of the site. Each attack is run in every
    track whose grants suffice for it."""
    seeds: Count = 3
    precision: Precision = "fp32"
    recipe: dict[str, dict[str, Any]] = {}
    """Fields of `Recipe` by network; `default` serves all that are not named."""
    options: dict[str, dict[str, Any]] = {}
    """Options by plugin, in place of the class's defaults."""
    utility_allowance: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Accuracy that a ranked defense may cost, a share: the upper end of its interval
    counts, of the replies, or of the network where its weights are granted."""
    tuning: Tuning | None = None
    """None tunes nothing."""
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
            raise BadProtocol(f"recipe of {network}: {first_error(error)}") from error


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
        raise BadProtocol(f"protocol {path}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """The first complaint of pydantic, with its field."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
