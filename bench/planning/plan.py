"""What a command asks for, as the set of tasks that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from bench import data
from bench.errors import BadOption, BadPlugin, BadProtocol, UnknownName
from bench.networks import NETWORKS
from bench.planning import protocol as protocols
from bench.planning.protocol import Protocol
from bench.planning.tasks import (
    Protect,
    Setting,
    Steal,
    Task,
    TrainTeacher,
    with_parents,
)
from bench.plugins.registry import Kind, Plugin, installed, resolve, split

CONTROL_DEFENSE, CONTROL_ATTACK = "none", "scratch"
"""Always planned: without them no number can be read."""


@dataclass(frozen=True)
class Request:
    """What the user asked for; what is left empty is the protocol's."""

    protocol: Protocol
    defenses: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    students: tuple[str, ...] = ()
    dataset: str = ""
    teachers: tuple[str, ...] = ()
    precision: str = ""
    seeds: int = 0
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`--set`: values by option by plugin; `recipe` stands for every recipe."""
    sweeps: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """`--sweep`: lists of values by option by plugin; several make a grid."""


@dataclass(frozen=True)
class Plan:
    """All tasks of a request, parents before children."""

    request: Request
    tasks: tuple[Task, ...]
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    broken: tuple[str, ...] = ()
    """Plugins that cannot be loaded; the rest of the plan stands."""


def plan(request: Request) -> Plan:
    """The product of defenses, attacks, students and seeds, with its controls.

    A plugin that cannot be loaded is noted and left out, so that it spoils no other
    cell; a name or an option that does not exist is the user's mistake and raises.

    Raises:
        BadData: the files of the data set are not what they must be.
        BadOption: an option does not exist, or its value does not fit.
        BadProtocol: a recipe does not fit.
        Unfit: the data set is not on this machine and cannot be brought here.
        UnknownName: a plugin, a data set or a network does not exist.
    """
    protocol = request.protocol
    broken: list[str] = []
    pairs = _pairs(request, broken)

    name = request.dataset or protocol.dataset
    precision = request.precision or protocol.precision
    networks = request.teachers or protocol.teachers
    students = {n: protocol.students_of(n, request.students) for n in networks}
    asked = dict.fromkeys([*networks, *(s for n in networks for s in students[n])])
    _check_networks(protocol, asked)
    fields = request.settings.get("recipe", {})
    recipes = {n: protocol.recipe_of(n, fields) for n in asked}
    dataset = data.load(name)
    setting = Setting(
        protocol.name,
        protocol.version,
        dataset.name,
        dataset.fingerprint,
        protocol.share,
        precision,
    )
    faithful = (
        _genuine(protocol)
        and not protocol.sweeps
        and (name, precision) == (protocol.dataset, protocol.precision)
        and all(recipes[n] == protocol.recipe_of(n, {}) for n in recipes)
    )
    panel = _labels("attack", protocol)
    entrants = _labels("defense", protocol)

    steals: list[Task] = []
    notes: dict[str, None] = {}
    for seed, network in product(range(request.seeds or protocol.seeds), networks):
        official = faithful and seed < protocol.seeds and network in protocol.teachers
        teacher = TrainTeacher(setting, network, recipes[network], seed, official)
        for (defense, attack), student in product(pairs, students[network]):
            if attack.make().teacherless and defense.label != CONTROL_DEFENSE:
                continue
            if why := _excluded(attack, student, network):
                notes[why] = None
                continue
            # Whoever submits a defense may enter it with its defaults.
            entered = defense.label in entrants or "[" not in defense.label
            release = Protect(teacher, defense, official and entered)
            own = release.official and attack.label in panel
            steals.append(
                Steal(
                    target=release,
                    attack=attack,
                    student=student,
                    recipe=recipes[student],
                    official=own and student in protocol.students_of(network),
                )
            )
    return Plan(
        request, tuple(with_parents(steals)), tuple(notes), tuple(dict.fromkeys(broken))
    )


def _pairs(request: Request, broken: list[str]) -> list[tuple[Plugin, Plugin]]:
    """Every defense with every attack, then with the points of the protocol's sweeps.

    A point of a defense meets the plain attacks, one of an attack the plain defenses.
    """
    defenses = _plugins("defense", request, broken)
    attacks = _plugins("attack", request, broken)
    pairs = dict.fromkeys(product(defenses, attacks))
    studied: list[Plugin] = []
    for name, options in request.protocol.sweeps.items():
        kind = _kind_of_swept(name, request.protocol)
        chosen = request.defenses if kind == "defense" else request.attacks
        if chosen and name not in [split(spec)[0] for spec in chosen]:
            continue
        for option, values in options.items():
            specs = [f"{name}[{option}={value}]" for value in values]
            points = _resolved(kind, specs, request, broken)
            studied += points
            grid = (
                product(points, attacks)
                if kind == "defense"
                else product(defenses, points)
            )
            pairs |= dict.fromkeys(grid)
    met = dict.fromkeys(attack for _, attack in pairs)
    zeros = _zero_lines(list(met), request)
    pairs |= dict.fromkeys(product(defenses, zeros))
    _check_names(request, [*defenses, *attacks, *studied])
    return list(pairs)


def _kind_of_swept(name: str, protocol: Protocol) -> Kind:
    for kind in ("defense", "attack"):
        if name in installed(kind):
            return kind
    known = [*installed("defense"), *installed("attack")]
    wrong = UnknownName.among("plugin", name, known, "bench list")
    raise BadProtocol(f"protocol {protocol.name!r}, [sweeps]: {wrong}")


def _plugins(kind: Kind, request: Request, broken: list[str]) -> list[Plugin]:
    """The plugins that are asked for, or else the protocol's, the control first."""
    control, asked, usual = {
        "defense": (CONTROL_DEFENSE, request.defenses, request.protocol.defenses),
        "attack": (CONTROL_ATTACK, request.attacks, request.protocol.attacks),
    }[kind]
    found = _resolved(kind, (control, *(asked or usual)), request, broken)
    labels = [plugin.label for plugin in found]
    for label in labels:
        if labels.count(label) > 1:
            raise BadOption(
                f"two {kind}s would be called {label!r} in every table: rename a file"
            )
    return found


