"""The first page: the official boards, and every run."""

from __future__ import annotations

from collections.abc import Iterator

from bench.boards.columns import COLUMNS, track
from bench.pages.site import Page, Site
from bench.results.rows import TryRow, TuneRow


def pages(site: Site) -> Iterator[Page]:
    """The leaderboard; its columns are those of the terminal."""
    runs = (row for row in site.rows if not isinstance(row, TryRow | TuneRow))
    rows = sorted(runs, key=lambda row: (row.dataset, site.title(row), row.key))
    yield Page(
        "index.html",
        "index.html",
        {
            "boards": site.overview.boards,
            "columns": COLUMNS,
            "track": track,
            "runs": {site.address(row): row for row in rows},
        },
    )
