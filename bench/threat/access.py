"""What an attacker may touch, as data: a protocol owns it, the harness enforces it.

    teacher    HardLabels < SoftLabels < Weights: each gives what those before it do
    images     NoImages, SurrogateImages, TrainImages

It needs no torch. The objects that an attack is handed are in `bench.threat.grants` and
`bench.threat.images`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.options import Count, Fraction


class TeacherGrant(StrEnum):
    """What is granted of the teacher, the weakest first."""

    HARD_LABELS = "HardLabels"
    SOFT_LABELS = "SoftLabels"
    WEIGHTS = "Weights"

    def suffices(self, needed: TeacherGrant) -> bool:
        """Whether who holds this can do what `needed` allows."""
        strength = list(TeacherGrant)
        return strength.index(self) >= strength.index(needed)


class ImageGrant(StrEnum):
    """Which images are granted; none of them stands in for another."""

    NO_IMAGES = "NoImages"
    SURROGATE_IMAGES = "SurrogateImages"
    TRAIN_IMAGES = "TrainImages"


@dataclass(frozen=True)
class Needs:
    """What an attack cannot do without, from the type parameters of its class."""

    teacher: TeacherGrant
    images: ImageGrant


@dataclass(frozen=True)
class Access:
    """What one attacker may touch. What could not be enforced cannot be written."""

    teacher: TeacherGrant
    images: ImageGrant
    fraction: Fraction = 1.0
    """Share of the training images that is granted, in (0, 1]."""
    queries: Count | None = None
    """Images that the teacher answers at most; None sets no limit."""

    def __post_init__(self) -> None:
        """See that each limit limits something.

        Raises:
            ValueError: it does not.
        """
        if self.fraction != 1 and self.images is not ImageGrant.TRAIN_IMAGES:
            raise ValueError(
                f"fraction is a share of the training images, and images is "
                f"{self.images}: leave fraction out, or grant TrainImages"
            )
        if self.queries is not None and self.teacher is TeacherGrant.WEIGHTS:
            raise ValueError(
                "queries are counted where replies are granted, and who holds the "
                "Weights needs none: leave queries out, or grant SoftLabels"
            )

    def suffices(self, needs: Needs) -> bool:
        """Whether an attack that `needs` this much can be run under it."""
        return self.images is needs.images and self.teacher.suffices(needs.teacher)

    @property
    def labelled(self) -> bool:
        """Whether the attacker could do without a teacher."""
        return self.images is ImageGrant.TRAIN_IMAGES

    def __str__(self) -> str:
        """Say it in words, such as "confidences, 10 % of the training images"."""
        teacher = {
            TeacherGrant.HARD_LABELS: "labels alone",
            TeacherGrant.SOFT_LABELS: "confidences",
            TeacherGrant.WEIGHTS: "weights",
        }[self.teacher]
        share = "all" if self.fraction == 1 else f"{100 * self.fraction:g} % of the"
        images = {
            ImageGrant.NO_IMAGES: "no images",
            ImageGrant.SURROGATE_IMAGES: "images from elsewhere",
            ImageGrant.TRAIN_IMAGES: f"{share} training images",
        }[self.images]
        budget = "" if self.queries is None else f", {self.queries:,} queries"
        return f"{teacher}, {images}{budget}"
