"""What each number means and does not, and how far one key moves between machines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from bench.pages.site import Page, Site
from bench.planning.protocol import Protocol
from bench.results.rows import Attacked, Row, StealRow, TryRow


@dataclass(frozen=True)
class Cost:
    """What the students of one attack took, on average, in seconds of one task."""

    dataset: str
    attack: str
    tries: int
    """How many items its tuning tries."""
    a_try: float | None
    a_student: float


def pages(site: Site) -> Iterator[Page]:
    """The page of the method."""
    ranking = [p for p in site.overview.protocols if p.tuning]
    facts = {
        "tuned": ranking,
        "costs": [cost for protocol in ranking for cost in _costs(site, protocol)],
        "verified": site.verified,
    }
    yield Page("method.html", "method.html", facts)


def _costs(site: Site, protocol: Protocol) -> list[Cost]:
    """Of the attacks that `protocol` tunes; those without a student are left out."""
    tuning = protocol.tuning
    students, tries = defaultdict(list), defaultdict(list)
    for row in site.overview.results.current.rows:
        if row.dataset != protocol.dataset or not _is_whole(row) or tuning is None:
            continue
        if isinstance(row, TryRow):
            tries[row.attack].append(row.seconds)
        elif isinstance(row, StealRow) and row.grid == tuning.as_json(row.attack):
            students[row.attack].append(row.seconds)
    return [
        Cost(
            dataset=protocol.dataset,
            attack=attack,
            tries=len(tuning.grid.get(attack, ())) if tuning else 0,
            a_try=fmean(tries[attack]) if attack in tries else None,
            a_student=fmean(seconds),
        )
        for attack, seconds in sorted(students.items())
    ]


def _is_whole(row: Row) -> bool:
    return isinstance(row, Attacked) and row.status == "ok" and row.effort == 1
