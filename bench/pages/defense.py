"""A page for every defense: its ranks, released teachers, portrait and students."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bench.boards.columns import track
from bench.boards.seen import Scene, Student
from bench.pages import ablation_charts, charts, portrait_charts
from bench.pages.formats import plugin_address
from bench.pages.site import Page, Site
from bench.planning.coverage import CONTROL_DEFENSE
from bench.results.rows import Defended, StealRow


def pages(site: Site) -> Iterator[Page]:
    """One a label."""
    boards, everyone = site.overview.boards, site.overview.releases
    for label in site.defenses:
        releases = site.releases.get(label, [])
        students = site.students_by_defense.get(label, [])
        rows: list[Defended] = [one.row for one in releases]
        rows += [one.row for one in students]
        facts = {
            "label": label,
            "summary": site.summary("defense", label),
            "options": site.options(rows, "defense"),
            "releases": releases,
            "students": students,
            "track": track,
            "entries": [
                (board, entry)
                for board in boards
                for entry in board.entries
                if entry.defense == label
            ],
            "figures": sorted({name for one in releases for name in one.row.figures}),
            "charts": charts.defense(boards, label),
            "ablations": ablation_charts.defense(
                site.overview.ablations, label, site.defenses
            ),
            "portraits": portrait_charts.portraits(releases, everyone),
            "samples": _samples(site, label),
        }
        yield Page(plugin_address("defense", label), "defense.html", facts)


def _samples(site: Site, label: str) -> list[StealRow]:
    """Images made from seed 0 of this defense, each after the same from none."""
    both: list[Student] = [
        one
        for name in dict.fromkeys([CONTROL_DEFENSE, label])
        for one in site.students_by_defense.get(name, [])
        if one.row.samples and one.row.seed == 0
    ]
    groups: dict[object, list[Student]] = defaultdict(list)
    for one in both:
        groups[one.attack, Scene.of(one)].append(one)
    return [
        one.row
        for group in _in_order(list(groups.values()))
        if any(one.defense == label for one in group)
        for one in group
    ]


def _in_order(groups: Sequence[list[Student]]) -> list[list[Student]]:
    return sorted(groups, key=lambda group: (group[0].attack, group[0].track))
