"""Rows -> ablations: one option of one plugin is varied, all else is held.

It reads rows and nothing else: no torch, no ray, no paths. Whether a row is official
does not matter here, for nothing is ranked.

An ablation is a line through the points that differ in one option alone. In a grid of
several options that is the line through the plain point, the one whose label has no
bracket; where no line of the option goes through it, every line is an ablation of its
own. Likewise for the other side: students by the plain attack, or from the plain
defense, are read where there are any, and those of its variants where there are none.
All points of a line are of one text of their plugins: what an edited plugin has not
done anew is missing.

Controls that never ask the teacher are no ablations of their own: they are the zero
line that every point is read against, with the point's own share of the images.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.boards.board import UNDEFENDED, current
from bench.boards.cells import (
    Ground,
    Scene,
    Zero,
    cells_of,
    classes_of,
    of_one_text,
    zero_line,
)
from bench.boards.intervals import Estimate, share
from bench.plugins.registry import Kind, Value, split
from bench.results.rows import ProtectRow, Row, StealRow

Line = Mapping[Value, Sequence[StealRow]]
"""The rows of one line by the value of the option that is varied."""


@dataclass(frozen=True, order=True)
class Place(Ground):
    """What all points of an ablation share: scenes of any track and fraction."""

    student: str
    student_recipe: str


@dataclass(frozen=True)
class Reading:
    """Accuracy over seeds; a task that did not end well is a missing seed."""

    estimate: Estimate | None
    """None when no task ended well."""
    troubles: Mapping[str, str]
    """Status by key of those that did not."""
    flags: Sequence[str]


@dataclass(frozen=True)
class Point:
    """One value of the option."""

    value: Value
    label: str
    """Of the plugin with this value, as tables call it."""
    teacher: Reading | None
    """What was released; None where an attack is varied, which changes no teacher."""
    students: Mapping[str, Reading]
    """By the defense that they were stolen from; by its name where it is varied."""
    zero: Estimate | None
    """The zero line, with as many images as the attack has here."""

    @property
    def text(self) -> str:
        """The value as one would write it, and words for what has no writing."""
        if self.value is None or self.value == "":
            return "none" if self.value is None else "(empty)"
        if isinstance(self.value, float):
            return repr(self.value).removesuffix(".0")
        return str(self.value)


@dataclass(frozen=True)
class Ablation:
    """One option of one plugin, and what comes of each of its values."""

    place: Place
    kind: Kind
    plugin: str
    option: str
    held: str
    """Other options that depart from the plain point's, as `tau=2`; mostly empty."""
    attack: str
    """Whose students these are; where an attack is varied, its name."""
    points: Sequence[Point]
    """In the order of the values: numbers by size, then names by the alphabet."""
    undefended: Reading | None
    """Teachers that `none` released; None where an attack is varied."""
    control: Reading | None
    """Their students by the same attack; None where the points have them."""
    zero_is: str
    """Where the zero line comes from."""

    @property
    def name(self) -> str:
        """The option as the command line calls it: `nasty.omega`."""
        return f"{self.plugin}.{self.option}"

    @property
    def defenses(self) -> list[str]:
        """Whose students are read: the undefended teacher's first."""
        names = {name for point in self.points for name in point.students}
        return sorted(names, key=lambda name: (name != UNDEFENDED, name))


def ablations(rows: Iterable[Row]) -> list[Ablation]:
    """Every ablation that the current ones of `rows` hold: of defenses, then attacks.

    Args:
        rows: Of all tables, official or not.
    """
    now = current(rows)
    releases = {row.key: row for row in now if isinstance(row, ProtectRow)}
    places: dict[Place, list[StealRow]] = defaultdict(list)
    for row in now:
        if isinstance(row, StealRow):
            places[Place.of(row)].append(row)
    return [
        found
        for place, steals in sorted(places.items())
        for found in _in_place(place, steals, releases)
    ]


def name_of(label: str) -> str:
    """The plugin's name, without the options in the label's brackets."""
    return label.partition("[")[0]


def _in_place(
    place: Place, steals: Sequence[StealRow], releases: Mapping[str, ProtectRow]
) -> Iterator[Ablation]:
    """The ablations of defenses, one an attack, then those of attacks."""
    for (plugin, option), attack, line in _lines(steals, "defense"):
        controls = [s for s in steals if (s.defense, s.attack) == (UNDEFENDED, attack)]
        controls = of_one_text(controls)
        points, zero_is = _points("defense", {plugin: line}, steals)
        yield Ablation(
            place=place,
            kind="defense",
            plugin=plugin,
            option=option,
            held=_held(points[0].label, option),
            attack=attack,
            points=[
                replace(p, teacher=_reading(_parents(line[p.value], releases)))
                for p in points
            ],
            undefended=_reading(_parents(controls, releases)),
            control=_reading(controls),
            zero_is=zero_is,
        )
    together: dict[tuple[str, str, str], dict[str, Line]] = defaultdict(dict)
    for (plugin, option), defense, line in _lines(steals, "attack"):
        label = _newest(next(iter(line.values()))).attack
        together[plugin, option, _held(label, option)][defense] = line
    for (plugin, option, held), lines in together.items():
        points, zero_is = _points("attack", lines, steals)
        yield Ablation(
            place=place,
            kind="attack",
            plugin=plugin,
            option=option,
            held=held,
            attack=plugin,
            points=points,
            undefended=None,
            control=None,
            zero_is=zero_is,
        )


