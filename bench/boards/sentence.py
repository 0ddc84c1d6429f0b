"""What a board says, in words that a reader gets at once."""

from __future__ import annotations

from bench.boards.board import Board
from bench.boards.columns import percent
from bench.boards.entry import Entry
from bench.boards.lines import Line
from bench.boards.warnings import above


def sentence(board: Board) -> str:
    """Where the lines are, whether the data can tell, and who stands out."""
    words = [f"{name} {_told(line)}" for name, line in _lines(board) if line.estimate]
    text = "; ".join(words) + "." if words else "No line is known."
    return " ".join([text, *_findings(board)])


def _lines(board: Board) -> list[tuple[str, Line]]:
    return [
        ("Ceiling U:", board.ceiling),
        ("zero line Z:", board.zero),
        ("labels alone H:", board.hard),
        ("own teacher O:", board.own),
    ]


def _told(line: Line) -> str:
    return f"{percent(line.estimate, least=1)} ({line.source})"


def _findings(board: Board) -> list[str]:
    found = []
    if not board.tells:
        found.append("U is not resolved above Z: this data cannot tell.")
    own, top = board.own.answers, board.ceiling.answers
    if own is not None and top is not None and not above(top, own):
        found.append("O reaches U: who can train a teacher has nothing to steal.")
    for entry in board.entries:
        if not entry.is_control and entry.at_zero:
            gain = entry.gain and percent(entry.gain, signed=True, least=1)
            found.append(
                f"{entry.defense} is at the zero line (gain {gain or 'unknown'})."
            )
    late = [e.defense for e in board.entries if _unfinished(e)]
    if late:
        found.append(f"Not finished: attacks on {', '.join(late)} have not converged.")
    return found


def _unfinished(entry: Entry) -> bool:
    return any("not converged" in flag for flag in entry.flags)
