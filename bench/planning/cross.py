"""The product of pairs, accesses, networks and seeds, as tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product

from bench.errors import BadProtocol, BenchError
from bench.networks.catalogue import Network, find
from bench.planning.coverage import CONTROL_DEFENSE
from bench.planning.panel import Pair, Panel
from bench.planning.protocol import Protocol, Track
from bench.planning.request import Request
from bench.planning.tuner import Tuner
from bench.plugins.plugin import Plugin
from bench.recipe import Recipe
from bench.stages import Data, Protect, Steal, TrainTeacher
from bench.threat.access import Access, ImageGrant, TeacherGrant


@dataclass
class Cross:
    """The product, and what is left out of it."""

    request: Request
    panel: Panel
    tracks: Mapping[str, Track]
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from bench import data  # here: it loads torch

        request, protocol = self.request, self.request.protocol
        self.networks = request.teachers or protocol.teachers
        self.students = {
            n: protocol.students_of(n, request.students) for n in self.networks
        }
        names = [*self.networks, *(s for n in self.networks for s in self.students[n])]
        self.found = _networks(protocol, dict.fromkeys(names))
        fields = request.settings.get("recipe", {})
        self.recipes: dict[str, Recipe] = {
            n: protocol.recipe_of(n, fields) for n in self.found
        }
        asked = request.dataset or protocol.dataset
        dataset = data.load(asked)
        self.data = Data(
            name=dataset.name,
            fingerprint=dataset.fingerprint,
            fraction=protocol.data_fraction,
            augmentation=json.dumps(asdict(dataset.augment)),
            normalisation=json.dumps([dataset.mean, dataset.std]),
            asked=asked,
        )
        self.surrogates = self._surrogates()
        self.tuning = Tuner(self.request, self.recipes)

    def _surrogates(self) -> str:
        """The fingerprint of the surrogate images; empty where no track needs them.

        Where they cannot be had, their tracks are left out.
        """
        from bench import data

        needy = [
            name
            for name, track in self.tracks.items()
            if track.images is ImageGrant.SURROGATE_IMAGES
        ]
        if not needy:
            return ""
        try:
            return data.surrogate(self.data.asked).fingerprint
        except BenchError as error:
            for name in needy:
                self.notes[f"track {name} is left out: {error}"] = None
            self.tracks = {n: t for n, t in self.tracks.items() if n not in needy}
            return ""

    def steals(self) -> Iterator[Steal]:
        """Every student, seed by seed."""
        protocol = self.request.protocol
        precision = self.request.precision or protocol.precision
        seeds = range(self.request.seeds or protocol.seeds)
        pairs = [(pair, access) for pair in self._pairs() for access in self._of(pair)]
        for seed, network in product(seeds, self.networks):
            recipe = self.recipes[network]
            teacher = TrainTeacher(
                self.data, seed, precision, self.found[network], recipe
            )
            releases = {
                defense: Protect(teacher, defense)
                for defense in dict.fromkeys(pair.defense for pair, _ in pairs)
            }
            for (pair, access), student in product(pairs, self.students[network]):
                if why := _excluded(pair.attack, student, network):
                    self.notes[why] = None
                    continue
                surrogate = access.images is ImageGrant.SURROGATE_IMAGES
                plain = Steal(
                    target=releases[pair.defense],
                    attack=pair.attack,
                    access=access,
                    student=self.found[student],
                    recipe=self.recipes[student],
                    surrogates=self.surrogates if surrogate else "",
                    effort=self.request.effort,
                )
                yield from self.tuning.of(plain, pair, self._ranked(access))

    def _ranked(self, access: Access) -> Access | None:
        """Where the track of `access` ranks, and so tunes; None where it is a study."""
        for track in self.tracks.values():
            if access in track.accesses():
                return track.ranked
        return access  # of a control: what is granted of the teacher makes no odds

    def _pairs(self) -> Iterator[Pair]:
        """Those of the panel; who never asks the teacher meets the undefended alone."""
        for pair in self.panel.pairs:
            if not pair.attack.teacherless or pair.defense.label == CONTROL_DEFENSE:
                yield pair
        if self.panel.control not in self.panel.attacks:
            yield Pair(self.panel.defenses[0], self.panel.control)

    def _of(self, pair: Pair) -> list[Access]:
        """The accesses under which `pair` is run.

        The zero line that nobody asked for is drawn where others are read against it.
        """
        points = [(t, a) for t in self.tracks.values() for a in t.accesses()]
        met = [
            access
            for track, access in points
            if _suits(access, pair.attack)
            and (not pair.is_point or access == track.ranked)
        ]
        if pair.attack.teacherless:  # what is granted of the teacher makes no odds
            met = list({a.fraction: a for a in reversed(met)}.values())[::-1]
        if pair.attack is not self.panel.control or pair.attack in self.panel.attacks:
            return list(dict.fromkeys(met))
        others = [p for p in self.panel.pairs if not p.attack.teacherless]
        return [a for a in met if any(_suits(a, p.attack) for p in others)]


def _suits(access: Access, attack: Plugin) -> bool:
    return attack.needs is not None and access.suffices(attack.needs)


def _networks(protocol: Protocol, asked: Iterable[str]) -> dict[str, Network]:
    """The networks that are asked for; those that have a recipe must exist too.

    Raises:
        BadProtocol: a recipe is of no network.
        UnknownName: what is asked for does not exist.
    """
    found = {name: find(name) for name in asked}
    for name in protocol.recipe:
        if name != "default" and name not in found:
            try:
                find(name)
            except BenchError as error:
                where = f"protocol {protocol.name!r}, [recipe]"
                raise BadProtocol(f"{where}: {error}") from error
    return found


def _excluded(attack: Plugin, student: str, teacher: str) -> str:
    """Why this attack may not train this student; empty if it may."""
    holds = attack.needs is not None and attack.needs.teacher is TeacherGrant.WEIGHTS
    if not holds or student != teacher:
        return ""
    return (
        f"{attack.label} to {student}: left out, because to a student of the teacher's "
        "own architecture the strongest attack is a copy of the weights"
    )
