"""The dealers: which images they show, in which views, with which labels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.data import Augmentation, Images, ViewPlan
from bench.threat.grants import HardLabels, SoftLabels
from bench.threat.images import SurrogateImages, TrainImages
from bench.threat.ledger import Ledger
from bench.threat.replies import Replies

CLASSES = 3
DEALERS = [TrainImages, SurrogateImages]
Dealer = TrainImages | SurrogateImages
MOVED = Augmentation(pad=1, flip=True)


def images(count: int = 10) -> Images:
    """Images that all differ, labelled 0, 1, 2, 0, ..."""
    pixels = torch.arange(count * 4, dtype=torch.uint8).view(count, 1, 2, 2)
    return Images(pixels, torch.arange(count) % CLASSES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows_of(pixels: Tensor, owned: Images) -> list[int]:
    """Which of the images, as they are, each of `pixels` is; fails on any other."""
    known = {tuple(p.flatten().tolist()): n for n, p in enumerate(owned.as_float())}
    return [known[tuple(p.flatten().tolist())] for p in pixels]


@pytest.mark.parametrize("dealer", DEALERS)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_all_images_are_shown_in_their_order_as_floats_between_zero_and_one(
    dealer: type[Dealer], size: int
) -> None:
    owned = images(10)

    dealt = dealer(owned, Augmentation(pad=1))
    parts = list(dealt.in_order(size))

    assert max(len(part) for part in parts) == min(size, 10)
    assert torch.equal(torch.cat(parts), dealt.pixels)
    assert torch.equal(dealt.pixels, owned.pixels.float() / 255)


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


@pytest.mark.parametrize("dealer", DEALERS)
@pytest.mark.parametrize("size", [2, 3, 4, 10, 64])
def test_batches_of_an_epoch_cover_every_image_once(
    dealer: type[Dealer], size: int
) -> None:
    dealt = dealer(images(12), MOVED)

    batches = list(dealt.batches(size, generator()))

    views = torch.cat([batch.view for batch in batches])
    assert (views // MOVED.codes).sort().values.tolist() == list(range(12))
    assert 0 <= int(views.min()) <= int(views.max()) < dealt.views
    assert [len(b.pixels) for b in batches[:-1]] == [size] * (len(batches) - 1)


@pytest.mark.parametrize("plan", [None, ViewPlan(MOVED, seed=0)], ids=["free", "plan"])
def test_what_is_dealt_is_the_view_with_its_own_label(plan: ViewPlan | None) -> None:
    owned = images(12)
    dealt = TrainImages(owned, MOVED, plan)

    for batch in dealt.batches(5, generator()):
        rows, codes = batch.view // MOVED.codes, batch.view % MOVED.codes
        expected = MOVED.apply(owned.pixels[rows], codes).float() / 255
        assert torch.equal(batch.pixels, expected)
        assert torch.equal(batch.labels, owned.labels[rows])
    assert torch.equal(dealt.labels, owned.labels)


def test_equal_views_are_equal_pixels() -> None:
    dealt = TrainImages(images(6), MOVED)
    seen: dict[int, Tensor] = {}
    met_again = 0

    for seed in range(60):
        for batch in dealt.batches(3, generator(seed)):
            for view, pixels in zip(batch.view.tolist(), batch.pixels, strict=True):
                met_again += view in seen
                assert torch.equal(seen.setdefault(view, pixels), pixels)

    assert met_again > 100


def test_equal_generators_deal_the_same_epoch_and_others_another() -> None:
    dealt, drawn = TrainImages(images(10), Augmentation(pad=1)), generator(1)

    first, again, other, later = (
        torch.cat([b.view for b in dealt.batches(4, source)])
        for source in (drawn, generator(1), generator(2), drawn)
    )

    assert torch.equal(first, again)
    assert not torch.equal(first, other) and not torch.equal(first, later)


@pytest.mark.parametrize("dealer", DEALERS)
def test_an_epoch_shows_the_views_of_its_plan_in_any_order(
    dealer: type[Dealer],
) -> None:
    augment = Augmentation(pad=2, flip=True)
    plan = ViewPlan(augment, seed=3)
    dealers = [dealer(images(20), augment, plan) for _ in range(2)]
    sources = [generator(1), generator(2)]

    for epoch in range(3):
        first, second = (
            torch.cat([b.view for b in one.batches(7, source)])
            for one, source in zip(dealers, sources, strict=True)
        )
        laid_down = plan.views(epoch, 20)
        assert torch.equal(first.sort().values, laid_down)
        assert torch.equal(second.sort().values, laid_down)
        assert not torch.equal(first, second)
        assert (first.sort().values // augment.codes).tolist() == list(range(20))


@pytest.mark.parametrize("dealer", DEALERS)
@pytest.mark.parametrize(("count", "dealt"), [(0, 0), (2, 2), (9, 9), (99, 9)])
def test_few_are_distinct_images_and_at_most_as_many_as_asked_for(
    dealer: type[Dealer], count: int, dealt: int
) -> None:
    owned = images(9)

    few = dealer(owned, MOVED).few(count, generator())

    assert type(few) is dealer
    assert len(few) == len(few.pixels) == dealt
    assert len(set(rows_of(few.pixels, owned))) == dealt
    assert torch.equal(torch.cat([few.pixels[:0], *few.in_order(2)]), few.pixels)


@pytest.mark.parametrize("dealer", DEALERS)
def test_few_are_dealt_as_they_are_and_alike_in_every_epoch(
    dealer: type[Dealer],
) -> None:
    owned, draw = images(9), generator()
    augment = Augmentation(pad=1, flip=True, rotate=3)

    few = dealer(owned, augment, ViewPlan(augment, seed=0)).few(4, draw)
    epochs = [list(few.batches(2, draw)) for _ in range(4)]

    chosen = rows_of(few.pixels, owned)
    for batches in epochs:
        shown, views, labels = (
            torch.cat([getattr(batch, part) for batch in batches])
            for part in ("pixels", "view", "labels")
        )
        rows = rows_of(shown, owned)
        assert sorted(rows) == chosen
        assert torch.equal(shown, owned.seen(views, augment).float())
        own = owned.labels[rows]
        expected = own if dealer is TrainImages else torch.full((4,), -1)
        assert torch.equal(labels, expected)
    orders = {tuple(b.view.tolist()) for batches in epochs for b in batches[:1]}
    assert len(orders) > 1


def test_which_few_chance_says_and_few_of_few_are_among_them() -> None:
    owned, dealt = images(9), TrainImages(images(9), MOVED)

    first, again, other = (dealt.few(4, generator(seed)) for seed in (1, 1, 2))
    fewer = first.few(2, generator(3))

    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, other.pixels)
    assert set(rows_of(fewer.pixels, owned)) < set(rows_of(first.pixels, owned))


@pytest.mark.parametrize("dealer", DEALERS)
@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
def test_few_are_answered_truly_and_billed_once_in_all_epochs(
    dealer: type[Dealer], grant: type[SoftLabels] | type[HardLabels]
) -> None:
    owned, draw, ledger = images(9), generator(), Ledger(budget=4)
    weights = torch.randn(4, CLASSES, generator=generator(5))

    def answer(pixels: Tensor) -> Tensor:
        return (pixels.flatten(1) @ weights).log_softmax(dim=1)

    teacher = grant(answer, ledger, Replies(answer, owned, MOVED))
    few = dealer(owned, MOVED).few(4, draw)

    for _ in range(3):
        for batch in few.batches(2, draw):
            truth = answer(batch.pixels)
            expected = truth if grant is SoftLabels else truth.argmax(dim=1)
            assert torch.equal(teacher(batch.pixels, batch.view), expected)

    assert (ledger.queries, teacher.remaining) == (4, 0)
