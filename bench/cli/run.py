"""`bench run`: from a defense and an attack to rows and a ranked table."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import typer

from bench.cli import options, work
from bench.cli.report import conclude, show_plan
from bench.cli.terminal import console, say
from bench.errors import BadOption, Status
from bench.planning import protocol as protocols

if TYPE_CHECKING:
    from bench.planning.plan import Plan
    from bench.results.rows import Row
    from bench.results.store import Store
    from bench.stages import Task


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(run)


def run(
    defense: options.Defenses = None,
    attack: options.Attacks = None,
    track: options.Tracks = None,
    student: options.Students = None,
    protocol: options.ProtocolName = "digits",
    dataset: options.DatasetName = "",
    teacher: options.Teachers = None,
    seeds: options.Seeds = 0,
    set_: options.Settings = None,
    sweep: options.Sweeps = None,
    engine: options.Engine = "ray",
    precision: options.PrecisionName = "",
    compile_: options.Compiled = False,
    cpus: options.Cpus = 1,
    gpu_share: options.GpuShare = 1.0,
    teacher_gpu_share: options.TeacherGpuShare = 1.0,
    address: options.Address = None,
    store: options.StoreFolder = options.STORE,
    results: options.ResultsFolder = options.RESULTS,
    timeout: options.Timeout = None,
    untuned: options.Untuned = False,
    effort: options.Effort = 1,
    force: options.Force = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> int:
    """Attack defenses, and rank them by the strongest attack.

    Without --defense, --attack or --track the protocol's are taken. The controls, the
    defense 'none' and the attack 'scratch', are added wherever they are needed. What is
    done is not done again.
    """
    from bench.planning.request import Request

    request = Request(
        protocol=protocols.load(protocol),
        defenses=tuple(defense or ()),
        attacks=tuple(attack or ()),
        tracks=tuple(track or ()),
        students=tuple(student or ()),
        dataset=dataset,
        teachers=tuple(teacher or ()),
        precision=_one_of("precision", precision, ("", *get_args(protocols.Precision))),
        seeds=seeds,
        untuned=untuned,
        effort=effort,
        **_choices(set_, sweep),
    )
    how = work.How(
        engine=_one_of("engine", engine, ("ray", "local")),
        cpus=cpus,
        gpu_shares={"student": gpu_share, "teacher": teacher_gpu_share},
        timeout=_seconds(timeout),
        address=address,
        compiled=compile_,
        quiet=as_json,
    )
    from bench.planning.plan import plan
    from bench.results.publish import published
    from bench.results.store import Store, probe

    made = plan(request)
    keep, results = Store.at(store), results.expanduser()
    published(results)  # an unreadable table is better found now than after the work
    done = {} if force else _done(made, keep)
    for note in (*made.notes, *made.broken):
        say(console(stderr=True), f"bench: {note}")
    if dry_run:
        show_plan(made, done, keep, as_json)
        return 0
    keep.open()
    probe(results, "results folder", "--results")
    rows = work.do(made.tasks, done, keep, how)
    return conclude(made, done, rows, results, force, keep, as_json)


def _one_of(what: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        names = " or ".join(name for name in known if name)
        raise BadOption(f"unknown {what} {value!r}: write {names}")
    return value


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
    match = re.fullmatch(r"\s*([^=]+)\.([A-Za-z_]\w*)\s*=\s*(.+?)\s*", text)
    if match is None:
        raise BadOption(f"cannot read {flag} {text!r}: write plugin.option=value")
    return match[1], match[2], match[3]


def _seconds(text: str | None) -> float | None:
    """`90s`, `30m`, `2h` or plain seconds."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None or float(match[1]) == 0:
        raise BadOption(f"cannot read --timeout {text!r}: write 90s, 30m or 2h")
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
    return min(seconds, threading.TIMEOUT_MAX)


def _done(made: Plan, store: Store) -> dict[Task, Row]:
    """The tasks that an earlier run has ended well, with their rows."""
    found: dict[Task, Row] = {}
    for task in made.tasks:
        row = store.row(task.key)
        if row is None or row.status != Status.OK:
            continue
        if task.keeps_weights and not store.has_tensors(task.key):
            continue
        found[task] = row
    return found
