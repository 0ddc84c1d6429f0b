"""Ablations on the terminal: a small table each, and boards without their points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from bench.boards.ablation import Ablation, Point
from bench.boards.cells import Reading
from bench.boards.columns import percent
from bench.boards.intervals import Estimate
from bench.boards.seen import name_of
from bench.planning.coverage import CONTROL_DEFENSE, Coverage
from bench.planning.labels import access_of
from bench.planning.protocol import Protocol
from bench.results.rows import Defended, Row, StealRow


def unswept(
    rows: Iterable[Row], found: Iterable[Ablation], protocol: Protocol
) -> list[Row]:
    """`rows` without those of variants that an ablation's table shows already.

    A sweep would otherwise fill the boards with its points, and take the rank from all
    that stands beside them. Official rows are always kept: they are to be ranked.

    Args:
        rows: Of all tables.
        found: Their ablations, in the words of `protocol`.
        protocol: Decides what is official.
    """
    coverage = Coverage(protocol)
    swept = {
        (one.varied, point.label)
        for one in found
        for point in one.points
        if point.label != name_of(point.label)
    }

    def is_swept(row: Row) -> bool:
        labels = set()
        if isinstance(row, Defended):
            labels.add(("defense", coverage.defense(row)))
        if isinstance(row, StealRow):
            labels.add(("attack", coverage.attack(row)))
            labels.add(("track", coverage.track(access_of(row))))
        return not swept.isdisjoint(labels)

    def is_official(row: Row) -> bool:
        return coverage.ranks and coverage.covers(row)

    return [row for row in rows if not is_swept(row) or is_official(row)]


def ablation_tables(found: Iterable[Ablation]) -> Iterator[Table]:
    """One table an ablation: a value a line, in percent."""
    for one in found:
        yield _table(one)


def _table(one: Ablation) -> Table:
    held = f" with {escape(one.held)}" if one.held else ""
    by = f", students by {escape(one.attack)}" if one.varied != "attack" else ""
    under = f" in {escape(one.track)}" if one.varied != "track" else ""
    table = Table(
        title=f"[bold]{escape(one.name)}[/]{held}{by}{under}: "
        f"{escape(str(one.place))} [dim](an ablation)[/]",
        caption="in percent, with 95 % intervals over (n) seeds",
        title_justify="left",
        caption_justify="left",
        title_style="",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    of_defense, zero_is = one.varied == "defense", one.zero_is or "zero line"
    heads = [f"student from {who}" for who in one.defenses]
    heads = ["teacher", "student"] if of_defense else [*heads, zero_is]
    for head in (one.option, *heads):
        table.add_column(escape(head), no_wrap=True)
    lines = [_line(point, one.defenses, heads) for point in one.points]
    flagged = any(line[-1] for line in lines)
    if flagged:
        table.add_column("flags")
    for line in lines:
        table.add_row(*(line if flagged else line[:-1]))
    if of_defense:
        table.add_section()
        table.add_row(CONTROL_DEFENSE, _value(one.undefended), _value(one.control))
        table.add_row(escape(zero_is), "", _known(one.points[0].zero))
    return table


def _line(point: Point, defenses: Sequence[str], heads: Sequence[str]) -> list[str]:
    """The cells of a value, what went wrong with it at the end."""
    students = [point.students.get(who) for who in defenses]
    readings = [*([point.teacher] if point.teacher else []), *students]
    zero = [] if point.teacher else [_known(point.zero)]
    told = escape(_troubles(heads, readings))
    return [f"[bold]{escape(point.text)}[/]", *map(_value, readings), *zero, told]


def _value(reading: Reading | None) -> str:
    return _known(reading.accuracy if reading else None)


def _known(estimate: Estimate | None) -> str:
    """An estimate with its n in brackets; what is known exactly has none."""
    n = f" ({estimate.n})" if estimate and estimate.n else ""
    return percent(estimate) + n


def _troubles(heads: Sequence[str], readings: Sequence[Reading | None]) -> str:
    """Statuses and flags of a line, and whose they are."""
    words = []
    for head, reading in zip(heads, readings, strict=False):
        if reading:
            counts = Counter(reading.troubles.values())
            told = [f"{n} {status}" for status, n in sorted(counts.items())]
            words += [f"{head}: {word}" for word in (*told, *reading.flags)]
    return ", ".join(words)
