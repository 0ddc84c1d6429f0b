"""The oracles and the weights: what is counted, what is denied."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.data import PLAIN, Augmentation, Images, ViewPlan
from bench.errors import BudgetExhausted
from bench.threat.grants import HardLabels, SoftLabels, Weights
from bench.threat.images import TrainImages
from bench.threat.ledger import Ledger
from bench.threat.replies import Replies, Shelf

CLASSES = 3


class Service:
    """Answers as a fixed linear network would, and remembers what it was asked."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES))
        self.asked: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.asked.append(images)
        replies: Tensor = self.network(images).log_softmax(dim=1)
        return replies


@pytest.fixture
def service() -> Service:
    return Service()


def pictures(count: int, seed: int = 0) -> Tensor:
    """`(count, 1, 2, 2)` in [0, 1]."""
    return torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


def images(count: int = 10) -> Images:
    """Images that all differ, labelled 0, 1, 2, 0, ..."""
    pixels = torch.arange(count * 4, dtype=torch.uint8).view(count, 1, 2, 2)
    return Images(pixels, torch.arange(count) % CLASSES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_ledger_books_up_to_its_budget_and_nothing_beyond() -> None:
    ledger = Ledger(budget=5)

    ledger.spend(3)
    with pytest.raises(BudgetExhausted, match="asked about 3 images with 2 left"):
        ledger.spend(3)
    ledger.spend(2)
    with pytest.raises(BudgetExhausted, match="asked about 1 images with 0 left"):
        ledger.spend(1)

    assert ledger.queries == 5


def test_answers_are_booked_before_they_are_given() -> None:
    ledger = Ledger(budget=10)

    def crash(_: Tensor) -> Tensor:
        raise RuntimeError(f"booked {ledger.queries}")

    teacher = SoftLabels(crash, ledger)
    with pytest.raises(RuntimeError, match="booked 4"):
        teacher(pictures(4))

    assert ledger.queries == 4


def test_it_answers_down_to_the_last_image_and_never_overspends(
    service: Service,
) -> None:
    teacher, endless = SoftLabels(service, Ledger(5)), SoftLabels(service, Ledger())
    left = [teacher.remaining]

    for count in (4, 1):
        assert teacher(pictures(count)).shape == (count, CLASSES)
        assert endless(pictures(count)).shape == (count, CLASSES)
        left.append(teacher.remaining)
        with pytest.raises(BudgetExhausted):
            teacher(pictures(2))

    assert left == [5, 1, 0]
    assert endless.remaining is None
    assert len(service.asked) == 4


def test_labels_are_the_services_log_probabilities_or_the_first_choice_alone(
    service: Service,
) -> None:
    shown = pictures(6)

    soft, hard = (g(service, Ledger())(shown) for g in (SoftLabels, HardLabels))

    torch.testing.assert_close(soft, service(shown))
    torch.testing.assert_close(soft.exp().sum(dim=1), torch.ones(6))
    assert not soft.requires_grad
    assert (hard.dtype, hard.shape) == (torch.int64, (6,))
    assert torch.equal(hard, service(shown).argmax(dim=1))


def known(service: Service, count: int = 10) -> Replies:
    """What `service` says to the plain views of `images(count)`."""
    return Replies(service, images(count), PLAIN)


@pytest.mark.parametrize("randomised", [True, False])
def test_without_a_view_or_a_memory_every_image_is_paid_for_each_time(
    randomised: bool, service: Service
) -> None:
    ledger = Ledger()
    teacher = SoftLabels(service, ledger, None if randomised else known(service))
    view = torch.arange(3) if randomised else None

    for _ in range(2):
        teacher(images(3).as_float(), view)

    assert ledger.queries == 6
    assert [len(asked) for asked in service.asked] == [3, 3]


@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
def test_a_known_view_is_free_and_gets_the_identical_reply(
    grant: type[SoftLabels] | type[HardLabels], service: Service
) -> None:
    ledger = Ledger(budget=4)
    teacher = grant(service, ledger, known(service))
    view = torch.tensor([7, 2, 5, 0])
    shown = images().as_float()[view]

    first = teacher(shown, view)
    again = teacher(shown.flip(0), view.flip(0))

    assert torch.equal(again.flip(0), first)
    assert ledger.queries == 4


def test_only_new_views_are_paid_for_and_one_too_many_is_refused_unlearnt(
    service: Service,
) -> None:
    ledger = Ledger(budget=5)
    teacher = SoftLabels(service, ledger, known(service))
    shown = images().as_float()
    teacher(shown[:4], torch.tensor([0, 1, 2, 3]))
    asked = len(service.asked)

    with pytest.raises(BudgetExhausted, match="asked about 2 images with 1 left"):
        teacher(shown[2:6], torch.tensor([2, 3, 4, 5]))

    assert len(service.asked) == asked
    replies = teacher(shown[2:5], torch.tensor([2, 3, 4]))
    assert torch.equal(replies, service(shown[2:5]))
    assert ledger.queries == 5
    with pytest.raises(BudgetExhausted, match="asked about 1 images with 0 left"):
        teacher(shown[5:6], torch.tensor([5]))


def test_duplicates_of_one_view_in_a_batch_count_once(service: Service) -> None:
    ledger = Ledger(budget=2)
    teacher = SoftLabels(service, ledger, known(service))
    view = torch.tensor([4, 9, 4, 4])
    shown = images().as_float()[view]

    replies = teacher(shown, view)

    assert ledger.queries == 2
    assert torch.equal(replies[0], replies[2])
    assert torch.equal(replies[0], replies[3])
    torch.testing.assert_close(replies, service(shown))


@pytest.mark.parametrize("paid", [False, True])
@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
def test_naming_a_view_gets_no_answer_about_other_pixels(
    grant: type[SoftLabels] | type[HardLabels], paid: bool, service: Service
) -> None:
    teacher = grant(service, Ledger(), known(service))
    view = torch.arange(10)
    if paid:
        teacher(images().as_float(), view)
    honest = SoftLabels(service, Ledger())(images().as_float())
    service.asked.clear()
    smuggled = pictures(10, seed=5)

    replies = teacher(smuggled, view)

    truth = honest if grant is SoftLabels else honest.argmax(dim=1)
    assert torch.equal(replies, truth)
    assert not torch.allclose(honest, service(smuggled))
    shown = torch.cat(service.asked[:-1])  # the last is the line above
    assert torch.equal(shown, images().as_float())


def test_a_view_is_answered_as_it_was_augmented_and_paid_for_once(
    service: Service,
) -> None:
    augment, ledger = Augmentation(pad=1, flip=True), Ledger()
    dealt = TrainImages(images(6), augment)
    teacher = SoftLabels(service, ledger, Replies(service, images(6), augment))
    seen: set[int] = set()

    for seed in range(10):
        for batch in dealt.batches(4, generator(seed)):
            replies = teacher(torch.zeros_like(batch.pixels), batch.view)
            torch.testing.assert_close(replies, service(batch.pixels))
            seen |= set(batch.view.tolist())

    assert ledger.queries == len(seen) < 60


@pytest.mark.parametrize("view", [10, -11])
def test_a_view_that_does_not_exist_is_not_answered(
    view: int, service: Service
) -> None:
    ledger = Ledger()
    teacher = SoftLabels(service, ledger, known(service))

    with pytest.raises(IndexError):
        teacher(pictures(1), torch.tensor([view]))

    assert ledger.queries == 0
    assert service.asked == []


def test_changing_a_reply_does_not_change_what_is_remembered(
    service: Service, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path, ViewPlan(PLAIN, seed=0), horizon=1, classes=CLASSES)
    replies = Replies(service, images(3), PLAIN, shelf)
    teacher = SoftLabels(service, Ledger(), replies)
    shown, view = images(3).as_float(), torch.arange(3)

    first = teacher(shown, view)
    kept = first.clone()
    first.zero_()

    assert torch.equal(teacher(shown, view), kept)
    assert len(service.asked) == 1


@pytest.mark.parametrize("view", [None, torch.empty(0, dtype=torch.long)])
def test_a_batch_of_nothing_is_answered_with_nothing(
    view: Tensor | None, service: Service
) -> None:
    ledger = Ledger(budget=0)

    replies = SoftLabels(service, ledger, known(service, 3))(pictures(0), view)

    assert replies.shape == (0, CLASSES)
    assert ledger.queries == 0


def test_weights_are_a_private_frozen_copy_in_eval_mode() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, CLASSES))
    network(pictures(8))
    before = deepcopy(network.state_dict())

    grant = Weights(network)

    shown = grant.network.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in shown.items())
    assert not any(module.training for module in grant.network.modules())
    assert not any(p.requires_grad for p in grant.network.parameters())
    for tensor in shown.values():
        tensor.zero_()
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())


def test_gradients_reach_images_through_weights() -> None:
    grant = Weights(nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES)))
    shown = pictures(2).requires_grad_()

    grant.network(shown)[:, 0].sum().backward()

    expected = grant.network[1].weight[0].view(1, 2, 2).expand(2, 1, 2, 2)
    torch.testing.assert_close(shown.grad, expected)
