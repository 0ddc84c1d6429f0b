"""A small protocol for tests, with every kind of track."""

from __future__ import annotations

from bench.planning.protocol import Protocol, Track
from bench.threat.access import ImageGrant, TeacherGrant

HARD, SOFT, WEIGHTS = TeacherGrant
NO_IMAGES, SURROGATE_IMAGES, TRAIN_IMAGES = ImageGrant

PROTOCOL = Protocol(
    name="toy",
    version=2,
    dataset="digits",
    teachers=("resnet8",),
    students=("cnn2",),
    defenses=("none", "nasty"),
    attacks=("scratch", "kd", "dafl", "surrogate_kd"),
    tracks={
        "open": Track(teacher=SOFT, images=TRAIN_IMAGES),
        "limited": Track(teacher=SOFT, images=TRAIN_IMAGES, fraction=0.1),
        "white box": Track(teacher=WEIGHTS, images=NO_IMAGES),
        "service": Track(teacher=SOFT, images=SURROGATE_IMAGES),
        "data-free service": Track(teacher=SOFT, images=NO_IMAGES),
    },
)
"""The rows of `bench.testing.rows` fit it."""
