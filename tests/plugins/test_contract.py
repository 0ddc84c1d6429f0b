"""Every plugin keeps every promise; one that breaks a promise is caught by that one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
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
from bench.contract import check as contract
from bench.errors import BadPlugin, BudgetExhausted, Diverged
from bench.plugins import registry
from bench.plugins.spec import Kind
from bench.testing import problem as tiny

Promise = Callable[[Any], None]


def pairs() -> Iterator[Any]:
    for kind, promises in contract.PROMISES.items():
        for name in registry.installed(kind):
            for promise in promises:
                yield pytest.param(kind, name, promise, id=f"{name}-{promise.__name__}")


@pytest.mark.parametrize(("kind", "name", "promise"), list(pairs()))
def test_every_plugin_keeps_every_promise(
    kind: Kind, name: str, promise: Promise
) -> None:
    contract.kept(promise, registry.load(kind, name))


def named(promise: str) -> Promise:
    """The promise of that name."""
    every = {p.__name__: p for group in contract.PROMISES.values() for p in group}
    return every[promise]


def broken(kind: Kind, cls: type[Any]) -> dict[str, str]:
    """What `cls` breaks: the names of the promises, each with the complaint."""
    found = {}
    for promise in contract.PROMISES[kind]:
        try:
            contract.kept(promise, cls)
        except (BadPlugin, BudgetExhausted) as error:
            found[promise.__name__] = str(error)
    return found


class Says(nn.Module):
    """An answer that is a function of the images and the log-probabilities."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, images: Tensor, log_probs: Tensor) -> Tensor:
        return self.function(images, log_probs)


@dataclass(frozen=True)
class Answering(Defense):
    """Releases the teacher behind an answer of its own."""

    def answer(self) -> nn.Module:
        return Says(lambda images, log_probs: log_probs)

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        return Released(teacher, self.answer())

    def skeleton(self, run: Run) -> Released:
        return Released(run.network(run.teacher), self.answer())


@dataclass(frozen=True)
class Logits(Answering):
    """Replies with logits."""

    def answer(self) -> nn.Module:
        return Says(lambda images, log_probs: log_probs * 2 + 1)


@dataclass(frozen=True)
class Short(Answering):
    """Replies about half of the classes."""

    def answer(self) -> nn.Module:
        return Says(lambda images, log_probs: log_probs[:, :2].log_softmax(dim=1))


@dataclass(frozen=True)
class Blank(Answering):
    """Replies with NaN."""

    def answer(self) -> nn.Module:
        return Says(lambda images, log_probs: log_probs * float("nan"))


@dataclass(frozen=True)
class Normalising(Answering):
    """Takes the mean reply of the batch away from every reply."""

    def answer(self) -> nn.Module:
        return Says(
            lambda images, log_probs: (log_probs - log_probs.mean(dim=0)).log_softmax(1)
        )


@dataclass(frozen=True)
class Noisy(Answering):
    """Adds noise to every reply, and does not say so."""

    said: bool = False

    def answer(self) -> nn.Module:
        return Says(lambda _, p: (p + 3 * torch.rand_like(p)).log_softmax(1))

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        return Released(teacher, self.answer(), randomised=self.said)

    def skeleton(self, run: Run) -> Released:
        network = run.network(run.teacher)
        return Released(network, self.answer(), randomised=self.said)


@dataclass(frozen=True)
class Frank(Noisy):
    """Adds noise to every reply, and says so."""

    said: bool = True


@dataclass(frozen=True)
class Secretive(Noisy):
    """Says so to the bench, and not to attackers."""

    said: bool = True

    def skeleton(self, run: Run) -> Released:
        return Released(run.network(run.teacher), self.answer())


@dataclass(frozen=True)
class Bare(Defense):
    """Releases the module itself."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        return teacher  # type: ignore[return-value]


@dataclass(frozen=True)
class Grown(Defense):
    """Releases an answer that its skeleton knows nothing of."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        return Released(teacher, Says(lambda images, log_probs: log_probs))


