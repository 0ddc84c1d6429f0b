"""Which students are tuned, and the tries that this takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.errors import BadOption, BadProtocol
from bench.planning.panel import Pair
from bench.planning.request import Request
from bench.plugins.plugin import Plugin, varied
from bench.recipe import Recipe
from bench.stages import TUNING_SEED, Protect, Steal, Try, Tune
from bench.threat.access import Access

FIELD = "recipe."
"""What an item says of the recipe begins with it."""


@dataclass
class Tuner:
    """Puts the tries of a protocol's grid before its students.

    An attack is tuned unless the request says otherwise, or gives it an option of its
    own: what the user asked for is run as it was asked.
    """

    request: Request
    recipes: Mapping[str, Recipe]
    """By network."""
    made: dict[tuple[object, ...], Tune] = field(default_factory=dict)
    """Seeds share their tuning."""
    settled: dict[tuple[object, ...], tuple[Plugin, Recipe]] = field(
        default_factory=dict
    )
    """Attack and recipe by attack, student and item."""

    def of(self, plain: Steal, pair: Pair, ranked: Access | None) -> Iterator[Steal]:
        """`plain` as it is tuned, and as it stands where the protocol wants it too.

        Args:
            plain: The student, not tuned.
            pair: Whose it is.
            ranked: The access under which its track ranks; None tunes nothing.

        Raises:
            BadOption: a recipe in epochs cannot be trained for longer.
            BadProtocol: an item of the grid does not fit.
        """
        if plain.effort > 1 and plain.recipe.steps is None:
            raise BadOption(
                f"--effort {plain.effort}: the recipe of {plain.student.name} is in "
                "epochs; use a protocol whose recipe has steps"
            )
        tuning = self.request.protocol.tuning
        items = self._items(pair)
        if not items or ranked is None or tuning is None:
            yield plain
            return
        yield replace(plain, tuned=self._tune(plain, ranked, items, tuning.held_out))
        if pair.attack.name in tuning.untuned:
            yield plain

    def _items(self, pair: Pair) -> list[dict[str, Any]]:
        """What may be tried; a field of the recipe that was asked for stays."""
        tuning, attack = self.request.protocol.tuning, pair.attack
        as_asked = attack.label != attack.name or pair.is_point
        if tuning is None or self.request.untuned or as_asked:
            return []
        asked = {FIELD + name for name in self.request.settings.get("recipe", {})}
        left = [
            {k: v for k, v in item.items() if k not in asked}
            for item in tuning.grid.get(attack.name, ())
        ]
        return [item for place, item in enumerate(left) if item not in left[:place]]

    def _tune(
        self,
        plain: Steal,
        ranked: Access,
        items: list[dict[str, Any]],
        held_out: float,
    ) -> Tune:
        teacher, defense = plain.target.teacher, plain.target.defense
        what = (teacher.network, defense, plain.attack, ranked, plain.student)
        if what not in self.made:
            target = Protect(replace(teacher, seed=TUNING_SEED), defense)
            shared: dict[str, Any] = {
                "target": target,
                "access": ranked,
                "student": plain.student,
                "surrogates": plain.surrogates,
                "held_out": held_out,
            }
            settled = [self._once(plain, item) for item in items]
            self.made[what] = Tune(
                attack=plain.attack,
                recipe=plain.recipe,
                items=tuple(map(json.dumps, items)),
                tries=tuple(Try(attack=a, recipe=r, **shared) for a, r in settled),
                **shared,
            )
        return self.made[what]

    def _once(self, plain: Steal, item: Mapping[str, Any]) -> tuple[Plugin, Recipe]:
        """`_settled`, which reads source, once for all defenses and accesses."""
        what = (plain.attack, plain.student, json.dumps(item))
        if what not in self.settled:
            self.settled[what] = self._settled(plain, item)
        return self.settled[what]

    def _settled(self, plain: Steal, item: Mapping[str, Any]) -> tuple[Plugin, Recipe]:
        """The attack and the recipe that `item` stands for."""
        protocol = self.request.protocol
        own = {k: v for k, v in item.items() if not k.startswith(FIELD)}
        fields = dict(self.request.settings.get("recipe", {}))
        fields |= {
            k.removeprefix(FIELD): v for k, v in item.items() if k.startswith(FIELD)
        }
        try:
            recipe = protocol.recipe_of(plain.student.name, fields)
            return varied(plain.attack, own), recipe
        except (BadOption, BadProtocol) as error:
            where = f"protocol {protocol.name!r}, [tuning.grid], {plain.attack.name}"
            raise BadProtocol(f"{where}: {error}") from error
