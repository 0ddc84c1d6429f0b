"""Rows -> ranked tables. It reads rows and nothing else: no torch, no ray, no paths.

In one board, the defenses on one data set with one teacher and one student in one
track:

    Z  zero line: the student that was trained on the same labelled images without a
       teacher; chance, 1 / K, where the track grants no labelled images
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
from dataclasses import dataclass, field, replace

from bench.boards.cells import (
    Cell,
    Scene,
    cells_of,
    classes_of,
    of_one_text,
    paired,
    strongest,
    zero_line,
)
from bench.boards.intervals import Estimate, mean, ratio, seeds_to_separate, share
from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.threat.tracks import TRACKS

UNDEFENDED = "none"
VANILLA = {"open": "kd", "limited": "limited_kd"}
"""The attack that papers print, by track; naive damage is measured with it."""


@dataclass(frozen=True)
class Entry:
    """One defense on one board."""

    defense: str
    teacher_accuracy: Estimate | None
    utility_cost: Estimate | None
    strongest: str
    """The attack behind W; empty when there is none yet."""
    student_accuracy: Estimate | None
    """W."""
    immunity: Estimate | None
    """None when it is not resolved."""
    naive_damage: Estimate | None
    cells: Sequence[Cell]
    coverage: tuple[int, int]
    """Tasks that ended well, of how many; a zero line that lacks seeds lacks here."""
    flags: Sequence[str]
    group: int | None = None
    """Rank: one group is not resolved from its first entry. None is not ranked."""
    seeds_needed: int | None = None
    """About how many seeds would part it from its group's first."""

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return self.coverage[0] == self.coverage[1]


@dataclass(frozen=True)
class Board:
    """All defenses in one scene, best first, with the lines they are read against."""

    scene: Scene
    official: bool
    """Every row keeps to the protocol; else nothing is ranked."""
    zero: Estimate | None
    zero_is: str
    """Where Z comes from."""
    ceiling: Estimate | None
    ceiling_is: str
    """The attack behind U."""
    entries: Sequence[Entry] = field(default_factory=list)


def current(rows: Iterable[Row]) -> list[Row]:
    """Of rows that answer the same question, the one that was started last.

    Two rows answer the same question when protocol, names, recipes and seed agree: a
    plugin that was edited, in its text or in its defaults, answers anew.
    """
    latest: dict[tuple[object, ...], Row] = {}
    for row in sorted(rows, key=lambda row: row.started):
        latest[_question(row)] = row
    return list(latest.values())


def official_boards(rows: Iterable[Row]) -> list[Board]:
    """The leaderboard: boards of the current rows that keep to their protocol."""
    return boards(row for row in current(rows) if row.official)


def _question(row: Row) -> tuple[object, ...]:
    names = ("defense", "attack", "student")
    return (
        type(row).__name__,
        row.protocol,
        row.protocol_version,
        row.dataset,
        row.teacher,
        row.teacher_recipe,
        row.data_share,
        row.precision,
        row.seed,
        *(getattr(row, name, "") for name in (*names, "student_recipe")),
    )


def boards(rows: Iterable[Row]) -> list[Board]:
    """Every board that `rows` allow, in the order of the tracks.

    Args:
        rows: Of all tables; they should be `current`, and official to be ranked.
    """
    rows = list(rows)
    teachers = {row.key: row for row in rows if isinstance(row, TeacherRow)}
    releases = [row for row in rows if isinstance(row, ProtectRow)]
    scenes: dict[Scene, list[StealRow]] = defaultdict(list)
    for row in rows:
        if isinstance(row, StealRow):
            scenes[Scene.of(row)].append(row)
    found = [
        _board(scene, steals, releases, teachers)
        for scene, steals in scenes.items()
        if any(not steal.teacherless for steal in steals)
    ]
    tracks = list(TRACKS)
    return sorted(found, key=lambda b: (tracks.index(b.scene.track), b.scene))


