"""Finds plugins by name, ours and outsiders' through the same door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from bench import entry_points
from bench.code import Code
from bench.errors import BadPlugin, UnknownName
from bench.plugins.option_values import options_of
from bench.plugins.plugin import Plugin, class_of, files_of
from bench.plugins.spec import Kind, brackets, short_name, split

if TYPE_CHECKING:
    pass


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
