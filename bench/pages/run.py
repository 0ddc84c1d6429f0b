"""A page for every row: all that it tells, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from bench.pages import charts, formats
from bench.pages.site import Page, Site


def pages(site: Site) -> Iterator[Page]:
    """One a row, current or not."""
    for row in site.rows:
        facts = {
            "row": row,
            "title": site.title(row),
            "parent": site.overview.results.parent(row),
            "facts": formats.facts(row),
            "charts": charts.run(row),
        }
        yield Page(site.address(row), "run.html", facts)
