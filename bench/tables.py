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
from statistics import fmean

from bench.intervals import Estimate, mean, ratio, seeds_to_separate, share
from bench.names import DATASETS
from bench.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.tracks import TRACKS

UNDEFENDED = "none"
VANILLA = {"open": "kd", "limited": "limited_kd"}
"""The attack that papers print, by track; naive damage is measured with it."""


@dataclass(frozen=True, order=True)
class Scene:
    """What all entries of one board share."""

    dataset: str
    teacher: str
    student: str
    track: str
    fraction: float
    protocol: str
    version: int


@dataclass(frozen=True)
class Cell:
    """One attack on one defense: a student a seed."""

    defense: str
    attack: str
    by_seed: Mapping[int, float]
    """Student accuracy of the tasks that ended well."""
    troubles: Sequence[StealRow]
    """The rows of those that did not."""
    flags: Sequence[str]

    @property
    def accuracy(self) -> Estimate | None:
        """Over the seeds; None when no task ended well."""
        return share(list(self.by_seed.values())) if self.by_seed else None


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
    """Tasks that ended well, of how many."""
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
    zero: Estimate | None
    zero_is: str
    """Where Z comes from."""
    ceiling: Estimate | None
    ceiling_is: str
    """The attack behind U."""
    entries: Sequence[Entry] = field(default_factory=list)


def current(rows: Iterable[Row]) -> list[Row]:
    """Of rows that answer the same question, the one that was started last.

    Two rows answer the same question when they differ in sources, revision or data
    alone: an edited plugin's rows stand beside those of its older text.
    """
    latest: dict[tuple[object, ...], Row] = {}
    for row in sorted(rows, key=lambda row: row.started):
        latest[_question(row)] = row
    return list(latest.values())


def official_boards(rows: Iterable[Row]) -> list[Board]:
    """The leaderboard: boards of the current rows that keep to their protocol."""
    return boards(row for row in current(rows) if row.official)