@dataclass(frozen=True)
class Swapped(Defense):
    """Releases another architecture than its skeleton builds."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        return Released(run.network("cnn2"))


@dataclass(frozen=True)
class Forgetful(Answering):
    """Learns an order of the classes that no weight file holds."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        order = images.labels.bincount(minlength=run.classes).argsort()
        assert order.tolist() != [0, 1, 2, 3]
        return Released(teacher, Says(lambda _, log_probs: log_probs[:, order]))


@dataclass(frozen=True)
class Moody(Defense):
    """Adds noise of its own to the weights."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        generator = torch.Generator()
        generator.seed()
        with torch.no_grad():
            for weight in teacher.parameters():
                weight += 0.01 * torch.randn(weight.shape, generator=generator)
        return Released(teacher)


@dataclass(frozen=True)
class Demanding(Defense):
    """Has an option without a default."""

    strength: float

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        return Released(teacher)


class Undecorated(Answering):
    """Is no dataclass of its own."""


@dataclass(frozen=True)
class Wordless(Answering):
    __doc__ = None


@dataclass(frozen=True)
class Silent(Answering):
    pass


@dataclass(frozen=True)
class Listing(Answering):
    """Has an option that no row can hold."""

    powers: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Mapped(Answering):
    """Has an option that no row can hold."""

    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Misbriefed(Answering):
    """Has a brief for an option that it lacks."""

    brief: ClassVar = {"epochs": 1}


@dataclass(frozen=True)
class Clumsy(Answering):
    """Fails."""

    def protect(self, teacher: nn.Module, images: TrainImages, run: Run) -> Released:
        raise ZeroDivisionError("by\nhand")


REPLY, ALONE, FITS, ALIKE = (
    "replies_with_log_probabilities",
    "replies_alike_alone_and_in_a_batch",
    "fits_its_skeleton",
    "protects_alike_twice",
)


@pytest.mark.parametrize(
    ("cls", "promise", "complaint"),
    [
        (Logits, REPLY, "no log-probabilities: exp does not sum to one"),
        (Short, REPLY, r"replies are \(32, 2\), not \(32, 4\)"),
        (Blank, REPLY, "no log-probabilities"),
        (Normalising, ALONE, "changes with the batch around it"),
        (Bare, REPLY, "protect returned Mixed, not Released"),
        (Noisy, ALONE, "changes by chance, or with what was asked before"),
        (Secretive, FITS, "must say alike whether it is randomised"),
        (Grown, FITS, "release different parts"),
        (Swapped, FITS, "skeleton's network does not fit: .*Missing key"),
        (Forgetful, FITS, "loaded from the store, it replies otherwise"),
        (Moody, ALIKE, "two runs with one seed released others"),
        (Demanding, "has_defaults", "needs defaults: .*strength"),
        (Undecorated, "has_defaults", "lacks @dataclass"),
        (Wordless, "documents_itself", "Wordless has no docstring"),
        (Silent, "documents_itself", "Silent has no docstring"),
        (Listing, "has_plain_options", "option powers is a tuple"),
        (Mapped, "has_plain_options", "option weights is a dict"),
        (Misbriefed, "has_plain_options", "no option 'epochs'|unknown option 'epochs'"),
        (Clumsy, REPLY, "it raised ZeroDivisionError: by hand"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_defense_is_caught_by_the_promise_that_it_breaks(
    cls: type[Defense], promise: str, complaint: str
) -> None:
    found = broken("defense", cls)

    assert next(iter(found)) == promise
    with pytest.raises(BadPlugin, match=complaint):
        contract.kept(named(promise), cls)


def test_a_defense_that_says_it_is_randomised_keeps_every_promise() -> None:
    assert broken("defense", Frank) == {}


@pytest.mark.parametrize(
    "cls", [Logits, Normalising, Noisy, Secretive, Grown, Moody, Silent, Listing]
)
def test_a_bad_defense_breaks_one_promise_alone(cls: type[Defense]) -> None:
    assert len(broken("defense", cls)) == 1


def test_an_answer_of_its_own_breaks_no_promise() -> None:
    assert broken("defense", Answering) == {}


def nudge(student: nn.Module, run: Run) -> None:
    """Change the student, repeatably, and leave it in eval mode."""
    with torch.no_grad():
        for weight in student.parameters():
            weight += 0.01 * torch.randn(weight.shape, generator=run.generator)
            check_finite(float(weight.sum()), "a weight")
    student.eval()


@dataclass(frozen=True)
class Nudging(Attack[Weights, NoImages]):
    """Changes the student and nothing else."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        nudge(student, run)


