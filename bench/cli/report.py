"""What `bench run` says before and after the work: the plan, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.cli.as_json import dump

if TYPE_CHECKING:
    from bench.boards.ablations import Ablation
    from bench.boards.board import Board
    from bench.planning.plan import Plan
    from bench.planning.tasks import Task
    from bench.results.rows import Row
    from bench.results.store import Store

FAILED = ("failed", "oom", "diverged", "timeout")
"""Statuses that make the command end with 1."""


def show_plan(
    made: Plan, done: Mapping[Task, Row], store: Store, as_json: bool
) -> None:
    """Print the plan with what is cached."""
    from bench.planning.tasks import key

    lines = [
        {"key": key(t), "task": t.label, "cached": t in done, "official": t.official}
        for t in made.tasks
    ]
    if as_json:
        dump({"tasks": lines, "store": str(store.root)})
        return
    out = Console()
    for line in lines:
        state = "cached" if line["cached"] else "to do "
        odd = "" if line["official"] else "  (not ranked)"
        say(out, f"{line['key']}  {state}  {line['task']}{odd}")
    say(out, f"{_count(made, len(done))}; nothing was run")


def say(console: Console, text: str) -> None:
    """Print one line as it is: brackets in it are no markup."""
    console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _count(made: Plan, cached: int) -> str:
    kinds = Counter(type(task).__name__ for task in made.tasks)
    names = {"TrainTeacher": "teachers", "Protect": "releases", "Steal": "students"}
    parts = ", ".join(f"{kinds[kind]} {name}" for kind, name in names.items())
    return f"{len(made.tasks)} tasks ({parts}), {cached} cached"


def conclude(
    made: Plan,
    done: Mapping[Task, Row],
    rows: Mapping[Task, Row],
    results: Path,
    force: bool,
    store: Store,
    as_json: bool,
) -> int:
    """Print what a person wants to know, publish, and give the exit code.

    The points of a sweep stand in tables of their own and not on the printed boards;
    the boards of `--json` hold them all.
    """
    from bench.boards.ablations import ablations
    from bench.boards.board import boards
    from bench.results.store import publish

    everything = {**done, **rows}
    ordered = [everything[task] for task in made.tasks if task in everything]
    varied = ablations(ordered)
    failed = [(task, row) for task, row in rows.items() if row.status in FAILED]
    if as_json:
        publish(ordered, results, again=force)
        dump(_as_json(ordered, boards(ordered), varied))
        return 1 if failed or made.broken else 0

    from bench.cli.ablation import ablation_tables, unswept
    from bench.cli.leaderboard import leaderboard, wide

    out = wide(Console())
    for table in leaderboard(boards(unswept(ordered, varied)), out.width):
        out.print(table)
    for table in ablation_tables(varied):
        out.print(table)
    seconds = sum(row.seconds for row in rows.values())
    say(
        out,
        f"{_count(made, len(done))}, {len(rows)} done now in {seconds:.0f} s of work, "
        f"{len(failed) + len(made.broken)} failed",
    )
    from bench.planning.tasks import key

    for task, row in failed:
        log = store.folder(key(task)) / "log.txt"
        where = f" ({log})" if log.exists() else ""
        say(out, f"  {row.status}: {task.label}: {row.reason}{where}")
    for text in made.broken:
        say(out, f"  broken: {text}")
    publish(ordered, results, again=force)
    say(out, f"rows in {results}; make the pages with: bench site")
    return 1 if failed or made.broken else 0


def _as_json(
    rows: Sequence[Row], found: Sequence[Board], varied: Sequence[Ablation]
) -> dict[str, Any]:
    """Everything that the terminal shows, for machines."""
    from bench.results.rows import BULKY

    hidden = BULKY | {"curve"}
    plain = [{k: v for k, v in asdict(row).items() if k not in hidden} for row in rows]
    return {
        "rows": plain,
        "boards": [asdict(board) for board in found],
        "ablations": [asdict(one) for one in varied],
    }
