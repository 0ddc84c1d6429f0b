"""How our cells compare with what papers report. No torch, no ray, no pandas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.boards.board import Board
from bench.boards.intervals import Estimate
from bench.planning.coverage import CONTROL_ATTACK, CONTROL_DEFENSE
from bench.results.literature import Reported

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
DEFENSES = {"none": CONTROL_DEFENSE, "nasty (SUKD)": "nasty"}
TEACHER = ""
ATTACKS = {
    "teacher (no attack)": TEACHER,
    "train from scratch (labels)": CONTROL_ATTACK,
    **dict.fromkeys(("vanilla KD", "vanilla KD (KD-ORI)", "clean KD"), "kd"),
    "KD (original data)": "kd",
    **dict.fromkeys(("DAFL", "DAFL (re-run, small batch)"), "dafl"),
    **dict.fromkeys(("DeepInversion", "DeepInversion-2k"), "deepinversion"),
    **dict.fromkeys(("KD on Gaussian noise", "KD on random noise"), "noise_kd"),
}


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
    """A value of ours beside a reported one that answers the same question."""

    ours: Measured
    theirs: Reported

    @property
    def difference(self) -> Estimate:
        """Ours - theirs, with our interval: the reported value is taken as exact."""
        ours, known = self.ours.accuracy, self.theirs.value
        return Estimate(ours.value - known, ours.low - known, ours.high - known, ours.n)

    @property
    def inside(self) -> bool | None:
        """Our interval holds the reported value; None where one seed has none."""
        return not self.difference.resolved if self.ours.accuracy.n > 1 else None


@dataclass(frozen=True)
class Comparison:
    """Everything that the page tells."""

    pairs: Mapping[Measured, Sequence[Pair]]
    """Ours that have a reported value, with a pair for each."""
    alone: Mapping[tuple[str, str, str], Sequence[Question]]
    """Ours without a reported value, by data set, teacher and student."""
    unheard: Sequence[str]
    """Our data sets on which no reported value is known at all."""
    papers: Mapping[str, Sequence[Reported]]


def question(row: Reported) -> Question | None:
    """What `row` answers; None where the bench has no name for a part of it."""
    attack = ATTACKS.get(row.attack)
    networks = NETWORKS | ({"": ""} if attack == CONTROL_ATTACK else {})
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
        place, access = board.scene.place, board.scene.access
        if place.data_fraction < 1:
            continue  # papers train on the whole set
        # An attack that is granted less than usual answers a question of its own.
        few = access.fraction < 1 or access.queries is not None
        less = f" ({access})" if few else ""
        base = Question(
            place.dataset, place.teacher, place.student, CONTROL_DEFENSE, ""
        )
        values: list[tuple[Question, Estimate | None]] = []
        if board.zero.source == CONTROL_ATTACK:
            scratch = base._replace(attack=CONTROL_ATTACK + less)
            values.append((scratch, board.zero.estimate))
        for entry in board.entries:
            own = base._replace(defense=entry.defense)
            values.append((own._replace(student=""), entry.teacher_accuracy))
            values += [
                (own._replace(attack=cell.attack + less), cell.accuracy)
                for cell in entry.cells
            ]
        found += [
            Measured(asked, board.protocol, board.version, value)
            for asked, value in values
            if value is not None
        ]
    return sorted(dict.fromkeys(found), key=lambda m: (m.question, m.protocol))


def compare(boards: Iterable[Board], reported: Sequence[Reported]) -> Comparison:
    """`reported` beside the values of `boards`, each with what answers the same."""
    papers: dict[str, list[Reported]] = defaultdict(list)
    answers: dict[Question, list[Reported]] = defaultdict(list)
    for row in reported:
        papers[row.paper].append(row)
        if asked := question(row):
            answers[asked].append(row)
    heard = {DATASETS.get(row.dataset) for row in reported}
    pairs: dict[Measured, list[Pair]] = {}
    alone: dict[tuple[str, str, str], list[Question]] = defaultdict(list)
    unheard: list[str] = []
    for ours in measured(boards):
        asked = ours.question
        # Only a student that learned without a teacher is reported without one.
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
