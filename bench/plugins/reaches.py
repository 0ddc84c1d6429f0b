"""What a plugin's source takes that it was not granted.

Python cannot seal an object, so its text is read. This catches who takes what lies near
without hiding it, not who wants to hide: results that cannot be are flagged on boards.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from bench import __all__ as FACE
from bench.code import Code
from bench.plugins.left_behind import left_behind
from bench.results.flags import REACHES

MOST = 5
"""Flags of one plugin at most."""
MODULES = {
    "gc",
    "inspect",
    "ctypes",
    "sys",
    "importlib",
    "builtins",
    "traceback",
    "pickle",
    "marshal",
    "copyreg",
    "subprocess",
    "multiprocessing",
    "threading",
    "socket",
}
"""Modules by which one walks memory, frames, other modules or other processes."""
DATA = ("sklearn.datasets", "torchvision.datasets", "datasets")
"""Modules that lead to test images."""
DUNDERS = {
    "f_back",
    "f_locals",
    "f_globals",
    "tb_frame",
    "gi_frame",
    "cr_frame",
    "cell_contents",
    "__self__",
    "__func__",
    "__dict__",
    "__slots__",
    "__closure__",
    "__globals__",
    "__builtins__",
    "__wrapped__",
    "__subclasses__",
    "__getattribute__",
    "__getstate__",
    "__reduce__",
    "__reduce_ex__",
    "__code__",
}
BLIND = {"getattr", "vars", "eval", "exec", "globals", "locals", "__import__"}
"""Functions that look up what the text may not say."""
UNSAID = {"attrgetter", "methodcaller", "asdict", "astuple", "__builtins__"}
"""Names that look up the same wherever they stand."""
OWN = {"self", "cls"}
PLAIN = OWN | {"F", "nn", "torch"}
"""Whose attributes may be looked up by a name that is computed."""


@cache
def reaches(code: Code) -> tuple[str, ...]:
    """Flags for what the files of `code` take, each once, in the order of the text.

    They are read once a process: tasks of one plugin share its text.
    """
    found: dict[str, None] = {}
    for name, text in code.texts():
        tree = ast.parse(text)
        for line, what in sorted({*_of(tree), *left_behind(tree)}):
            found[f"{REACHES}{what} ({name}, line {line})"] = None
    return tuple(found)[:MOST]


def _of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    modules = _imported(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=attr):
                led = not _is_foreign(_dotted(value, modules))  # told once a chain
                if _is_private(value, attr) or (
                    led and _is_foreign(_dotted(node, modules))
                ):
                    yield node.lineno, ast.unparse(node)
            case ast.MatchClass(kwd_attrs=names):
                private = [n for n in names if _is_private(node.cls, n)]
                yield from ((node.lineno, f"match {name}") for name in private)
            case ast.Import(names=names):
                for alias in names:
                    if _is_foreign(alias.name):
                        yield node.lineno, f"import {alias.name}"
            case ast.ImportFrom(module=module, names=names, level=level):
                full = [f"{module}.{alias.name}" for alias in names]
                taken = [alias.name for alias in names if alias.name in UNSAID]
                if level > 1 or (level == 0 and any(map(_is_foreign, full))) or taken:
                    yield node.lineno, f"from {'.' * level}{module or ''} import"
            case ast.Call(func=ast.Name(id=name)) if name in BLIND:
                if _is_blind(name, node):
                    yield node.lineno, ast.unparse(node)
            case ast.Name(id=name):
                if name in UNSAID or (name in BLIND and id(node) not in called):
                    yield node.lineno, name


def _imported(tree: ast.Module) -> dict[str, str]:
    """The modules, in full, that names of this file stand for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _dotted(node: ast.expr, modules: dict[str, str]) -> str:
    """`node` as `module.name` in full; empty where it begins with no module."""
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, modules)
        return owner and f"{owner}.{node.attr}"
    return modules.get(node.id, "") if isinstance(node, ast.Name) else ""


def _is_foreign(name: str) -> bool:
    """Whether the dotted `name` leads past what a plugin is granted."""
    first, *rest = name.split(".")
    if first == "bench":
        return bool(rest) and rest[0] not in {"options", "*", *FACE}
    data = any(name == module or name.startswith(f"{module}.") for module in DATA)
    # A module is found behind others too: `dataclasses.sys` is `sys`.
    return data or bool(MODULES & {first, *rest})


def _is_private(value: ast.expr, attr: str) -> bool:
    """Whether `value.attr` is not for plugins to touch."""
    if attr in DUNDERS:
        return True
    if not attr.startswith("_") or (attr.startswith("__") and attr.endswith("__")):
        return False
    is_super = isinstance(value, ast.Call) and ast.unparse(value.func) == "super"
    return not (is_super or (isinstance(value, ast.Name) and value.id in OWN))


def _is_blind(name: str, call: ast.Call) -> bool:
    """Whether a call looks up what its text does not say."""
    if name != "getattr":
        return name != "vars" or bool(call.args)
    what = call.args[1] if len(call.args) > 1 else None
    if isinstance(what, ast.Constant) and isinstance(what.value, str):
        return what.value.startswith("_")
    owner = call.args[0] if call.args else None
    return not (isinstance(owner, ast.Name) and owner.id in PLAIN)
