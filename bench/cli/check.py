"""`bench check`: does a plugin keep the contract?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from bench.cli.terminal import console, say
from bench.errors import BenchError
from bench.plugins.spec import split


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(check)


def check(
    plugin: Annotated[
        str, typer.Argument(help="A name, module:Class or path/file.py:Class.")
    ],
) -> int:
    """Run every promise of the contract on one plugin; seconds, on the CPU."""
    from bench.contract import check as contract

    kind, cls = contract.find(plugin)
    out, broken = console(), 0
    for promise in contract.PROMISES[kind]:
        title = (promise.__doc__ or promise.__name__).partition("\n")[0]
        try:
            contract.kept(promise, cls)
        except BenchError as error:
            broken += 1
            out.print(f"[red]broken[/] {escape(title)}\n       {escape(str(error))}")
        else:
            out.print(f"[green]kept[/]   {escape(title)}")
    of = len(contract.PROMISES[kind])
    name = split(plugin)[0]
    say(out, f"{kind} {name}: {of - broken} of {of} promises kept")
    return 4 if broken else 0
