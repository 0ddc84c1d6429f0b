"""What a person sees while tasks run."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from bench.engines.events import Ended, Event, Progress, Started
from bench.errors import Status
from bench.results.rows import Row, StealRow
from bench.stages import Task


class Display:
    """A live display on a terminal, a line an ended task elsewhere."""

    def __init__(self, console: Console, total: int, quiet: bool = False) -> None:
        """Show on `console` how `total` tasks come along; `quiet` shows nothing."""
        self._console, self._total, self._quiet = console, total, quiet
        self._count = 0
        self._bars: dict[Task, TaskID] = {}
        self._progress = bars.Progress(
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

    def stop(self) -> None:
        """Wipe the bars."""
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Draw what has happened."""
        match event:
            case Started(task):
                name = escape(task.label)
                self._bars[task] = self._progress.add_task(name, total=None, losses="")
            case Progress(task, step, of, losses) if task in self._bars:
                text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
                self._progress.update(
                    self._bars[task], completed=step, total=of, losses=text
                )
            case Ended(task, row):
                self._ended(task, row)

    def _ended(self, task: Task, row: Row) -> None:
        """One line that stays, in place of the bar."""
        if task in self._bars:
            self._progress.remove_task(self._bars.pop(task))
        self._count += 1
        self._progress.advance(self._all)
        if not self._quiet:
            good = row.status == Status.OK
            mark = "[green]ok[/]" if good else f"[red]{row.status}[/]"
            count = f"{self._count:>{len(str(self._total))}}/{self._total}"
            self._console.print(
                f"[dim]{count}[/] {mark} {escape(task.label)}"
                f"  {escape(summary(row))}  [dim]{row.seconds:.0f} s[/]",
                highlight=False,
                soft_wrap=True,
            )


def summary(row: Row) -> str:
    """What a row measured, in a few words; the reason where it did not end well."""
    if row.status != Status.OK:
        return row.reason
    accuracy = getattr(row, "accuracy", None)
    words = [] if accuracy is None else [f"accuracy {100 * accuracy:.1f} %"]
    if isinstance(row, StealRow):
        if row.fidelity is not None:
            words.append(f"fidelity {100 * row.fidelity:.1f} %")
    else:
        words += [f"{name} {value:.2f}" for name, value in row.figures.items()]
    return ", ".join([*words, *row.flags])
