"""Which rows a protocol selects, and what it calls them. It needs no torch.

A row tells what was computed. A protocol covers it when nothing departs: data,
networks, recipes, seeds, access, and every option of its plugins. One row may be
covered by several protocols, and a new protocol covers rows that are older than it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from bench.planning import protocol as protocols
from bench.planning.labels import Labels, access_of, used
from bench.plugins.spec import Kind, short_name, split
from bench.results.rows import Defended, Row, StealRow
from bench.threat.access import Access

CONTROL_DEFENSE, CONTROL_ATTACK = "none", "scratch"
"""Part of every plan: without them no number can be read."""


@dataclass(frozen=True)
class Coverage(Labels):
    """One protocol's view of rows."""

    def fits(self, row: Row) -> bool:
        """Whether networks and recipes are the protocol's, so that its words suit."""
        asked = self.protocol
        if (row.data_fraction, row.precision) != (asked.data_fraction, asked.precision):
            return False
        if not self._trains(row.teacher, row.teacher_recipe, asked.teachers):
            return False
        return not isinstance(row, StealRow) or self._trains(
            row.student, row.student_recipe, asked.students_of(row.teacher)
        )

    def covers(self, row: Row) -> bool:
        """Whether the protocol asks for the computation of `row`."""
        ranked = 0 <= row.seed < self.protocol.seeds  # tuning has a seed below 0
        if row.dataset != self.protocol.dataset or not ranked:
            return False
        if not self.fits(row):
            return False
        if isinstance(row, StealRow):
            return self._covers_student(row)
        return not isinstance(row, Defended) or self._role(row, "defense") is not None

    @cached_property
    def ranks(self) -> bool:
        """Whether anything is ranked: a study of options or fractions ranks nothing.

        Nor does a protocol that has the name of one of the bench's and other content.
        """
        asked = self.protocol
        is_study = asked.sweeps or all(t.ranked is None for t in asked.tracks.values())
        is_ours = asked.name in protocols.names()
        return not is_study and (not is_ours or protocols.load(asked.name) == asked)

    def ranks_under(self, access: Access) -> bool:
        """Whether a board under `access` is one of those that rank."""
        ranked = [track.ranked for track in self.protocol.tracks.values()]
        return self.ranks and access in ranked

    def _covers_student(self, row: StealRow) -> bool:
        access = access_of(row)
        roles = {self._role(row, "defense"), self._role(row, "attack")}
        if None in roles or not self._grants(access, row.teacherless):
            return False
        if row.effort != 1:
            return False
        if "swept" not in roles:
            return self._tunes(row)
        if row.is_tuned:
            return False
        # A point of a sweep meets plain plugins, and no track that is a study itself.
        ranked = [track.ranked for track in self.protocol.tracks.values()]
        return "named" in roles and access in ranked

    def _tunes(self, row: StealRow) -> bool:
        """Whether the protocol lets the attack choose from what it chose from."""
        tuning = self.protocol.tuning
        if tuning is None or not row.is_tuned:
            untuned = tuning is not None and row.attack in tuning.untuned
            return untuned or self.grid(row.attack) == row.grid
        asked = (self.grid(row.attack), tuning.held_out)
        return (row.grid, row.held_out) == asked

    def _grants(self, access: Access, teacherless: bool) -> bool:
        """Whether some track grants `access`; without a teacher only images matter."""
        images = [(a.images, a.fraction) for a in self._tracks]
        return access in self._tracks or (
            teacherless and (access.images, access.fraction) in images
        )

    def _trains(self, network: str, recipe: str, known: tuple[str, ...]) -> bool:
        return network in known and json.loads(recipe) == self._recipe(network)

    def _role(self, row: Defended, kind: Kind) -> Literal["named", "swept"] | None:
        """Whether the protocol names the plugin, sweeps over it, or neither (None)."""
        name, options, defaults = used(row, kind)
        usual = self.usual(name, defaults)
        # A new defense is official when run with its default options.
        if kind == "defense" and options == usual:
            return "named"
        for asked in self._specs[kind].get(name, ()):
            if all(
                stands_for(asked[k], v) if k in asked else v == usual.get(k)
                for k, v in options.items()
            ):
                return "named"
        departs = [k for k, v in options.items() if v != usual.get(k)]
        if len(departs) != 1:
            return None
        [option] = departs
        values = self.protocol.sweeps.get(name, {}).get(option, ())
        return "swept" if options[option] in values else None

    @cached_property
    def _specs(self) -> dict[Kind, dict[str, list[dict[str, str]]]]:
        """By kind and name, what each spec of the protocol asks of the options."""
        named: dict[Kind, tuple[str, ...]] = {
            "defense": (CONTROL_DEFENSE, *self.protocol.defenses),
            "attack": (CONTROL_ATTACK, *self.protocol.attacks),
        }
        found: dict[Kind, dict[str, list[dict[str, str]]]] = {k: {} for k in named}
        for kind, specs in named.items():
            for spec in specs:
                name, asked = split(spec)
                found[kind].setdefault(short_name(kind, name), []).append(asked)
        return found

    def _recipe(self, network: str) -> dict[str, Any]:
        if network not in self._recipes:
            recipe = asdict(self.protocol.recipe_of(network, {}))
            self._recipes[network] = json.loads(json.dumps(recipe))
        return self._recipes[network]

    @cached_property
    def _recipes(self) -> dict[str, dict[str, Any]]:
        return {}


def stands_for(text: str, value: object) -> bool:
    """Whether `text`, as a user writes an option, means `value`."""
    if isinstance(value, bool):
        return text.lower() in (("true", "1", "yes") if value else ("false", "0", "no"))
    if isinstance(value, int | float):
        try:
            return float(text) == value
        except ValueError:
            return False
    return text in ("none", "None", "") if value is None else text == value
