"""Finds plugins by name, ours and outsiders' through the same door.

A spec is what a user writes: `name`, `module:Class` or `path/file.py:Class`, with
options in brackets: `kd[tau=8,alpha=0.5]`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import sha256
from importlib import invalidate_caches
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from bench.errors import BadOption, BadPlugin, UnknownName

if TYPE_CHECKING:
    from bench.plugins.base import Attack, Defense

Kind = Literal["attack", "defense"]
Value = str | int | float | bool | None
"""What an option can hold."""


@dataclass(frozen=True)
class Plugin:
    """One plugin with all its options decided, as a task carries it."""

    kind: Kind
    name: str
    """The class, as the file spells it."""
    options: tuple[tuple[str, Value], ...]
    """Every option, sorted by name."""
    source: str
    """16 hex digits from the text of its file and of the neighbours it imports."""
    label: str = field(compare=False)
    """What tables call it: the spec's name, and those options that were asked for."""
    target: str = field(compare=False)
    """What `load` finds it by, absolute where it is a file."""

    def make(self) -> Any:
        """A fresh instance; whoever performs the task calls it.

        Raises:
            BadPlugin: it cannot be loaded, or its text is not what the task was
                planned with.
        """
        cls = load(self.kind, self.target)
        if source_hash(_place(self.kind, self.target)) != self.source:
            raise BadPlugin(
                f"{self.label} was edited after this run was planned; run it again"
            )
        return cls(**dict(self.options))


@dataclass(frozen=True)
class Card:
    """What can be told about an installed plugin without importing it."""

    kind: Kind
    name: str
    target: str
    summary: str
    """First line of its file."""
    broken: str = ""
    """Why it cannot be loaded; empty if nothing is known against it."""


@cache
def installed(kind: Kind) -> dict[str, EntryPoint]:
    """The installed plugins of `kind` by name."""
    found = entry_points(group=f"bench.{kind}s")
    return {entry.name: entry for entry in sorted(found)}


def cards(kind: Kind) -> Iterator[Card]:
    """A card for every installed plugin; their code is read, not run."""
    for name, entry in installed(kind).items():
        try:
            spec = find_spec(entry.module)
            text = Path(str(spec and spec.origin)).read_text()
            summary = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
            broken = ""
        except (ImportError, OSError, SyntaxError, ValueError) as error:
            summary, broken = "", f"{type(error).__name__}: {error}"
        yield Card(kind, name, entry.value, summary, broken)


def split(spec: str) -> tuple[str, dict[str, str]]:
    """`kd[tau=8,alpha=0.5]` as `("kd", {"tau": "8", "alpha": "0.5"})`.

    Raises:
        BadOption: the brackets do not hold option=value pairs.
    """
    name, bracket, rest = spec.partition("[")
    if not bracket:
        return spec.strip(), {}
    pairs = [p.partition("=") for p in rest.removesuffix("]").split(",") if p.strip()]
    if not rest.endswith("]") or not all(k.strip() and eq for k, eq, _ in pairs):
        raise BadOption(
            f"cannot read {spec!r}: write name[option=value,...], quoted for the shell"
        )
    return name.strip(), {k.strip(): v.strip() for k, _, v in pairs}


def load(kind: Kind, target: str) -> type[Any]:
    """The class behind a name, a "module:Class" or a "path/file.py:Class".

    Raises:
        UnknownName: nothing is installed under that name.
        BadPlugin: its file cannot be loaded, or holds no such class.
    """
    from bench.plugins.base import Attack, Defense

    base = {"attack": Attack, "defense": Defense}[kind]
    found = _class(kind, target)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise BadPlugin(f"{target!r} is not a subclass of bench.{base.__name__}")
    if "__dataclass_fields__" not in vars(found):
        raise BadPlugin(f"{target!r} lacks @dataclass(frozen=True)")
    return found


def kind_of(name: str) -> Kind:
    """Whether `name`, or the class at a place, is an attack or a defense.

    Raises:
        BadPlugin: its file cannot be loaded, or holds no such class.
        UnknownName: nothing is installed under that name.
    """
    if ":" not in name:
        known = [*installed("defense"), *installed("attack")]
        if name not in known:
            raise UnknownName.among("plugin", name, known, "bench list")
        return "defense" if name in installed("defense") else "attack"
    from bench.plugins.base import Defense

    found = _class("defense", name)
    is_defense = isinstance(found, type) and issubclass(found, Defense)
    return "defense" if is_defense else "attack"


def _class(kind: Kind, target: str) -> object:
    """Whatever stands at `target`, not yet looked at."""
    module, _, attribute = _place(kind, target).partition(":")
    try:
        home = _run_file(Path(module)) if module.endswith(".py") else _import(module)
        found: object = getattr(home, attribute)
    except (Exception, SystemExit) as error:
        text = str(error).partition("\n")[0]
        raise BadPlugin(
            f"{kind} {target!r} cannot be loaded: {type(error).__name__}: {text}"
        ) from error
    return found


