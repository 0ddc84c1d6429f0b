"""What a command asks for, as the set of tasks that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from bench import data
from bench import protocol as protocols
from bench.errors import BadOption, BadPlugin, BadProtocol, UnknownName
from bench.networks import NETWORKS
from bench.protocol import Protocol
from bench.registry import Kind, Plugin, installed, resolve, split
from bench.tasks import Protect, Setting, Steal, Task, TrainTeacher, with_parents

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
    teacher: str = ""
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
    defenses = _plugins("defense", request.defenses, request, broken)
    attacks = _plugins("attack", request.attacks, request, broken)
    attacks += _zero_lines(attacks, request)
    _check_names(request, [*defenses, *attacks])

    name, network = request.dataset or protocol.dataset, request.teacher
    dataset = data.load(name)
    setting = Setting(
        protocol.name, protocol.version, dataset.name, dataset.fingerprint
    )
    network = network or protocol.teacher
    students = request.students or protocol.students
    _check_networks(protocol, (network, *students))
    recipe = request.settings.get("recipe", {})
    recipes = {n: protocol.recipe_of(n, recipe) for n in (network, *students)}
    faithful = (
        _genuine(protocol)
        and (name, network) == (protocol.dataset, protocol.teacher)
        and all(recipes[n] == protocol.recipe_of(n, {}) for n in recipes)
    )
    panel = _labels("attack", protocol)
    entrants = _labels("defense", protocol)

    steals: list[Task] = []
    notes: dict[str, None] = {}
    for seed, defense in product(range(request.seeds or protocol.seeds), defenses):
        official = faithful and seed < protocol.seeds
        teacher = TrainTeacher(setting, network, recipes[network], seed, official)
        # Whoever submits a defense may enter it with its defaults.
        entered = defense.label in entrants or "[" not in defense.label
        release = Protect(teacher, defense, official and entered)
        for attack, student in product(attacks, students):
            if attack.make().teacherless and defense.label != CONTROL_DEFENSE:
                continue
            if why := _excluded(attack, student, network):
                notes[why] = None
                continue
            own = release.official and attack.label in panel
            steals.append(
                Steal(
                    target=release,
                    attack=attack,
                    student=student,
                    recipe=recipes[student],
                    official=own and student in protocol.students,
                )
            )
    return Plan(request, tuple(with_parents(steals)), tuple(notes), tuple(broken))


def _plugins(
    kind: Kind, asked: tuple[str, ...], request: Request, broken: list[str]
) -> list[Plugin]:
    """The plugins that `asked` or else the protocol names, the control first."""
    usual = {"defense": request.protocol.defenses, "attack": request.protocol.attacks}
    control = {"defense": CONTROL_DEFENSE, "attack": CONTROL_ATTACK}[kind]
    found: dict[Plugin, None] = {}
    for spec in (control, *(asked or usual[kind])):
        try:
            for one in _swept(spec, request):
                plugin = _resolve(kind, one, request.protocol)
                if kind == "attack":
                    plugin.make().grants()  # an attack without them cannot be let in
                found[plugin] = None
        except BadPlugin as error:
            broken.append(str(error))
    labels = [plugin.label for plugin in found]
    for label in labels:
        if labels.count(label) > 1:
            raise BadOption(
                f"two {kind}s would be called {label!r} in every table: rename a file"
            )
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
    named = _plugins(kind, (), request, unusable)
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
