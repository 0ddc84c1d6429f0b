"""Finds plugins by name, ours and outsiders' through the same door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import entry_points
from bench.code import Code
from bench.errors import BadPlugin, UnknownName
from bench.plugins.option_values import options_of
from bench.plugins.spec import Kind, Value, brackets, short_name, split

if TYPE_CHECKING:
    from bench.threat.access import Needs


@dataclass(frozen=True)
class Plugin:
    """One plugin with all its options decided, as a task carries it."""

    kind: Kind
    name: str
    """What rows call it: its entry point, or `stem:Class` of a file."""
    class_name: str
    """As the file spells it; streams of random numbers derive from it."""
    options: tuple[tuple[str, Value], ...]
    """Every option, in the order of the class."""
    code: Code
    files: tuple[tuple[str, str], ...]
    """Options that name a file, each with 16 hex digits of what the file holds."""
    defaults: tuple[tuple[str, Value], ...] = field(compare=False)
    """What each option is unless another value is asked for."""
    label: str = field(compare=False)
    """For a person: the name, and those options that depart from the protocol's."""
    needs: Needs | None = field(default=None, compare=False)
    """What an attack cannot do without; None for a defense."""
    teacherless: bool = field(default=False, compare=False)
    """An attack that never asks the teacher."""
    reference: bool = field(default=False, compare=False)
    """A teacherless one that is no part of the zero line."""

    @property
    def source(self) -> str:
        """16 hex digits from the text of its file and of the neighbours it imports."""
        return self.code.hash

    def make(self) -> Any:
        """A fresh instance; whoever performs the task calls it.

        Raises:
            BadPlugin: it cannot be loaded, or its module or a file that an option
                names is not what the task was planned with.
        """
        if files_of(dict(self.options)) != self.files:
            raise BadPlugin(
                f"{self.name}: a file that its options name is gone or was edited "
                "after this run was planned; run it again"
            )
        return class_of(self.kind, self.code)(**dict(self.options))


def varied(plugin: Plugin, options: Mapping[str, Any]) -> Plugin:
    """`plugin` with other values of some of its options.

    Raises:
        BadOption: an option does not exist, or its value does not fit.
        BadPlugin: it cannot be loaded.
    """
    if not options:
        return plugin
    cls, usual = class_of(plugin.kind, plugin.code), dict(plugin.options)
    decided = options_of(cls, plugin.name, {**usual, **options})
    return replace(
        plugin,
        options=tuple(decided.items()),
        files=files_of(decided),
        label=plugin.name + brackets(decided, usual),
    )


def files_of(options: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    """Those of `options` that name a file, each with a digest of what it holds."""
    found = []
    for name, value in options.items():
        if not isinstance(value, str) or not value:
            continue
        with suppress(OSError, ValueError):  # most text is no path at all
            if (path := Path(value).expanduser()).is_file():
                found.append((name, sha256(path.read_bytes()).hexdigest()[:16]))
    return tuple(found)


def installed(kind: Kind) -> dict[str, EntryPoint]:
    """The installed plugins of `kind` by name."""
    return entry_points.installed(f"bench.{kind}s")


def find(kind: Kind, name: str) -> Code:
    """The code behind a name, a "module:Class" or a "path/file.py:Class".

    Raises:
        UnknownName: nothing is installed under that name.
        BadPlugin: there is no such file or module, or it is not Python.
    """
    place = entry_points.place_of(f"bench.{kind}s", name)
    with _told_as(kind, name):
        return Code.at(place)


@contextmanager
def _told_as(kind: Kind, place: str, short: str = "") -> Iterator[None]:
    """Name a bad plugin as the user did, and say of which kind it should be."""
    try:
        yield
    except BadPlugin as error:
        what = str(error)
        for name in (place, short):
            what = what.removeprefix(repr(name)).removeprefix(name)
        raise BadPlugin(f"{kind} {place!r}{what}") from error


def class_of(kind: Kind, code: Code) -> type[Any]:
    """The class of an attack or a defense.

    Raises:
        BadPlugin: it cannot be loaded, or is none.
    """
    from bench.plugins.base import Attack, Defense

    base = {"attack": Attack, "defense": Defense}[kind]
    found = code.load()
    if not (isinstance(found, type) and issubclass(found, base)):
        raise BadPlugin(f"{code.short!r} is not a subclass of bench.{base.__name__}")
    if "__dataclass_fields__" not in vars(found):
        raise BadPlugin(f"{code.short!r} lacks @dataclass(frozen=True)")
    return found


def load(kind: Kind, name: str) -> type[Any]:
    """The class behind a name, a "module:Class" or a "path/file.py:Class".

    Raises:
        UnknownName: nothing is installed under that name.
        BadPlugin: its file cannot be loaded, or holds no such class.
    """
    code = find(kind, name)
    with _told_as(kind, name, code.short):
        return class_of(kind, code)


def kind_of_installed(name: str) -> Kind:
    """Whether the installed plugin `name` is an attack or a defense.

    Raises:
        UnknownName: nothing is installed under that name.
    """
    if name in installed("defense"):
        return "defense"
    if name in installed("attack"):
        return "attack"
    known = [*installed("defense"), *installed("attack")]
    raise UnknownName.among("plugin", name, known, "bench list")


def kind_of(name: str) -> Kind:
    """Whether `name`, or the class at a place, is an attack or a defense.

    Raises:
        BadPlugin: its file cannot be loaded, or holds no such class.
        UnknownName: nothing is installed under that name.
    """
    if ":" not in name:
        return kind_of_installed(name)
    from bench.plugins.base import Defense

    found = find("defense", name).load()
    is_defense = isinstance(found, type) and issubclass(found, Defense)
    return "defense" if is_defense else "attack"


def resolve(kind: Kind, spec: str, preset: Mapping[str, Any]) -> Plugin:
    """The plugin that `spec` asks for, its options checked by their types.

    Args:
        kind: "attack" or "defense".
        spec: What the user or the protocol wrote.
        preset: The protocol's options for it, in place of the class's defaults.

    Raises:
        BadOption: an option does not exist, or its value does not fit.
        BadPlugin: the plugin cannot be loaded, or an attack names no grants.
        UnknownName: nothing is installed under that name.
    """
    place, asked = split(spec)
    name = short_name(kind, place)  # one plugin has one name, however it is asked for
    code = find(kind, name if name in installed(kind) else place)
    with _told_as(kind, place, code.short):
        cls = class_of(kind, code)
        defaults = options_of(cls, name, {})
        needs = cls.needs() if kind == "attack" else None
    usual = options_of(cls, name, preset)
    decided = options_of(cls, name, {**preset, **asked})
    return Plugin(
        kind=kind,
        name=name,
        class_name=cls.__name__,
        options=tuple(decided.items()),
        code=code,
        files=files_of(decided),
        defaults=tuple(defaults.items()),
        label=name + brackets(decided, usual),
        needs=needs,
        teacherless=kind == "attack" and cls.teacherless,
        reference=kind == "attack" and cls.reference,
    )
