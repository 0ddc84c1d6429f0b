"""The lines that the entries of a board are read against: Z, O, H and U."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from bench.boards.answers import Answers
from bench.boards.cells import Cell, answered, cells_of
from bench.boards.crossed import difference, mean
from bench.boards.intervals import Estimate, spanned
from bench.boards.seen import Place, Scene, Student
from bench.boards.strongest import Strongest, strongest
from bench.planning.coverage import CONTROL_DEFENSE
from bench.results.rows import Row, TeacherRow
from bench.threat.access import TeacherGrant


@dataclass(frozen=True)
class Line:
    """One line across a board, and where it comes from."""

    estimate: Estimate | None
    source: str
    answers: Answers | float | None = field(default=None, repr=False, compare=False)
    """Seed by seed and image by image, or a share that is known exactly."""
    outright: Answers | float | None = field(default=None, repr=False, compare=False)
    """The same of the attack with the highest mean."""


MISSING = Line(None, "")


def line_of(best: Strongest | None) -> Line:
    """The line that the strongest of several attacks draws."""
    if best is None:
        return MISSING
    estimate = spanned(mean(best.answers), mean(best.outright))
    return Line(estimate, best.name, best.answers, best.outright)


def constants(rows: Iterable[Row]) -> dict[str, float]:
    """The accuracy of the best constant answer, by fingerprint of the data."""
    teachers = [row for row in rows if isinstance(row, TeacherRow)]
    return {r.data_fingerprint: r.constant for r in teachers if r.constant is not None}


def with_images_of(scene: Scene, controls: Iterable[Student]) -> list[Student]:
    """The `controls` that could be a line of `scene`, if labels are granted.

    They never ask the teacher, so it does not matter what is granted of it.
    """
    asked = (scene.place, scene.access.images, scene.access.fraction)
    return [
        one
        for one in controls
        if scene.access.labelled
        and (Place.of(one.row), one.access.images, one.access.fraction) == asked
    ]


def zero_line(
    scene: Scene,
    controls: Iterable[Student],
    here: Iterable[Student],
    constant: Mapping[str, float],
) -> Line:
    """Z of `scene`: the strongest of `controls`, or the best constant answer.

    Args:
        scene: Where it is read.
        controls: The teacherless students with the scene's images; references among
            them are left out.
        here: The students of the scene.
        constant: The accuracy of the best constant answer, by fingerprint.
    """
    if scene.access.labelled:
        zeros = cells_of(one for one in controls if not one.row.reference)
        return line_of(strongest(answered(zeros)))
    return constant_line(scene, here, constant)


def constant_line(
    scene: Scene, here: Iterable[Student], constant: Mapping[str, float]
) -> Line:
    """What the best constant answer is worth in `scene`; chance where none is known.

    Arguments are as for `zero_line`.
    """
    share = constant.get(scene.place.data_fingerprint)
    source = "the best constant answer"
    if share is None:
        classes = next((o.row.classes for o in here if o.row.classes), None)
        if classes is None:
            return MISSING
        share, source = 1 / classes, f"chance, 1/{classes}"
    return Line(Estimate(share, share, share, n=0), source, share, share)


@dataclass(frozen=True)
class Lines:
    """What all entries of one board are read against."""

    scene: Scene
    attacked: Sequence[Student]
    """The students of the scene, from all defenses."""
    controls: Sequence[Student]
    """The teacherless ones with the same images."""
    constant: Mapping[str, float]
    longer: Sequence[Student] = ()
    """Students that were trained for longer, of any scene."""

    @cached_property
    def grid(self) -> Sequence[Cell]:
        """Every attack on every defense."""
        return cells_of(self.attacked)

    @cached_property
    def zeros(self) -> Sequence[Cell]:
        """The controls, which are attacks as well."""
        return cells_of(one for one in self.controls if not one.row.reference)

    @cached_property
    def plain(self) -> Mapping[str, Cell]:
        """What each attack made of the undefended teacher."""
        return {c.attack: c for c in self.grid if c.defense == CONTROL_DEFENSE}

    @cached_property
    def zero(self) -> Line:
        """Z."""
        return zero_line(self.scene, self.controls, self.attacked, self.constant)

    @cached_property
    def own(self) -> Line:
        """O: the strongest student of a teacher of the attacker's own."""
        owns = cells_of(one for one in self.controls if one.row.reference)
        return line_of(strongest(answered(owns)))

    @cached_property
    def hard(self) -> Line:
        """H: the strongest attack on the undefended teacher by first classes alone."""
        asks = TeacherGrant.HARD_LABELS
        return line_of(
            strongest(answered(c for c in self.plain.values() if c.asks == asks))
        )

    @cached_property
    def ceiling(self) -> Line:
        """U; whoever holds labels may ignore the teacher."""
        return line_of(strongest(answered([*self.plain.values(), *self.zeros])))

    @cached_property
    def tells(self) -> bool:
        """Whether U is resolved above Z: else nothing can be told here."""
        top, zero = self.ceiling, self.zero
        pairs = [(top.answers, zero.answers), (top.outright, zero.outright)]
        known = [(u, z) for u, z in pairs if u is not None and z is not None]
        gaps = [difference(u, z).estimate for u, z in known]
        return len(gaps) > 1 and all(gap.resolved and gap.value > 0 for gap in gaps)

    @cached_property
    def longer_by_label(self) -> Mapping[tuple[str, str], Cell]:
        """Students of this scene that were trained longer, by defense and attack."""
        here = [one for one in self.longer if Scene.of(one) == self.scene]
        return {(c.defense, _usual(c.attack)): c for c in cells_of(here)}

    @cached_property
    def floor(self) -> float | None:
        """The accuracy of a constant answer."""
        line = constant_line(self.scene, self.attacked, self.constant)
        return line.estimate.value if line.estimate else None


def _usual(label: str) -> str:
    """The label of an attack without what it says of effort."""
    name, _, inside = label.rstrip("]").partition("[")
    words = [w for w in inside.split(", ") if w and not w.startswith("effort=")]
    return f"{name}[{', '.join(words)}]" if words else name
