"""What a plugin's source takes that it was not granted.

Python cannot seal an object, so its text is read. This catches who takes what lies near
without hiding it, not who wants to hide: results that cannot be are flagged on boards.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bench.code import Code
from bench.results.flags import REACHES

MOST = 5
"""Flags of one plugin at most."""
MODULES = {"gc", "inspect", "ctypes", "sys", "importlib", "builtins", "traceback"}
"""Modules by which one walks memory, frames or other modules."""
DATA = ("sklearn.datasets", "torchvision.datasets", "datasets")
"""Modules that lead to test images."""
DUNDERS = {
    "f_back",
    "f_locals",
    "f_globals",
    "tb_frame",
    "__self__",
    "__dict__",
    "__closure__",
    "__globals__",
    "__wrapped__",
    "__subclasses__",
    "__getattribute__",
    "__code__",
}
BLIND = {"getattr", "vars", "eval", "exec"}
"""Functions that look up what the text may not say."""
OWN = {"self", "cls"}
CHANGES = {"append", "extend", "insert", "add", "update", "setdefault", "appendleft"}
"""Methods by which a module's list, set or dict keeps something for later."""


def reaches(code: Code) -> list[str]:
    """Flags for what the files of `code` take, each once, in the order of the text."""
    found: dict[str, None] = {}
    for name, text in code.texts():
        for line, what in _of(ast.parse(text)):
            found[f"{REACHES}{what} ({name}, line {line})"] = None
    return list(found)[:MOST]


def _of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    kept = _module_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=attr) if _is_private(value, attr):
                yield node.lineno, ast.unparse(node)
            case ast.Import(names=names):
                for alias in names:
                    if _is_foreign(alias.name):
                        yield node.lineno, f"import {alias.name}"
            case ast.ImportFrom(module=str(module)) if _is_foreign(module):
                yield node.lineno, f"from {module} import"
            case ast.Global(names=names):
                yield node.lineno, f"global {', '.join(names)}"
            case ast.Call(
                func=ast.Name(id="getattr" | "vars" | "eval" | "exec" as name)
            ):
                if _is_blind(name, node):
                    yield node.lineno, ast.unparse(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _kept_for_later(node, kept)


def _is_foreign(module: str) -> bool:
    """Whether importing `module` leads past what a plugin is granted."""
    inside = module.startswith("bench.") and module != "bench.options"
    data = any(module == name or module.startswith(f"{name}.") for name in DATA)
    return inside or data or module.partition(".")[0] in MODULES


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
    return not (isinstance(owner, ast.Name) and owner.id in OWN | {"F", "nn", "torch"})


def _module_names(tree: ast.Module) -> set[str]:
    """Names of lists, sets and dicts that the module holds."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.value
            holds = isinstance(value, ast.List | ast.Dict | ast.Set) or (
                isinstance(value, ast.Call)
                and ast.unparse(value.func).split(".")[-1]
                in {"list", "dict", "set", "defaultdict", "deque", "OrderedDict"}
            )
            if holds:
                names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return names


def _kept_for_later(
    function: ast.FunctionDef | ast.AsyncFunctionDef, kept: set[str]
) -> Iterator[tuple[int, str]]:
    """Where a function writes into what its module holds."""
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)):
                if name in kept and attr in CHANGES:
                    yield node.lineno, ast.unparse(node.func)
            case ast.Assign(targets=targets):
                for target in targets:
                    holder = getattr(target, "value", None)
                    if isinstance(holder, ast.Name) and holder.id in kept:
                        yield node.lineno, ast.unparse(target)
