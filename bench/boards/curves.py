"""Students -> curves: they differ in one option, or in one limit, and in no other.

A curve is a line through the points that differ in one value alone. In a grid of
several options that is the line through the plain point, the one whose label has no
bracket; where no line of the option goes through it, every line is a curve of its own.
Likewise for the other side: students by the plain attack, or from the plain defense,
are read where there are any, and those of its variants where there are none. All points
of a curve are of one source of their plugins: what an edited plugin has not done anew
is missing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.boards.cells import of_one_text
from bench.boards.seen import Student, name_of
from bench.planning.labels import limits, used
from bench.plugins.spec import Value
from bench.results.rows import age

Varied = Literal["defense", "attack", "track"]
"""What is varied: an option of a plugin, or a limit of what is granted."""


@dataclass(frozen=True)
class Curve:
    """Students by the value of the one thing in which they differ."""

    varied: Varied
    name: str
    """Of the plugin or track."""
    option: str
    """Its option; `fraction` or `queries` of a track."""
    beside: str
    """The label on the other side: of the attack where a defense is varied, else of the
    defense."""
    held: str
    """The track; where that is varied, the attack's label."""
    points: Mapping[Value, Sequence[Student]]

    @property
    def students(self) -> list[Student]:
        """Those of all points."""
        return [one for point in self.points.values() for one in point]


def curves(students: Iterable[Student], varied: Varied) -> Iterator[Curve]:
    """Every curve, teacherless students left out.

    Args:
        students: Those of one place.
        varied: Along what.
    """
    groups: dict[tuple[str, str, str], list[Student]] = defaultdict(list)
    for one in students:
        # What tuning chose is not what the options say.
        tuned = varied == "attack" and one.row.is_tuned
        if not one.row.teacherless and not tuned:
            groups[_group(one, varied)].append(one)
    found = [
        Curve(varied, name, option, beside, held, points)
        for (name, beside, held), group in sorted(groups.items())
        for option, points in _along(_of_one_source(group), varied)
    ]
    plain = {(c.name, c.option, c.held, c.beside) for c in found}
    for curve in sorted(found, key=lambda c: (c.name, c.option, c.held, c.beside)):
        bare = name_of(curve.beside)
        what = (curve.name, curve.option, curve.held, bare)
        if bare == curve.beside or what not in plain:
            yield curve


def _group(one: Student, varied: Varied) -> tuple[str, str, str]:
    """Name of what is varied, label on the other side, and what is held."""
    match varied:
        case "defense":
            return one.row.defense, one.attack, one.track
        case "attack":
            return one.row.attack, one.defense, one.track
        case "track":
            return name_of(one.track), one.defense, one.attack


def label_of(one: Student, varied: Varied) -> str:
    """What tables call the thing that is varied, with its value."""
    return {"defense": one.defense, "attack": one.attack, "track": one.track}[varied]


def _options(one: Student, varied: Varied) -> Mapping[str, Value]:
    return limits(one.access) if varied == "track" else used(one.row, varied).options


def _along(
    group: Sequence[Student], varied: Varied
) -> Iterator[tuple[str, Mapping[Value, Sequence[Student]]]]:
    """The options in which students of one group differ, and these by their values."""
    options = [_options(one, varied) for one in group]
    for option in sorted({name for known in options for name in known}):
        lines: dict[str, dict[Value, list[Student]]] = defaultdict(dict)
        for one, known in zip(group, options, strict=True):
            rest = {k: v for k, v in known.items() if k != option}
            held = json.dumps(rest, sort_keys=True)
            if option in known:
                lines[held].setdefault(known[option], []).append(one)
        long = [line for _, line in sorted(lines.items()) if len(line) > 1]
        through = [line for line in long if _is_through_the_plain(line, varied)]
        for line in through or long:
            yield option, line


def _is_through_the_plain(
    line: Mapping[Value, Sequence[Student]], varied: Varied
) -> bool:
    labels = {label_of(one, varied) for point in line.values() for one in point}
    return any(name_of(label) == label for label in labels)


def _of_one_source(group: Sequence[Student]) -> list[Student]:
    """Those with the plugins' newest source, and each label's newest options.

    A curve whose points are of two sources would show the edit as well as the option.
    """

    def source(one: Student) -> tuple[str, str]:
        return one.row.defense_source, one.row.attack_source

    newest = source(newest_of(group))
    labels: dict[tuple[str, str, str], list[Student]] = defaultdict(list)
    for one in group:
        if source(one) == newest:
            labels[one.defense, one.attack, one.track].append(one)
    return [one for _, own in sorted(labels.items()) for one in of_one_text(own)]


def newest_of(students: Iterable[Student]) -> Student:
    """The one that was started last."""
    return max(students, key=lambda one: age(one.row))