@dataclass(frozen=True)
class Idle(Attack[Weights, NoImages]):
    """Does nothing."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        """Leave it."""


@dataclass(frozen=True)
class Poisonous(Attack[Weights, NoImages]):
    """Writes NaN into the student."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        with torch.no_grad():
            next(student.parameters()).fill_(float("nan"))


@dataclass(frozen=True)
class Vandal(Attack[Weights, NoImages]):
    """Changes the teacher's network."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        nudge(student, run)
        with torch.no_grad():
            next(teacher.network.parameters()).add_(1.0)


@dataclass(frozen=True)
class Reviving(Attack[Weights, TrainImages]):
    """Lets the teacher's BatchNorm statistics run on."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: TrainImages, run: Run
    ) -> None:
        nudge(student, run)
        teacher.network.train()(images.pixels)


@dataclass(frozen=True)
class Fickle(Attack[SoftLabels, SurrogateImages]):
    """Adds noise of its own to the student."""

    def steal(
        self,
        student: nn.Module,
        teacher: SoftLabels,
        images: SurrogateImages,
        run: Run,
    ) -> None:
        generator = torch.Generator()
        generator.seed()
        with torch.no_grad():
            for weight in student.parameters():
                weight += 0.01 * torch.randn(weight.shape, generator=generator)


@dataclass(frozen=True)
class Grantless(Attack):  # type: ignore[type-arg]
    """Names no grants."""

    def steal(self, student: nn.Module, teacher: Any, images: Any, run: Run) -> None:
        nudge(student, run)


@dataclass(frozen=True, kw_only=True)
class Insisting(Attack[Weights, NoImages]):
    """Has an option without a default."""

    rate: float

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        nudge(student, run)


@dataclass(frozen=True)
class Mute(Nudging):
    pass


@dataclass(frozen=True)
class Layered(Nudging):
    """Has an option that no row can hold."""

    rates: list[float] = field(default_factory=lambda: [0.1, 0.01])


@dataclass(frozen=True)
class FalseControl(Attack[HardLabels, TrainImages]):
    """Says that it never asks, and asks."""

    teacherless: ClassVar = True

    def steal(
        self, student: nn.Module, teacher: HardLabels, images: TrainImages, run: Run
    ) -> None:
        teacher(images.pixels)
        nudge(student, run)


@dataclass(frozen=True)
class Twofold(Attack[SoftLabels, TrainImages]):
    """Forgets to say which views it asks about, and asks twice."""

    def steal(
        self, student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
    ) -> None:
        nudge(student, run)
        for _ in range(2):
            teacher(images.pixels)


@dataclass(frozen=True)
class Shy(Attack[SoftLabels, TrainImages]):
    """Does not ask where it must count."""

    def steal(
        self, student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
    ) -> None:
        nudge(student, run)
        if teacher.remaining is None:
            teacher(images.pixels)


@dataclass(frozen=True)
class Exposed(Nudging):
    """Scores the student in train mode."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        student.train()
        run.checkpoint(student)
        nudge(student, run)


@dataclass(frozen=True)
class Heedless(Nudging):
    """Looks at no number."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        with torch.no_grad():
            for weight in student.parameters():
                weight += 0.01 * torch.randn(weight.shape, generator=run.generator)
        student.eval()


