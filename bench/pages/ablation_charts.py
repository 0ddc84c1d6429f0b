"""Which ablations stand on which page, each with its chart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import plotly.graph_objects as go

from bench.boards.ablation import Ablation
from bench.boards.cells import Reading
from bench.boards.intervals import Estimate
from bench.boards.seen import name_of
from bench.pages.charts import ACCENT, GREY, INK, percents, reach
from bench.planning.coverage import CONTROL_DEFENSE

TEACHER = "#2f9e44"
OTHERS = (ACCENT, "#9c36b5", "#0c8599", "#e67700")
"""For students, by the defense that they were stolen from."""


@dataclass(frozen=True)
class Section:
    """What the page of one label says of ablations."""

    home: str
    """The label whose page holds them."""
    kind: str
    """The folder of that page."""
    shown: Sequence[tuple[Ablation, str]]
    """With charts; empty on the page of a variant, which leads to its plain label's."""


def defense(
    found: Iterable[Ablation], label: str, pages: Collection[str]
) -> Section | None:
    """Ablations of the defense, and of attacks on it beside the same on none.

    Args:
        found: All ablations.
        label: Of the page.
        pages: Labels that have a page.
    """
    name = name_of(label)
    mine: list[Ablation] = []
    for one in found:
        beside = [d for d in one.defenses if name_of(d) == name != CONTROL_DEFENSE]
        if one.varied == "defense" and one.subject == name:
            mine.append(one)
        elif one.varied != "defense" and beside:
            mine.append(_with(one, {CONTROL_DEFENSE, *beside}))
    return _section("defense", mine, label, pages)


def attack(
    found: Iterable[Ablation], label: str, pages: Collection[str]
) -> Section | None:
    """Ablations of the attack, with the students from every defense.

    Args:
        found: All ablations.
        label: Of the page.
        pages: Labels that have a page.
    """
    name = name_of(label)
    mine = [
        one
        for one in found
        if (one.varied == "attack" and one.subject == name)
        or (one.varied == "track" and name_of(one.attack) == name)
    ]
    return _section("attack", mine, label, pages)


def _section(
    kind: str, mine: Sequence[Ablation], label: str, pages: Collection[str]
) -> Section | None:
    """The plain label's page is the home; where there is none, every variant's is."""
    if not mine:
        return None
    home = name_of(label) if name_of(label) in pages else label
    shown = mine if home == label else []
    charts = [(one, _chart(one, f"ablation-{i}")) for i, one in enumerate(shown)]
    return Section(home, kind, charts)


def _with(one: Ablation, defenses: Collection[str]) -> Ablation:
    """The same with the students from `defenses` alone."""
    points = [
        replace(p, students={d: r for d, r in p.students.items() if d in defenses})
        for p in one.points
    ]
    return replace(one, points=points)


def _chart(one: Ablation, name: str) -> str:
    """Accuracy against the option, with what it is read against as dashed lines.

    The values stand at equal distances, in their order: they are often names, or
    numbers from 0 over several powers of ten.
    """
    places = [point.text for point in one.points]
    figure = go.Figure()
    if one.varied == "defense":
        teachers = [_estimate(point.teacher) for point in one.points]
        figure.add_trace(_curve(places, teachers, "teacher", TEACHER, "square"))
        for line, what, colour in (
            (one.undefended, "undefended teacher", TEACHER),
            (one.control, "student from none", GREY),
        ):
            alike = [_estimate(line)] * len(places)
            figure.add_trace(_dashes(places, alike, what, colour))
    colours = cycle(OTHERS)
    for who in one.defenses:
        seen = [_estimate(point.students.get(who)) for point in one.points]
        colour = GREY if who == CONTROL_DEFENSE else next(colours)
        figure.add_trace(_curve(places, seen, f"student from {who}", colour))
    zeros = [point.zero for point in one.points]
    figure.add_trace(_dashes(places, zeros, one.zero_is or "zero line", INK, "dot"))
    figure.update_xaxes(type="category", categoryarray=places)
    return percents(figure, name, one.name, "accuracy in %")


def _estimate(reading: Reading | None) -> Estimate | None:
    return reading.accuracy if reading else None


def _curve(
    places: Sequence[str],
    seen: Sequence[Estimate | None],
    name: str,
    colour: str,
    symbol: str = "circle",
) -> go.Scatter:
    return go.Scatter(
        x=places,
        y=_percent(seen),
        error_y=reach(seen),
        mode="lines+markers",
        line={"color": colour},
        marker={"size": 9, "symbol": symbol},
        name=name,
    )


def _dashes(
    places: Sequence[str],
    seen: Sequence[Estimate | None],
    name: str,
    colour: str,
    dash: str = "dash",
) -> go.Scatter:
    return go.Scatter(
        x=places,
        y=_percent(seen),
        mode="lines",
        line={"color": colour, "dash": dash, "width": 1.5},
        name=name,
    )


def _percent(seen: Sequence[Estimate | None]) -> list[float | None]:
    return [None if found is None else 100 * found.value for found in seen]
