"""Which defenses meet which attacks: the plugins of a request, resolved once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

from bench.errors import BadOption, BadPlugin, BadProtocol, UnknownName
from bench.planning.coverage import CONTROL_ATTACK, CONTROL_DEFENSE
from bench.planning.request import Request
from bench.plugins.plugin import Plugin
from bench.plugins.registry import installed, kind_of_installed, resolve
from bench.plugins.spec import Kind, short_name, split


@dataclass(frozen=True)
class Pair:
    """One defense and one attack."""

    defense: Plugin
    attack: Plugin
    is_point: bool = False
    """Of a sweep of the protocol: it is run where a track ranks, and nowhere else."""


@dataclass
class Panel:
    """The plugins of one request, and their pairs."""

    request: Request
    broken: dict[str, None] = field(default_factory=dict)
    """Plugins that cannot be loaded, each told once; the others are not affected."""
    studied: list[Plugin] = field(default_factory=list)
    """Points of the protocol's sweeps."""

    def __post_init__(self) -> None:
        """Resolve every plugin.

        Raises:
            BadOption: an option does not exist, or its value does not fit.
            BadProtocol: the protocol names a plugin that does not exist.
            UnknownName: the request does.
        """
        protocol = self.request.protocol
        self.defenses = self._named(
            "defense", (CONTROL_DEFENSE, *(self.request.defenses or protocol.defenses))
        )
        self.attacks = self._named(
            "attack", self.request.attacks or (CONTROL_ATTACK, *protocol.attacks)
        )
        [self.control] = self._named("attack", (CONTROL_ATTACK,))
        self.pairs = list(self._pairs())
        self._check_names()

    def _pairs(self) -> Iterator[Pair]:
        """Every defense with every attack, then with the points of the sweeps.

        A point of a defense meets the plain attacks, one of an attack the plain
        defenses.
        """
        met = dict.fromkeys(product(self.defenses, self.attacks))
        for defense, attack in met:
            yield Pair(defense, attack)
        for name, options in self.request.protocol.sweeps.items():
            kind = self._kind_of_swept(name)
            chosen = (
                self.request.defenses if kind == "defense" else self.request.attacks
            )
            if chosen and name not in [split(spec)[0] for spec in chosen]:
                continue
            for option, values in options.items():
                points = self._resolved(kind, [f"{name}[{option}={v}]" for v in values])
                self.studied += points
                is_defense = kind == "defense"
                defenses = points if is_defense else self.defenses
                attacks = self.attacks if is_defense else points
                for pair in product(defenses, attacks):
                    if pair not in met:
                        met[pair] = None
                        yield Pair(*pair, is_point=True)

    def _named(self, kind: Kind, specs: Iterable[str]) -> list[Plugin]:
        """The plugins that `specs` name, each once, no two under one label."""
        found = self._resolved(kind, specs)
        labels = [plugin.label for plugin in found]
        for label in labels:
            if labels.count(label) > 1:
                raise BadOption(
                    f"two {kind}s would be called {label!r} in every table: rename one"
                )
        return found

    def _resolved(self, kind: Kind, specs: Iterable[str]) -> list[Plugin]:
        found: dict[Plugin, None] = {}
        for spec in specs:
            name = split(spec)[0]
            preset = self.request.protocol.options.get(short_name(kind, name), {})
            try:
                for one in self._swept(spec):
                    found[resolve(kind, one, preset)] = None
            except BadPlugin as error:
                self.broken[str(error)] = None
        return list(found)

    def _swept(self, spec: str) -> Iterator[str]:
        """`spec` with what --set and --sweep say of it, once a point of the grid."""
        name, asked = split(spec)
        options = {**self.request.settings.get(name, {}), **asked}
        lists = self.request.sweeps.get(name, {})
        for values in product(*lists.values()):
            point = {**options, **dict(zip(lists, values, strict=True))}
            pairs = ",".join(f"{k}={v}" for k, v in point.items())
            yield f"{name}[{pairs}]" if pairs else name

    def _kind_of_swept(self, name: str) -> Kind:
        try:
            return kind_of_installed(name)
        except UnknownName as error:
            where = f"protocol {self.request.protocol.name!r}, [sweeps]"
            raise BadProtocol(f"{where}: {error}") from error

    def _check_names(self) -> None:
        """See that every --set and --sweep speaks of a plugin that is in the plan."""
        request, protocol = self.request, self.request.protocol
        plugins = [*self.defenses, *self.attacks, self.control, *self.studied]
        names = {plugin.name for plugin in plugins} | {"recipe"}
        known = {*installed("defense"), *installed("attack"), *names}
        for name in protocol.options:
            if name not in known:
                wrong = UnknownName.among("plugin", name, known, "bench list")
                raise BadProtocol(f"protocol {protocol.name!r}, [options]: {wrong}")
        asked = [split(spec)[0] for spec in (*request.defenses, *request.attacks)]
        for flag, values in (("--set", request.settings), ("--sweep", request.sweeps)):
            for name in values:
                if name not in names and name not in asked:
                    error = UnknownName.among("plugin", name, names, "not in this plan")
                    raise BadOption(f"{flag} {name}: {error}")
