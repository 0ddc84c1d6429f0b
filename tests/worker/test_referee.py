"""Every metric against a naive second implementation, and the referee's manners."""

from __future__ import annotations

from math import exp, inf, isnan, log, nan

import pytest
import torch
from torch import Tensor, nn

from bench.data import PLAIN, Dataset, Images
from bench.errors import BadPlugin, Diverged
from bench.plugins.base import Released
from bench.results.scores import TeacherScores
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


def test_accuracy_is_the_share_of_right_first_guesses() -> None:
    given, right = replies(50, 0).tolist(), labels(50).tolist()

    hits = 0
    for row, label in zip(given, right, strict=True):
        hits += row.index(max(row)) == label

    assert accuracy(torch.tensor(given), torch.tensor(right)) == pytest.approx(
        hits / 50
    )


def test_agreement_is_the_share_of_equal_first_guesses() -> None:
    first, second = replies(50, 0), replies(50, 1)

    same = 0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        same += a.index(max(a)) == b.index(max(b))

    assert agreement(first, second) == pytest.approx(same / 50)
    assert agreement(first, second) == agreement(second, first)
    assert agreement(first, first) == 1


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


def test_divergence_has_a_direction() -> None:
    teacher = torch.tensor([[0.9, 0.1]]).log()
    student = torch.tensor([[0.5, 0.5]]).log()

    forth = 0.9 * log(0.9 / 0.5) + 0.1 * log(0.1 / 0.5)
    back = 0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1)

    assert divergence(teacher, student) == pytest.approx(forth, rel=1e-5)
    assert divergence(student, teacher) == pytest.approx(back, rel=1e-5)


def test_a_class_that_the_teacher_rules_out_adds_no_divergence() -> None:
    teacher = torch.tensor([[0.0, -inf, -inf], [log(0.5), log(0.5), -inf]])
    student = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]).log()

    expected = (log(1 / 0.5) + 0.5 * log(0.5 / 0.5) + 0.5 * log(0.5 / 0.25)) / 2

    assert divergence(teacher, student) == pytest.approx(expected, rel=1e-5)


def test_a_class_that_both_rule_out_adds_no_divergence() -> None:
    both = torch.tensor([[0.0, -inf]])

    assert divergence(both, both) == 0


def test_a_class_that_the_student_alone_rules_out_is_infinitely_far() -> None:
    teacher = torch.tensor([[0.5, 0.5]]).log()
    student = torch.tensor([[0.0, -inf]])

    assert divergence(teacher, student) == inf


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


def test_the_calibration_error_has_fifteen_bins_as_in_the_paper() -> None:
    assert BINS == 15


def test_replies_are_normalised_log_probabilities(
    referee: Referee, dataset: Dataset
) -> None:
    net = network(0)

    found = referee.replies(net, "it")

    with torch.no_grad():
        expected = net(dataset.test.pixels.float() / 255).log_softmax(dim=1)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(11))


def test_replies_do_not_depend_on_the_size_of_the_batch(
    referee: Referee, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(0)
    whole = referee.replies(net, "it")
    monkeypatch.setattr(Images, "at_once", lambda *_: 3)

    parts = referee.replies(net, "it")

    assert referee.batch == 3
    torch.testing.assert_close(parts, whole)


def test_replies_track_no_gradients(referee: Referee) -> None:
    net = network(0)

    assert not referee.network(net).requires_grad
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("value", [nan, inf])
def test_replies_without_a_meaning_are_a_divergence(
    referee: Referee, value: float
) -> None:
    with pytest.raises(Diverged, match=r"^the student replies with NaN$"):
        referee.network(Constant(value), "the student")


def test_every_score_of_nan_replies_raises(referee: Referee) -> None:
    sick, well = Constant(nan), network(0)

    with pytest.raises(Diverged, match="the teacher"):
        referee.teacher(sick)
    with pytest.raises(Diverged, match="the released teacher"):
        referee.released(Released(sick), None, referee.network(well))
    with pytest.raises(Diverged, match="the student"):
        referee.student(sick, Released(well))


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


def test_a_point_of_the_curve_is_nan_where_the_network_is(referee: Referee) -> None:
    assert isnan(referee.point(Constant(nan)))


def test_a_point_of_the_curve_is_the_accuracy(
    referee: Referee, dataset: Dataset
) -> None:
    net = network(0)

    assert referee.point(net) == accuracy(referee.network(net), dataset.test.labels)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_a_network_is_put_back(referee: Referee, training: bool) -> None:
    net = network(0).train(training)

    referee.network(net)

    assert [m.training for m in net.modules()] == [training] * 4


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_put_back_after_a_divergence(
    referee: Referee, training: bool
) -> None:
    sick = Constant(nan).train(training)

    with pytest.raises(Diverged):
        referee.network(sick)

    assert sick.training is training


def test_a_network_whose_batchnorm_is_held_still_stays_so(referee: Referee) -> None:
    net = network(0).train()
    net[0].eval()

    referee.point(net)

    assert [m.training for m in net] == [False, True, True]


def test_a_network_is_scored_in_eval_mode_and_not_changed(referee: Referee) -> None:
    net = network(0)
    still = referee.network(net)
    before = {k: v.clone() for k, v in net.state_dict().items()}

    scored = referee.network(net.train())

    assert torch.equal(scored, still)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_a_teacher_is_scored_by_accuracy_and_calibration(
    referee: Referee, dataset: Dataset
) -> None:
    net = network(0)
    own = referee.network(net)

    assert referee.teacher(net) == TeacherScores(
        accuracy=accuracy(own, dataset.test.labels),
        calibration_error=calibration_error(own, dataset.test.labels),
    )


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

    assert vars(found) == pytest.approx(
        {
            "accuracy": accuracy(replied, truth),
            "network_accuracy": accuracy(referee.network(leaked), truth),
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

    assert vars(found) == pytest.approx(
        {
            "accuracy": accuracy(own, dataset.test.labels),
            "fidelity": agreement(own, taught),
            "kl": divergence(taught, own),
            "best_accuracy": 0.5,
            "queries": 7,
            "samples": None,
        }
    )


def test_a_perfect_copy_has_fidelity_one_and_no_divergence(referee: Referee) -> None:
    teacher = network(0)

    found = referee.student(teacher, Released(teacher))

    assert found.fidelity == 1
    assert found.kl == pytest.approx(0, abs=1e-6)
