"""Rows -> ablations: one option of one plugin is varied, all else is held.

It reads rows and nothing else: no torch, no ray, no paths. Whether a row is official
does not matter here, for nothing is ranked. What is granted can be varied like an
option: the fraction of the images, or the budget of queries.

Controls that never ask the teacher are no ablations of their own: they are the zero
line that every point is read against, with the point's own fraction of the images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bench.boards.ablation import Ablation, Point
from bench.boards.cells import of_one_text, read
from bench.boards.curves import Curve, curves, label_of, newest_of
from bench.boards.lines import Line, constants, with_images_of, zero_line
from bench.boards.seen import Place, Scene, Student, students
from bench.planning.coverage import CONTROL_DEFENSE, Coverage
from bench.planning.protocol import Protocol
from bench.plugins.spec import Value, split
from bench.results.index import Results
from bench.results.rows import ProtectRow, Row


def ablations(rows: Iterable[Row], words: Protocol | Coverage) -> list[Ablation]:
    """Every ablation that the current ones of `rows` hold.

    Args:
        rows: Of all tables, official or not.
        words: The protocol in whose words labels are.
    """
    coverage = words if isinstance(words, Coverage) else Coverage(words)
    now = Results(list(rows)).current
    constant = constants(now.teachers)
    released = {row.key: row for row in now.releases}
    places: dict[Place, list[Student]] = defaultdict(list)
    usual = (o for o in students(now.rows, coverage) if o.row.effort == 1)
    for one in usual:
        places[Place.of(one.row)].append(one)
    return [
        replace(found, protocol=coverage.protocol.name)
        for place, here in sorted(places.items(), key=lambda item: item[0])
        for found in _in_place(place, here, released, constant)
    ]


def _in_place(
    place: Place,
    here: Sequence[Student],
    released: Mapping[str, ProtectRow],
    constant: Mapping[str, float],
) -> Iterator[Ablation]:
    """The ablations of defenses, one an attack, then those of attacks and tracks."""
    for curve in curves(here, "defense"):
        yield _of_defense(place, curve, here, released, constant)
    for varied in ("attack", "track"):
        together: dict[tuple[str, ...], dict[str, Curve]] = defaultdict(dict)
        for curve in curves(here, varied):
            what = (curve.name, curve.option, curve.held, _departs(curve))
            together[what][curve.beside] = curve
        for by_defense in together.values():
            yield _ablation(place, by_defense, here, constant)


def _of_defense(
    place: Place,
    curve: Curve,
    here: Sequence[Student],
    released: Mapping[str, ProtectRow],
    constant: Mapping[str, float],
) -> Ablation:
    """With what was released at each point, and the same of the undefended teacher."""
    found = _ablation(place, {curve.name: curve}, here, constant)
    met = (CONTROL_DEFENSE, curve.beside, curve.held)
    controls = of_one_text(o for o in here if (o.defense, o.attack, o.track) == met)
    return replace(
        found,
        points=[
            replace(p, teacher=read(_parents(curve.points[p.value], released)))
            for p in found.points
        ],
        undefended=read(_parents(controls, released)),
        control=read(one.row for one in controls),
    )


def _ablation(
    place: Place,
    by_defense: Mapping[str, Curve],
    here: Sequence[Student],
    constant: Mapping[str, float],
) -> Ablation:
    """What curves along the same option come to, by whose students they are."""
    first = next(iter(by_defense.values()))
    points, sources = [], set()
    for value in sorted({v for c in by_defense.values() for v in c.points}, key=_order):
        met = {w: c.points[value] for w, c in by_defense.items() if value in c.points}
        newest = newest_of(one for own in met.values() for one in own)
        zero = _zero(Scene.of(newest), here, constant)
        sources.add(zero.source)
        points.append(
            Point(
                value=value,
                label=label_of(newest, first.varied),
                teacher=None,
                students={w: read(one.row for one in own) for w, own in met.items()},
                zero=zero.estimate,
            )
        )
    attack = {"defense": first.beside, "attack": first.name, "track": first.held}
    return Ablation(
        protocol="",
        place=place,
        varied=first.varied,
        subject=first.name,
        option=first.option,
        held=_departs(first),
        track=first.name if first.varied == "track" else first.held,
        attack=attack[first.varied],
        points=points,
        undefended=None,
        control=None,
        zero_is=" or ".join(sorted(sources - {""})),
    )


def _zero(scene: Scene, here: Iterable[Student], constant: Mapping[str, float]) -> Line:
    """The zero line in `scene`, as the boards draw it."""
    asked = [one for one in here if Scene.of(one) == scene]
    controls = with_images_of(scene, (one for one in here if one.row.teacherless))
    return zero_line(scene, controls, asked, constant)


def _parents(
    here: Iterable[Student], released: Mapping[str, ProtectRow]
) -> list[ProtectRow]:
    """The released teachers that these very students learned from."""
    keys = sorted({one.row.parent for one in here})
    return [released[key] for key in keys if key in released]


def _departs(curve: Curve) -> str:
    """What the labels of a curve's points say of options other than its own."""
    first = min(curve.points, key=_order)
    asked = split(label_of(newest_of(curve.points[first]), curve.varied))[1]
    return ", ".join(f"{k}={v}" for k, v in asked.items() if k != curve.option)


def _order(value: Value) -> tuple[bool, float, str]:
    """Numbers by size, then names by the alphabet."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return False, value, ""
    return True, 0.0, str(value)
