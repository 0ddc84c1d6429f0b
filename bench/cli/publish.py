"""`bench publish` and `bench site`: from rows to tables to pages. No torch, no ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.cli.report import say
from bench.errors import BadResults


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(publish)
    app.command()(site)


def publish(
    results: Annotated[Path, typer.Option(help="Where tables are published.")] = Path(
        "results"
    ),
    store: Annotated[Path, typer.Option(help="Where tasks keep their work.")] = Path(
        "results/store"
    ),
    force: Annotated[
        bool, typer.Option(help="Replace rows that are published already.")
    ] = False,
) -> None:
    """Gather the rows of a store into the tables of a results folder."""
    from bench.results.store import Store
    from bench.results.store import publish as merge

    results = results.expanduser()
    rows = list(Store(store.expanduser().resolve()).rows())
    everything = merge(rows, results, again=force)
    say(
        Console(),
        f"{len(rows)} rows in {store}, {len(everything)} published in {results}",
    )


def site(
    results: Annotated[Path, typer.Option(help="Where tables are published.")] = Path(
        "results"
    ),
    out: Annotated[Path, typer.Option(help="Where the pages go.")] = Path("site/build"),
) -> None:
    """Make the static site from the published tables."""
    from bench.boards.papers import literature
    from bench.pages import build
    from bench.results.store import published

    results, out = results.expanduser(), out.expanduser()
    if not results.exists():
        raise BadResults(f"there is no folder {results}; make one with: bench run")
    count = build(published(results), out, literature(results))
    say(Console(), f"{count} pages; open {(out / 'index.html').resolve()}")
