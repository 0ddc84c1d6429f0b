"""What a protocol calls plugins and accesses: a name, and in brackets what departs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from bench.planning.protocol import Protocol, Track
from bench.plugins.spec import Kind, brackets, short_name
from bench.results.grid import UNTUNED
from bench.results.rows import Attacked, Defended
from bench.threat.access import Access, ImageGrant, TeacherGrant


class Used(NamedTuple):
    """A plugin as a row tells of it."""

    name: str
    options: Mapping[str, Any]
    """All of them, in the order of the class."""
    defaults: Mapping[str, Any]
    """Those of the class."""


def used(row: Defended, kind: Kind) -> Used:
    """The defense of `row`, or the attack if it has one.

    Raises:
        ValueError: the row is of a released teacher, which no attack has met.
    """
    if kind == "defense":
        options, defaults = row.defense_options, row.defense_defaults
        return Used(row.defense, json.loads(options), json.loads(defaults))
    if not isinstance(row, Attacked):
        raise ValueError(f"the row {row.key} has no attack")
    options, defaults = row.attack_options, row.attack_defaults
    return Used(row.attack, json.loads(options), json.loads(defaults))


def access_of(row: Attacked) -> Access:
    """What the attacker of `row` was granted."""
    return Access(
        TeacherGrant(row.teacher_grant),
        ImageGrant(row.image_grant),
        row.fraction,
        row.query_budget,
    )


def limits(access: Access) -> dict[str, Any]:
    """The fields of `access` of which a track may list several values."""
    return {"fraction": access.fraction, "queries": access.queries}


@dataclass(frozen=True)
class Labels:
    """The labels of one protocol."""

    protocol: Protocol

    def label(
        self, name: str, options: Mapping[str, Any], defaults: Mapping[str, Any]
    ) -> str:
        """A plugin as tables call it: its name, and what departs from the protocol.

        Args:
            name: Of the plugin.
            options: All of them.
            defaults: Those of its class.
        """
        return name + brackets(options, self.usual(name, defaults))

    def usual(self, name: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The options with which a plugin goes by its bare name."""
        return {**defaults, **self._options.get(name, {})}

    def defense(self, row: Defended) -> str:
        """The label of the row's defense."""
        return self.label(*used(row, "defense"))

    def attack(self, row: Attacked) -> str:
        """The label of the row's attack, and in what its tuning or effort departs."""
        label = self.label(*used(row, "attack"))
        words = []
        if row.grid != self.grid(row.attack) and label == row.attack:
            words.append("tuned otherwise" if row.is_tuned else "untuned")
        if row.effort != 1:
            words.append(f"effort={row.effort}")
        if not words:
            return label
        inside = label.removeprefix(row.attack).strip("[]")
        return f"{row.attack}[{', '.join(filter(None, [inside, *words]))}]"

    def grid(self, attack: str) -> str:
        """What the protocol lets `attack` choose from, as rows hold it."""
        tuning = self.protocol.tuning
        return tuning.as_json(attack) if tuning else UNTUNED

    def track(self, access: Access) -> str:
        """The name of the track that grants `access`, and what departs from its usual.

        A track's usual access is the one that it ranks at; of several fractions it is
        the first. Where no track grants the same of teacher and images, the access is
        said in words.
        """
        tracks: Mapping[str, Track] = self.protocol.tracks
        alike = [
            (name, track.ranked or track.accesses()[0])
            for name, track in tracks.items()
            if (track.teacher, track.images) == (access.teacher, access.images)
            and self._tracks.get(access, name) == name
        ]
        if not alike:
            return str(access)
        # The nearest; of equally near ones the one that is limited itself.
        name, usual = min(
            alike,
            key=lambda found: (
                len(limits(found[1]).items() - limits(access).items()),
                limits(found[1]) == {"fraction": 1, "queries": None},
            ),
        )
        return name + brackets(limits(access), limits(usual))

    @cached_property
    def _tracks(self) -> dict[Access, str]:
        tracks: Mapping[str, Track] = self.protocol.tracks
        return {a: name for name, track in tracks.items() for a in track.accesses()}

    @cached_property
    def _options(self) -> dict[str, dict[str, Any]]:
        """The protocol's options by what rows call their plugin."""
        kinds: tuple[Kind, ...] = ("defense", "attack")
        options = self.protocol.options.items()
        return {short_name(k, name): own for k in kinds for name, own in options}