def _board(
    scene: Scene,
    steals: Sequence[StealRow],
    releases: Sequence[ProtectRow],
    teachers: Mapping[str, TeacherRow],
) -> Board:
    zeros = cells_of([steal for steal in steals if steal.teacherless])
    grid = cells_of([steal for steal in steals if not steal.teacherless])
    seeds = sorted({steal.seed for steal in steals})
    attacks = sorted({cell.attack for cell in grid})
    zero = zero_line(zeros, seeds, scene, classes_of(steals))
    here = [row for row in releases if scene.holds(row)]
    names = {row.defense for row in here}
    mine = [r for n in names for r in of_one_text(x for x in here if x.defense == n)]

    plain = {cell.attack: cell for cell in grid if cell.defense == UNDEFENDED}
    top = strongest([*plain.values(), *zeros])
    # An entry also rests on the controls: whatever they lack, it lacks.
    lacking = sum(len(seeds) - len(cell.by_seed) for cell in zeros)
    undefended = lacking + sum(
        len(seeds) - len(plain[attack].by_seed if attack in plain else ())
        for attack in attacks
    )
    entries = []
    for defense in sorted({cell.defense for cell in grid}):
        cells = [cell for cell in grid if cell.defense == defense]
        best = strongest([*cells, *zeros])
        done = sum(len(cell.by_seed) for cell in cells)
        entries.append(
            Entry(
                defense=defense,
                teacher_accuracy=_teacher_accuracy(mine, defense),
                utility_cost=_utility_cost(mine, defense, teachers),
                strongest=best.attack if best else "",
                student_accuracy=best.accuracy if best else None,
                immunity=None
                if defense == UNDEFENDED or undefended
                else _immunity(top, best, zero.by_seed),
                naive_damage=_naive(plain, cells, VANILLA.get(scene.track, "")),
                cells=cells,
                coverage=(
                    done,
                    len(attacks) * len(seeds)
                    + (lacking if defense == UNDEFENDED else undefended),
                ),
                flags=_flags(cells, mine, defense),
            )
        )
    official = all(steal.official for steal in steals)
    return Board(
        scene=scene,
        official=official,
        zero=zero.estimate,
        zero_is=zero.source,
        ceiling=top.accuracy if top else None,
        ceiling_is=top.attack if top else "",
        entries=_ranked(
            entries, {e.defense: _best_by_seed(e, zeros) for e in entries}, official
        ),
    )


def _immunity(
    top: Cell | None, best: Cell | None, zero: Mapping[int, float]
) -> Estimate | None:
    if top is None or best is None:
        return None
    seeds = [s for s in top.by_seed if s in best.by_seed and s in zero]
    return ratio(
        [top.by_seed[s] - best.by_seed[s] for s in seeds],
        [top.by_seed[s] - zero[s] for s in seeds],
    )


def _naive(
    plain: Mapping[str, Cell], cells: Sequence[Cell], vanilla: str
) -> Estimate | None:
    mine = next((cell for cell in cells if cell.attack == vanilla), None)
    if mine is None or vanilla not in plain or mine.defense == UNDEFENDED:
        return None
    lost = paired(plain[vanilla].by_seed, mine.by_seed)
    return mean(lost) if lost else None


def _teacher_accuracy(releases: Sequence[ProtectRow], defense: str) -> Estimate | None:
    values = [
        row.accuracy
        for row in releases
        if row.defense == defense and row.accuracy is not None
    ]
    return share(values) if values else None


def _utility_cost(
    releases: Sequence[ProtectRow], defense: str, teachers: Mapping[str, TeacherRow]
) -> Estimate | None:
    lost = []
    for row in releases:
        before = teachers.get(row.parent)
        if before is None or before.accuracy is None or row.accuracy is None:
            continue
        if row.defense == defense:
            lost.append(before.accuracy - row.accuracy)
    return mean(lost) if lost else None


def _flags(
    cells: Sequence[Cell], releases: Sequence[ProtectRow], defense: str
) -> list[str]:
    """Warnings of the defense and of its cells, each once, in words."""
    words = {flag for r in releases if r.defense == defense for flag in r.flags}
    for cell in cells:
        words |= {f"{cell.attack}: {flag}" for flag in cell.flags}
        words |= {f"{cell.attack}: {row.status}" for row in cell.troubles}
    return sorted(words)


def _best_by_seed(entry: Entry, zeros: Sequence[Cell]) -> Mapping[int, float]:
    best = strongest([*entry.cells, *zeros])
    return best.by_seed if best else {}


def _ranked(
    entries: Sequence[Entry], best: Mapping[str, Mapping[int, float]], official: bool
) -> list[Entry]:
    """Lowest W first; each group is anchored at its first entry.

    The undefended teacher, incomplete entries, and all entries of an unofficial board
    stand in their place without a rank.
    An entry joins the group above when its paired difference to the group's first is
    not resolved; two seeds are the least that resolve anything.
    """

    def weakness(entry: Entry) -> float:
        return entry.student_accuracy.value if entry.student_accuracy else 2.0

    ordered: list[Entry] = []
    group, anchor, ranked = 0, None, 0
    for entry in sorted(entries, key=weakness):
        rank, needed = None, None
        if official and entry.defense != UNDEFENDED and entry.complete:
            ranked += 1
            gaps = paired(best[entry.defense], best[anchor]) if anchor else []
            if anchor is None or (len(gaps) > 1 and mean(gaps).resolved):
                group, anchor = ranked, entry.defense
            else:
                needed = seeds_to_separate(gaps)
            rank = group
        ordered.append(replace(entry, group=rank, seeds_needed=needed))
    return ordered
