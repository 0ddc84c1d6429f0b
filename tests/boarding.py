"""What tests of boards share: accuracies of the controls, and a look at one board."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bench.boards.board import Board, boards
from bench.boards.entry import Entry
from bench.errors import Status
from bench.results.rows import Row, StealRow
from bench.testing.protocol import PROTOCOL

Z = [0.80, 0.81, 0.79]
"""Of the zero line, a seed each."""
U = [0.95, 0.96, 0.95]
"""Of the ceiling."""


def only(rows: Iterable[Row]) -> Board:
    (board,) = boards(rows, PROTOCOL)
    return board


def entry(board: Board, defense: str) -> Entry:
    return next(entry for entry in board.entries if entry.defense == defense)


def failed(row: StealRow, status: str = Status.FAILED) -> StealRow:
    return replace(row, status=status, reason="why", accuracy=None)


def later(row: Row, **changes: Any) -> Any:
    """`row`, made again an hour later."""
    return replace(row, started=row.started + timedelta(hours=1), **changes)
