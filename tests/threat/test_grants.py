"""The grants: what they count, what they deny, and what they deal."""

from __future__ import annotations

import copy
import pickle
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


def test_a_ledger_without_a_budget_counts_without_end() -> None:
    ledger = Ledger()

    ledger.spend(10**9)

    assert ledger.queries == 10**9


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


def test_a_budget_can_be_spent_to_the_last_image(service: Service) -> None:
    teacher = SoftLabels(service, Ledger(budget=5))

    teacher(pictures(4))
    last = teacher(pictures(1))

    assert last.shape == (1, CLASSES)
    assert teacher.remaining == 0


def test_a_budget_of_zero_answers_nothing(service: Service) -> None:
    teacher = HardLabels(service, Ledger(budget=0))

    with pytest.raises(BudgetExhausted):
        teacher(pictures(1))

    assert service.asked == []


def test_remaining_is_what_the_budget_leaves(service: Service) -> None:
    teacher = SoftLabels(service, Ledger(budget=7))

    before = teacher.remaining
    teacher(pictures(3))

    assert (before, teacher.remaining) == (7, 4)


def test_remaining_is_none_without_a_budget(service: Service) -> None:
    teacher = SoftLabels(service, Ledger())

    teacher(pictures(3))

    assert teacher.remaining is None


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


def test_a_budget_for_new_views_alone_is_enough(service: Service) -> None:
    teacher = SoftLabels(service, Ledger(budget=6), known(service))
    shown = images().as_float()

    teacher(shown[:4], torch.tensor([0, 1, 2, 3]))
    teacher(shown[2:6], torch.tensor([2, 3, 4, 5]))

    assert teacher.remaining == 0


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


def test_known_views_are_answered_after_the_budget_is_spent(service: Service) -> None:
    teacher = SoftLabels(service, Ledger(budget=3), known(service, 3))
    shown, view = images(3).as_float(), torch.arange(3)

    first = teacher(shown, view)
    again = teacher(shown, view)

    assert teacher.remaining == 0
    assert torch.equal(first, again)


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


def test_one_view_buys_one_reply_whatever_pixels_come_with_it(
    service: Service,
) -> None:
    teacher = SoftLabels(service, Ledger(budget=1), known(service))

    replies = teacher(pictures(5), torch.full((5,), 3))

    assert len(replies.unique(dim=0)) == 1


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


