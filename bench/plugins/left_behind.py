"""What a plugin's source keeps for a later task, outside its own instance.

A process does many tasks. What one leaves in a module, a class, a function or a file,
the next one finds: a student that was trained on other images, say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

CHANGES = {
    "append",
    "appendleft",
    "extend",
    "insert",
    "add",
    "update",
    "setdefault",
    "pop",
    "popleft",
    "popitem",
    "remove",
    "clear",
}
"""Methods by which a list, set or dict keeps something for later."""
WRITES = {"write_text", "write_bytes", "save", "savez", "tofile", "to_parquet"}
"""Methods and functions that leave a file."""
MAKERS = {"list", "dict", "set", "defaultdict", "deque", "OrderedDict", "Counter"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def left_behind(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of all that functions of `tree` write outside themselves."""
    kept, shared = _holders(tree.body), _names(tree)
    for top in ast.walk(tree):
        if isinstance(top, ast.ClassDef):
            inner = _holders(top.body)
            yield from _written(
                top, {f"{n}.{k}" for n in ("self", "cls") for k in inner}
            )
            kept |= {f"{top.name}.{name}" for name in inner}
    for function in ast.walk(tree):
        if isinstance(function, Function):
            # A name that a function binds is its own, whatever the module calls so.
            own = _bound(function)
            theirs = {name for name in kept if name.partition(".")[0] not in own}
            yield from _written(function, theirs | _defaults(function))
            yield from _set(function, shared - own)


def _holders(body: list[ast.stmt]) -> set[str]:
    """Names of lists, sets and dicts among the statements `body`."""
    names = set()
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _holds(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {t.id for t in targets if isinstance(t, ast.Name)}
    return names


def _holds(value: ast.expr | None) -> bool:
    made = isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1]
    kinds = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    return isinstance(value, kinds) or made in MAKERS


def _names(tree: ast.Module) -> set[str]:
    """What stays when a function has ended: modules, classes and functions."""
    found = {"cls"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name for alias in node.names]
            found |= {name.partition(".")[0] for name in names}
    return found | {n.name for n in tree.body if isinstance(n, Function | ast.ClassDef)}


def _bound(function: Function) -> set[str]:
    """Names that `function` binds itself."""
    inside = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
    stored = {n.id for n in inside if isinstance(n.ctx, ast.Store)}
    told = {n for node in ast.walk(function) if isinstance(node, ast.Global)
            for n in node.names}  # fmt: skip
    arguments = {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}
    return (stored | arguments) - told - {"cls"}


def _defaults(function: Function) -> set[str]:
    """Arguments whose default is one list, set or dict for all calls."""
    plain = [*function.args.posonlyargs, *function.args.args]
    values = function.args.defaults
    pairs = [
        *zip(plain[len(plain) - len(values) :], values, strict=True),
        *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True),
    ]
    return {argument.arg for argument, value in pairs if _holds(value)}


def _written(where: ast.AST, kept: set[str]) -> Iterator[tuple[int, str]]:
    """Where `where` changes what one of the names in `kept` holds."""
    for node in ast.walk(where):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=attr) as func):
                if attr in CHANGES and _holder(value) in kept:
                    yield node.lineno, ast.unparse(func)
            case ast.Subscript(ctx=ast.Store() | ast.Del()) if _holder(node) in kept:
                yield node.lineno, ast.unparse(node)


def _holder(node: ast.expr) -> str:
    """What `node` is an item of, of an item of, and so on, as text."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return ast.unparse(node)


def _set(function: Function, shared: set[str]) -> Iterator[tuple[int, str]]:
    """Where `function` sets an attribute of what stays, or a global name."""
    for node in ast.walk(function):
        match node:
            case ast.Global(names=names):
                yield node.lineno, f"global {', '.join(names)}"
            case ast.Attribute(value=value, ctx=ast.Store() | ast.Del()):
                if _stays(value, shared):
                    yield node.lineno, ast.unparse(node)
            case ast.Call(func=ast.Name(id="setattr"), args=[owner, *_]):
                if _stays(owner, shared):
                    yield node.lineno, ast.unparse(node)
            case ast.Call(func=ast.Attribute(attr=attr) as func) if attr in WRITES:
                yield node.lineno, ast.unparse(func)
            case ast.Call(func=ast.Name(id="open"), args=[_, ast.Constant(mode), *_]):
                if set(str(mode)) & set("wax+"):
                    yield node.lineno, ast.unparse(node)


def _stays(owner: ast.expr, shared: set[str]) -> bool:
    """Whether `owner` is one of `shared`, lies in one, or is the class at hand."""
    text = ast.unparse(owner)
    inside = text.replace(".", "").isidentifier() and text.partition(".")[0] in shared
    return inside or text.startswith(("type(self)", "self.__class__"))