def _question(row: Row) -> tuple[object, ...]:
    names = ("defense", "defense_options", "attack", "attack_options", "student")
    return (
        type(row).__name__,
        row.protocol,
        row.protocol_version,
        row.dataset,
        row.teacher,
        row.teacher_recipe,
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
            scenes[_scene(row)].append(row)
    found = [
        _board(scene, steals, releases, teachers)
        for scene, steals in scenes.items()
        if any(not steal.teacherless for steal in steals)
    ]
    tracks = list(TRACKS)
    return sorted(found, key=lambda b: (tracks.index(b.scene.track), b.scene))


def _scene(row: StealRow) -> Scene:
    return Scene(
        row.dataset,
        row.teacher,
        row.student,
        row.track,
        row.fraction,
        row.protocol,
        row.protocol_version,
    )


def _board(
    scene: Scene,
    steals: Sequence[StealRow],
    releases: Sequence[ProtectRow],
    teachers: Mapping[str, TeacherRow],
) -> Board:
    zeros = _cells([steal for steal in steals if steal.teacherless])
    grid = _cells([steal for steal in steals if not steal.teacherless])
    seeds = sorted({steal.seed for steal in steals})
    attacks = sorted({cell.attack for cell in grid})
    zero = _zero(zeros, seeds, scene)
    mine = [row for row in releases if _same(row, scene)]

    plain = {cell.attack: cell for cell in grid if cell.defense == UNDEFENDED}
    top = _strongest([*plain.values(), *zeros])
    entries = []
    for defense in sorted({cell.defense for cell in grid}):
        cells = [cell for cell in grid if cell.defense == defense]
        best = _strongest([*cells, *zeros])
        done = sum(len(cell.by_seed) for cell in cells)
        entries.append(
            Entry(
                defense=defense,
                teacher_accuracy=_teacher_accuracy(mine, defense),
                utility_cost=_utility_cost(mine, defense, teachers),
                strongest=best.attack if best else "",
                student_accuracy=best.accuracy if best else None,
                immunity=_immunity(top, best, zero.by_seed)
                if defense != UNDEFENDED
                else None,
                naive_damage=_naive(plain, cells, VANILLA.get(scene.track, "")),
                cells=cells,
                coverage=(done, len(attacks) * len(seeds)),
                flags=_flags(cells, mine, defense),
            )
        )
    return Board(
        scene=scene,
        zero=zero.estimate,
        zero_is=zero.source,
        ceiling=top.accuracy if top else None,
        ceiling_is=top.attack if top else "",
        entries=_ranked(entries, {e.defense: _best_by_seed(e, zeros) for e in entries}),
    )


def _same(row: ProtectRow, scene: Scene) -> bool:
    return (row.dataset, row.teacher, row.protocol, row.protocol_version) == (
        scene.dataset,
        scene.teacher,
        scene.protocol,
        scene.version,
    )


def _cells(steals: Iterable[StealRow]) -> list[Cell]:
    groups: dict[tuple[str, str], list[StealRow]] = defaultdict(list)
    for steal in steals:
        groups[steal.defense, steal.attack].append(steal)
    return [
        Cell(
            defense=defense,
            attack=attack,
            by_seed={
                row.seed: row.accuracy
                for row in sorted(group, key=lambda row: row.seed)
                if row.status == "ok" and row.accuracy is not None
            },
            troubles=[row for row in group if row.status != "ok"],
            flags=sorted({flag for row in group for flag in row.flags}),
        )
        for (defense, attack), group in sorted(groups.items())
    ]


def _strongest(cells: Sequence[Cell]) -> Cell | None:
    measured = [cell for cell in cells if cell.by_seed]
    return max(measured, key=lambda c: fmean(c.by_seed.values()), default=None)


@dataclass(frozen=True)
class _Zero:
    """The zero line, seed by seed, and where it comes from."""

    by_seed: Mapping[int, float]
    estimate: Estimate | None
    source: str


def _zero(zeros: Sequence[Cell], seeds: Sequence[int], scene: Scene) -> _Zero:
    if scene.track in VANILLA:  # labelled images are granted
        best = _strongest(zeros)
        return _Zero(best.by_seed, best.accuracy, best.attack) if best else _NO_ZERO
    if scene.dataset not in DATASETS:
        return _NO_ZERO
    classes = DATASETS[scene.dataset].classes
    chance = 1 / classes
    known = Estimate(chance, chance, chance, n=0)
    return _Zero(dict.fromkeys(seeds, chance), known, f"chance, 1/{classes}")


_NO_ZERO = _Zero({}, None, "")


def _paired(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """First - second for the seeds that both have."""
    return [first[seed] - second[seed] for seed in first if seed in second]


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
    lost = _paired(plain[vanilla].by_seed, mine.by_seed)
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
        if row.defense == defense and before and row.accuracy is not None:
            lost.append((before.accuracy or 0.0) - row.accuracy)
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
    best = _strongest([*entry.cells, *zeros])
    return best.by_seed if best else {}


def _ranked(
    entries: Sequence[Entry], best: Mapping[str, Mapping[int, float]]
) -> list[Entry]:
    """Lowest W first; each group is anchored at its first entry.

    The undefended teacher and incomplete entries stand in their place without a rank.
    An entry joins the group above when its paired difference to the group's first is
    not resolved; two seeds are the least that resolve anything.
    """

    def weakness(entry: Entry) -> float:
        return entry.student_accuracy.value if entry.student_accuracy else 2.0

    ordered: list[Entry] = []
    group, anchor, ranked = 0, None, 0
    for entry in sorted(entries, key=weakness):
        rank, needed = None, None
        if entry.defense != UNDEFENDED and entry.complete:
            ranked += 1
            gaps = _paired(best[entry.defense], best[anchor]) if anchor else []
            if anchor is None or (len(gaps) > 1 and mean(gaps).resolved):
                group, anchor = ranked, entry.defense
            else:
                needed = seeds_to_separate(gaps)
            rank = group
        ordered.append(replace(entry, group=rank, seeds_needed=needed))
    return ordered
