"""The oracles and the weights: what is counted, what is denied."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.data import PLAIN, Augmentation, Images, ViewPlan
from bench.errors import BudgetExhausted, Denied
from bench.threat.grants import HardLabels, SoftLabels, Weights
from bench.threat.images import NoImages, SurrogateImages, TrainImages
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
    ledger.spend(2)
    with pytest.raises(BudgetExhausted, match="asked about 1 images with 0 left"):
        ledger.spend(1)

    assert ledger.queries == 5


def test_a_refused_request_books_nothing() -> None:
    ledger = Ledger(budget=5, queries=3)

    with pytest.raises(BudgetExhausted, match="asked about 3 images with 2 left"):
        ledger.spend(3)

    assert ledger.queries == 3


def test_answers_are_booked_before_they_are_given() -> None:
    ledger = Ledger(budget=10)

    def crash(_: Tensor) -> Tensor:
        raise RuntimeError(f"booked {ledger.queries}")

    teacher = SoftLabels(crash, ledger)
    with pytest.raises(RuntimeError, match="booked 4"):
        teacher(pictures(4))

    assert ledger.queries == 4


def test_it_stops_before_it_overspends(service: Service) -> None:
    ledger = Ledger(budget=5)
    teacher = SoftLabels(service, ledger)

    teacher(pictures(4))
    with pytest.raises(BudgetExhausted):
        teacher(pictures(2))

    assert ledger.queries == 4
    assert len(service.asked) == 1


def test_remaining_is_what_the_budget_leaves_down_to_the_last_image(
    service: Service,
) -> None:
    teacher, endless = SoftLabels(service, Ledger(5)), SoftLabels(service, Ledger())
    left = [teacher.remaining]

    for count in (4, 1):
        assert teacher(pictures(count)).shape == (count, CLASSES)
        assert endless(pictures(count)).shape == (count, CLASSES)
        left.append(teacher.remaining)

    assert left == [5, 1, 0]
    assert endless.remaining is None


def test_a_budget_of_zero_answers_nothing(service: Service) -> None:
    teacher = HardLabels(service, Ledger(budget=0))

    with pytest.raises(BudgetExhausted):
        teacher(pictures(1))

    assert service.asked == []


def test_soft_labels_are_the_services_log_probabilities(service: Service) -> None:
    shown = pictures(6)

    replies = SoftLabels(service, Ledger())(shown)

    torch.testing.assert_close(replies, service(shown))
    torch.testing.assert_close(replies.exp().sum(dim=1), torch.ones(6))
    assert not replies.requires_grad


def test_hard_labels_are_the_class_indices_alone(service: Service) -> None:
    shown = pictures(6)

    replies = HardLabels(service, Ledger())(shown)

    assert replies.dtype == torch.int64
    assert replies.shape == (6,)
    assert torch.equal(replies, service(shown).argmax(dim=1))


def known(service: Service, count: int = 10) -> Replies:
    """What `service` says to the plain views of `images(count)`."""
    return Replies(service, images(count), PLAIN)


def test_the_same_image_without_a_view_is_paid_for_each_time(service: Service) -> None:
    ledger = Ledger()
    teacher = SoftLabels(service, ledger, known(service))

    teacher(pictures(3))
    teacher(pictures(3))

    assert ledger.queries == 6


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


def test_only_new_views_of_a_batch_are_paid_for(service: Service) -> None:
    ledger = Ledger()
    teacher = SoftLabels(service, ledger, known(service))
    shown = images().as_float()

    teacher(shown[:4], torch.tensor([0, 1, 2, 3]))
    replies = teacher(shown[2:6], torch.tensor([2, 3, 4, 5]))

    assert ledger.queries == 6
    assert torch.equal(replies, service(shown[2:6]))


def test_one_new_view_too_many_is_refused_and_nothing_is_learnt(
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
    teacher(shown[:4], torch.tensor([0, 1, 2, 3]))
    teacher(shown[4:5], torch.tensor([4]))
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


def test_a_view_is_answered_as_it_was_augmented(service: Service) -> None:
    augment, ledger = Augmentation(pad=1, flip=True), Ledger()
    dealt = TrainImages(images(6), augment)
    teacher = SoftLabels(service, ledger, Replies(service, images(6), augment))

    for batch in dealt.batches(4, generator()):
        replies = teacher(torch.zeros_like(batch.pixels), batch.view)
        torch.testing.assert_close(replies, service(batch.pixels))

    assert ledger.queries == 6


def test_a_randomised_service_is_paid_for_every_view_each_time(
    service: Service,
) -> None:
    ledger = Ledger()
    teacher = SoftLabels(service, ledger, None)
    shown, view = images(3).as_float(), torch.arange(3)

    teacher(shown, view)
    teacher(shown, view)

    assert ledger.queries == 6
    assert [len(asked) for asked in service.asked] == [3, 3]


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


@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
def test_an_image_with_gradients_is_denied_and_not_counted(
    grant: type[SoftLabels] | type[HardLabels], service: Service
) -> None:
    ledger = Ledger()
    shown = pictures(2).requires_grad_()

    with pytest.raises(Denied, match="no gradient passes a label oracle"):
        grant(service, ledger)(shown)

    assert ledger.queries == 0
    assert service.asked == []


def test_weights_are_a_private_copy() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES))
    before = network[1].weight.detach().clone()

    grant = Weights(network)
    for tensor in grant.network.state_dict().values():
        tensor.zero_()

    assert grant.network is not network
    assert torch.equal(network[1].weight, before)


def test_weights_are_frozen_in_eval_mode_and_the_original_is_not() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()

    grant = Weights(network)

    assert not any(module.training for module in grant.network.modules())
    assert not any(p.requires_grad for p in grant.network.parameters())
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())


def test_gradients_reach_images_through_weights() -> None:
    grant = Weights(nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES)))
    shown = pictures(2).requires_grad_()

    grant.network(shown)[:, 0].sum().backward()

    expected = grant.network[1].weight[0].view(1, 2, 2).expand(2, 1, 2, 2)
    torch.testing.assert_close(shown.grad, expected)
    assert all(p.grad is None for p in grant.network.parameters())


def test_weights_show_batchnorm_statistics() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1))
    network(pictures(8))

    grant = Weights(network)

    assert torch.equal(grant.network[0].running_mean, network[0].running_mean)


def test_views_dealt_by_a_grant_index_the_memory_of_an_oracle(
    service: Service,
) -> None:
    dealt = TrainImages(images(6), Augmentation(pad=1))
    ledger = Ledger()
    known = Replies(service, images(6), Augmentation(pad=1))
    teacher = SoftLabels(service, ledger, known)

    seen: set[int] = set()
    for seed in range(10):
        for batch in dealt.batches(4, generator(seed)):
            teacher(batch.pixels, batch.view)
            seen |= set(batch.view.tolist())

    assert ledger.queries == len(seen) < 60


def test_grants_say_what_they_are() -> None:
    assert [g.grant.value for g in (Weights, SoftLabels, HardLabels)] == [
        "Weights",
        "SoftLabels",
        "HardLabels",
    ]
    assert TrainImages.grant.value == "TrainImages"
    assert SurrogateImages.grant.value == "SurrogateImages"
    assert NoImages.grant.value == "NoImages"
