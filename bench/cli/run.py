"""`bench run`: from a defense and an attack to rows and a ranked table."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.console import Console

from bench.cli import engines
from bench.cli.report import conclude, say, show_plan
from bench.errors import BadOption
from bench.planning import protocol as protocols

if TYPE_CHECKING:
    from bench.planning.plan import Plan
    from bench.planning.tasks import Task
    from bench.results.rows import Row
    from bench.results.store import Store


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(run)


def run(
    defense: Annotated[
        list[str] | None,
        typer.Option(
            metavar="S",
            help="A defense; repeat for several. S is a name, module:Class or "
            "path/file.py:Class, with options as in 'nasty\\[omega=0.1]'.",
        ),
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(metavar="S", help="An attack, as above; repeat for several."),
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK", help="'self' is the teacher's own; repeat for several."
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="A name of `bench list`, or a TOML file.")
    ] = "digits",
    dataset: Annotated[str, typer.Option(help="In place of the protocol's.")] = "",
    teacher: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK", help="In place of the protocol's; as above."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=0, help="How many; 0 takes the protocol's.")
    ] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="X.OPTION=VALUE",
            help="An option of a plugin, or of all recipes: kd.tau=8, recipe.epochs=5.",
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X.OPTION=A,B,...",
            help="Several values of an option; several sweeps make a grid.",
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="ray, or local: in this process.")
    ] = "ray",
    precision: Annotated[
        str, typer.Option(help="fp32 or bf16, in place of the protocol's.")
    ] = "",
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="torch.compile networks; off on processors."),
    ] = False,
    cpus: Annotated[
        int, typer.Option(min=1, help="CPUs and torch threads of one task.")
    ] = 1,
    gpu_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="GPU of one task; 0.25 puts four on one."),
    ] = 1.0,
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster.")
    ] = None,
    store: Annotated[Path, typer.Option(help="Where tasks keep their work.")] = Path(
        "results/store"
    ),
    results: Annotated[Path, typer.Option(help="Where tables are published.")] = Path(
        "results"
    ),
    timeout: Annotated[
        str | None, typer.Option(help="Of one task: 90s, 30m, 2h.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Do again what is done.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Show the plan and stop.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")
    ] = False,
) -> int:
    """Attack defenses, and rank them by the strongest attack.

    Without --defense or --attack the protocol's are taken. The controls, the defense
    'none' and the attack 'scratch', are always added. What is done is not done again.
    """
    request_of = _choices(set_, sweep)
    if engine not in ("ray", "local"):
        raise BadOption(f"unknown engine {engine!r}: write ray or local")
    if precision not in ("", *get_args(protocols.Precision)):
        raise BadOption(f"unknown precision {precision!r}: write fp32 or bf16")
    limit = _seconds(timeout)
    chosen = protocols.load(protocol)

    from bench.planning.plan import Request, plan
    from bench.results.store import Store, probe, published

    made = plan(
        Request(
            protocol=chosen,
            defenses=tuple(defense or ()),
            attacks=tuple(attack or ()),
            students=tuple(student or ()),
            dataset=dataset,
            teachers=tuple(teacher or ()),
            precision=precision,
            seeds=seeds,
            **request_of,
        )
    )
    keep, results = Store(store.expanduser().resolve()), results.expanduser()
    published(results)  # an unreadable table is better found now than after the work
    done = {} if force else _done(made, keep)
    err = Console(stderr=True)
    for note in (*made.notes, *made.broken):
        say(err, f"bench: {note}")
    if dry_run:
        show_plan(made, done, keep, as_json)
        return 0
    keep.open()
    probe(results, "results folder", "--results")
    session = engines.session(keep, cpus, gpu_share, limit, address, compile_)
    if compile_ and not session.compiled:
        say(err, "bench: --compile is left off: on processors it gains nothing")
    rows = engines.perform(made, done, session, engine, gpu_share, address, as_json)
    return conclude(made, done, rows, results, force, keep, as_json)


def _choices(
    settings: list[str] | None, sweeps: list[str] | None
) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """--set and --sweep, taken apart."""
    values: dict[str, dict[str, str]] = {}
    lists: dict[str, dict[str, tuple[str, ...]]] = {}
    for text in settings or ():
        plugin, option, value = _assignment("--set", text)
        values.setdefault(plugin, {})[option] = value
    for text in sweeps or ():
        plugin, option, value = _assignment("--sweep", text)
        if plugin == "recipe":
            raise BadOption("--sweep varies options of plugins; use --set for recipes")
        points = tuple(v.strip() for v in value.split(",") if v.strip())
        if not points:
            raise BadOption(
                f"--sweep {text!r} names no value: write {plugin}.{option}="
            )
        lists.setdefault(plugin, {})[option] = points
    return {"settings": values, "sweeps": lists}


def _assignment(flag: str, text: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"\s*([^=]+)\.([A-Za-z_]\w*)\s*=\s*(.+?)\s*", text)
    if found is None:
        raise BadOption(f"cannot read {flag} {text!r}: write plugin.option=value")
    return found[1], found[2], found[3]


def _seconds(text: str | None) -> float | None:
    """`90s`, `30m`, `2h` or plain seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if found is None or float(found[1]) == 0:
        raise BadOption(f"cannot read --timeout {text!r}: write 90s, 30m or 2h")
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
    return min(seconds, threading.TIMEOUT_MAX)


def _done(made: Plan, store: Store) -> dict[Task, Row]:
    """The tasks that an earlier run has ended well, with their rows."""
    from bench.planning.tasks import key
    from bench.worker.perform import kind_of, stamped

    found: dict[Task, Row] = {}
    for task in made.tasks:
        row = store.row(kind_of(task), key(task))
        if row is None or row.status != "ok":
            continue
        if task.is_built_on and not store.has_tensors(key(task)):
            continue
        found[task] = stamped(row, task)
    return found
