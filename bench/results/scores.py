"""What is measured of teachers, released teachers and students: columns of their rows.

Whatever the task did not reach is null, or an empty list.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What was answered to each test image, so that anybody may count again."""

    predictions: bytes | None = None
    """The first class for each test image, one little-endian unsigned integer an image:
    of one byte up to 256 classes, else of two."""
    correct: bytes | None = None
    """A bit a test image, set where the prediction is right, in the order of the
    images; the first is the highest bit of the first byte, the last byte is filled
    with zeros."""


@dataclass(frozen=True, kw_only=True)
class TeacherScores(Answers):
    """What is measured of an undefended teacher."""

    accuracy: float | None = None
    """On the test images, after training."""
    calibration_error: float | None = None
    """Expected calibration error over 15 bins of equal width."""
    constant: float | None = None
    """Share of the commonest class among the test images: the accuracy of the best
    constant answer."""


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """A picture of a released teacher; of seed 0 alone, because it costs seconds."""

    responses: list[float] = field(default_factory=list)
    """The K log-probabilities, in nats
    and at least log 1e-12, replied to the first test image of each of the first ten
    classes, example after example."""
    response_classes: list[int] = field(default_factory=list)
    """The examples' labels, in the order of `responses`."""
    response_images: bytes | None = None
    """PNG of the examples, side by side in the order of `responses`."""
    features_map: list[float] = field(default_factory=list)
    """T-SNE of the input of the network's last Linear layer, x0, y0, x1, ...,
    of up to 500 test images, balanced over classes. The unit means nothing. Empty where
    there is no such layer or nothing to tell apart."""
    logits_map: list[float] = field(default_factory=list)
    """The same of the replies' log-probabilities."""
    map_classes: list[int] = field(default_factory=list)
    """Labels of the images on both maps, in their order."""
    confidence: list[float] = field(default_factory=list)
    """Share of test images whose largest probability, as replied, lies in
    each of 20 bins of equal width over [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class ReleaseScores(Answers):
    """What is measured of a released teacher."""

    accuracy: float | None = None
    """Of the replies, on the test images."""
    network_accuracy: float | None = None
    """Of the network that leaks with the weights."""
    network_agreement: float | None = None
    """Share of test images on which replies and that network agree."""
    fidelity: float | None = None
    """Share of test images on which replies and undefended teacher agree."""
    calibration_error: float | None = None
    """Of the replies."""


@dataclass(frozen=True, kw_only=True)
class ReleaseChecks:
    """What is measured of a released teacher to see whether it plays fair, on up to
    2,000 test images.
    """

    accuracy_noise: float | None = None
    """Of the replies, each pixel moved by up to one grey level at random."""
    accuracy_shift: float | None = None
    """Of the replies, each image shifted by half a pixel: the mean of two
    neighbours, in whole grey levels."""
    vanished_gradients: float | None = None
    """Share of up to 256 test images on which the cross-entropy of the released network
    with its own first class has no gradient: norm below 1e-12, or not finite."""


@dataclass(frozen=True, kw_only=True)
class StudentScores(Answers):
    """What is measured of a student."""

    accuracy: float | None = None
    """Of the student's last state, on the test images."""
    best_accuracy: float | None = None
    """The highest of `curve`: papers print it; chosen on test, it is never ranked."""
    fidelity: float | None = None
    """Share of test images on which student and released teacher agree."""
    kl: float | None = None
    """Mean KL(released teacher || student) on the test images, in nats."""
    queries: int | None = None
    """Images the teacher answered; null when the attacker held the weights."""
    service_after: float | None = None
    """Accuracy, on up to 256 test images, of the very service that the attacker asked,
    once the attack is over; null where nothing was asked."""
    samples: bytes | None = None
    """PNG of images that the attack made, where it keeps any."""
    chosen: str = "{}"
    """What tuning chose, as JSON: values in place of those of `attack_options`, and of
    the recipe as `recipe.NAME`."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What is measured of a try: nothing on test images."""

    validation: float | None = None
    """What tuning compares: on the held-out images the accuracy over up to nine views
    of each, where they have labels, or the agreement with the released teacher;
    without images the agreement on those that the other tries made. Null where there
    was nothing to compare on."""
    queries: int | None = None
    """Images the teacher answered; null when the attacker held the weights."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What tuning found best."""

    chosen: str = "{}"
    """The item of `grid` with the highest validation, as JSON; of equals the first."""
    validation: float | None = None
    """Of that item."""
    validations: list[float] = field(default_factory=list)
    """Of every item, in the order of the grid; -1 where a try did not end well or was
    not measured."""