def _resolved(
    kind: Kind, specs: Iterable[str], request: Request, broken: list[str]
) -> list[Plugin]:
    """What `specs` name, each once; what cannot be loaded is told of in `broken`."""
    found: dict[Plugin, None] = {}
    for spec in specs:
        try:
            for one in _swept(spec, request):
                plugin = _resolve(kind, one, request.protocol)
                if kind == "attack":
                    plugin.make().grants()  # an attack without them cannot be let in
                found[plugin] = None
        except BadPlugin as error:
            broken.append(str(error))
    return list(found)


def _resolve(kind: Kind, spec: str, protocol: Protocol) -> Plugin:
    return resolve(kind, spec, protocol.options.get(split(spec)[0], {}))


def _swept(spec: str, request: Request) -> Iterable[str]:
    """`spec` with what --set and --sweep say of it: one spec a point of the grid."""
    name, asked = split(spec)
    options = {**request.settings.get(name, {}), **asked}
    lists = request.sweeps.get(name, {})
    for values in product(*lists.values()):
        point = {**options, **dict(zip(lists, values, strict=True))}
        pairs = ",".join(f"{k}={v}" for k, v in point.items())
        yield f"{name}[{pairs}]" if pairs else name


def _zero_lines(attacks: list[Plugin], request: Request) -> list[Plugin]:
    """`scratch` with each share of the training images that another attack has."""
    shares: dict[Plugin, None] = {}
    for attack in attacks:
        made = attack.make()
        if made.fraction != 1 and not made.teacherless:
            spec = f"{CONTROL_ATTACK}[fraction={made.fraction!r}]"
            shares[_resolve("attack", spec, request.protocol)] = None
    return [zero for zero in shares if zero not in attacks]


def _labels(kind: Kind, protocol: Protocol) -> set[str]:
    """Labels of the plugins that `protocol` itself names, controls included."""
    request, unusable = Request(protocol), list[str]()
    named = _plugins(kind, request, unusable)
    zeros = _zero_lines(named, request) if kind == "attack" else []
    return {plugin.label for plugin in [*named, *zeros]}


def _genuine(protocol: Protocol) -> bool:
    """Whether no protocol of the bench is called the same and says something else."""
    return protocol.name not in protocols.names() or protocol == protocols.load(
        protocol.name
    )


def _check_networks(protocol: Protocol, asked: Iterable[str]) -> None:
    """See that every network that is asked for, or has a recipe, exists."""
    for network in asked:
        if network not in NETWORKS:
            raise UnknownName.among("network", network, NETWORKS, "bench list")
    for network in protocol.recipe:
        if network != "default" and network not in NETWORKS:
            error = UnknownName.among("network", network, NETWORKS, "bench list")
            raise BadProtocol(f"protocol {protocol.name!r}, [recipe]: {error}")


def _check_names(request: Request, plugins: list[Plugin]) -> None:
    """See that every --set and --sweep speaks of a plugin that is in the plan."""
    names = {plugin.target for plugin in plugins} | {"recipe"}
    known = {*installed("defense"), *installed("attack"), *names}
    for name in request.protocol.options:
        if name not in known:
            wrong = UnknownName.among("plugin", name, known, "bench list")
            raise BadProtocol(f"protocol {request.protocol.name!r}, [options]: {wrong}")
    asked = [split(spec)[0] for spec in (*request.defenses, *request.attacks)]
    for flag, values in (("--set", request.settings), ("--sweep", request.sweeps)):
        for name in values:
            if name not in names and name not in asked:
                error = UnknownName.among("plugin", name, names, "not in this plan")
                raise BadOption(f"{flag} {name}: {error}")


def _excluded(attack: Plugin, student: str, teacher: str) -> str:
    """Why this attack may not train this student; empty if it may."""
    grants: tuple[Any, Any] = attack.make().grants()
    copyable = grants[0].__name__ == "Weights" and grants[1].__name__ != "NoImages"
    if not copyable or student != teacher:
        return ""
    return (
        f"{attack.label} to {student}: left out, for a student of the teacher's own "
        "architecture could be a copy of its weights"
    )
