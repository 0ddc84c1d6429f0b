"""A page for every row: all that it tells, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.pages import charts, formats
from bench.pages.site import Page, Site
from bench.results.rows import Row, StealRow, TuneRow


def pages(site: Site) -> Iterator[Page]:
    """One a row, current or not."""
    for row in site.rows:
        facts = {
            "row": row,
            "title": site.title(row),
            "parent": site.overview.results.parent(row),
            "facts": formats.facts(row),
            "charts": charts.run(row),
            "choice": _choice(site, row),
            "items": _items(site, row),
        }
        yield Page(site.address(row), "run.html", facts)


def _choice(site: Site, row: Row) -> Row | None:
    """The row of the tuning that chose a student's options."""
    key = row.tuned_by if isinstance(row, StealRow) else ""
    return site.overview.results.by_key.get(key)


def _items(site: Site, row: Row) -> list[tuple[str, float, Row | None]]:
    """What a tuning could choose from: item, validation, and the row of its try."""
    if not isinstance(row, TuneRow):
        return []
    texts = [json.dumps(item) for item in json.loads(row.grid)]
    values = row.validations or [-1.0] * len(texts)
    tries = [site.overview.results.by_key.get(key) for key in row.tries]
    return list(zip(texts, values, tries, strict=True))
