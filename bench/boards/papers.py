"""What papers print, and how our cells compare with it. No torch, no ray, no pandas."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from bench.boards.board import UNDEFENDED, Board
from bench.boards.intervals import Estimate
from bench.errors import BadResults

FILE = "published.csv"

# fmt: off
PERCENT = (
    "top1", "test top1 %", "test top1 % (mean)", "test top1 % (max)",
    "test top1 % (best seed)", "best test top1 %", "test top1 % (approx)",
    "test top1 % (approx from plot)", "test acc %", "test_acc_%", "clean acc %",
    "clone_test_acc_%", "defender_test_acc_%", "defended_test_acc_%",
    "student acc", "student_acc_%", "teacher acc",
)
SHARE = (
    "test acc (fraction)", "student test acc (fraction)", "teacher test acc (fraction)",
    "clone_test_acc",
)
# fmt: on
ACCURACIES = dict.fromkeys(PERCENT, 100.0) | dict.fromkeys(SHARE, 1.0)
"""The metrics that are a test accuracy, and what they call 1."""

# What the literature calls the things that the bench has. A name that is missing here
# is never compared: a network of another width, say, or an attack of another kind.
DATASETS = {
    "CIFAR-10": "cifar10",
    "CIFAR-100": "cifar100",
    "FashionMNIST": "fashion_mnist",
    "Tiny-ImageNet": "tiny_imagenet",
}
NETWORKS = {
    **dict.fromkeys(("ResNet-18", "ResNet18", "resnet18"), "resnet18"),
    **dict.fromkeys(("ResNet-34", "ResNet34", "resnet34"), "resnet34"),
    **dict.fromkeys(("ResNet-50", "ResNet50", "resnet50"), "resnet50"),
    **dict.fromkeys(("ResNeXt-29", "resnext29"), "resnext29"),
    **dict.fromkeys(("MobileNetV2", "mobilenetv2"), "mobilenet_v2"),
    **dict.fromkeys(("ShuffleNetV2", "shufflenetv2"), "shufflenet_v2"),
}
DEFENSES = {"none": UNDEFENDED, "nasty (SUKD)": "nasty"}
SCRATCH, TEACHER = "scratch", ""
ATTACKS = {
    "teacher (no attack)": TEACHER,
    "train from scratch (labels)": SCRATCH,
    **dict.fromkeys(("vanilla KD", "vanilla KD (KD-ORI)", "clean KD"), "kd"),
    "KD (original data)": "kd",
    **dict.fromkeys(("DAFL", "DAFL (re-run, small batch)"), "dafl"),
    **dict.fromkeys(("DeepInversion", "DeepInversion-2k"), "deepinversion"),
    **dict.fromkeys(("KD on Gaussian noise", "KD on random noise"), "noise_kd"),
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """One value that a paper, its code or a reader of it reports."""

    paper: str
    year: int | None = None
    venue: str
    table: str
    """Where in the paper, or in what else the source is."""
    dataset: str
    """This and the other names are the source's; `bench/published.py` maps them."""
    defense: str
    attack: str
    """"teacher (no attack)" where the value is the released teacher's own."""
    teacher: str
    """Its network; empty where none is named."""
    student: str
    """Its network. Beside a teacher's own value, the student of the same column."""
    setting: str
    """What the value was made with, as far as the source tells."""
    metric: str
    """What was measured, and its unit."""
    value: float
    """As printed, in the metric's unit; `bench` reads accuracies as shares."""
    std: float | None = None
    """Standard deviation in the same unit; few sources say over what."""
    note: str
    """What else one should know before using the value."""
    source: str
    """Where the value was read; never empty."""
    url: str
    """The source's address; empty where it has none that everybody can open."""

    @property
    def is_accuracy(self) -> bool:
        """The test accuracy of a teacher or a student: `value` is then a share."""
        return self.metric in ACCURACIES


class Question(NamedTuple):
    """What was measured, in the bench's names."""

    dataset: str
    teacher: str
    student: str
    """Empty for the released teacher itself."""
    defense: str
    attack: str
    """Empty for the released teacher itself."""


@dataclass(frozen=True)
class Measured:
    """One official value of ours."""

    question: Question
    protocol: str
    version: int
    accuracy: Estimate


@dataclass(frozen=True)
class Pair:
    """A value of ours beside a published one that answers the same question."""

    ours: Measured
    theirs: Published

    @property
    def difference(self) -> Estimate:
        """Ours - theirs, with our interval: the published value is taken as exact."""
        ours, known = self.ours.accuracy, self.theirs.value
        return Estimate(ours.value - known, ours.low - known, ours.high - known, ours.n)

    @property
    def inside(self) -> bool | None:
        """Our interval holds the published value; None where one seed has none."""
        return not self.difference.resolved if self.ours.accuracy.n > 1 else None


@dataclass(frozen=True)
class Comparison:
    """Everything that the page tells."""

    pairs: Mapping[Measured, Sequence[Pair]]
    """Ours that have a published value, with a pair for each."""
    alone: Mapping[tuple[str, str, str], Sequence[Question]]
    """Ours without a published value, by data set, teacher and student."""
    unheard: Sequence[str]
    """Our data sets on which no published value is known at all."""
    papers: Mapping[str, Sequence[Published]]


