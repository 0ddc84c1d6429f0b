"""What is told of one option: a point for each of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.boards.cells import Reading
from bench.boards.curves import Varied
from bench.boards.intervals import Estimate
from bench.boards.seen import Place
from bench.planning.coverage import CONTROL_DEFENSE
from bench.plugins.spec import Value, text_of


@dataclass(frozen=True)
class Point:
    """One value of the option."""

    value: Value
    label: str
    """Of the plugin or track with this value, as tables call it."""
    teacher: Reading | None
    """What was released; None where no defense is varied: the teachers are the same."""
    students: Mapping[str, Reading]
    """By the defense that they were stolen from; by its name where it is varied."""
    zero: Estimate | None
    """The zero line, with as many images as the attack has here."""

    @property
    def text(self) -> str:
        """The value as one would write it, and words for what has no writing."""
        if self.value is None or self.value == "":
            return "none" if self.value is None else "(empty)"
        return text_of(self.value)


@dataclass(frozen=True)
class Ablation:
    """One option of one plugin, and what comes of each of its values."""

    protocol: str
    """In whose words the labels are; empty where no protocol fits the rows."""
    place: Place
    varied: Varied
    subject: str
    """The name of the plugin or track."""
    option: str
    """Its option; `fraction` or `queries` of a track."""
    held: str
    """Other options that depart from the plain point's, as `tau=2`; mostly empty."""
    track: str
    """As the protocol calls it; where it is varied, its name."""
    attack: str
    """Whose students these are; where an attack is varied, its name."""
    points: Sequence[Point]
    """In the order of the values: numbers by size, then names by the alphabet."""
    undefended: Reading | None
    """Teachers that `none` released; None where no defense is varied."""
    control: Reading | None
    """Their students by the same attack; None where the points have them."""
    zero_is: str
    """Where the zero line comes from."""

    @property
    def name(self) -> str:
        """The option as the command line calls it: `nasty.omega`."""
        return f"{self.subject}.{self.option}"

    @property
    def defenses(self) -> list[str]:
        """Whose students are read: the undefended teacher's first."""
        names = {name for point in self.points for name in point.students}
        return sorted(names, key=lambda name: (name != CONTROL_DEFENSE, name))
