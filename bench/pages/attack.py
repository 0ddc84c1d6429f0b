"""A page for every attack: what it holds, its options, and all of its students."""

from __future__ import annotations

from collections.abc import Iterator

from bench.pages import ablation_charts
from bench.pages.formats import plugin_address
from bench.pages.site import Page, Site
from bench.planning.labels import access_of
from bench.results.rows import TuneRow


def pages(site: Site) -> Iterator[Page]:
    """One a label."""
    for label, students in site.students_by_attack.items():
        rows = [one.row for one in students]
        held = {one.track: str(one.access) for one in students}
        facts = {
            "label": label,
            "summary": site.summary("attack", label),
            "students": students,
            "held": dict(sorted(held.items())),
            "teacherless": rows[0].teacherless,
            "options": site.options(rows, "attack"),
            "choices": _choices(site, {row.tuned_by for row in rows}),
            "samples": [row for row in rows if row.samples],
            "ablations": ablation_charts.attack(
                site.overview.ablations, label, site.students_by_attack
            ),
        }
        yield Page(plugin_address("attack", label), "attack.html", facts)


def _choices(site: Site, keys: set[str]) -> list[tuple[TuneRow, str]]:
    """What tuning chose for its students, each with the access in words."""
    known = [row for row in site.overview.results.choices if row.key in keys]
    known.sort(key=lambda row: (row.dataset, str(access_of(row)), row.defense, row.key))
    return [(row, str(access_of(row))) for row in known]
