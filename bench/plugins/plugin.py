"""One plugin as a task carries it: its code, and all its options decided."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.code import Code
from bench.errors import BadPlugin
from bench.plugins.option_values import options_of
from bench.plugins.spec import Kind, Value, brackets

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
