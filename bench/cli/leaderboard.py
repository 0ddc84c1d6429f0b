"""Boards as tables: for a terminal, however narrow, and for a README."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.boards.board import Board
from bench.boards.board import leaderboard as official
from bench.boards.columns import COLUMNS, Column, track
from bench.boards.seen import name_of
from bench.boards.sentence import sentence
from bench.cli.as_json import dump
from bench.cli.terminal import console, say
from bench.planning.protocol import Protocol
from bench.results.index import Results
from bench.results.publish import published

WIDTH = 120
"""Columns that a table needs."""


def show_boards(
    results: Path, protocols: Sequence[Protocol], as_json: bool, as_markdown: bool
) -> None:
    """Print the official boards of the tables in the folder `results`."""
    boards = official(Results(published(results)), protocols)
    if as_json:
        dump([asdict(board) | {"sentence": sentence(board)} for board in boards])
        return
    if as_markdown:
        print(markdown(boards))  # noqa: T201
        return
    out = wide(console())
    if not boards:
        say(out, f"no official rows in {results}; make some with: bench run")
    for table in leaderboard(boards, out.width):
        out.print(table)


def wide(console: Console) -> Console:
    """`console` with room for the table, where it writes to no terminal."""
    if not console.is_terminal and console.width < WIDTH:
        console.width = WIDTH
    return console


def leaderboard(boards: Iterable[Board], width: int = WIDTH) -> Iterator[Table]:
    """One table a board: ranked defenses, and under each the attacks it met.

    Where `width` is less than a table needs, intervals stand below their value.
    """
    for board in boards:
        yield _table(board, width)


def _table(board: Board, width: int) -> Table:
    # Spaces that become line breaks: none, the first, or on a narrow terminal all.
    breaks = 0 if width >= WIDTH else 1 if width >= 100 else -1

    def fit(column: Column, text: str) -> str:
        return text if column.is_name else text.replace(" ", "\n", breaks)

    table = _empty(board)
    for column in COLUMNS:
        texts = [column.text(entry, board) for entry in board.entries]
        texts += [column.of_cell(cell) for e in board.entries for cell in e.cells]
        title = column.title.replace(" ", "\n") if column.is_name else column.title
        table.add_column(fit(column, title), **_layout(column, texts))
    for entry in board.entries:
        table.add_row(*(fit(c, escape(c.text(entry, board))) for c in COLUMNS))
        for cell in entry.cells:
            if cell.attack != entry.strongest:
                below = (fit(c, escape(c.of_cell(cell))) for c in COLUMNS)
                table.add_row(*below, style="dim")
    return table


def _layout(column: Column, texts: Iterable[str]) -> dict[str, Any]:
    """How a column is set; names are broken within their brackets at most."""
    if column.is_name:
        longest = max((len(name_of(text)) for text in texts), default=0)
        style = "bold" if column.name == "defense" else ""
        return {"overflow": "fold", "min_width": longest, "style": style}
    return {"no_wrap": True, "justify": "right" if column.is_number else "left"}


def _empty(board: Board) -> Table:
    """A table with title and caption."""
    departs = " [dim](not ranked: a study, or apart from its protocol)[/]"
    where = f"{escape(str(board.scene.place))}, protocol {escape(board.protocol)}"
    return Table(
        title=f"[bold]{escape(track(board))}[/]: {where} {board.version}"
        f"{'' if board.official else departs}",
        caption="in percent, with 95 % intervals over n seeds and the test images; "
        f"{escape(sentence(board))}{_flags(board)}",
        title_justify="left",
        caption_justify="left",
        title_style="",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )


def _flags(board: Board) -> str:
    """A line an entry that has flags, or a long reason for having no rank."""
    flagged = []
    for entry in board.entries:
        reason = [entry.standing] if ":" in entry.standing else []
        if told := ", ".join([*reason, *entry.flags]):
            flagged.append((entry.defense, told))
    return "".join(escape(f"\n{name}: {flags}") for name, flags in flagged)


def markdown(boards: Iterable[Board]) -> str:
    """The same in Markdown, for a README: a table for all tracks of a setting."""
    settings: dict[str, list[Board]] = defaultdict(list)
    for board in boards:
        protocol = f"protocol `{board.protocol}` {board.version}"
        settings[f"{board.scene.place}, {protocol}:"].append(board)
    return "\n\n".join(f"{name}\n\n{_lines(mine)}" for name, mine in settings.items())


def _lines(boards: Sequence[Board]) -> str:
    titles = ["track", *(column.title for column in COLUMNS)]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for board in boards:
        for entry in board.entries:
            texts = [_text(column, column.text(entry, board)) for column in COLUMNS]
            lines.append(f"| {' | '.join([track(board), *texts])} |")
    return "\n".join(lines)


def _text(column: Column, text: str) -> str:
    return f"`{text}`" if column.is_name and text != "-" else text
