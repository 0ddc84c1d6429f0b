"""What papers print, beside what was measured here."""

from __future__ import annotations

from collections.abc import Iterator

from bench.boards.papers import compare
from bench.pages.site import Page, Site


def pages(site: Site) -> Iterator[Page]:
    """The comparison."""
    found = compare(site.overview.boards, site.reported)
    yield Page("published.html", "published.html", {"found": found})
