"""`bench verify`: does a published row come out again, here?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import options, work
from bench.cli.terminal import console, say
from bench.errors import BadOption, BenchError, Status

if TYPE_CHECKING:
    from bench.results.rows import Row, StealRow
    from bench.stages import Task

ENVIRONMENT = ("device", "torch", "threads", "precision", "compiled")
"""Columns that may move a number without being part of its key."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(verify)


def verify(
    key: Annotated[str, typer.Argument(help="Of a student, or how it begins.")],
    protocol: Annotated[
        str, typer.Option(help="That selects the row; else all are searched.")
    ] = "",
    defense: options.Defenses = None,
    attack: options.Attacks = None,
    engine: options.Engine = "local",
    cpus: options.Cpus = 1,
    results: options.ResultsFolder = options.RESULTS,
    note: Annotated[
        bool, typer.Option(help="Add a line to verified.csv in the results folder.")
    ] = False,
) -> int:
    """Do one published student again from nothing, and compare.

    Its teacher, release and tuning are done again as well, in a folder that is removed.
    Within one environment the accuracy must be the same to the bit; in another one it
    must lie where the row's sister seeds say. Name a plugin of your own as for
    `bench run`.
    """
    from bench.boards.again import Band, band_of
    from bench.results.publish import published
    from bench.results.verified import Verified, add

    rows = published(results.expanduser())
    row = _asked(key, rows)
    task = _task(row, protocol, tuple(defense or ()), tuple(attack or ()))
    again = _again(task, engine, cpus)
    out = console()
    if again.status != Status.OK or again.accuracy is None or row.accuracy is None:
        say(out, f"{again.status}: {again.reason or 'no accuracy to compare'}")
        return 4
    others = [
        f"{name} {getattr(again, name)} here, {getattr(row, name)} there"
        for name in ENVIRONMENT
        if getattr(again, name) != getattr(row, name)
    ]
    band = band_of(row, rows) if others else Band(row.accuracy, row.accuracy, "")
    inside = band.low <= again.accuracy <= band.high
    say(out, f"{task.label} ({row.key})")
    say(out, f"published {100 * row.accuracy:.2f} %, here {100 * again.accuracy:.2f} %")
    if others:
        say(out, f"another environment: {'; '.join(others)}")
        low, high = 100 * band.low, 100 * band.high
        say(out, f"expected within [{low:.2f}, {high:.2f}]: {band.why}")
    else:
        say(out, "the same environment: it should be equal to the bit")
    say(out, "verified" if inside else "NOT verified")
    if note:
        add(
            Verified(
                key=row.key,
                what=task.label,
                published=row.accuracy,
                again=again.accuracy,
                low=band.low,
                high=band.high,
                there=_environment(row),
                here=_environment(again),
                commit=again.commit or "",
            ),
            results.expanduser(),
        )
    return 0 if inside else 4


def _environment(row: Row) -> str:
    return f"{row.device}, torch {row.torch}, {row.threads} threads"


def _asked(key: str, rows: Sequence[Row]) -> StealRow:
    from bench.results.rows import StealRow

    found = [row for row in rows if row.key.startswith(key)] if len(key) >= 4 else []
    students = [row for row in found if isinstance(row, StealRow)]
    if len(students) == 1:
        return students[0]
    what = f"{len(found)} rows begin with {key!r}"
    if found and not students:
        what = f"{found[0].key} is a row of {found[0].table}"
    raise BadOption(f"{what}: give the key of one student, see `bench show --json`")


def _task(
    row: StealRow, named: str, defenses: tuple[str, ...], attacks: tuple[str, ...]
) -> Task:
    """The task of `row`, planned again from a protocol.

    Raises:
        BadOption: no protocol has it any more.
    """
    from bench.planning import protocol as protocols
    from bench.planning.plan import plan
    from bench.planning.request import Request

    for name in [named] if named else protocols.names():
        asked = protocols.load(name)
        if not named and asked.dataset != row.dataset:
            continue
        for untuned in (False, True):
            request = Request(
                asked,
                defenses=defenses,
                attacks=attacks,
                untuned=untuned,
                effort=row.effort,
            )
            try:
                tasks = plan(request).tasks
            except BenchError:
                if named:
                    raise
                continue
            for task in tasks:
                if task.key == row.key:
                    return task
    where = f"protocol {named}" if named else "any protocol"
    raise BadOption(
        f"{row.key} is not planned by {where}: its plugins, its data or the core were "
        f"edited since (commit {row.commit or 'unknown'}, revision {row.revision}), or "
        "it needs --protocol, --defense or --attack as its command had: " + row.command
    )


def _again(task: Task, engine: str, cpus: int) -> StealRow:
    """The row of `task`, with all that it builds on done anew."""
    from bench.results.rows import StealRow
    from bench.results.store import Store
    from bench.stages import with_parents

    how = work.How(
        engine=engine,
        cpus=cpus,
        gpu_shares={"student": 1.0, "teacher": 1.0},
        timeout=None,
        address=None,
        compiled=False,
        quiet=False,
    )
    with TemporaryDirectory(prefix="distill-bench-verify-") as folder:
        store = Store.at(Path(folder))
        store.open()
        row = work.do(with_parents([task]), {}, store, how)[task]
    assert isinstance(row, StealRow)
    return row
