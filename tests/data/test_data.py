"""Data sets: what the digits are, how shares are drawn and how images are augmented."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.transforms.functional import rotate

from bench.data import (
    PLAIN,
    SETS,
    SURROGATES,
    Augmentation,
    Dataset,
    Images,
    Schedule,
    load,
    surrogate,
)
from bench.errors import UnknownName


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def numbered(count: int, classes: int = 3) -> Images:
    """`count` images of one pixel that shows their number; labels in turn."""
    pixels = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1)
    return Images(pixels, torch.arange(count) % classes)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_digits_are_1797_images_of_which_30_percent_are_for_testing(
    digits: Dataset,
) -> None:
    assert (len(digits.train), len(digits.test)) == (1257, 540)
    assert digits.train.pixels.shape == (1257, 1, 8, 8)
    assert digits.test.pixels.shape == (540, 1, 8, 8)
    assert digits.shape == (1, 8, 8)
    assert digits.classes == tuple("0123456789")


def test_digits_are_bytes_that_span_black_to_white(digits: Dataset) -> None:
    for part in (digits.train, digits.test):
        assert part.pixels.dtype == torch.uint8
        assert part.labels.dtype == torch.int64
        assert (int(part.pixels.min()), int(part.pixels.max())) == (0, 255)
        assert len(part.pixels.unique()) == 17


def test_digits_are_split_alike_in_every_class(digits: Dataset) -> None:
    train, test = (part.labels.bincount() for part in (digits.train, digits.test))

    exact = 0.3 * (train + test)

    assert train.shape == test.shape == (10,)
    assert bool(((test - exact).abs() < 1).all())


def test_both_parts_together_are_scikit_learns_digits_and_no_image_twice(
    digits: Dataset,
) -> None:
    source, answers = load_digits(return_X_y=True)
    expected = [
        (*pixels, label)
        for pixels, label in zip(
            np.rint(source * 255 / 16).astype(int).tolist(),
            answers.tolist(),
            strict=True,
        )
    ]

    found = [
        (*pixels.flatten().tolist(), int(label))
        for part in (digits.train, digits.test)
        for pixels, label in zip(part.pixels, part.labels, strict=True)
    ]

    assert sorted(found) == sorted(expected)


def test_mean_and_spread_are_those_of_the_training_pixels(digits: Dataset) -> None:
    pixels = digits.train.pixels.numpy().astype(np.float64) / 255

    assert digits.mean == pytest.approx([pixels.mean()], abs=1e-5)
    assert digits.std == pytest.approx([pixels.std()], abs=1e-4)


def test_the_fingerprint_of_digits_is_the_same_each_time(digits: Dataset) -> None:
    again = SETS["digits"]()

    assert again is not digits
    assert again.fingerprint == digits.fingerprint
    assert len(digits.fingerprint) == 16
    assert int(digits.fingerprint, 16) >= 0


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("what", ["pixels", "labels"])
def test_the_fingerprint_changes_with_one_pixel_or_label(
    digits: Dataset, part: str, what: str
) -> None:
    images: Images = getattr(digits, part)
    tensor: Tensor = getattr(images, what).clone()

    tensor.view(-1)[-1] += 1
    changed = replace(digits, **{part: replace(images, **{what: tensor})})

    assert changed.fingerprint != digits.fingerprint


def test_the_fingerprint_changes_with_the_order_of_the_images(
    digits: Dataset,
) -> None:
    turned = Images(digits.train.pixels.flip(0), digits.train.labels.flip(0))

    assert replace(digits, train=turned).fingerprint != digits.fingerprint


def test_a_data_set_is_read_once_a_process(digits: Dataset) -> None:
    assert load("digits") is digits


@pytest.mark.parametrize(
    ("side", "count"), [(8, 500), (28, 83), (32, 64), (64, 16), (512, 1)]
)
def test_larger_images_come_in_smaller_batches_to_a_processor(
    side: int, count: int
) -> None:
    images = Images(torch.zeros(1, 3, side, side, dtype=torch.uint8), torch.zeros(1))

    assert images.at_once(torch.device("cpu")) == count
    assert images.at_once(torch.device("cuda")) == 1000


def test_pixels_as_floats_are_bytes_over_255() -> None:
    images = Images(
        torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1), torch.zeros(3)
    )

    assert images.as_float().flatten().tolist() == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize(
    ("pad", "flip"), [(0, False), (0, True), (1, False), (1, True), (2, True)]
)
def test_augmentation_equals_padding_cropping_and_flipping_one_by_one(
    pad: int, flip: bool
) -> None:
    augment = Augmentation(pad, flip)
    span, flips = 2 * pad + 1, 1 + flip
    height, width = 3, 4
    codes = torch.arange(augment.codes)
    pixels = torch.randint(
        1, 256, (len(codes), 2, height, width), generator=generator()
    ).to(torch.uint8)

    changed = augment.apply(pixels, codes)

    assert augment.codes == span * span * flips
    assert changed.dtype == torch.uint8
    for image, result, code in zip(pixels, changed, codes.tolist(), strict=True):
        top, left = divmod(code // flips, span)
        padded = np.pad(image.numpy(), ((0, 0), (pad, pad), (pad, pad)))
        expected = padded[:, top : top + height, left : left + width]
        if flip and code % 2 == 1:
            expected = expected[:, :, ::-1]
        assert np.array_equal(result.numpy(), expected)


def test_every_code_is_another_picture() -> None:
    augment = Augmentation(pad=1, flip=True)
    pixels = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4)

    made = augment.apply(
        pixels.expand(augment.codes, -1, -1, -1), torch.arange(augment.codes)
    )

    assert len(made.flatten(1).unique(dim=0)) == 18


def test_the_largest_rotation_still_names_every_view() -> None:
    augment = Augmentation(pad=1, flip=True, rotate=2)
    pixels = torch.arange(1, 4097).view(1, 1, 64, 64)

    made = augment.apply(
        pixels.expand(augment.codes, -1, -1, -1), torch.arange(augment.codes)
    )

    assert augment.codes == 5 * 9 * 2
    assert len(made.flatten(1).unique(dim=0)) == augment.codes


@pytest.mark.parametrize(("height", "width"), [(64, 64), (7, 7), (8, 5)])
def test_rotation_equals_torchvisions_of_one_image_at_a_time(
    height: int, width: int
) -> None:
    augment = Augmentation(rotate=20)
    codes = torch.arange(augment.codes)
    pixels = torch.randint(1, 256, (41, 3, height, width), generator=generator())
    pixels = pixels.to(torch.uint8)

    changed = augment.apply(pixels, codes)

    assert changed.dtype == torch.uint8
    for image, result, code in zip(pixels, changed, codes.tolist(), strict=True):
        photo = Image.fromarray(image.permute(1, 2, 0).numpy())
        expected = np.asarray(rotate(photo, code - 20)).transpose(2, 0, 1)
        assert np.mean(result.numpy() == expected) > 0.999
    assert torch.equal(changed[20], pixels[20])


def test_rotation_comes_before_crop_and_flip() -> None:
    both = Augmentation(pad=1, flip=True, rotate=3)
    turn, rest = Augmentation(rotate=3), Augmentation(pad=1, flip=True)
    codes = torch.arange(both.codes)
    pixels = torch.randint(256, (len(codes), 1, 6, 6), generator=generator())

    expected = rest.apply(turn.apply(pixels, codes // rest.codes), codes % rest.codes)

    assert torch.equal(both.apply(pixels, codes), expected)


def test_rotation_and_flip_as_for_tiny_imagenet_has_82_views_an_image() -> None:
    assert Augmentation(flip=True, rotate=20).codes == 82


def test_crop_and_flip_as_for_cifar_has_162_views_an_image() -> None:
    assert Augmentation(pad=4, flip=True).codes == 162


def test_the_plain_augmentation_leaves_every_image_as_it_is() -> None:
    pixels = torch.arange(32, dtype=torch.uint8).view(2, 1, 4, 4)

    assert PLAIN.codes == 1
    assert torch.equal(PLAIN.apply(pixels, torch.zeros(2, dtype=torch.long)), pixels)


def test_a_batch_names_image_and_augmentation_in_its_view() -> None:
    augment = Augmentation(pad=1, flip=True)
    pixels = torch.arange(6 * 16, dtype=torch.uint8).view(6, 1, 4, 4)
    images = Images(pixels, torch.arange(6))

    for batch in images.batches(4, augment, generator()):
        rows, codes = batch.view // augment.codes, batch.view % augment.codes
        expected = augment.apply(pixels[rows], codes).float() / 255
        assert torch.equal(batch.pixels, expected)
        assert torch.equal(batch.labels, rows)


def test_all_augmentations_are_drawn() -> None:
    augment = Augmentation(pad=1)

    codes = {
        int(view) % augment.codes
        for batch in numbered(200).batches(50, augment, generator())
        for view in batch.view
    }

    assert codes == set(range(9))


def test_a_last_batch_of_one_image_is_dropped() -> None:
    sizes = [len(batch.labels) for batch in numbered(9).batches(4, PLAIN, generator())]

    assert sizes == [4, 4]


def test_a_last_batch_of_two_images_is_dealt() -> None:
    sizes = [len(batch.labels) for batch in numbered(10).batches(4, PLAIN, generator())]

    assert sizes == [4, 4, 2]


def test_a_single_image_is_dealt_for_there_is_no_other() -> None:
    sizes = [len(batch.labels) for batch in numbered(1).batches(4, PLAIN, generator())]

    assert sizes == [1]


def test_batches_of_one_image_are_dealt_when_they_are_asked_for() -> None:
    batches = list(numbered(5).batches(1, PLAIN, generator()))

    assert sorted(int(batch.view) for batch in batches) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_a_share_takes_its_fraction_of_every_class(
    digits: Dataset, fraction: float
) -> None:
    share = digits.train.share(fraction, generator())

    whole, kept = digits.train.labels.bincount(), share.labels.bincount()
    assert kept.tolist() == [round(fraction * count) for count in whole.tolist()]


def test_a_share_holds_images_of_the_whole_with_their_labels_in_order() -> None:
    whole = numbered(60)

    share = whole.share(0.5, generator())

    rows = share.pixels.flatten().tolist()
    assert rows == sorted(set(rows))
    assert share.labels.tolist() == [row % 3 for row in rows]


def test_a_share_is_at_least_one_image_of_every_class() -> None:
    share = numbered(30).share(0.001, generator())

    assert share.labels.sort().values.tolist() == [0, 1, 2]


def test_a_share_keeps_the_only_image_of_a_rare_class() -> None:
    labels = torch.tensor([0] * 20 + [1])
    images = Images(torch.zeros(21, 1, 1, 1, dtype=torch.uint8), labels)

    share = images.share(0.1, generator())

    assert share.labels.tolist() == [0, 0, 1]


def test_equal_seeds_draw_equal_shares_and_others_others() -> None:
    whole = numbered(90)

    first, again, other = (whole.share(0.3, generator(seed)) for seed in (1, 1, 2))

    assert torch.equal(first.pixels, again.pixels)
    assert not torch.equal(first.pixels, other.pixels)


def test_the_whole_share_is_all_images_in_their_order() -> None:
    whole = numbered(30)

    share = whole.share(1.0, generator())

    assert torch.equal(share.pixels, whole.pixels)
    assert torch.equal(share.labels, whole.labels)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_reduced_set_has_its_share_of_every_class_and_the_whole_test_set(
    digits: Dataset, share: float
) -> None:
    reduced = digits.reduced(share)

    whole, kept = digits.train.labels.bincount(), reduced.train.labels.bincount()
    assert kept.tolist() == [round(share * count) for count in whole.tolist()]
    assert reduced.test is digits.test
    own = {(*p.flatten().tolist(), int(y)) for p, y in rows(digits.train)}
    assert {(*p.flatten().tolist(), int(y)) for p, y in rows(reduced.train)} <= own


def rows(images: Images) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(images.pixels, images.labels, strict=True)


def test_a_reduced_set_is_called_and_stamped_as_the_whole(digits: Dataset) -> None:
    reduced = digits.reduced(0.2)

    facts = ("name", "classes", "shape", "augment", "mean", "std", "fingerprint")
    assert all(getattr(reduced, f) == getattr(digits, f) for f in facts)
    assert SETS["digits"]().reduced(0.2).fingerprint == digits.fingerprint


def test_a_reduced_set_has_the_same_images_each_time(digits: Dataset) -> None:
    first = digits.reduced(0.2).train
    torch.manual_seed(99)
    again = SETS["digits"]().reduced(0.2).train

    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(digits.reduced(0.2001).train.pixels, first.pixels)


def test_reducing_to_all_images_changes_nothing(digits: Dataset) -> None:
    assert digits.reduced(1.0) is digits


def test_reducing_a_set_leaves_the_one_that_others_share(digits: Dataset) -> None:
    digits.reduced(0.2)

    assert len(load("digits").train) == 1257


def test_a_schedule_lays_down_one_view_of_each_image() -> None:
    augment = Augmentation(pad=2, flip=True)

    views = Schedule(augment, seed=0).views(epoch=4, count=1000)

    assert views.dtype == torch.int64
    assert torch.equal(views // augment.codes, torch.arange(1000))
    assert len((views % augment.codes).unique()) == augment.codes == 50


def test_equal_schedules_agree_and_another_seed_or_epoch_does_not() -> None:
    augment = Augmentation(pad=4, flip=True)
    first = Schedule(augment, seed=1).views(0, 500)

    assert torch.equal(Schedule(augment, seed=1).views(0, 500), first)
    for other in (
        Schedule(augment, 2).views(0, 500),
        Schedule(augment, 1).views(1, 500),
    ):
        # By chance a view in 162 is the same.
        assert int((other == first).sum()) < 25


def test_a_schedule_neither_heeds_nor_moves_the_global_random_state() -> None:
    schedule = Schedule(Augmentation(pad=1), seed=0)
    torch.manual_seed(1)
    first = schedule.views(0, 100)
    torch.manual_seed(2)
    before = torch.get_rng_state()

    again = schedule.views(0, 100)

    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_schedule_of_plain_images_shows_them_as_they_are() -> None:
    schedule = Schedule(PLAIN, seed=3)

    assert schedule.views(0, 7).tolist() == schedule.views(5, 7).tolist() == [*range(7)]


def test_views_that_are_laid_down_are_dealt_in_the_order_of_the_generator() -> None:
    augment = Augmentation(pad=1, flip=True)
    images = numbered(20)
    views = Schedule(augment, seed=0).views(0, 20)

    dealt = list(images.batches(6, augment, generator(1), views))

    order = torch.randperm(20, generator=generator(1))
    assert torch.equal(torch.cat([b.view for b in dealt]), views[order])
    assert torch.equal(torch.cat([b.labels for b in dealt]), images.labels[order])
    for batch in dealt:
        assert torch.equal(batch.pixels, images.seen(batch.view, augment))


def test_what_is_seen_of_a_view_is_the_augmented_image() -> None:
    augment = Augmentation(pad=1, flip=True)
    pixels = torch.randint(256, (5, 2, 4, 4), generator=generator(), dtype=torch.uint8)
    images = Images(pixels, torch.arange(5))

    for row in range(5):
        for code in range(augment.codes):
            view = torch.tensor([row * augment.codes + code])
            expected = augment.apply(pixels[row : row + 1], torch.tensor([code]))
            seen = images.seen(view, augment)
            assert seen.dtype == torch.float32
            assert torch.equal(seen, expected.float() / 255)


def test_surrogates_are_grey_patches_of_the_digits_shape(digits: Dataset) -> None:
    patches = surrogate("digits")

    assert patches.pixels.shape == (4000, *digits.shape)
    assert patches.pixels.dtype == torch.uint8
    assert patches.labels.shape == (4000,)
    assert len(patches.pixels.unique()) > 200


def test_surrogates_are_none_of_the_digits(digits: Dataset) -> None:
    own = {tuple(row) for row in digits.train.pixels.flatten(1).tolist()}

    others = {tuple(row) for row in surrogate("digits").pixels.flatten(1).tolist()}

    assert not own & others


def test_surrogates_are_the_same_each_time() -> None:
    assert torch.equal(SURROGATES["digits"]().pixels, surrogate("digits").pixels)


def test_an_unknown_data_set_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName) as caught:
        load("digit")

    assert str(caught.value) == (
        "unknown data set 'digit': did you mean 'digits'? (bench list)"
    )


def test_a_name_that_is_near_nothing_is_told_so() -> None:
    with pytest.raises(UnknownName) as caught:
        load("quickdraw")

    assert "no name is near it" in str(caught.value)


def test_an_unknown_surrogate_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'digits'"):
        surrogate("digist")
