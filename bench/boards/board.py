"""Rows -> ranked tables. It reads rows and nothing else: no torch, no ray, no paths.

In one board, the defenses on one data set with one teacher and one student under one
access, as one protocol names them:

    Z  zero line: the best student that was trained on the same labelled images without
       a teacher; the best constant answer where no labelled images are granted
    O  own-teacher line: the same, distilled from a teacher that the attacker trained
       himself on what he holds; beside Z, for it costs a teacher
    H  the strongest attack on the undefended teacher by its first classes alone
    U  ceiling: the strongest attack on the undefended teacher
    W  the strongest attack on the defended one

    gain         = the strongest attack that uses the teacher - Z
    immunity     = (U - W) / (U - Z)
    naive damage = vanilla KD from none - vanilla KD from the defense
    utility cost = teacher accuracy lost

An attacker with labelled images can always ignore the teacher, which is KD with alpha
0: so the zero line is one of the attacks among which W and U are the strongest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from bench.boards.entry import Entry, entry_of
from bench.boards.lines import Line, Lines, constants, with_images_of
from bench.boards.panel import Panel
from bench.boards.ranking import ranked
from bench.boards.seen import Release, Scene, Student, name_of, releases, students
from bench.boards.warnings import above
from bench.planning import protocol as protocols
from bench.planning.coverage import Coverage
from bench.planning.protocol import Protocol
from bench.results.index import Results
from bench.results.rows import Row, StealRow, TeacherRow
from bench.threat.access import ImageGrant, TeacherGrant


@dataclass(frozen=True)
class Board:
    """All defenses in one scene, best first, with the lines they are read against."""

    protocol: str
    version: int
    scene: Scene
    official: bool
    """The protocol covers every row, and ranks under this access. Else it is a study,
    or departs, and nothing is ranked."""
    zero: Line
    own: Line
    hard: Line
    ceiling: Line
    tells: bool
    """U is resolved above Z: else nobody is ranked."""
    entries: Sequence[Entry]


def leaderboard(
    results: Results, asked: Iterable[Protocol] | None = None
) -> list[Board]:
    """The official boards.

    Args:
        results: All rows, current or not.
        asked: Protocols in their order; None takes those that come with the bench.
    """
    known = map(protocols.load, protocols.names()) if asked is None else asked
    return [
        board
        for coverage in map(Coverage, known)
        if coverage.ranks
        for board in boards(
            [r for r in results.current.rows if _is_of(r, coverage)], coverage.protocol
        )
        if board.official
    ]


def _is_of(row: Row, coverage: Coverage) -> bool:
    """Whether `coverage` asks for `row`, or for the same with less effort."""
    if isinstance(row, StealRow) and row.effort != 1:
        row = replace(row, effort=1)
    return coverage.covers(row)


def boards(rows: Iterable[Row], protocol: Protocol) -> list[Board]:
    """Every board that `rows` allow, official or not, in the order of the tracks.

    Args:
        rows: Of all tables; no two should answer the same question.
        protocol: In whose words.
    """
    rows, coverage = list(rows), Coverage(protocol)
    teachers = {row.key: row for row in rows if isinstance(row, TeacherRow)}
    released, everyone = releases(rows, coverage), students(rows, coverage)
    longer = [one for one in everyone if one.row.effort != 1]
    seen = [one for one in everyone if one.row.effort == 1]
    scenes: dict[Scene, list[Student]] = defaultdict(list)
    for one in seen:
        if not one.row.teacherless:
            scenes[Scene.of(one)].append(one)
    controls = [one for one in seen if one.row.teacherless]
    constant = constants(rows)
    tracks = list(protocol.tracks)

    def order(scene: Scene) -> tuple[object, ...]:
        name, access = name_of(scene.track), scene.access
        place = tracks.index(name) if name in tracks else len(tracks)
        budget = access.queries or inf
        return place, scene.place, scene.track, access.fraction, budget

    made = [
        _board(
            Lines(
                scene, scenes[scene], with_images_of(scene, controls), constant, longer
            ),
            released,
            teachers,
            coverage,
        )
        for scene in sorted(scenes, key=order)
    ]
    return [_compared(board, made) for board in made]


def _board(
    lines: Lines,
    released: Iterable[Release],
    teachers: Mapping[str, TeacherRow],
    coverage: Coverage,
) -> Board:
    scene, protocol = lines.scene, coverage.protocol
    here = [one for one in released if scene.place.holds(one.row)]
    defenses = sorted({cell.defense for cell in lines.grid})
    official = coverage.ranks_under(scene.access) and all(
        coverage.covers(one.row) for one in (*lines.attacked, *lines.controls)
    )
    panel = Panel.of(protocol, scene.access)
    entries = [entry_of(name, lines, panel, here, teachers) for name in defenses]
    return Board(
        protocol=protocol.name,
        version=protocol.version,
        scene=scene,
        official=official,
        zero=lines.zero,
        own=lines.own,
        hard=lines.hard,
        ceiling=lines.ceiling,
        tells=lines.tells,
        entries=ranked(entries, official, lines.tells, protocol.utility_allowance),
    )


def _compared(board: Board, others: Sequence[Board]) -> Board:
    """`board`, its entries flagged where an attacker who holds less does better."""
    rivals = {
        "data-free beats labelled images": [
            other
            for other in others
            if board.scene.access.images is ImageGrant.NO_IMAGES
            and other.scene.place == board.scene.place
            and other.scene.access.labelled
        ],
        "black box beats white box": [
            other
            for other in others
            if board.scene.access.teacher is not TeacherGrant.WEIGHTS
            and other.scene.place == board.scene.place
            and other.scene.access.teacher is TeacherGrant.WEIGHTS
            and other.scene.access.images is board.scene.access.images
        ],
    }
    return replace(
        board,
        entries=[
            replace(entry, flags=[*entry.flags, *_beaten(entry, rivals)])
            for entry in board.entries
        ],
    )


def _beaten(entry: Entry, rivals: Mapping[str, Sequence[Board]]) -> list[str]:
    found = []
    for words, boards in rivals.items():
        theirs = [e for b in boards for e in b.entries if e.defense == entry.defense]
        known = [e.answers for e in theirs if e.answers is not None]
        if entry.answers and any(above(entry.answers, other) for other in known):
            found.append(words)
    return found
