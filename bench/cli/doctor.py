"""`bench doctor`: what this machine has, and what is wrong with it."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer
from rich.markup import escape

from bench import __version__
from bench.cli import options
from bench.cli.terminal import console
from bench.code import Code
from bench.entry_points import GROUPS, installed
from bench.errors import BadPlugin, BenchError, Unfit
from bench.plugins import registry


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(
    results: options.ResultsFolder = options.RESULTS,
    store: options.StoreFolder = options.STORE,
) -> int:
    """Look over code, libraries, devices, plugins, store and tables."""
    checks: dict[str, Callable[[], str]] = {
        "distill-bench": _code,
        "torch": _torch,
        "ray": _ray,
        "device": _device,
        "plugins": _plugins,
        "store": lambda: _store(store),
        "results": lambda: _results(results),
    }
    out, bad = console(), 0
    for name, look in checks.items():
        try:
            text, mark = look(), "[green]ok[/] "
        except (BenchError, ImportError) as error:
            text, mark, bad = str(error), "[red]bad[/]", bad + 1
        out.print(
            f"{mark} [bold]{name}[/]: {escape(text)}", highlight=False, soft_wrap=True
        )
    return 3 if bad else 0


def _code() -> str:
    from bench.worker import provenance as machine

    commit, dirty = machine.commit()
    where = f"commit {commit[:12]}{' with changes' if dirty else ''}" if commit else ""
    return f"{__version__} on Python {platform.python_version()} {where}".strip()


def _torch() -> str:
    import torch
    import torchvision

    return f"{torch.__version__} with torchvision {torchvision.__version__}"


def _ray() -> str:
    try:
        return version("ray")
    except PackageNotFoundError as error:
        raise Unfit("missing; --engine local does without it") from error


def _device() -> str:
    import torch

    from bench.worker import provenance as machine

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    gpus = ", ".join(names) or "no GPU"
    return f"{machine.processor()}, {torch.get_num_threads()} threads; {gpus}"


def _plugins() -> str:
    wrong, count = [], 0
    for group in GROUPS:
        for name, entry in installed(group).items():
            count += 1
            try:
                _load(group, name, entry.value)
            except BenchError as error:
                wrong.append(f"{GROUPS[group]} {name}: {error}")
    if wrong:
        raise BadPlugin("; ".join(wrong))
    return f"{count} load"


def _load(group: str, name: str, place: str) -> None:
    """Load the entry `name`; a plugin must be a class of its kind, others functions."""
    from bench.data.catalogue import factory

    if group == "bench.attacks":
        registry.load("attack", name)
    elif group == "bench.defenses":
        registry.load("defense", name)
    else:
        factory(Code.at(place))


def _store(store: Path) -> str:
    from bench.results.store import Store

    keep = Store.at(store)
    if not keep.root.exists():
        return f"{keep.root}, not made yet"
    keep.open()
    count = sum(1 for _ in keep.rows())
    free = shutil.disk_usage(keep.root).free // 2**30
    return f"{keep.root}, {count} rows, {free} GiB free"


def _results(results: Path) -> str:
    from bench.results.publish import published

    return f"{results}, {len(published(results))} rows"