@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
@pytest.mark.parametrize("smuggle", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_oracle_can_be_neither_pickled_nor_copied(
    grant: type[SoftLabels] | type[HardLabels], smuggle: object, service: Service
) -> None:
    teacher = grant(service, Ledger())

    assert callable(smuggle)
    with pytest.raises(Denied, match="stays in the process"):
        smuggle(teacher)


@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
def test_no_public_attribute_of_an_oracle_leads_to_the_network(
    grant: type[SoftLabels] | type[HardLabels], service: Service
) -> None:
    teacher = grant(service, Ledger(budget=3), known(service, 5))

    public = {name for name in dir(teacher) if not name.startswith("_")}

    assert public == {"grant", "remaining"}
    assert not hasattr(teacher, "__dict__")


@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
def test_an_oracle_takes_no_new_attributes_and_no_new_budget(
    grant: type[SoftLabels] | type[HardLabels], service: Service
) -> None:
    teacher = grant(service, Ledger(budget=3))

    with pytest.raises(AttributeError):
        teacher.network = None  # type: ignore[union-attr]
    with pytest.raises(AttributeError):
        teacher.remaining = 99  # type: ignore[misc]

    assert teacher.remaining == 3


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


@pytest.mark.parametrize("grant", [TrainImages, SurrogateImages])
def test_image_grants_show_all_pixels_as_floats_between_zero_and_one(
    grant: type[TrainImages] | type[SurrogateImages],
) -> None:
    owned = images(10)

    dealt = grant(owned, Augmentation(pad=1))

    assert len(dealt) == 10
    assert dealt.pixels.dtype == torch.float32
    assert torch.equal((dealt.pixels * 255).round().to(torch.uint8), owned.pixels)


@pytest.mark.parametrize(
    ("augment", "views"),
    [
        (Augmentation(), 10),
        (Augmentation(flip=True), 20),
        (Augmentation(pad=1), 90),
        (Augmentation(pad=4, flip=True), 1620),
    ],
)
def test_an_image_grant_knows_how_many_views_it_can_deal(
    augment: Augmentation, views: int
) -> None:
    assert TrainImages(images(10), augment).views == views
    assert SurrogateImages(images(10), augment).views == views


@pytest.mark.parametrize("grant", [TrainImages, SurrogateImages])
@pytest.mark.parametrize("size", [2, 3, 4, 10, 64])
def test_batches_of_an_epoch_cover_every_image_once(
    grant: type[TrainImages] | type[SurrogateImages], size: int
) -> None:
    augment = Augmentation(pad=1, flip=True)
    dealt = grant(images(12), augment)

    batches = list(dealt.batches(size, generator()))

    rows = torch.cat([batch.view for batch in batches]) // augment.codes
    assert rows.sort().values.tolist() == list(range(12))
    assert [len(b.pixels) for b in batches[:-1]] == [size] * (len(batches) - 1)


def test_every_view_is_below_the_number_of_views() -> None:
    dealt = TrainImages(images(10), Augmentation(pad=1, flip=True))

    batches = [b for seed in range(20) for b in dealt.batches(5, generator(seed))]

    views = torch.cat([batch.view for batch in batches])
    assert 0 <= int(views.min()) <= int(views.max()) < dealt.views


def test_train_images_are_dealt_with_their_own_labels() -> None:
    owned = images(10)
    dealt = TrainImages(owned)

    for batch in dealt.batches(4, generator()):
        assert torch.equal(batch.labels, owned.labels[batch.view])
        assert torch.equal(batch.pixels, owned.as_float()[batch.view])
    assert torch.equal(dealt.labels, owned.labels)


def test_surrogate_images_have_no_labels_and_deal_minus_one() -> None:
    dealt = SurrogateImages(images(10), Augmentation(pad=1))

    labels = torch.cat([b.labels for b in dealt.batches(4, generator())])

    assert labels.tolist() == [-1] * 10
    assert not hasattr(dealt, "labels")
    public = {name for name in dir(dealt) if not name.startswith("_")}
    assert public == {"batches", "few", "grant", "in_order", "pixels", "views"}
    assert not hasattr(dealt, "__dict__")


def test_equal_views_are_equal_pixels() -> None:
    dealt = TrainImages(images(6), Augmentation(pad=1, flip=True))
    seen: dict[int, Tensor] = {}
    met_again = 0

    for seed in range(60):
        for batch in dealt.batches(3, generator(seed)):
            for view, pixels in zip(batch.view.tolist(), batch.pixels, strict=True):
                met_again += view in seen
                assert torch.equal(seen.setdefault(view, pixels), pixels)

    assert met_again > 100


def test_equal_generators_deal_the_same_epoch_and_others_another() -> None:
    dealt = TrainImages(images(10), Augmentation(pad=1))

    first, again, other = (
        torch.cat([b.view for b in dealt.batches(4, generator(seed))])
        for seed in (1, 1, 2)
    )

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_two_epochs_of_one_generator_differ() -> None:
    dealt, drawn = TrainImages(images(10), Augmentation(pad=1)), generator()

    first, second = (
        torch.cat([b.view for b in dealt.batches(4, drawn)]) for _ in range(2)
    )

    assert not torch.equal(first, second)


@pytest.mark.parametrize("grant", [TrainImages, SurrogateImages])
def test_an_epoch_shows_the_views_of_its_schedule_in_any_order(
    grant: type[TrainImages] | type[SurrogateImages],
) -> None:
    augment = Augmentation(pad=2, flip=True)
    schedule = ViewPlan(augment, seed=3)
    dealers = [grant(images(20), augment, schedule) for _ in range(2)]
    sources = [generator(1), generator(2)]

    for epoch in range(3):
        first, second = (
            torch.cat([b.view for b in dealer.batches(7, source)])
            for dealer, source in zip(dealers, sources, strict=True)
        )
        laid_down = schedule.views(epoch, 20)
        assert torch.equal(first.sort().values, laid_down)
        assert torch.equal(second.sort().values, laid_down)
        assert not torch.equal(first, second)
        assert (first.sort().values // augment.codes).tolist() == list(range(20))


def test_what_a_schedule_lays_down_is_what_is_dealt() -> None:
    augment, owned = Augmentation(pad=1, flip=True), images(12)
    dealt = TrainImages(owned, augment, ViewPlan(augment, seed=0))

    for batch in dealt.batches(5, generator()):
        rows, codes = batch.view // augment.codes, batch.view % augment.codes
        expected = augment.apply(owned.pixels[rows], codes).float() / 255
        assert torch.equal(batch.pixels, expected)
        assert torch.equal(batch.labels, owned.labels[rows])


@pytest.mark.parametrize("grant", [TrainImages, SurrogateImages])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_all_images_in_their_order_are_the_plain_pixels(
    grant: type[TrainImages] | type[SurrogateImages], size: int
) -> None:
    owned = images(10)

    parts = list(grant(owned, Augmentation(pad=1)).in_order(size))

    assert max(len(part) for part in parts) == min(size, 10)
    assert torch.equal(torch.cat(parts), owned.as_float())


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


def test_no_images_are_nothing_at_all() -> None:
    nothing = NoImages()

    assert [name for name in dir(nothing) if not name.startswith("_")] == ["grant"]
    assert vars(nothing) == {}


def test_grants_say_what_they_are() -> None:
    assert [g.grant.value for g in (Weights, SoftLabels, HardLabels)] == [
        "Weights",
        "SoftLabels",
        "HardLabels",
    ]
    assert TrainImages.grant.value == "TrainImages"
    assert SurrogateImages.grant.value == "SurrogateImages"
    assert NoImages.grant.value == "NoImages"


@pytest.mark.parametrize("kind", [TrainImages, SurrogateImages])
def test_few_deals_so_many_images_as_they_are_in_every_epoch(
    kind: type[TrainImages] | type[SurrogateImages],
) -> None:
    whole = images(9)
    draw = torch.Generator().manual_seed(0)

    few = kind(whole, Augmentation(pad=1, flip=True, rotate=3)).few(4, draw)
    epochs = [list(few.batches(2, draw)) for _ in range(3)]

    assert len(few) == 4 and few.pixels.shape[0] == 4
    seen = [{v for b in epoch for v in b.view.tolist()} for epoch in epochs]
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == 4
    known = {tuple(p.flatten().tolist()) for p in whole.as_float()}
    for batch in (b for epoch in epochs for b in epoch):
        for pixels in batch.pixels:
            assert tuple(pixels.flatten().tolist()) in known
    assert len(few.few(99, draw)) == 4 and len(few.few(2, draw)) == 2


def test_few_keeps_labels_with_their_images() -> None:
    whole = images(9)
    draw = torch.Generator().manual_seed(0)

    few = TrainImages(whole, Augmentation(flip=True)).few(5, draw)

    for batch in few.batches(2, draw):
        for pixels, label in zip(batch.pixels, batch.labels, strict=True):
            [row] = [
                i for i, p in enumerate(whole.as_float()) if torch.equal(p, pixels)
            ]
            assert label == whole.labels[row]
    assert (
        sorted(few.labels.tolist())
        == sorted(label for b in few.batches(2, draw) for label in b.labels.tolist())
        or len(few.labels) == 5
    )