def literature(results: Path) -> list[Published]:
    """The published values of the folder `results`, or else those of the bench.

    Raises:
        BadResults: the file is not what it must be.
    """
    here = Path(__file__).parents[1]
    places = (results / FILE, here / f"_{FILE}", here.parent / "results" / FILE)
    return next((read(place) for place in places if place.is_file()), [])


def read(path: Path) -> list[Published]:
    """The rows of the CSV file at `path`.

    Raises:
        BadResults: it cannot be read, lacks a column, or a cell is not of its type.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return _rows(csv.DictReader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        text = " ".join(str(error).split())
        raise BadResults(
            f"cannot read {path} as published values: {text}; "
            "correct it, or move it away, and run the command again"
        ) from error


def _rows(table: csv.DictReader[str]) -> list[Published]:
    names = [f.name for f in fields(Published)]
    lacking = [name for name in names if name not in (table.fieldnames or ())]
    if lacking:
        raise ValueError(f"there is no column {', '.join(lacking)}")
    rows = []
    for cells in table:
        try:
            if None in cells or None in cells.values():
                raise ValueError("it has not as many cells as there are columns")
            rows.append(_row({name: cells[name] for name in names}))
        except ValueError as error:
            raise ValueError(f"line {table.line_num}: {error}") from error
    return rows


def _row(cells: Mapping[str, str]) -> Published:
    for name in ("paper", "metric", "source"):
        if not cells[name].strip():
            raise ValueError(f"{name} is empty")
    if cells["url"] and not cells["url"].startswith("https://"):
        raise ValueError(f"url: {cells['url']!r} does not begin with https://")
    whole = ACCURACIES.get(cells["metric"], 1.0)
    std, year = cells["std"], cells["year"]
    typed: dict[str, Any] = {
        **cells,
        "year": int(_number("year", year)) if year else None,
        "value": _number("value", cells["value"]) / whole,
        "std": _number("std", std) / whole if std else None,
    }
    row = Published(**typed)
    if row.is_accuracy and not 0 <= row.value <= 1:
        raise ValueError(f"value: {cells['value']} is no accuracy in {row.metric!r}")
    return row


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a number") from None
    if not isfinite(number):
        raise ValueError(f"{name}: {text!r} is not finite")
    return number


def question(row: Published) -> Question | None:
    """What `row` answers; None where the bench has no name for a part of it."""
    attack = ATTACKS.get(row.attack)
    networks = NETWORKS | ({"": ""} if attack == SCRATCH else {})
    found = (
        DATASETS.get(row.dataset),
        networks.get(row.teacher),
        "" if attack == TEACHER else NETWORKS.get(row.student),
        DEFENSES.get(row.defense),
        attack,
    )
    if not row.is_accuracy or None in found:
        return None
    return Question(*(str(name) for name in found))


def measured(boards: Iterable[Board]) -> list[Measured]:
    """Every value of `boards` once: released teachers, controls and students."""
    found: list[Measured] = []
    for board in boards:
        scene = board.scene
        if scene.data_share < 1:
            continue  # papers train on the whole set
        base = Question(scene.dataset, scene.teacher, scene.student, UNDEFENDED, "")
        values: list[tuple[Question, Estimate | None]] = []
        if board.zero_is == SCRATCH:
            values.append((base._replace(attack=SCRATCH), board.zero))
        for entry in board.entries:
            own = base._replace(defense=entry.defense)
            values.append((own._replace(student=""), entry.teacher_accuracy))
            values += [(own._replace(attack=c.attack), c.accuracy) for c in entry.cells]
        found += [
            Measured(asked, scene.protocol, scene.protocol_version, value)
            for asked, value in values
            if value is not None
        ]
    return sorted(dict.fromkeys(found), key=lambda m: (m.question, m.protocol))


def compare(boards: Iterable[Board], published: Sequence[Published]) -> Comparison:
    """`published` beside the values of `boards`, each with what answers the same."""
    papers: dict[str, list[Published]] = defaultdict(list)
    answers: dict[Question, list[Published]] = defaultdict(list)
    for row in published:
        papers[row.paper].append(row)
        if asked := question(row):
            answers[asked].append(row)
    heard = {DATASETS.get(row.dataset) for row in published}
    pairs: dict[Measured, list[Pair]] = {}
    alone: dict[tuple[str, str, str], list[Question]] = defaultdict(list)
    unheard: list[str] = []
    for ours in measured(boards):
        asked = ours.question
        # Only a student that learned without a teacher is published without one.
        known = answers.get(asked, []) + answers.get(asked._replace(teacher=""), [])
        if known:
            pairs[ours] = [Pair(ours, theirs) for theirs in known]
        elif asked.dataset not in heard:
            unheard.append(asked.dataset)
        elif asked not in alone[asked[:3]]:  # protocols may answer the same question
            alone[asked[:3]].append(asked)
    return Comparison(
        pairs=pairs,
        alone=alone,
        unheard=list(dict.fromkeys(unheard)),
        papers=dict(sorted(papers.items(), key=lambda item: item[0].lower())),
    )
