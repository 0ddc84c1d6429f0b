"""What a person sees while tasks run, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from bench.cells import Ground
from bench.intervals import Estimate
from bench.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.tables import Board, Entry
from bench.tasks import Task

WIDTH = 130
"""Columns that a table needs."""


class Display:
    """A listener: a live display on a terminal, a line per event elsewhere."""

    def __init__(self, console: Console, total: int, quiet: bool = False) -> None:
        """Show on `console` how `total` tasks come along; `quiet` shows nothing."""
        self._console, self._total, self._quiet = console, total, quiet
        self._count = 0
        self._bars: dict[Task, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[losses]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._all = self._progress.add_task("all tasks", total=total, losses="")

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wipe the bars; what was printed stays."""
        self._progress.stop()

    def started(self, task: Task) -> None:
        """A bar for the task."""
        self._bars[task] = self._progress.add_task(
            escape(task.label), total=None, losses=""
        )

    def progress(
        self, task: Task, step: int, of: int, losses: Mapping[str, float]
    ) -> None:
        """Move the task's bar."""
        if task in self._bars:
            text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
            self._progress.update(
                self._bars[task], completed=step, total=of, losses=text
            )

    def ended(self, task: Task, row: Row) -> None:
        """One line that stays, in place of the bar."""
        if task in self._bars:
            self._progress.remove_task(self._bars.pop(task))
        self._count += 1
        self._progress.advance(self._all)
        if not self._quiet:
            mark = "[green]ok[/]" if row.status == "ok" else f"[red]{row.status}[/]"
            count = f"{self._count:>{len(str(self._total))}}/{self._total}"
            self._console.print(
                f"[dim]{count}[/] {mark} {escape(task.label)}"
                f"  {escape(_outcome(row))}  [dim]{row.seconds:.0f} s[/]",
                highlight=False,
                soft_wrap=True,
            )


def _outcome(row: Row) -> str:
    if row.status != "ok":
        return row.reason
    accuracy = getattr(row, "accuracy", None)
    words = [] if accuracy is None else [f"accuracy {100 * accuracy:.1f} %"]
    if isinstance(row, ProtectRow | TeacherRow):
        words += [f"{name} {value:.2f}" for name, value in row.figures.items()]
    elif isinstance(row, StealRow) and row.fidelity is not None:
        words.append(f"fidelity {100 * row.fidelity:.1f} %")
    return ", ".join([*words, *row.flags])


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


def leaderboard(boards: Sequence[Board]) -> Iterator[Table]:
    """One table a track: ranked defenses, and under each the attacks it met."""
    for board in boards:
        yield _table(board)


def departures(place: Ground) -> str:
    """What is unusual about the data and the numbers of a board, if anything."""
    share, precision = place.data_share, place.precision
    some = f" ({100 * share:g} % of it)" if share < 1 else ""
    return some + (f", {precision}" if precision != "fp32" else "")


def _table(board: Board) -> Table:
    scene = board.scene
    departs = " [dim](not ranked: a study, or apart from its protocol)[/]"
    share = f", {100 * scene.fraction:g} % of the images" if scene.fraction < 1 else ""
    data = f"{scene.dataset}{departures(scene)}"
    table = Table(
        title=f"[bold]{scene.track}[/]{share}: {data}, {scene.teacher} to "
        f"{scene.student}{'' if board.official else departs}",
        caption=f"in percent, with 95 % intervals over n seeds; "
        f"zero line Z = {percent(board.zero)} ({escape(board.zero_is or 'missing')}), "
        f"ceiling U = {percent(board.ceiling)} ({escape(board.ceiling_is) or 'none'})",
        title_justify="left",
        caption_justify="left",
        title_style="",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    # Where room is scarce, intervals and options are broken into lines, names never.
    names = {c.attack.partition("[")[0] for e in board.entries for c in e.cells}
    longest = max(map(len, names), default=0)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("defense", no_wrap=True)
    table.add_column("teacher", justify="right", no_wrap=True)
    table.add_column("strongest\nattack", overflow="fold", min_width=longest)
    table.add_column("student accuracy", min_width=8)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("naive damage", min_width=7)
    table.add_column("immunity", min_width=10)
    if any(entry.flags for entry in board.entries):
        table.add_column("flags")
    for entry in board.entries:
        teacher, student = entry.teacher_accuracy, entry.student_accuracy
        table.add_row(
            rank(entry),
            f"[bold]{escape(entry.defense)}[/]",
            f"{100 * teacher.value:.1f}" if teacher else "-",
            escape(entry.strongest) or "-",
            percent(student),
            str(student.n) if student else "0",
            percent(entry.naive_damage, signed=True),
            immunity(entry),
            escape(", ".join(entry.flags)),
        )
        for cell in entry.cells:
            if cell.attack != entry.strongest:
                table.add_row(
                    *("", "", "", f"[dim]{escape(cell.attack)}[/]"),
                    f"[dim]{percent(cell.accuracy)}[/]",
                    f"[dim]{len(cell.by_seed)}[/]",
                )
    return table


def markdown(boards: Sequence[Board]) -> str:
    """The same as one Markdown table, for a README."""
    lines = [
        "| track | rank | defense | teacher | strongest attack | student accuracy | n "
        "| naive damage | immunity |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for board in boards:
        for entry in board.entries:
            teacher, student = entry.teacher_accuracy, entry.student_accuracy
            cells = (
                board.scene.track,
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
