"""`bench show`: the leaderboard, or all that is known of one name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bench.cli import options
from bench.cli.as_json import dump
from bench.cli.protocols import Protocols, shown
from bench.cli.terminal import console
from bench.errors import UnknownName
from bench.planning import protocol
from bench.plugins import registry
from bench.plugins.option_values import options_of
from bench.plugins.spec import split


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(show)


def show(
    what: Annotated[
        str,
        typer.Argument(
            help="A plugin (as for `bench run`), a protocol, the key of a row, or "
            "'columns' for what the tables hold; nothing shows the leaderboard.",
        ),
    ] = "",
    results: options.ResultsFolder = options.RESULTS,
    store: options.StoreFolder = options.STORE,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="The leaderboard for a README.")
    ] = False,
    protocols: Protocols = None,
) -> None:
    """The leaderboard, or all that is known of one name."""
    results = results.expanduser()
    if not what:
        from bench.cli.leaderboard import show_boards

        show_boards(results, shown(protocols), as_json, as_markdown)
        return
    if what == "columns":
        from bench.results.schema_doc import markdown

        print(markdown(), end="")  # noqa: T201
        return
    facts = _plugin(what) or _protocol(what) or _row(what, results, store)
    if facts is None:
        known = [*registry.installed("defense"), *registry.installed("attack")]
        known += protocol.names()
        raise UnknownName.among("name or key", what, known, "bench list")
    if as_json:
        dump(facts)
        return
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, escape(_text(value)))
    console().print(table)


def _text(value: object) -> str:
    """A value for a person: lists with commas, nested options a line each."""
    if isinstance(value, dict):
        return "\n".join(f"{name} = {_text(inner)}" for name, inner in _flat(value))
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _flat(
    options: Mapping[str, object], above: str = ""
) -> Iterator[tuple[str, object]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _plugin(spec: str) -> dict[str, Any] | None:
    name, asked = split(spec)
    known = {*registry.installed("defense"), *registry.installed("attack")}
    if name not in known and ":" not in name:
        return None
    kind = registry.kind_of(name)
    return _card(kind, name, registry.load(kind, name), asked)


def _card(
    kind: str, name: str, cls: type[Any], asked: dict[str, str]
) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "kind": kind, "class": cls.__name__}
    if kind == "attack":
        teacher, images = cls.grants()
        facts["may touch"] = f"{teacher.__name__}, {images.__name__}"
    paragraphs = cleandoc(cls.__doc__ or "").split("\n\n")
    facts["what"] = "\n\n".join(" ".join(text.split()) for text in paragraphs)
    if cls.paper:
        facts["paper"] = f"{cls.paper.title} ({cls.paper.year}), {cls.paper.url}"
    for option, value in options_of(cls, name, asked).items():
        facts[f"option {option}"] = repr(value)
    return facts


def _protocol(name: str) -> dict[str, Any] | None:
    if name in protocol.names() or name.endswith(".toml"):
        return protocol.load(name).model_dump()
    return None


def _row(key: str, results: Path, store: Path) -> dict[str, Any] | None:
    from bench.results.publish import published
    from bench.results.rows import BULKY, Row
    from bench.results.store import Store

    rows: list[Row] = [*published(results), *Store.at(store).rows()]
    for row in rows:
        if row.key.startswith(key) and len(key) >= 4:
            return {k: v for k, v in asdict(row).items() if k not in BULKY}
    return None
