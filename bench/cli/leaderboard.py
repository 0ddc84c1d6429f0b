"""Boards as tables: for a terminal, however narrow, and for a README."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.boards.ablations import Place, name_of
from bench.boards.board import Board, Entry
from bench.boards.cells import Scene
from bench.boards.intervals import Estimate

WIDTH = 120
"""Columns that a table needs."""


def wide(console: Console) -> Console:
    """`console` with room for the table, where it writes to no terminal."""
    if not console.is_terminal and console.width < WIDTH:
        console.width = WIDTH
    return console


def percent(estimate: Estimate | None, signed: bool = False) -> str:
    """A share as "98.3 [97.1, 99.5]" in percent; a dash where there is none."""
    if estimate is None:
        return "-"
    sign = "+" if signed else ""
    value = f"{100 * estimate.value:{sign}.1f}"
    if estimate.n < 2:
        return value
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{value} [{low:{sign}.1f}, {high:{sign}.1f}]"


def leaderboard(boards: Sequence[Board], width: int = WIDTH) -> Iterator[Table]:
    """One table a track: ranked defenses, and under each the attacks it met.

    Where `width` is less than a table needs, intervals stand below their value.
    """
    for board in boards:
        yield _table(board, width)


def setting(place: Scene | Place) -> str:
    """Data and networks, and what is unusual about the data and the numbers."""
    share, precision = place.data_share, place.precision
    some = f" ({100 * share:g} % of it)" if share < 1 else ""
    kind = f", {precision}" if precision != "fp32" else ""
    return f"{place.dataset}{some}{kind}, {place.teacher} to {place.student}"


def _table(board: Board, width: int) -> Table:
    # Spaces that become line breaks: none, the first, or on a narrow terminal all.
    breaks = 0 if width >= WIDTH else 1 if width >= 100 else -1

    def fit(text: str) -> str:
        return text.replace(" ", "\n", breaks)

    scene = board.scene
    departs = " [dim](not ranked: a study, or apart from its protocol)[/]"
    share = f", {100 * scene.fraction:g} % of the images" if scene.fraction < 1 else ""
    table = Table(
        title=f"[bold]{scene.track}[/]{share}: {escape(setting(scene))}, "
        f"protocol {escape(scene.protocol)} {scene.protocol_version}"
        f"{'' if board.official else departs}",
        caption=f"in percent, with 95 % intervals over n seeds; "
        f"zero line Z = {percent(board.zero)} ({escape(board.zero_is or 'missing')}), "
        f"ceiling U = {percent(board.ceiling)} ({escape(board.ceiling_is) or 'none'})"
        f"{_flags(board)}",
        title_justify="left",
        caption_justify="left",
        title_style="",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("defense", **_names(e.defense for e in board.entries))
    table.add_column("teacher", justify="right", no_wrap=True)
    attacks = _names(c.attack for e in board.entries for c in e.cells)
    table.add_column("strongest\nattack", **attacks)
    table.add_column(fit("student accuracy"), no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column(fit("naive damage"), no_wrap=True)
    table.add_column("immunity", no_wrap=True)
    for entry in board.entries:
        teacher, student = entry.teacher_accuracy, entry.student_accuracy
        table.add_row(
            rank(entry),
            f"[bold]{escape(entry.defense)}[/]",
            f"{100 * teacher.value:.1f}" if teacher else "-",
            escape(entry.strongest) or "-",
            fit(percent(student)),
            str(student.n) if student else "0",
            fit(percent(entry.naive_damage, signed=True)),
            fit(immunity(entry)),
        )
        for cell in entry.cells:
            if cell.attack != entry.strongest:
                table.add_row(
                    *("", "", "", f"[dim]{escape(cell.attack)}[/]"),
                    f"[dim]{fit(percent(cell.accuracy))}[/]",
                    f"[dim]{len(cell.by_seed)}[/]",
                )
    return table


def _names(labels: Iterable[str]) -> dict[str, Any]:
    """How a column of `labels` is broken: within their brackets at most."""
    bare = map(name_of, labels)
    return {"overflow": "fold", "min_width": max(map(len, bare), default=0)}


def _flags(board: Board) -> str:
    """A line an entry that has flags."""
    flagged = [(e.defense, ", ".join(e.flags)) for e in board.entries if e.flags]
    return "".join(escape(f"\n{name}: {flags}") for name, flags in flagged)


def markdown(boards: Sequence[Board]) -> str:
    """The same in Markdown, for a README: a table for all tracks of a setting."""
    tables: dict[str, list[Board]] = defaultdict(list)
    for board in boards:
        scene = board.scene
        protocol = f"protocol `{scene.protocol}` {scene.protocol_version}"
        tables[f"{setting(scene)}, {protocol}:"].append(board)
    return "\n\n".join(f"{name}\n\n{_lines(mine)}" for name, mine in tables.items())


def _lines(boards: Iterable[Board]) -> str:
    lines = [
        "| track | rank | defense | teacher | strongest attack | student accuracy | n "
        "| naive damage | immunity |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for board in boards:
        part = board.scene.fraction
        share = f" ({100 * part:g} % of the images)" if part < 1 else ""
        for entry in board.entries:
            teacher, student = entry.teacher_accuracy, entry.student_accuracy
            cells = (
                board.scene.track + share,
                rank(entry),
                f"`{entry.defense}`",
                f"{100 * teacher.value:.1f}" if teacher else "-",
                f"`{entry.strongest}`" if entry.strongest else "-",
                percent(student),
                str(student.n) if student else "0",
                percent(entry.naive_damage, signed=True),
                immunity(entry),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rank(entry: Entry) -> str:
    """The group's number, or why there is none."""
    if entry.defense == "none":
        return "control"
    done, of = entry.coverage
    unranked = "not ranked" if entry.complete else f"{done}/{of} done"
    return str(entry.group) if entry.group else unranked


def immunity(entry: Entry) -> str:
    """The immunity in percent; words where there is none."""
    if entry.defense == "none":
        return "-"
    return percent(entry.immunity) if entry.immunity else "unresolved"
