"""Tables -> HTML that needs no script to be read and makes no request to another host.

The templates and the style sheet lie in `site/` of a checkout and inside the wheel. One
module beside this one makes one kind of page.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import __version__
from bench.boards.overview import Overview
from bench.errors import Unfit
from bench.pages import (
    attack,
    charts,
    defense,
    formats,
    leaderboard,
    method,
    papers,
    portrait_charts,
    run,
)
from bench.pages.site import Page, Site
from bench.results.literature import Reported
from bench.results.rows import Row
from bench.results.verified import Verified

MARK = ".distill-bench-site"
"""An empty file in every folder that holds a site, so that no other is replaced."""
PAGES = (
    leaderboard.pages,
    method.pages,
    papers.pages,
    defense.pages,
    attack.pages,
    run.pages,
)
"""What makes the pages, a kind each."""


def build(
    overview: Overview,
    out: Path,
    reported: Sequence[Reported] = (),
    verified: Sequence[Verified] = (),
) -> int:
    """Write the whole site into the folder `out`; returns how many pages it has.

    It is made aside and takes the place of an older one at once.

    Args:
        overview: Rows of all tables, in the words of protocols.
        out: The folder.
        reported: What papers print, to be set beside the rows.
        verified: Rows that were done again elsewhere.

    Raises:
        Unfit: the folder takes no files, or holds other people's.
    """
    site = Site(overview, reported, verified)
    environment = _environment(site)
    texts = {page.path: _render(page, environment) for page in _pages(site)}
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise Unfit(
            f"{out} holds files that are not of this site, and would be replaced; "
            "name an empty folder with --out"
        )
    fresh = out.with_name(f".{out.name}-{uuid4().hex[:8]}")
    try:
        for name in ("defense", "attack", "run", "assets"):
            (fresh / name).mkdir(parents=True)
        (fresh / MARK).touch()
        for path, text in texts.items():
            (fresh / path).write_text(text, encoding="utf-8")
        for row in site.rows:
            if picture := _picture(row):
                (fresh / "run" / f"{row.key}.png").write_bytes(picture)
        for asset in (_home() / "assets").iterdir():
            shutil.copyfile(asset, fresh / "assets" / asset.name)
        charts.copy_script(fresh / "assets")
        shutil.rmtree(out, ignore_errors=True)
        fresh.rename(out)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        why = error.strerror or type(error).__name__
        raise Unfit(
            f"cannot write the site to {out}: {why}; name another folder with --out"
        ) from error
    return len(texts)


def _pages(site: Site) -> Iterator[Page]:
    for make in PAGES:
        yield from make(site)


def _picture(row: Row) -> bytes | None:
    """Images that an attack made, or examples that a teacher was asked about."""
    return getattr(row, "samples", None) or getattr(row, "response_images", None)


def _home() -> Path:
    inside = Path(__file__).parents[1] / "_site"
    return inside if inside.exists() else Path(__file__).parents[2] / "site"


def _environment(site: Site) -> Environment:
    made = Environment(
        loader=FileSystemLoader(_home() / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= formats.FILTERS | {"title_of": site.title}
    made.filters |= {"colour": portrait_charts.colour}
    made.globals |= {"version": __version__, "site": site}
    return made


def _render(page: Page, environment: Environment) -> str:
    facts = {"charts": [], "ablations": None, "portraits": []} | dict(page.facts)
    return environment.get_template(page.template).render(up=page.up, **facts)
