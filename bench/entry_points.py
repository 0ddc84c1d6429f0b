"""What is installed under a name: ours and outsiders', through the same door.

A place says where code is: "module:Name" or "path/file.py:Name". An installed name
stands for the place that its entry point gives.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from bench.errors import BadPlugin, UnknownName

GROUPS = {
    "bench.defenses": "defense",
    "bench.attacks": "attack",
    "bench.datasets": "data set",
    "bench.formats": "format",
    "bench.networks": "network",
}
"""Every group of entry points, and what one of its entries is called."""


@cache
def installed(group: str) -> dict[str, EntryPoint]:
    """The entry points of `group`, such as "bench.attacks", by name."""
    return {entry.name: entry for entry in sorted(entry_points(group=group))}


def place_of(group: str, name: str) -> str:
    """Where `name` is: its entry point's place, or `name` itself if it is a place.

    Raises:
        UnknownName: nothing is installed under that name.
    """
    if ":" in name:
        return name
    known = installed(group)
    if name not in known:
        raise UnknownName.among(GROUPS[group], name, known, "bench list")
    return known[name].value


def short_name(group: str, name: str) -> str:
    """What rows call `name`, however it was asked for.

    What is installed goes by its entry point, what is in a file by `stem:Name`.
    """
    for own, entry in installed(group).items():
        if name in (own, entry.value):
            return own
    module, _, attribute = name.rpartition(":")
    return f"{Path(module).stem}:{attribute}" if module.endswith(".py") else name


def is_ours(place: str) -> bool:
    """Whether the code at `place` is part of bench itself."""
    return place.partition(":")[0].partition(".")[0] == "bench"


def summaries(group: str) -> dict[str, str]:
    """The summary of every entry of `group` by name, or why it has none."""
    told = {}
    for name, entry in installed(group).items():
        try:
            told[name] = summary_of(entry.value)
        except BadPlugin as error:
            told[name] = f"broken: {error}"
    return told


def grants(group: str) -> dict[str, tuple[str, str]]:
    """What each attack of `group` names as its two grants, by name.

    Its code is read, not run: the class statement says `Attack[teacher, images]`. What
    says it otherwise, or cannot be read, is left out.
    """
    found: dict[str, tuple[str, str]] = {}
    for name, entry in installed(group).items():
        try:
            body = _tree_of(entry.value).body
        except BadPlugin:
            continue
        wanted = entry.value.rpartition(":")[2]
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name == wanted:
                pairs = filter(None, map(_pair, node.bases))
                found |= dict.fromkeys([name], next(pairs, ("", "")))
    return found


def _pair(base: ast.expr) -> tuple[str, str] | None:
    """The two names within the brackets of `base`."""
    inside = base.slice if isinstance(base, ast.Subscript) else None
    if not isinstance(inside, ast.Tuple) or len(inside.elts) != 2:
        return None
    first, second = (getattr(e, "id", getattr(e, "attr", "")) for e in inside.elts)
    return first, second


def summary_of(place: str, of_file: bool = False) -> str:
    """The first line of the docstring at `place`; its code is read, not run.

    Args:
        place: "module:Name" or "path/file.py:Name".
        of_file: Take the docstring of the whole file, not that of `Name`.

    Raises:
        BadPlugin: there is no such file, or it is not Python.
    """
    name, tree = place.rpartition(":")[2], _tree_of(place)
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = [n for n in tree.body if isinstance(n, kinds) and n.name == name]
    text = ast.get_docstring(tree if of_file or not found else found[-1]) or ""
    return text.partition("\n")[0]


def _tree_of(place: str) -> ast.Module:
    """The syntax tree of the file at `place`.

    Raises:
        BadPlugin: there is no such file, or it is not Python.
    """
    module = place.rpartition(":")[0]
    try:
        path = Path(module) if module.endswith(".py") else _file_of(module)
        return ast.parse(path.read_text(encoding="utf-8"))
    except (ImportError, OSError, SyntaxError, ValueError) as error:
        text = str(error).partition("\n")[0]
        raise BadPlugin(
            f"{place!r} cannot be read: {type(error).__name__}: {text}"
        ) from error


def _file_of(module: str) -> Path:
    """The file of `module`; unlike `find_spec`, this runs none of its packages."""
    name, folders, spec = "", None, None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        asked = (finder.find_spec(name, folders) for finder in sys.meta_path)
        spec = next(filter(None, asked), None)
        if spec is None:
            raise ModuleNotFoundError(f"no module named {name!r}")
        folders = spec.submodule_search_locations
    return Path(str(spec and spec.origin))
