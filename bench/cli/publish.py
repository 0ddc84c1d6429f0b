"""`bench publish` and `bench site`: from rows to tables to pages. No torch, no ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.protocols import Protocols, shown
from bench.cli.terminal import console, say
from bench.errors import BadResults


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(publish)
    app.command()(site)


def publish(
    results: options.ResultsFolder = options.RESULTS,
    store: options.StoreFolder = options.STORE,
    force: Annotated[
        bool, typer.Option(help="Replace rows that are published already.")
    ] = False,
) -> None:
    """Gather the rows of a store into the tables of a results folder."""
    from bench.results.publish import publish as merge
    from bench.results.store import Store

    results = results.expanduser()
    rows = list(Store.at(store).rows())
    everything = merge(rows, results, again=force)
    say(
        console(),
        f"{len(rows)} rows in {store}, {len(everything)} published in {results}",
    )


def site(
    results: options.ResultsFolder = options.RESULTS,
    out: Annotated[Path, typer.Option(help="Where the pages go.")] = Path("site/build"),
    protocol: Protocols = None,
) -> None:
    """Make the static site from the published tables."""
    from bench.boards.overview import Overview
    from bench.pages import build
    from bench.results.index import Results
    from bench.results.literature import literature
    from bench.results.publish import published
    from bench.results.verified import verified

    results, out = results.expanduser(), out.expanduser()
    if not results.exists():
        raise BadResults(f"there is no folder {results}; make one with: bench run")
    overview = Overview(Results(published(results)), shown(protocol))
    count = build(overview, out, literature(results), verified(results))
    say(console(), f"{count} pages; open {(out / 'index.html').resolve()}")
