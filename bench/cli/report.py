"""What `bench run` says before and after the work: the plan, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.as_json import dump
from bench.cli.terminal import console, say
from bench.errors import Status

if TYPE_CHECKING:
    from bench.boards.ablation import Ablation
    from bench.boards.board import Board
    from bench.planning.plan import Plan
    from bench.results.rows import Row
    from bench.results.store import Store
    from bench.stages import Task


def show_plan(
    made: Plan, done: Mapping[Task, Row], store: Store, as_json: bool
) -> None:
    """Print the plan with what is cached."""
    from bench.planning.plan import needed

    ranked, todo = made.ranked, set(needed(made.tasks, done))
    lines = [
        {
            "key": task.key,
            "task": task.label,
            "cached": task in done,
            "to_do": task in todo,
            "official": task in ranked,
        }
        for task in made.tasks
    ]
    if as_json:
        dump({"tasks": lines, "store": str(store.root)})
        return
    out = console()
    for line in lines:
        idle = "cached" if line["cached"] else "no use"
        state = "to do " if line["to_do"] else idle
        odd = "" if line["official"] else "  (not ranked)"
        say(out, f"{line['key']}  {state}  {line['task']}{odd}")
    say(out, f"{_count(made, len(done))}; nothing was run")


def _count(made: Plan, cached: int) -> str:
    kinds = Counter(task.plural for task in made.tasks)
    parts = ", ".join(f"{count} {name}" for name, count in kinds.items())
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
    """Publish, print what a person wants to know, and give the exit code.

    The points of a sweep stand in tables of their own and not on the printed boards;
    the boards of `--json` hold them all.
    """
    from bench.boards.ablations import ablations
    from bench.boards.board import boards
    from bench.results.publish import publish

    everything = {**done, **rows}
    ordered = [everything[task] for task in made.tasks if task in everything]
    publish(ordered, results, again=force)
    protocol = made.request.protocol
    varied = ablations(ordered, protocol)
    failed = [(t, row) for t, row in rows.items() if _fails(t, Status(row.status))]
    code = 1 if failed or made.broken else 0
    if as_json:
        dump(_as_json(ordered, boards(ordered, protocol), varied))
        return code

    from bench.cli.ablation import ablation_tables, unswept
    from bench.cli.leaderboard import leaderboard, wide

    out = wide(console())
    shown = boards(unswept(ordered, varied, protocol), protocol)
    for table in (*leaderboard(shown, out.width), *ablation_tables(varied)):
        out.print(table)
    seconds = sum(row.seconds for row in rows.values())
    say(
        out,
        f"{_count(made, len(done))}, {len(rows)} done now in {seconds:.0f} s of work, "
        f"{len(failed) + len(made.broken)} failed",
    )
    for task, row in failed:
        log = store.folder(task.key) / "log.txt"
        where = f" ({log})" if log.exists() else ""
        say(out, f"  {row.status}: {task.label}: {row.reason}{where}")
    for text in made.broken:
        say(out, f"  broken: {text}")
    say(out, f"rows in {results}; make the pages with: bench site")
    return code


def _fails(task: Task, status: Status) -> bool:
    """Whether it spoils the run: that some options diverge is what tries find out."""
    from bench.stages import Try

    found_out = isinstance(task, Try) and status is Status.DIVERGED
    return status.is_failure and not found_out


def _as_json(
    rows: Sequence[Row], found: Sequence[Board], varied: Sequence[Ablation]
) -> dict[str, Any]:
    """Everything that the terminal shows, for machines."""
    from bench.boards.sentence import sentence
    from bench.results.rows import BULKY

    hidden = BULKY | {"curve"}
    plain = [{k: v for k, v in asdict(row).items() if k not in hidden} for row in rows]
    return {
        "rows": plain,
        "boards": [asdict(one) | {"sentence": sentence(one)} for one in found],
        "ablations": [asdict(one) for one in varied],
    }
