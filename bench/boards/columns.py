"""The columns of a board, for the terminal, for Markdown and for pages.

A new column is one more record in `COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.boards.board import Board
from bench.boards.cells import Cell
from bench.boards.entry import Entry
from bench.boards.intervals import Estimate
from bench.boards.seen import name_of

Value = Estimate | str | int | None


@dataclass(frozen=True)
class Column:
    """What one column tells of an entry, and of each attack below it."""

    name: str
    """For code: of the field in JSON, of the class in HTML."""
    title: str
    meaning: str
    """One sentence for a reader who has never seen the board."""
    value: Callable[[Entry, Board], Value]
    text: Callable[[Entry, Board], str]
    """The value for a person; accuracies in percent."""
    of_cell: Callable[[Cell], str] = lambda cell: ""
    """The text in the line of one attack."""
    unit: str = ""
    is_name: bool = False
    """Of a plugin."""
    is_number: bool = False
    """It stands at the right."""


def percent(estimate: Estimate | None, signed: bool = False, least: int = 2) -> str:
    """A proportion as "98.3 [97.1, 99.5]" in percent; a dash where there is none.

    Args:
        estimate: A share.
        signed: Whether a plus stands before what is above 0.
        least: How many seeds an interval needs to be told.
    """
    if estimate is None:
        return "-"
    sign = "+" if signed else ""
    value = f"{100 * estimate.value:{sign}.1f}"
    if estimate.n < least:
        return value
    low, high = 100 * estimate.low, 100 * estimate.high
    return f"{value} [{low:{sign}.1f}, {high:{sign}.1f}]"


def track(board: Board) -> str:
    """The track, and in brackets what is limited in it."""
    name, access = board.scene.track, board.scene.access
    limits = [f"{100 * access.fraction:g} % of the images"] * (access.fraction < 1)
    limits += [f"{access.queries:,} queries"] if access.queries else []
    if not limits or name == str(access):
        return name
    return f"{name_of(name)} ({', '.join(limits)})"


def rank(entry: Entry) -> str:
    """The places that the data leave, such as "1-3 of 14", or why there is none."""
    if entry.rank is None:
        return entry.standing or "not ranked"
    low, high = entry.rank
    places = str(low) if low == high else f"{low}-{high}"
    return f"{places} of {entry.of}"


def standing(entry: Entry) -> str:
    """The rank in a few words; the reason, where it is long, stands below the table."""
    return rank(entry).partition(":")[0]


def immunity(entry: Entry) -> str:
    """The immunity in percent; words where there is none."""
    if entry.is_control:
        return "-"
    if entry.at_zero:
        return "at the zero line"
    return percent(entry.immunity) if entry.immunity else "unresolved"


def _cost(entry: Entry) -> str:
    cost = entry.utility_cost
    return "-" if entry.is_control or cost is None else f"{100 * cost.value:+.1f}"


def _middle(estimate: Estimate | None) -> str:
    return f"{100 * estimate.value:.1f}" if estimate else "-"


def _seeds(entry: Entry) -> int:
    return entry.student_accuracy.n if entry.student_accuracy else 0


COLUMNS = (
    Column(
        name="rank",
        title="rank",
        meaning="The places that the data do not exclude, or why there is none.",
        value=lambda entry, board: rank(entry),
        text=lambda entry, board: standing(entry),
    ),
    Column(
        name="defense",
        title="defense",
        meaning="The plugin, and its options that depart from the protocol's.",
        value=lambda entry, board: entry.defense,
        text=lambda entry, board: entry.defense,
        is_name=True,
    ),
    Column(
        name="teacher_accuracy",
        title="teacher",
        meaning="Accuracy of the released teacher's replies.",
        value=lambda entry, board: entry.teacher_accuracy,
        text=lambda entry, board: _middle(entry.teacher_accuracy),
        unit="%",
        is_number=True,
    ),
    Column(
        name="utility_cost",
        title="cost",
        meaning="Accuracy that the released teacher lost, in points.",
        value=lambda entry, board: entry.utility_cost,
        text=lambda entry, board: _cost(entry),
        unit="points",
        is_number=True,
    ),
    Column(
        name="strongest",
        title="strongest attack",
        meaning="The attack whose students are best on images that do not score them.",
        value=lambda entry, board: entry.strongest,
        text=lambda entry, board: entry.strongest or "-",
        of_cell=lambda cell: cell.attack,
        is_name=True,
    ),
    Column(
        name="student_accuracy",
        title="student accuracy",
        meaning="Of these students, on test images that no plugin sees: W.",
        value=lambda entry, board: entry.student_accuracy,
        text=lambda entry, board: percent(entry.student_accuracy),
        of_cell=lambda cell: percent(cell.accuracy),
        unit="%",
    ),
    Column(
        name="seeds",
        title="n",
        meaning="How many seeds W is an average of.",
        value=lambda entry, board: _seeds(entry),
        text=lambda entry, board: str(_seeds(entry)),
        of_cell=lambda cell: str(len(cell.by_seed)),
        is_number=True,
    ),
    Column(
        name="naive_damage",
        title="naive damage",
        meaning="Vanilla KD from the undefended teacher minus the same from this one.",
        value=lambda entry, board: entry.naive_damage,
        text=lambda entry, board: percent(entry.naive_damage, signed=True),
        unit="points",
    ),
    Column(
        name="immunity",
        title="immunity",
        meaning="(U - W) / (U - Z): the share of what the teacher adds that is lost.",
        value=lambda entry, board: entry.immunity,
        text=lambda entry, board: immunity(entry),
        unit="%",
    ),
)
"""In their order."""
