"""`bench list`: what there is to name."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bench.cli.as_json import dump
from bench.cli.terminal import console
from bench.entry_points import summaries
from bench.planning import protocol


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="list")(list_)


def list_(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Defenses, attacks, protocols, data sets and networks by name."""
    formats = summaries("bench.formats").items()
    everything = {
        "defenses": summaries("bench.defenses"),
        "attacks": summaries("bench.attacks"),
        "protocols": {name: protocol.load(name).summary for name in protocol.names()},
        "data sets": summaries("bench.datasets")
        | {f"{name}:DIR": text for name, text in formats},
        "networks": summaries("bench.networks"),
    }
    if as_json:
        dump(everything)
        return
    out = console()
    for title, rows in everything.items():
        out.print(_table(title, rows))
    out.print("options, paper and threat model of one: bench show NAME")


def _table(title: str, rows: dict[str, str]) -> Table:
    table = Table(box=None, show_header=False, title=title, title_justify="left")
    table.add_column(style="bold", min_width=14)
    table.add_column()
    for name, text in rows.items():
        table.add_row(f"  {name}", escape(text))
    return table
