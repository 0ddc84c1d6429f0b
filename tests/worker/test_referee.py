"""Every metric against a naive second implementation, and the referee's manners."""

from __future__ import annotations

from math import exp, inf, isnan, log, nan

import pytest
import torch
from torch import Tensor, nn

from bench.data import PLAIN, Dataset, Images
from bench.errors import BadPlugin, Diverged
from bench.plugins.base import Released
from bench.worker.metrics import (
    BINS,
    accuracy,
    agreement,
    calibration_error,
    divergence,
)
from bench.worker.referee import Referee

CLASSES = 4


def replies(count: int, seed: int, sharpness: float = 2.0) -> Tensor:
    """Random log-probabilities `(count, CLASSES)`."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, CLASSES, generator=generator) * sharpness
    return logits.log_softmax(dim=1)


def labels(count: int, seed: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(CLASSES, (count,), generator=generator)


@pytest.fixture
def dataset() -> Dataset:
    """Eleven test images of four pixels."""
    pixels = torch.randint(
        256, (11, 1, 2, 2), generator=torch.Generator().manual_seed(1)
    )
    images = Images(pixels.to(torch.uint8), labels(11))
    empty = Images(images.pixels[:0], images.labels[:0])
    return Dataset("tiny", tuple("abcd"), empty, images, PLAIN, (0.0,), (1.0,))


@pytest.fixture
def referee(dataset: Dataset) -> Referee:
    return Referee(dataset, torch.device("cpu"))


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, CLASSES)).eval()


class Constant(nn.Module):
    """Replies with one number for everything."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: Tensor) -> Tensor:
        return torch.full((len(images), CLASSES), self.value)


def test_accuracy_and_agreement_are_shares_of_equal_first_guesses() -> None:
    one, other, right = replies(50, 0), replies(50, 1), labels(50)

    first, second = ([row.index(max(row)) for row in r.tolist()] for r in (one, other))
    hits = sum(a == b for a, b in zip(first, right.tolist(), strict=True))
    same = sum(a == b for a, b in zip(first, second, strict=True))

    assert accuracy(one, right) == pytest.approx(hits / 50)
    assert agreement(one, other) == agreement(other, one) == pytest.approx(same / 50)
    assert agreement(one, one) == 1


def test_divergence_is_the_mean_kl_in_nats() -> None:
    teacher, student = replies(20, 0), replies(20, 1)

    total = 0.0
    for p_row, q_row in zip(teacher.tolist(), student.tolist(), strict=True):
        for log_p, log_q in zip(p_row, q_row, strict=True):
            p, q = exp(log_p), exp(log_q)
            total += p * log(p / q)

    assert divergence(teacher, student) == pytest.approx(total / 20, rel=1e-4)
    assert divergence(teacher, student) > 0
    assert divergence(teacher, teacher) == 0


def test_a_class_adds_no_divergence_unless_the_student_alone_rules_it_out() -> None:
    teacher = torch.tensor([[0.0, -inf, -inf], [log(0.5), log(0.5), -inf]])
    student = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]).log()

    expected = (log(1 / 0.5) + 0.5 * log(0.5 / 0.5) + 0.5 * log(0.5 / 0.25)) / 2

    assert divergence(teacher, student) == pytest.approx(expected, rel=1e-5)
    assert divergence(teacher, teacher) == 0
    assert divergence(student, teacher) == inf


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_the_weighted_gap_of_all_bins(seed: int) -> None:
    log_probs, right = replies(200, seed), labels(200, seed + 10)

    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for row, label in zip(log_probs.exp().tolist(), right.tolist(), strict=True):
        confidence = max(row)
        place = min(int(confidence * BINS), BINS - 1)
        bins[place].append((confidence, row.index(confidence) == label))
    error = 0.0
    for held in bins:
        if held:
            confidence = sum(c for c, _ in held) / len(held)
            hits = sum(h for _, h in held) / len(held)
            error += len(held) / 200 * abs(confidence - hits)

    assert calibration_error(log_probs, right) == pytest.approx(error, abs=1e-5)


def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not() -> None:
    certain = torch.tensor([[0.0, -inf]] * 3)

    assert calibration_error(certain, torch.tensor([0, 0, 0])) == 0
    assert calibration_error(certain, torch.tensor([1, 1, 1])) == 1
    assert BINS == 15, "as in the paper"


