"""The lines that the entries of a board are read against: Z and U."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.boards.cells import Cell, cells_of, strongest
from bench.boards.intervals import Estimate
from bench.boards.seen import Place, Scene, Student
from bench.planning.coverage import CONTROL_DEFENSE


@dataclass(frozen=True)
class Zero:
    """The zero line, seed by seed, and where it comes from."""

    by_seed: Mapping[int, float]
    estimate: Estimate | None
    source: str


def with_images_of(scene: Scene, controls: Iterable[Student]) -> list[Student]:
    """The `controls` that could be the zero line of `scene`, if labels are granted.

    They never ask the teacher, so it does not matter what is granted of it.
    """
    asked = (scene.place, scene.access.images, scene.access.fraction)
    return [
        one
        for one in controls
        if scene.access.labelled
        and (Place.of(one.row), one.access.images, one.access.fraction) == asked
    ]


def zero_line(scene: Scene, zeros: Sequence[Cell], here: Iterable[Student]) -> Zero:
    """Z of `scene`: the strongest of `zeros`, or chance where no labels are granted.

    Args:
        scene: Where it is read.
        zeros: The controls with the scene's images.
        here: The students of the scene: of their classes and seeds.
    """
    if scene.access.labelled:
        best = strongest(zeros)
        known = (best.by_seed, best.accuracy, best.attack) if best else ({}, None, "")
        return Zero(*known)
    rows = [one.row for one in here]
    classes = next((row.classes for row in rows if row.classes is not None), None)
    if classes is None:
        return Zero({}, None, "")
    chance = 1 / classes
    exact = Estimate(chance, chance, chance, n=0)
    seeds = sorted({row.seed for row in rows})
    return Zero(dict.fromkeys(seeds, chance), exact, f"chance, 1/{classes}")


@dataclass(frozen=True)
class Lines:
    """What all entries of one board are read against."""

    scene: Scene
    attacked: Sequence[Student]
    """The students of the scene, from all defenses."""
    controls: Sequence[Student]
    """The teacherless ones with the same images."""

    @cached_property
    def grid(self) -> Sequence[Cell]:
        """Every attack on every defense."""
        return cells_of(self.attacked)

    @cached_property
    def zeros(self) -> Sequence[Cell]:
        """The controls, which are attacks as well."""
        return cells_of(self.controls)

    @cached_property
    def zero(self) -> Zero:
        """Z."""
        return zero_line(self.scene, self.zeros, self.attacked)

    @cached_property
    def plain(self) -> Mapping[str, Cell]:
        """What each attack made of the undefended teacher."""
        return {c.attack: c for c in self.grid if c.defense == CONTROL_DEFENSE}

    @cached_property
    def ceiling(self) -> Cell | None:
        """The cell behind U."""
        return strongest([*self.plain.values(), *self.zeros])

    @cached_property
    def lacking(self) -> int:
        """How many seeds the zero line lacks."""
        return sum(self._seeds - len(cell.by_seed) for cell in self.zeros)

    @cached_property
    def lacking_controls(self) -> int:
        """How many seeds the zero line and the undefended teacher's students lack."""
        met = [self.plain.get(attack) for attack in self._attacks]
        return self.lacking + sum(
            self._seeds - (len(cell.by_seed) if cell else 0) for cell in met
        )

    def expected(self, defense: str) -> int:
        """How many tasks an entry rests on.

        A seed missing from a control counts as missing for every defense.
        """
        is_control = defense == CONTROL_DEFENSE
        own = len(self._attacks) * self._seeds
        return own + (self.lacking if is_control else self.lacking_controls)

    @cached_property
    def _attacks(self) -> set[str]:
        return {cell.attack for cell in self.grid}

    @cached_property
    def _seeds(self) -> int:
        return len({one.row.seed for one in (*self.attacked, *self.controls)})
