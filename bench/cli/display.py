"""What a person sees while tasks run."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

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

from bench.planning.tasks import Task
from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow


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
