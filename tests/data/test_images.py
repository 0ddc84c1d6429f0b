"""Images in memory: how they are dealt, sampled, split and known by their pixels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.data import PLAIN, Augmentation, Images, ViewPlan


def numbered(count: int, classes: int = 3) -> Images:
    """`count` images of one pixel that shows their number; labels in turn."""
    pixels = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1)
    return Images(pixels, torch.arange(count) % classes)


def numbers(images: Images) -> list[int]:
    return images.pixels.flatten().tolist()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("side", "count"), [(8, 500), (28, 83), (32, 64), (64, 16), (512, 1)]
)
def test_larger_images_come_in_smaller_batches_to_a_processor(
    side: int, count: int
) -> None:
    images = Images(torch.zeros(1, 3, side, side, dtype=torch.uint8), torch.zeros(1))

    assert images.at_once(torch.device("cpu")) == count
    assert images.at_once(torch.device("cuda")) == 1000


def test_a_batch_names_image_and_augmentation_in_its_view() -> None:
    augment = Augmentation(pad=1, flip=True)
    pixels = torch.arange(200 * 16).view(200, 1, 4, 4).to(torch.uint8)
    images, seen = Images(pixels, torch.arange(200)), set()

    for batch in images.batches(40, augment, generator()):
        rows, codes = batch.view // augment.codes, batch.view % augment.codes
        expected = augment.apply(pixels[rows], codes).float() / 255
        assert torch.equal(batch.pixels, expected)
        assert torch.equal(images.seen(batch.view, augment), expected)
        assert torch.equal(batch.labels, rows)
        seen |= set(codes.tolist())

    assert seen == set(range(18)), "all augmentations are drawn"


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [
        pytest.param(9, 4, [4, 4], id="a last batch of one is left out"),
        pytest.param(10, 4, [4, 4, 2], id="a last batch of two is dealt"),
        pytest.param(1, 4, [1], id="a single image is dealt"),
        pytest.param(5, 1, [1] * 5, id="batches of one are dealt if asked for"),
    ],
)
def test_batches_are_of_the_size_that_is_asked_for(
    count: int, size: int, sizes: list[int]
) -> None:
    dealt = list(numbered(count).batches(size, PLAIN, generator()))

    assert [len(batch.labels) for batch in dealt] == sizes
    assert len({int(view) for batch in dealt for view in batch.view}) == sum(sizes)


def test_planned_views_are_dealt_in_the_order_of_the_generator() -> None:
    augment, images = Augmentation(pad=1, flip=True), numbered(20)
    views = ViewPlan(augment, seed=0).views(0, 20)

    dealt = list(images.batches(6, augment, generator(1), views))

    order = torch.randperm(20, generator=generator(1))
    assert torch.equal(torch.cat([b.view for b in dealt]), views[order])
    assert torch.equal(torch.cat([b.labels for b in dealt]), images.labels[order])
    for batch in dealt:
        assert torch.equal(batch.pixels, images.seen(batch.view, augment))


@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.25, 0.5, 0.9])
def test_a_sample_takes_its_fraction_of_every_class_and_at_least_one(
    fraction: float,
) -> None:
    labels = torch.tensor([0] * 40 + [1] * 25 + [2])
    whole = Images(torch.zeros(66, 1, 1, 1, dtype=torch.uint8), labels)

    kept = whole.sample(fraction, generator()).labels.bincount().tolist()

    assert kept == [max(1, round(fraction * count)) for count in (40, 25, 1)]


def test_a_sample_holds_images_of_the_whole_with_their_labels_in_order() -> None:
    whole = numbered(90)
    sample = whole.sample(0.5, generator())

    assert numbers(sample) == sorted(set(numbers(sample)))
    assert sample.labels.tolist() == [number % 3 for number in numbers(sample)]
    assert whole.sample(1.0, generator()) is whole
    always = [1, 2, 3, 7, 9, 11]
    assert numbers(numbered(12).sample(0.5, generator(1))) == always


@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_split_cuts_every_image_off_once_and_keeps_the_order(
    fraction: float, labelled: bool
) -> None:
    whole = numbered(90)
    whole = whole if labelled else Images(whole.pixels, torch.full((90,), -1))

    parts = whole.split(fraction, generator())

    assert sorted(numbers(parts[0]) + numbers(parts[1])) == [*range(90)]
    for part in parts:
        assert numbers(part) == sorted(numbers(part))
        assert torch.equal(part.labels, whole.labels[numbers(part)])
        assert len(part) > 0


def test_a_split_cuts_the_fraction_off_every_class() -> None:
    labels = torch.tensor([0] * 40 + [1] * 2 + [2])
    whole = Images(torch.zeros(43, 1, 1, 1, dtype=torch.uint8), labels)

    for fraction, counts in ((0.25, [10, 1]), (0.01, [1, 1]), (0.99, [39, 1])):
        first, second = whole.split(fraction, generator())
        assert second.labels.bincount().tolist() == counts
        assert first.labels.bincount(minlength=3)[2] == 1  # the lone one stays


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, (0, 0)), (1, (1, 0)), (2, (1, 1)), (4, (3, 1))]
)
def test_a_split_of_lone_images_has_one_on_each_side_where_there_are_two(
    count: int, sizes: tuple[int, int]
) -> None:
    first, second = numbered(count, classes=9).split(0.2, generator())

    assert (len(first), len(second)) == sizes


@pytest.mark.parametrize(
    "part", [Images.sample, lambda *a: Images.split(*a)[1]], ids=["sample", "split"]
)
def test_equal_seeds_choose_alike_and_others_otherwise(
    part: Callable[..., Images],
) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()

    first, again, other = (
        numbers(part(numbered(90), 0.3, generator(seed))) for seed in (1, 1, 2)
    )

    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("what", ["pixels", "labels", "order"])
def test_the_fingerprint_of_images_changes_with_each_of_them(what: str) -> None:
    images, other = numbered(9), numbered(9)
    if what == "order":
        other = Images(images.pixels.flip(0), images.labels.flip(0))
    else:
        getattr(other, what).view(-1)[-1] += 1

    assert numbered(9).fingerprint == images.fingerprint != other.fingerprint
    assert len(images.fingerprint) == 16 and int(images.fingerprint, 16) >= 0