@pytest.mark.parametrize(
    ("cls", "promise", "complaint"),
    [
        (Idle, "trains_the_student", "weights are what they were"),
        (Poisonous, "trains_the_student", "weights are not finite"),
        (Vandal, "leaves_the_weights_alone", "of the teacher was changed"),
        (Reviving, "leaves_the_weights_alone", "running_mean of the teacher"),
        (Fickle, "steals_alike_twice", "two runs with one seed taught others"),
        (
            Grantless,
            "names_its_grants",
            "Grantless does not name its two grants: write class",
        ),
        (Insisting, "has_defaults", "needs defaults: .*rate"),
        (Mute, "documents_itself", "Mute has no docstring"),
        (Layered, "has_plain_options", "option rates is a list"),
        (Twofold, "asks_about_no_view_twice", "billed for 64 answers"),
        (Shy, "keeps_to_its_budget", "it asked about nothing"),
        (Exposed, "leaves_the_student_in_eval_mode", "in train mode"),
        (Heedless, "ends_where_numbers_end", "with a student of NaN it went on"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_attack_is_caught_by_the_promise_that_it_breaks(
    cls: type[Attack[Any, Any]], promise: str, complaint: str
) -> None:
    found = broken("attack", cls)

    assert next(iter(found)) == promise
    with pytest.raises(BadPlugin, match=complaint):
        contract.kept(named(promise), cls)


@pytest.mark.parametrize("cls", [Vandal, Mute, Layered, Shy, Exposed, Heedless])
def test_a_bad_attack_breaks_one_promise_alone(cls: type[Attack[Any, Any]]) -> None:
    assert len(broken("attack", cls)) == 1


def test_an_attack_that_changes_the_student_alone_breaks_no_promise() -> None:
    assert broken("attack", Nudging) == {}


@dataclass(frozen=True)
class Stubborn(Attack[SoftLabels, TrainImages]):
    """Asks on after it was refused."""

    def steal(
        self, student: nn.Module, teacher: SoftLabels, images: TrainImages, run: Run
    ) -> None:
        nudge(student, run)
        for image in images.pixels.split(4):
            try:
                teacher(image)
            except BudgetExhausted:
                continue


def test_an_attack_that_overspends_is_stopped() -> None:
    with pytest.raises(BudgetExhausted, match="32 images with 10 left"):
        tiny.Theft(Twofold, budget=10)


def test_a_control_that_says_it_never_asks_gets_no_answer() -> None:
    with pytest.raises(BudgetExhausted, match="32 images with 0 left"):
        contract.kept(named("trains_the_student"), FalseControl)


def test_an_attack_that_asks_on_gets_no_answer_beyond_its_budget() -> None:
    theft = tiny.Theft(Stubborn, budget=10)

    assert broken("attack", Stubborn) == {}
    assert (theft.ledger.queries, theft.grant.remaining) == (8, 2)


@dataclass(frozen=True)
class Exploding(Attack[Weights, NoImages]):
    """Ends as diverged."""

    def steal(
        self, student: nn.Module, teacher: Weights, images: NoImages, run: Run
    ) -> None:
        raise Diverged("the loss became nan")


def test_a_task_that_stops_by_itself_says_how_it_ended() -> None:
    with pytest.raises(Diverged, match="the loss became nan"):
        contract.kept(named("trains_the_student"), Exploding)


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("nasty", "defense", "NastyTeacher"),
        ("kd", "attack", "VanillaKD"),
        ("defenses.none:NoDefense", "defense", "NoDefense"),
        ("attacks.dafl:DAFL", "attack", "DAFL"),
    ],
)
def test_a_plugin_is_found_with_its_kind(spec: str, kind: str, name: str) -> None:
    found, cls = contract.find(spec)

    assert found == kind
    assert cls.__name__ == name
