"""Rows -> ranked tables. It reads rows and nothing else: no torch, no ray, no paths.

In one board, the defenses on one data set with one teacher and one student under one
access, as one protocol names them:

    Z  zero line: the student that was trained on the same labelled images without a
       teacher; chance, 1 / K, where no labelled images are granted
    U  ceiling: the strongest attack on the undefended teacher
    W  the strongest attack on the defended one

    immunity     = (U - W) / (U - Z)
    naive damage = vanilla KD from none - vanilla KD from the defense
    utility cost = teacher accuracy lost

An attacker with labelled images can always ignore the teacher, which is KD with alpha
0: so the zero line is one of the attacks among which W and U are the strongest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from bench.boards.entry import Entry, entry_of
from bench.boards.intervals import Estimate
from bench.boards.lines import Lines, with_images_of
from bench.boards.ranking import ranked
from bench.boards.seen import Release, Scene, Student, name_of, releases, students
from bench.planning import protocol as protocols
from bench.planning.coverage import Coverage
from bench.planning.protocol import Protocol
from bench.results.index import Results
from bench.results.rows import Row, TeacherRow


@dataclass(frozen=True)
class Board:
    """All defenses in one scene, best first, with the lines they are read against."""

    protocol: str
    version: int
    scene: Scene
    official: bool
    """The protocol covers every row, and ranks under this access. Else it is a study,
    or departs, and nothing is ranked."""
    zero: Estimate | None
    zero_is: str
    """Where Z comes from."""
    ceiling: Estimate | None
    ceiling_is: str
    """The attack behind U."""
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
            filter(coverage.covers, results.current.rows), coverage.protocol
        )
        if board.official
    ]


def boards(rows: Iterable[Row], protocol: Protocol) -> list[Board]:
    """Every board that `rows` allow, official or not, in the order of the tracks.

    Args:
        rows: Of all tables; no two should answer the same question.
        protocol: In whose words.
    """
    rows, coverage = list(rows), Coverage(protocol)
    teachers = {row.key: row for row in rows if isinstance(row, TeacherRow)}
    released, seen = releases(rows, coverage), students(rows, coverage)
    scenes: dict[Scene, list[Student]] = defaultdict(list)
    for one in seen:
        if not one.row.teacherless:
            scenes[Scene.of(one)].append(one)
    controls = [one for one in seen if one.row.teacherless]
    tracks = list(protocol.tracks)

    def order(scene: Scene) -> tuple[object, ...]:
        name, access = name_of(scene.track), scene.access
        place = tracks.index(name) if name in tracks else len(tracks)
        budget = access.queries or inf
        return place, scene.place, scene.track, access.fraction, budget

    return [
        _board(
            Lines(scene, scenes[scene], with_images_of(scene, controls)),
            released,
            teachers,
            coverage,
        )
        for scene in sorted(scenes, key=order)
    ]


def _board(
    lines: Lines,
    released: Iterable[Release],
    teachers: Mapping[str, TeacherRow],
    coverage: Coverage,
) -> Board:
    scene, top, zero = lines.scene, lines.ceiling, lines.zero
    here = [one for one in released if scene.place.holds(one.row)]
    defenses = sorted({cell.defense for cell in lines.grid})
    official = coverage.ranks_under(scene.access) and all(
        coverage.covers(one.row) for one in (*lines.attacked, *lines.controls)
    )
    return Board(
        protocol=coverage.protocol.name,
        version=coverage.protocol.version,
        scene=scene,
        official=official,
        zero=zero.estimate,
        zero_is=zero.source,
        ceiling=top.accuracy if top else None,
        ceiling_is=top.attack if top else "",
        entries=ranked(
            [entry_of(defense, lines, here, teachers) for defense in defenses], official
        ),
    )
