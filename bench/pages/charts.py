"""Plotly charts, drawn by one script that is copied beside the pages.

Every chart repeats what a table of its page says; without the script nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from bench.boards.board import Board
from bench.boards.entry import Entry
from bench.boards.intervals import Estimate
from bench.planning.coverage import CONTROL_DEFENSE
from bench.results.rows import Row

SCRIPT = "plotly.min.js"
INK, ACCENT, GREY = "#7a8699", "#d9480f", "#4c6ef5"
GRID = "rgba(122,134,153,0.2)"


def copy_script(folder: Path) -> None:
    """Put Plotly's script into `folder`, from the installed package."""
    (folder / SCRIPT).write_text(get_plotlyjs(), encoding="utf-8")


def run(row: Row) -> list[str]:
    """Test accuracy during training, if the row has a curve."""
    if len(row.curve) < 2:
        return []
    figure = go.Figure(
        go.Scatter(
            x=list(range(1, len(row.curve) + 1)),
            y=[100 * value for value in row.curve],
            mode="lines+markers",
            line={"color": ACCENT},
            name="test accuracy",
        )
    )
    return [percents(figure, "curve", "checkpoint", "test accuracy in %")]


def defense(boards: Sequence[Board], label: str) -> list[tuple[Board, str]]:
    """Student accuracy by attack, from this defense and from none, a chart a board."""
    found: list[tuple[Board, str]] = []
    for board in boards:
        entries = {entry.defense: entry for entry in board.entries}
        if (
            label not in entries
            or label == CONTROL_DEFENSE
            or CONTROL_DEFENSE not in entries
        ):
            continue
        figure = go.Figure(
            [
                _dots(entries[CONTROL_DEFENSE], GREY, "circle-open"),
                _dots(entries[label], ACCENT, "circle"),
            ]
        )
        for line, name in ((board.zero.estimate, "Z"), (board.ceiling.estimate, "U")):
            if line is not None:
                figure.add_hline(
                    y=100 * line.value,
                    line_dash="dot",
                    line_color=INK,
                    annotation_text=name,
                )
        name = f"chart-{len(found)}"
        chart = percents(figure, name, "attack", "student accuracy in %")
        found.append((board, chart))
    return found


def _dots(entry: Entry, colour: str, symbol: str) -> go.Scatter:
    cells = [(cell.attack, cell.accuracy) for cell in entry.cells]
    seen = [(attack, found) for attack, found in cells if found is not None]
    return go.Scatter(
        x=[attack for attack, _ in seen],
        y=[100 * found.value for _, found in seen],
        error_y=reach([f for _, f in seen]),
        mode="markers",
        marker={"color": colour, "size": 11, "symbol": symbol},
        name=f"from {entry.defense}",
    )


def reach(seen: Sequence[Estimate | None]) -> dict[str, Any]:
    """Error bars from the intervals; one seed alone has none."""
    known = [f if f is not None and f.n > 1 else None for f in seen]
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (f.high - f.value) if f else 0 for f in known],
        "arrayminus": [100 * (f.value - f.low) if f else 0 for f in known],
    }


def percents(figure: go.Figure, name: str, across: str, up: str) -> str:
    """`html` of a figure of percents over `across`."""
    figure.update_layout(
        xaxis={"title": across, "gridcolor": GRID},
        yaxis={"title": up, "range": [0, 101], "gridcolor": GRID},
    )
    return html(figure, name)


def html(figure: go.Figure, name: str, **layout: Any) -> str:
    """The element `name` that the script fills with `figure`, in the site's colours.

    Args:
        figure: With its own axes.
        name: Unlike any other on its page.
        layout: What departs from the usual layout.
    """
    figure.update_layout(
        height=320,
        margin={"l": 50, "r": 20, "t": 20, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "family": "system-ui, sans-serif"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": INK},
    )
    figure.update_layout(**layout)
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displayModeBar": False, "responsive": True},
    )
    return text
