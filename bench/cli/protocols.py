"""Which protocols boards and pages are made for."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.planning.protocol import Protocol, load, names

Protocols = Annotated[
    list[str] | None,
    typer.Option(
        "--protocol",
        metavar="P",
        help="Besides the bench's own: a TOML file; repeat for several.",
    ),
]
"""The option of `bench show` and `bench site`."""


def shown(asked: list[str] | None) -> list[Protocol]:
    """The protocols that come with the bench, and those `asked`, each once."""
    return [load(p) for p in dict.fromkeys([*names(), *(asked or ())])]
