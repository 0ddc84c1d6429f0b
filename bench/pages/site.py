"""What all pages are made from, looked up once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bench import entry_points
from bench.boards.overview import Overview
from bench.boards.seen import Release, Student, name_of
from bench.pages.formats import address_of, plugin_address
from bench.planning.labels import access_of, used
from bench.plugins.spec import Kind
from bench.results.literature import Reported
from bench.results.rows import Attacked, Defended, ProtectRow, Row, TuneRow
from bench.results.verified import Verified


@dataclass(frozen=True)
class Page:
    """One file of the site."""

    path: str
    """Below the site's folder."""
    template: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def up(self) -> str:
        """What leads from its folder to the site's."""
        return "../" * self.path.count("/")


@dataclass(frozen=True)
class Site:
    """Rows in the words of protocols, and what papers report."""

    overview: Overview
    reported: Sequence[Reported] = ()
    verified: Sequence[Verified] = ()
    """Rows that were done again elsewhere."""

    @property
    def rows(self) -> Sequence[Row]:
        """Every row, current or not."""
        return self.overview.results.rows

    @cached_property
    def releases(self) -> Mapping[str, list[Release]]:
        """The current released teachers by the label of their defense."""
        return _grouped(self.overview.releases, "defense")

    @cached_property
    def students_by_defense(self) -> Mapping[str, list[Student]]:
        """The current students by the label of the defense."""
        return _grouped(self.overview.students, "defense")

    @cached_property
    def students_by_attack(self) -> Mapping[str, list[Student]]:
        """The current students by the label of the attack."""
        return _grouped(self.overview.students, "attack")

    @cached_property
    def defenses(self) -> list[str]:
        """The labels that have a page, in order."""
        return sorted({*self.releases, *self.students_by_defense})

    def has(self, key: str) -> bool:
        """Whether a row of that key has a page."""
        return key in self.overview.results.by_key

    def title(self, row: Row) -> str:
        """What the row's task did, in a few words."""
        words = self.overview.words(row)
        seed = f"seed {row.seed}" if row.seed >= 0 else "for tuning"
        if isinstance(row, TuneRow):
            who = f"{row.attack} from {words.defense(row)} to {row.student}"
            return f"What tuning chose: {who}, {access_of(row)}"
        if isinstance(row, Attacked):
            who = f"{words.attack(row)} from {words.defense(row)}"
            return f"{who} to {row.student}, {seed}"
        if isinstance(row, ProtectRow):
            return f"{row.teacher} protected by {words.defense(row)}, {seed}"
        return f"{row.teacher} as undefended teacher, {seed}"

    def address(self, row: Row) -> str:
        """The page of `row`, below the site's folder."""
        return address_of(row.key)

    def page_of(self, kind: Kind, label: str) -> str:
        """The page of a plugin's label, below the site's folder; empty if it has none.

        A board calls plugins as its own protocol does, and the page of a row stands
        under what the first protocol that covers it says.
        """
        known = self.defenses if kind == "defense" else self.students_by_attack
        return plugin_address(kind, label) if label in known else ""

    def protocols(self, row: Row) -> str:
        """The protocols that ask for the computation of `row`, with their versions."""
        return ", ".join(f"{p.name} {p.version}" for p in self.overview.covering(row))

    def options(self, rows: Sequence[Defended], kind: Kind) -> dict[str, list[str]]:
        """The options behind a label that `rows` share, and who asks for them.

        One label may stand for several: its brackets hold what departs from a protocol,
        and protocols differ.
        """
        told: dict[str, list[str]] = {}
        for row in sorted(rows, key=lambda row: not self.overview.covering(row)):
            known = used(row, kind).options
            text = ", ".join(f"{k} = {json.dumps(v)}" for k, v in known.items())
            whose = told.setdefault(text, [])
            name = self.protocols(row) or "no protocol"
            if name not in whose:
                whose.append(name)
        return told

    def summary(self, kind: Kind, label: str) -> str:
        """What an installed plugin says of itself in one line."""
        return self._summaries[kind].get(name_of(label), "")

    @cached_property
    def _summaries(self) -> Mapping[Kind, dict[str, str]]:
        return {
            "defense": entry_points.summaries("bench.defenses"),
            "attack": entry_points.summaries("bench.attacks"),
        }


def _grouped(seen: Sequence[Any], label: str) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for one in seen:
        groups[getattr(one, label)].append(one)
    for group in groups.values():
        group.sort(key=_order)
    return dict(sorted(groups.items()))


def _order(one: Release | Student) -> tuple[object, ...]:
    row = one.row
    student = (one.attack, one.track) if isinstance(one, Student) else ()
    return row.dataset, one.defense, *student, row.seed, row.key
