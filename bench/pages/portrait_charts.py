"""The portraits of released teachers, each beside that of the undefended one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log
from typing import Any

import plotly.graph_objects as go
from plotly.colors import qualitative

from bench.boards.seen import Release
from bench.pages import charts
from bench.planning.coverage import CONTROL_DEFENSE
from bench.results.rows import ProtectRow

MOST = 10
"""Classes in one chart of responses: of more, the likeliest in the replies shown."""
COLOURS = qualitative.D3
"""Of classes on a map; from the eleventh on they come again."""


@dataclass(frozen=True)
class Portrait:
    """What the page of a defense shows of one setting; every chart is HTML."""

    rows: Sequence[ProtectRow]
    """Of the undefended teacher, where it has a portrait, and of the one shown."""
    responses: Sequence[tuple[int, str]]
    """The class of each example, and its chart."""
    maps: Mapping[str, Sequence[tuple[str, str]]]
    """By what is mapped: a defense and its chart, one a row."""
    confidence: str

    @property
    def row(self) -> ProtectRow:
        """Of the teacher that is shown."""
        return self.rows[-1]


def portraits(shown: Sequence[Release], everyone: Sequence[Release]) -> list[Portrait]:
    """A portrait for each of `shown` that holds one.

    Args:
        shown: Of one defense.
        everyone: Beside each stands the undefended one of the same parent, and so of
            the same setting, seed and revision.
    """
    drawn = [one.row for one in everyone if one.row.responses]
    plain = {row.parent: row for row in drawn if row.defense == CONTROL_DEFENSE}
    found = []
    for row in (one.row for one in shown):
        beside = row.defense != CONTROL_DEFENSE and row.parent in plain
        if row.responses:
            found.append(_portrait([plain[row.parent], row] if beside else [row]))
    return found


def colour(row: ProtectRow) -> str:
    """The colour of a teacher in every chart but the maps."""
    return charts.GREY if row.defense == CONTROL_DEFENSE else charts.ACCENT


def _portrait(rows: Sequence[ProtectRow]) -> Portrait:
    name = rows[-1].key  # parts the charts of this portrait from those of the next
    maps: dict[str, list[tuple[str, str]]] = {"features": [], "replies": []}
    for row in rows:
        for what, flat in zip(maps, (row.features_map, row.logits_map), strict=True):
            if flat:
                chart = _map(flat, row.map_classes, f"{what}-{row.key}-{name}")
                maps[what].append((row.defense, chart))
    return Portrait(rows, _responses(rows, name), maps, _confidence(rows, name))


def _responses(rows: Sequence[ProtectRow], name: str) -> list[tuple[int, str]]:
    """A chart an example: the decimal logarithms of the probabilities, as bars.

    All charts have one scale, from the lowest power of ten up.
    """
    lowest = min(min(row.responses) for row in rows)
    low = min(-1, floor(lowest / log(10) + 0.01))  # log 1e-12 is not quite -12
    ticks = list(range(0, low - 1, -3 if low < -4 else -1))
    found = []
    for place, label in enumerate(rows[-1].response_classes):
        replies = [_reply(row, place) for row in rows]
        best = [max(of_class) for of_class in zip(*replies, strict=True)]
        likely = sorted(sorted(range(len(best)), key=best.__getitem__)[-MOST:])
        figure = go.Figure(
            [
                _bars(
                    row,
                    x=[str(c) for c in likely],
                    y=[round(max(0, reply[c] - low), 2) for c in likely],
                    base=low,
                    customdata=[10 ** reply[c] for c in likely],
                    hovertemplate="class %{x}: %{customdata:.3~p}",
                )
                for row, reply in zip(rows, replies, strict=True)
            ]
        )
        chart = _html(
            figure,
            f"response-{place}-{name}",
            height=160,
            font={"size": 10},
            xaxis={"type": "category", "tickangle": 0},
            yaxis={
                "range": [low, 0],
                "zeroline": False,
                "tickvals": ticks,
                "ticktext": [f"10<sup>{n}</sup>" if n else "1" for n in ticks],
                "gridcolor": charts.GRID,
            },
        )
        found.append((label, chart))
    return found


def _reply(row: ProtectRow, place: int) -> list[float]:
    """The decimal logarithms of the probabilities of the example at `place`."""
    width = len(row.responses) // len(row.response_classes)
    return [v / log(10) for v in row.responses[place * width : (place + 1) * width]]


def _map(flat: Sequence[float], labels: Sequence[int], name: str) -> str:
    """Points in the colours of their classes, a trace a class."""
    points = list(zip(flat[::2], flat[1::2], labels, strict=True))
    classes = sorted(set(labels))
    figure = go.Figure(
        [
            go.Scatter(
                x=[x for x, _, label in points if label == c],
                y=[y for _, y, label in points if label == c],
                mode="markers",
                marker={"color": COLOURS[c % len(COLOURS)], "size": 6, "opacity": 0.8},
                name=str(c),
                hovertemplate=f"class {c}<extra></extra>",
            )
            for c in classes
        ]
    )
    bare: dict[str, Any] = {"visible": False}
    return _html(
        figure,
        name,
        height=380,
        margin={"l": 5},
        showlegend=len(classes) <= len(COLOURS),
        legend={"orientation": "h", "itemsizing": "constant", "y": 0, "yanchor": "top"},
        xaxis=bare,
        yaxis=bare | {"scaleanchor": "x"},
    )


def _confidence(rows: Sequence[ProtectRow], name: str) -> str:
    """Shares of test images by confidence, in percent."""
    bins = len(rows[-1].confidence)
    figure = go.Figure(
        [
            _bars(
                row,
                x=[100 * (n + 0.5) / bins for n in range(bins)],
                y=[100 * share for share in row.confidence],
                hovertemplate="%{y:.1f} % of the images",
            )
            for row in rows
        ]
    )
    return _html(
        figure,
        f"confidence-{name}",
        height=260,
        xaxis={"title": "confidence in %", "range": [0, 100]},
        yaxis={"title": "test images in %", "gridcolor": charts.GRID},
    )


def _bars(row: ProtectRow, **more: Any) -> go.Bar:
    return go.Bar(name=row.defense, marker={"color": colour(row)}, **more)


def _html(figure: go.Figure, name: str, **layout: Any) -> str:
    """A chart without legend and with little around it."""
    figure.update_layout(template="none")  # the usual one is longer than the data
    margin = {"l": 40, "r": 5, "t": 10, "b": 35} | layout.pop("margin", {})
    return charts.html(figure, name, **{"showlegend": False} | layout, margin=margin)