def resolve(kind: Kind, spec: str, preset: Mapping[str, Any]) -> Plugin:
    """The plugin that `spec` asks for, its options checked by their types.

    Args:
        kind: "attack" or "defense".
        spec: What the user or the protocol wrote.
        preset: The protocol's options for it, in place of the class's defaults.

    Raises:
        BadOption: an option does not exist, or its value does not fit.
        BadPlugin: the plugin cannot be loaded.
        UnknownName: nothing is installed under that name.
    """
    name, asked = split(spec)
    known = {entry.value: own for own, entry in installed(kind).items()}
    name = known.get(name, name)  # one plugin has one name, however it was asked for
    cls = load(kind, name)
    usual = options_of(cls, name, preset)
    decided = options_of(cls, name, {**preset, **asked})
    differs = [f"{k}={_text(v)}" for k, v in decided.items() if v != usual[k]]
    place = _place(kind, name)
    module, _, attribute = place.partition(":")
    stem = Path(module).stem if module.endswith(".py") else module
    short = f"{stem}:{attribute}" if ":" in name else name
    return Plugin(
        kind=kind,
        name=cls.__name__,
        options=tuple(sorted(decided.items())),
        source=source_hash(place),
        label=short + (f"[{','.join(differs)}]" if differs else ""),
        target=name if name in installed(kind) else place,
    )


def options_of(
    cls: type[Attack[Any, Any]] | type[Defense], name: str, given: Mapping[str, Any]
) -> dict[str, Value]:
    """Every option of `cls`, from `given` or else its default.

    Raises:
        BadOption: an option does not exist, its value does not fit, or it has none.
    """
    try:
        hints = get_type_hints(cls, include_extras=True)
        plain = cls()
    except Exception as error:
        text = " ".join(str(error).split())
        raise BadPlugin(
            f"{name} cannot be made with its defaults: {type(error).__name__}: {text}"
        ) from error
    known = {f.name: f for f in fields(cls)}
    for option in given:
        if option not in known:
            options = ", ".join(known) or "none"
            near = UnknownName.among("option", option, known, f"{name} has: {options}")
            raise BadOption(f"{name}: {near}")
    decided: dict[str, Value] = {}
    for option in known:
        value = given.get(option, getattr(plain, option))
        if value in ("none", "None") and type(None) in get_args(hints[option]):
            value = None
        try:
            decided[option] = TypeAdapter(hints[option]).validate_python(value)
        except ValidationError as error:
            what = error.errors()[-1]["msg"]
            raise BadOption(f"{name}: {option}={value!s}: {what}") from error
        except PydanticUserError as error:
            raise BadPlugin(f"{name}: {option} has a type of its own") from error
        if not isinstance(decided[option], str | int | float | bool | None):
            raise BadPlugin(
                f"{name}: {option} must hold text, a number, a truth value or None"
            )
    return decided


def source_hash(place: str) -> str:
    """16 hex digits from a plugin's file and the neighbours that it imports.

    Neighbours are files of the same folder; they are followed to the end.

    Args:
        place: "module:Class" or "path/file.py:Class".
    """
    module = place.partition(":")[0]
    if module.endswith(".py"):
        return _hash(_texts(Path(module)))
    spec = find_spec(module)
    return _hash(_texts(Path(str(spec and spec.origin))))


def _texts(start: Path) -> dict[str, str]:
    """The text of `start` and of the neighbours that it imports, by file name."""
    texts: dict[str, str] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path.name not in texts and path.is_file():
            texts[path.name] = path.read_text()
            names = _imported(texts[path.name])
            waiting += [path.with_name(f"{name}.py") for name in names]
    return texts


def _hash(texts: Mapping[str, str]) -> str:
    joined = "\0".join(f"{name}\0{texts[name]}" for name in sorted(texts))
    return sha256(joined.encode()).hexdigest()[:16]


def _imported(text: str) -> set[str]:
    """The last part of every module that `text` imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.rpartition(".")[2] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").rpartition(".")[2])
            names |= {alias.name for alias in node.names}
    return names


def _place(kind: Kind, target: str) -> str:
    """Where the class is: "module:Class", or an absolute "file.py:Class"."""
    module, colon, attribute = target.rpartition(":")
    if not colon:
        known = installed(kind)
        if target not in known:
            raise UnknownName.among(kind, target, known, "bench list")
        return known[target].value
    if not module.endswith(".py"):
        return target
    path = Path(module).expanduser().resolve()
    if not path.is_file():
        raise BadPlugin(f"{kind} {target!r}: there is no file {path}")
    return f"{path}:{attribute}"


def _import(module: str) -> object:
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not search the current folder
        sys.path.append(here)
    __import__(module)
    return sys.modules[module]


def _run_file(path: Path) -> object:
    """The module in the file at `path`, run anew when it or a neighbour has changed."""
    texts = _texts(path)
    name = f"bench_file_{sha256(str(path).encode()).hexdigest()[:8]}_{path.stem}"
    home = sys.modules.get(name)
    if home is not None and getattr(home, "__source__", "") == _hash(texts):
        return home
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    home = module_from_spec(spec)
    home.__dict__["__source__"] = _hash(texts)
    sys.modules[name] = home
    with _neighbours(path, texts):
        try:
            spec.loader.exec_module(home)
        except BaseException:
            del sys.modules[name]
            raise
    return home


@contextmanager
def _neighbours(path: Path, texts: Mapping[str, str]) -> Iterator[None]:
    """Let the file at `path` import its neighbours by name, and nobody else's."""
    names = {Path(name).stem for name in texts} - {path.stem}
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(path.parent))
    invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(path.parent))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def _text(value: Value) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