@pytest.mark.parametrize("size", [3, 1000])
def test_replies_are_normalised_log_probabilities_whatever_the_size_of_the_batch(
    referee: Referee, dataset: Dataset, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "at_once", lambda *_: size)
    net = network(0)

    found = referee.network(net, "it")

    assert referee.batch == size and not found.requires_grad
    with torch.no_grad():
        expected = net(dataset.test.pixels.float() / 255).log_softmax(dim=1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(11))
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("value", [nan, inf])
def test_replies_without_a_meaning_are_a_divergence_and_no_point_of_a_curve(
    referee: Referee, dataset: Dataset, value: float
) -> None:
    sick, well = Constant(value), network(0)

    with pytest.raises(Diverged, match=r"^the teacher replies with NaN$"):
        referee.teacher(sick)
    with pytest.raises(Diverged, match="the released teacher"):
        referee.released(Released(sick), None, referee.network(well))
    with pytest.raises(Diverged, match="the student"):
        referee.student(sick, Released(well))
    assert isnan(referee.point(sick))
    assert referee.point(well) == accuracy(referee.network(well), dataset.test.labels)


def test_one_nan_among_good_replies_is_enough(
    referee: Referee, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(0)
    monkeypatch.setattr(Images, "at_once", lambda *_: 4)

    def ask(images: Tensor) -> Tensor:
        logits: Tensor = net(images).clone()
        logits[-1, 0] = nan
        return logits

    with pytest.raises(Diverged):
        referee.replies(ask, "it")


def test_replies_of_another_shape_are_the_plugins_mistake(referee: Referee) -> None:
    with pytest.raises(
        BadPlugin, match=r"the student replies \(11, 5\).*not \(11, 4\)"
    ):
        referee.replies(lambda images: torch.zeros(len(images), 5), "the student")


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_scored_in_eval_mode_and_left_as_it_was(
    referee: Referee, training: bool
) -> None:
    net, sick = network(0), Constant(nan).train(training)
    still = referee.network(net)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.train(training)
    net[0].eval()

    scored = referee.network(net)
    with pytest.raises(Diverged):
        referee.network(sick)

    assert torch.equal(scored, still)
    assert [m.training for m in net] == [False, training, training]
    assert (net.training, sick.training) == (training, training)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def told(found: object) -> dict[str, object]:
    """What was measured, without what was answered to each image."""
    hidden = {"predictions", "correct"}
    return {k: v for k, v in vars(found).items() if k not in hidden and v is not None}


def test_a_teacher_is_scored_by_accuracy_and_calibration(
    referee: Referee, dataset: Dataset
) -> None:
    net, labels = network(0), dataset.test.labels
    own = referee.network(net)

    found = referee.teacher(net)

    assert told(found) == {
        "accuracy": accuracy(own, labels),
        "calibration_error": calibration_error(own, labels),
        "constant": max(labels.tolist().count(k) for k in range(10)) / len(labels),
    }
    assert found.predictions == bytes(own.argmax(dim=1).tolist())
    bits = "".join(f"{byte:08b}" for byte in found.correct or b"")[: len(labels)]
    assert bits == "".join(str(int(r)) for r in own.argmax(dim=1) == labels)


def test_a_release_is_scored_by_its_replies_and_by_what_leaks(
    referee: Referee, dataset: Dataset
) -> None:
    class Reverse(nn.Module):
        """Answers with the classes in the opposite order."""

        def forward(self, images: Tensor, log_probs: Tensor) -> Tensor:
            return log_probs.flip(1)

    leaked, teacher, truth = network(1), network(0), dataset.test.labels
    replied = referee.network(leaked).flip(1)

    before = referee.network(teacher)
    found = referee.released(Released(leaked, Reverse()), None, before)

    assert told(found) == pytest.approx(
        {
            "accuracy": accuracy(replied, truth),
            "network_accuracy": accuracy(referee.network(leaked), truth),
            "network_agreement": agreement(replied, referee.network(leaked)),
            "fidelity": agreement(replied, referee.network(teacher)),
            "calibration_error": calibration_error(replied, truth),
        }
    )
    assert found.accuracy != found.network_accuracy


def test_a_student_is_scored_against_labels_and_against_its_released_teacher(
    referee: Referee, dataset: Dataset
) -> None:
    student, teacher = network(1), network(0)
    own, taught = referee.network(student), referee.network(teacher)

    found = referee.student(student, Released(teacher), queries=7, best_accuracy=0.5)

    assert told(found) == pytest.approx(
        {
            "accuracy": accuracy(own, dataset.test.labels),
            "chosen": "{}",
            "fidelity": agreement(own, taught),
            "kl": divergence(taught, own),
            "best_accuracy": 0.5,
            "queries": 7,
        }
    )