def _points(
    kind: Kind, lines: Mapping[str, Line], steals: Sequence[StealRow]
) -> tuple[list[Point], str]:
    """A point for each value in `lines`, by whose students they are; the zero line."""
    points: list[Point] = []
    sources: set[str] = set()
    for value in sorted({v for line in lines.values() for v in line}, key=_order):
        here = {name: line[value] for name, line in lines.items() if value in line}
        newest = _newest(row for rows in here.values() for row in rows)
        zero = _zero(Scene.of(newest), steals)
        sources.add(name_of(zero.source))  # its share of images goes with the point's
        points.append(
            Point(
                value=value,
                label=getattr(newest, kind),
                teacher=None,
                students={name: _reading(rows) for name, rows in here.items()},
                zero=zero.estimate,
            )
        )
    return points, " or ".join(sorted(sources - {""}))


def _lines(
    steals: Iterable[StealRow], kind: Kind
) -> Iterator[tuple[tuple[str, str], str, Line]]:
    """Every line: plugin and option, the label on the other side, and the rows.

    Of the labels that one plugin has on the other side the plain one stays alone.
    """
    other = "attack" if kind == "defense" else "defense"
    groups: dict[tuple[str, str], list[StealRow]] = defaultdict(list)
    for steal in steals:
        if not steal.teacherless:
            name = name_of(getattr(steal, kind))
            groups[name, getattr(steal, other)].append(steal)
    found = [
        ((name, option), label, line)
        for (name, label), group in sorted(groups.items())
        for option, line in _lines_of(_of_one_text(group), kind)
    ]
    plain = {(what, label) for what, label, _ in found if "[" not in label}
    for what, label, line in sorted(found, key=lambda one: one[:2]):
        if "[" not in label or (what, name_of(label)) not in plain:
            yield what, label, line


def _lines_of(group: Sequence[StealRow], kind: Kind) -> Iterator[tuple[str, Line]]:
    """The options in which rows of one plugin differ, and the rows by their values."""
    options = [json.loads(getattr(row, f"{kind}_options")) for row in group]
    for option in sorted({name for known in options for name in known}):
        lines: dict[str, dict[Value, list[StealRow]]] = defaultdict(dict)
        for row, known in zip(group, options, strict=True):
            rest = {k: v for k, v in known.items() if k != option}
            held = json.dumps(rest, sort_keys=True)
            if option in known:
                lines[held].setdefault(known[option], []).append(row)
        long = [line for _, line in sorted(lines.items()) if len(line) > 1]
        through = [line for line in long if _is_through_the_plain(line, kind)]
        for line in through or long:
            yield option, line


def _is_through_the_plain(line: Line, kind: Kind) -> bool:
    labels = {getattr(row, kind) for rows in line.values() for row in rows}
    return any("[" not in label for label in labels)


def _of_one_text(group: Sequence[StealRow]) -> list[StealRow]:
    """Those of `group` with the plugins' newest text, and each label's newest options.

    A curve whose points are of two texts would show the edit as well as the option.
    """

    def text(row: StealRow) -> tuple[str, str]:
        return row.defense_source, row.attack_source

    newest = text(_newest(group))
    labels: dict[tuple[str, str], list[StealRow]] = defaultdict(list)
    for row in group:
        if text(row) == newest:
            labels[row.defense, row.attack].append(row)
    return [row for _, rows in sorted(labels.items()) for row in of_one_text(rows)]


def _newest(rows: Iterable[StealRow]) -> StealRow:
    return max(rows, key=lambda row: (row.started, row.key))


def _parents(
    rows: Iterable[StealRow], releases: Mapping[str, ProtectRow]
) -> list[ProtectRow]:
    """The released teachers that these very students learned from."""
    keys = sorted({row.parent for row in rows})
    return [releases[key] for key in keys if key in releases]


def _reading(rows: Iterable[ProtectRow | StealRow]) -> Reading:
    """Accuracy over the seeds of `rows`; a seed that is there twice counts once."""
    by_age = sorted(rows, key=lambda row: (row.started, row.key))
    by_seed = {row.seed: row for row in by_age}
    kept = [row for _, row in sorted(by_seed.items())]
    good = [r.accuracy for r in kept if r.status == "ok" and r.accuracy is not None]
    return Reading(
        estimate=share(good) if good else None,
        troubles={row.key: row.status for row in kept if row.status != "ok"},
        flags=sorted({flag for row in kept for flag in row.flags}),
    )


def _zero(scene: Scene, steals: Iterable[StealRow]) -> Zero:
    """The zero line in `scene`, as the boards draw it."""
    here = [steal for steal in steals if Scene.of(steal) == scene]
    zeros = cells_of(steal for steal in here if steal.teacherless)
    return zero_line(zeros, [], scene, classes_of(here))


def _held(label: str, option: str) -> str:
    """What the label of a point says of options other than `option`."""
    asked = split(label)[1]
    return ", ".join(f"{k}={v}" for k, v in asked.items() if k != option)


def _order(value: Value) -> tuple[bool, float, str]:
    """Numbers by size, then names by the alphabet."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return False, value, ""
    return True, 0.0, str(value)
