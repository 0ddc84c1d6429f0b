"""Plugins that break a promise, as data: what is wrong, who notices, what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import new_class
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench import (
    Attack,
    Defense,
    HardLabels,
    NoImages,
    Released,
    Run,
    SoftLabels,
    SurrogateImages,
    TrainImages,
    Weights,
    check_finite,
)

Case = tuple[type[Any], str, str]
"""A plugin, the first promise that it breaks, and a pattern of the complaint."""


def made(base: Any, name: str, **names: Any) -> type[Any]:
    """A frozen dataclass `name`, a subclass of `base`."""
    names = {"__doc__": "Is tried.", "__module__": __name__, **names}
    cls = new_class(name, (base,), exec_body=lambda own: own.update(names))
    return dataclass(frozen=True)(cls)


class Says(nn.Module):
    """An answer that is a function of the images and the log-probabilities."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor, log_probs: Tensor) -> Tensor:
        return self.function(images, log_probs)


@dataclass(frozen=True)
class Answering(Defense):
    """Releases the teacher behind an answer of its own; breaks no promise."""

    says: ClassVar[Any] = staticmethod(lambda images, log_probs: log_probs)
    protected: ClassVar[bool] = False
    """Whether what `protect` releases is said to be randomised."""
    built: ClassVar[bool] = False
    """Whether what `skeleton` builds is."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        return Released(teacher, Says(self.says), self.protected)

    def skeleton(self, run: Run) -> Released:
        return Released(run.network(run.teacher), Says(self.says), self.built)


def answering(name: str, says: Any, **names: Any) -> type[Any]:
    return made(Answering, name, says=staticmethod(says), **names)


def protecting(name: str, protect: Callable[[nn.Module, Any, Run], Any]) -> type[Any]:
    """A defense with the usual skeleton."""
    return made(Defense, name, protect=lambda self, *given: protect(*given))


def noisy(_: Tensor, log_probs: Tensor) -> Tensor:
    return (log_probs + 3 * torch.rand_like(log_probs)).log_softmax(1)


def less_the_mean(_: Tensor, log_probs: Tensor) -> Tensor:
    return (log_probs - log_probs.mean(dim=0)).log_softmax(1)


def shake(network: nn.Module, generator: torch.Generator) -> None:
    """Change a network, and look at no number."""
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.01 * torch.randn(weight.shape, generator=generator)


def by_chance() -> torch.Generator:
    generator = torch.Generator()
    generator.seed()
    return generator


def moody(teacher: nn.Module, images: TrainImages, run: Run) -> Released:
    shake(teacher, by_chance())
    return Released(teacher)


def ordered(teacher: nn.Module, images: TrainImages, run: Run) -> Released:
    order = images.labels.bincount(minlength=run.classes).argsort()
    assert order.tolist() != [0, 1, 2, 3]
    return Released(teacher, Says(lambda _, log_probs: log_probs[:, order]))


def clumsy(teacher: nn.Module, images: TrainImages, run: Run) -> Released:
    raise ZeroDivisionError("by\nhand")


class Undecorated(Answering):
    """Is no dataclass of its own."""


FRANK = answering("Frank", noisy, protected=True, built=True)
"""Adds noise to every reply, and says so."""
REPLY, ALONE, FITS, ALIKE = (
    "replies_with_log_probabilities",
    "replies_alike_alone_and_in_a_batch",
    "fits_its_skeleton",
    "protects_alike_twice",
)
PLAIN, DEFAULTS, WORDS = "has_plain_options", "has_defaults", "documents_itself"
DEFENSES: list[Case] = [
    (answering("Logits", lambda _, p: p * 2 + 1), REPLY, "exp does not sum to one"),
    (
        answering("Short", lambda _, p: p[:, :2].log_softmax(1)),
        REPLY,
        r"replies are \(32, 2\), not \(32, 4\)",
    ),
    (answering("Blank", lambda _, p: p * float("nan")), REPLY, "no log-probabilities"),
    (protecting("Bare", lambda t, i, r: t), REPLY, "returned Mixed, not Released"),
    (protecting("Clumsy", clumsy), REPLY, "it raised ZeroDivisionError: by hand"),
    (answering("Mean", less_the_mean), ALONE, "changes with the batch around it"),
    (answering("Noisy", noisy), ALONE, "changes by chance, or with what was asked"),
    (
        answering("Secretive", noisy, protected=True),
        FITS,
        "must say alike whether it is randomised",
    ),
    (
        protecting("Grown", lambda t, i, r: Released(t, Says(lambda _, p: p))),
        FITS,
        "release different parts",
    ),
    (
        protecting("Swapped", lambda t, i, r: Released(r.network("cnn2"))),
        FITS,
        "skeleton's network does not fit: .*Missing key",
    ),
    (
        made(Answering, "Forgetful", protect=lambda self, *given: ordered(*given)),
        FITS,
        "loaded from the store, it replies otherwise",
    ),
    (protecting("Moody", moody), ALIKE, "two runs with one seed released others"),
    (
        made(Answering, "Demanding", __annotations__={"strength": float}),
        DEFAULTS,
        "needs defaults: .*strength",
    ),
    (Undecorated, DEFAULTS, "lacks @dataclass"),
    (made(Answering, "Wordless", __doc__=None), WORDS, "Wordless has no docstring"),
    (
        made(Answering, "Listing", __annotations__={"powers": tuple}, powers=(1, 2)),
        PLAIN,
        "option powers is a tuple",
    ),
    (
        made(Answering, "Misbriefed", brief={"epochs": 1}),
        PLAIN,
        "unknown option 'epochs'",
    ),
]


def nudge(student: nn.Module, run: Run) -> None:
    """Change the student as an attack should: repeatably, finite, into eval mode."""
    shake(student, run.generator)
    for weight in student.parameters():
        check_finite(float(weight.detach().sum()), "a weight")
    student.eval()


def stealing(
    name: str, steal: Callable[[nn.Module, Any, Any, Run], None], *grants: Any
) -> type[Any]:
    """An attack with `grants`, usually those that it makes no use of."""
    base = Attack[grants or (Weights, NoImages)]  # type: ignore[index]
    return made(base, name, steal=lambda self, *given: steal(*given))


NUDGING = stealing("Nudging", lambda student, t, i, run: nudge(student, run))
"""Changes the student and nothing else; breaks no promise."""


def poisonous(student: nn.Module, teacher: Weights, images: object, run: Run) -> None:
    with torch.no_grad():
        next(student.parameters()).fill_(float("nan"))


def vandal(student: nn.Module, teacher: Weights, images: object, run: Run) -> None:
    nudge(student, run)
    with torch.no_grad():
        next(teacher.network.parameters()).add_(1.0)


def reviving(
    student: nn.Module, teacher: Weights, images: TrainImages, run: Run
) -> None:
    nudge(student, run)
    teacher.network.train()(images.pixels)


def fickle(student: nn.Module, teacher: object, images: object, run: Run) -> None:
    shake(student, by_chance())


def asking_twice(
    student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
) -> None:
    nudge(student, run)
    for _ in range(2):
        teacher(images.pixels)  # and does not say which views


def shy(student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run) -> None:
    nudge(student, run)
    if teacher.remaining is None:
        teacher(images.pixels)


def lazy(
    student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
) -> None:
    few = images.few(teacher.remaining or 10, run.generator)
    teacher(few.pixels)
    if teacher.remaining is None:
        nudge(student, run)


def exposed(student: nn.Module, teacher: object, images: object, run: Run) -> None:
    run.checkpoint(student.train())
    nudge(student, run)


def left_training(
    student: nn.Module, teacher: object, images: object, run: Run
) -> None:
    nudge(student, run)
    student.train()


def heedless(student: nn.Module, teacher: object, images: object, run: Run) -> None:
    shake(student, run.generator)
    student.eval()


def trusting(student: nn.Module, teacher: Weights, images: object, run: Run) -> None:
    nudge(student, run)  # and heeds what the teacher says as it is
    said = teacher.network(torch.zeros(2, *run.shape)).mean()
    with torch.no_grad():
        next(student.parameters()).add_(said)


@dataclass(frozen=True)
class Grantless(Attack):  # type: ignore[type-arg]
    """Names no grants."""

    def steal(self, student: nn.Module, teacher: Any, images: Any, run: Run) -> None:
        nudge(student, run)


SOFT, TRAINS = (SoftLabels, TrainImages), "trains_the_student"
BUDGET, EVAL = "keeps_to_its_budget", "leaves_the_student_in_eval_mode"
NUMBERS, TEACHER = "ends_where_numbers_end", "leaves_the_weights_alone"
TWOFOLD = stealing("Twofold", asking_twice, *SOFT)
ATTACKS: list[Case] = [
    (stealing("Idle", lambda *_: None), TRAINS, "weights are what they were"),
    (stealing("Poisonous", poisonous), TRAINS, "weights are not finite"),
    (stealing("Vandal", vandal), TEACHER, "of the teacher was changed"),
    (
        stealing("Reviving", reviving, Weights, TrainImages),
        TEACHER,
        "running_mean of the teacher",
    ),
    (
        stealing("Fickle", fickle, SoftLabels, SurrogateImages),
        "steals_alike_twice",
        "two runs with one seed taught others",
    ),
    (Grantless, "names_its_grants", "Grantless does not name its two grants: write"),
    (
        made(NUDGING, "Insisting", __annotations__={"rate": float}),
        DEFAULTS,
        "needs defaults: .*rate",
    ),
    (made(NUDGING, "Mute", __doc__=None), WORDS, "Mute has no docstring"),
    (
        made(
            NUDGING,
            "Layered",
            __annotations__={"rates": list},
            rates=field(default_factory=lambda: [0.1, 0.01]),
        ),
        PLAIN,
        "option rates is a list",
    ),
    (TWOFOLD, "asks_about_no_view_twice", "billed for 64 answers"),
    (stealing("Shy", shy, *SOFT), BUDGET, "it asked about nothing"),
    (stealing("Lazy", lazy, *SOFT), BUDGET, "it taught the student nothing"),
    (stealing("Exposed", exposed), EVAL, "scored or left in train mode"),
    (stealing("Untidy", left_training), EVAL, "scored or left in train mode"),
    (stealing("Heedless", heedless), NUMBERS, "with a student of NaN it went on"),
    (stealing("Trusting", trusting), NUMBERS, "with a teacher of NaN it went on"),
]
ALONE_IN_IT = {
    *("Logits", "Mean", "Noisy", "Secretive", "Grown", "Moody", "Wordless", "Listing"),
    *("Vandal", "Mute", "Layered", "Shy", "Lazy", "Exposed", "Untidy", "Heedless"),
}
"""Those that break one promise and no other."""


def false_control(
    student: nn.Module, teacher: HardLabels, images: TrainImages, run: Run
) -> None:
    teacher(images.pixels)
    nudge(student, run)


FALSE_CONTROL = made(
    stealing("Base", false_control, HardLabels, TrainImages),
    "FalseControl",
    teacherless=True,
)
"""Says that it never asks, and asks."""
