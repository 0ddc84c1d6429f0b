"""What a teacher replied, remembered: who asks, how often, and that it is the truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.data import PLAIN, Augmentation, Images, ViewPlan
from bench.seeds import seeded
from bench.threat import replies as room
from bench.threat.images import TrainImages
from bench.threat.replies import Replies, Shelf

CLASSES = 4
MOVED = Augmentation(pad=1, flip=True)


class Teacher:
    """Answers as a small network with BatchNorm does, and counts what it is asked."""

    def __init__(self) -> None:
        with seeded(3, torch.device("cpu")):
            self.network = nn.Sequential(
                nn.Conv2d(1, 6, 3, padding=1),
                nn.BatchNorm2d(6),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(6 * 64, CLASSES),
            ).eval()
        self.asked: list[int] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.asked.append(len(images))
        replies: Tensor = self.network(images).log_softmax(dim=1)
        return replies


def never(_: Tensor) -> Tensor:
    """What has all it needs on disk asks nobody."""
    raise AssertionError("the teacher was asked")


@pytest.fixture
def teacher() -> Teacher:
    return Teacher()


def live(teacher: Teacher, images: Images, view: Tensor) -> Tensor:
    """What `teacher` says to the views; it does not count them."""
    with torch.no_grad():
        logits: Tensor = teacher.network(images.seen(view, MOVED))
    return logits.log_softmax(dim=1)


def shelf_in(
    folder: Path, augment: Augmentation = MOVED, horizon: int = 3, seed: int = 0
) -> Shelf:
    return Shelf(folder, ViewPlan(augment, seed), horizon, CLASSES)


def tables(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.safetensors")}


def epoch_of(
    replies: Callable[[Tensor], Tensor], dealt: TrainImages, size: int, seed: int
) -> dict[int, Tensor]:
    """One epoch of a student: what was replied, by view."""
    found = {}
    for batch in dealt.batches(size, torch.Generator().manual_seed(seed)):
        for view, reply in zip(batch.view.tolist(), replies(batch.view), strict=True):
            found[view] = reply
    return found


def test_a_table_is_to_the_bit_what_the_teacher_says_to_batches_of_one_size(
    teacher: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "at_once", lambda *_: 1000)
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (2300, 1, 8, 8), generator=rng, dtype=torch.uint8)
    images = Images(pixels, torch.arange(2300) % CLASSES)
    shelf = shelf_in(tmp_path)
    views = shelf.views.views(0, 2300)
    said = torch.cat([live(teacher, images, view) for view in views.split(1000)])

    found = Replies(teacher, images, MOVED, shelf)(views)

    assert torch.equal(found, said)
    assert teacher.asked == [1000, 1000, 300]
    table = load_file(tmp_path / "0.safetensors")
    assert table.keys() == {"replies"}
    assert table["replies"].dtype == torch.float32
    assert torch.equal(table["replies"], said)


def test_students_in_other_orders_hear_the_same_and_the_teacher_is_asked_once(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf = shelf_in(tmp_path)
    first, second = (Replies(teacher, toy_images, MOVED, shelf) for _ in range(2))
    third = Replies(never, toy_images, MOVED, shelf_in(tmp_path))
    deals = [TrainImages(toy_images, MOVED, shelf.views) for _ in range(3)]

    for epoch in range(3):
        one = epoch_of(first, deals[0], size=16, seed=epoch)
        two = epoch_of(second, deals[1], size=7, seed=100 + epoch)
        late = epoch_of(third, deals[2], size=16, seed=200 + epoch)
        assert one.keys() == two.keys() == late.keys()
        assert len(one) == 48
        assert list(one) != list(two)
        for other in (two, late):
            assert all(torch.equal(reply, one[v]) for v, reply in other.items())

    assert teacher.asked == [48, 48, 48]
    assert tables(tmp_path) == {"0.safetensors", "1.safetensors", "2.safetensors"}


def test_an_epoch_is_made_when_it_is_reached_and_not_before(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf, before = shelf_in(tmp_path), torch.get_rng_state()
    replies = Replies(teacher, toy_images, MOVED, shelf)
    assert tables(tmp_path) == set()

    replies(shelf.views.views(0, 48)[:16])
    replies(shelf.views.views(0, 48)[16:])
    assert tables(tmp_path) == {"0.safetensors"}
    replies(shelf.views.views(1, 48)[:16])

    assert tables(tmp_path) == {"0.safetensors", "1.safetensors"}
    assert teacher.asked == [48, 48]
    assert torch.equal(torch.get_rng_state(), before), "no random stream is moved"


def test_views_of_no_epoch_and_past_the_horizon_are_answered_from_their_own_pixels(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf = shelf_in(tmp_path, horizon=1)
    replies = Replies(teacher, toy_images, MOVED, shelf)
    replies(shelf.views.views(0, 48))
    # Of each image the view after the one that the epoch shows, and after the next's.
    taken = torch.stack([shelf.views.views(e, 48) % MOVED.codes for e in (0, 1)])
    free = [min({0, 1, 2} - set(column)) for column in taken.T.tolist()]
    odd = torch.arange(48) * MOVED.codes + torch.tensor(free)

    assert torch.equal(replies(odd), live(teacher, toy_images, odd))
    assert tables(tmp_path) == {"0.safetensors"}
    for view in (shelf.views.views(epoch, 48) for epoch in (1, 2)):
        assert torch.equal(replies(view), live(teacher, toy_images, view))
    assert teacher.asked == [48] * 4


def test_a_stranger_among_the_views_does_not_spoil_the_others(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf = shelf_in(tmp_path)
    replies = Replies(teacher, toy_images, MOVED, shelf)
    view = shelf.views.views(0, 48)
    kept = replies(view)
    mixed = view.clone()
    mixed[5] = mixed[5] // MOVED.codes * MOVED.codes + (mixed[5] + 1) % MOVED.codes

    found = replies(mixed)

    same = mixed == view
    torch.testing.assert_close(found[same], kept[same])
    assert not torch.allclose(found[5], kept[5])
    assert torch.equal(replies(view), kept)


@pytest.mark.parametrize("spare", [0, -1, None], ids=["fits", "too large", "no shelf"])
def test_without_a_shelf_or_room_on_it_every_batch_is_asked_about(
    spare: int | None,
    teacher: Teacher,
    toy_images: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "ROOM", 3 * 48 * CLASSES * 4 + (spare or 0))
    shelf = shelf_in(tmp_path / "shelf", horizon=3)
    view = shelf.views.views(0, 48)
    replies = Replies(teacher, toy_images, MOVED, None if spare is None else shelf)

    first, again = replies(view), replies(view)

    assert torch.equal(first, again)
    assert not first.requires_grad
    assert teacher.asked == ([48] if spare == 0 else [48, 48])
    assert (tmp_path / "shelf").exists() == (spare == 0)


def test_where_views_are_few_each_is_asked_about_once_for_all_epochs(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf = shelf_in(tmp_path, MOVED, horizon=MOVED.codes)
    dealt = TrainImages(toy_images, MOVED, shelf.views)
    replies = Replies(teacher, toy_images, MOVED, shelf)

    epochs = [epoch_of(replies, dealt, size=16, seed=epoch) for epoch in range(30)]

    assert sum(teacher.asked) == 48 * MOVED.codes
    assert tables(tmp_path) == {f"view-{n}.safetensors" for n in range(MOVED.codes)}
    live = Replies(teacher, toy_images, MOVED)
    for view, reply in epochs[-1].items():
        assert torch.allclose(reply, live(torch.tensor([view]))[0], atol=1e-6)


def test_plain_images_make_one_table_for_all_epochs(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf = shelf_in(tmp_path, PLAIN, horizon=1)
    dealt = TrainImages(toy_images, PLAIN, shelf.views)
    replies = Replies(teacher, toy_images, PLAIN, shelf)

    epochs = [epoch_of(replies, dealt, size=16, seed=epoch) for epoch in range(5)]

    assert teacher.asked == [48]
    assert tables(tmp_path) == {"view-0.safetensors"}
    for later in epochs[1:]:
        assert all(torch.equal(reply, epochs[0][view]) for view, reply in later.items())


def test_while_another_makes_an_epoch_the_next_is_made_here(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf = shelf_in(tmp_path)
    replies = Replies(teacher, toy_images, MOVED, shelf)
    view, found = shelf.views.views(0, 48), []
    held = FileLock(tmp_path / "0.lock")

    with held:
        waiting = threading.Thread(target=lambda: found.append(replies(view)))
        waiting.start()
        until = time.monotonic() + 30
        later = {"1.safetensors", "2.safetensors"}
        while tables(tmp_path) != later and time.monotonic() < until:
            time.sleep(0.01)
        ahead, alive = tables(tmp_path), waiting.is_alive()
    waiting.join(timeout=30)

    assert ahead == later
    assert alive and not waiting.is_alive()
    assert teacher.asked == [48, 48, 48]
    assert torch.equal(found[0], live(teacher, toy_images, view))


def test_what_another_made_meanwhile_is_read_and_not_made_again(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf = shelf_in(tmp_path, horizon=1)
    view, found = shelf.views.views(0, 48), []
    other = shelf_in(tmp_path / "other", horizon=1)
    truth = Replies(teacher, toy_images, MOVED, other)(view)
    reader = Replies(never, toy_images, MOVED, shelf)

    with FileLock(tmp_path / "0.lock"):
        waiting = threading.Thread(target=lambda: found.append(reader(view)))
        waiting.start()
        time.sleep(0.1)
        (other.folder / "0.safetensors").rename(tmp_path / "0.safetensors")
        waiting.join(timeout=30)

    assert torch.equal(found[0], truth)


def test_students_that_start_together_ask_about_each_epoch_once(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    shelf, found = shelf_in(tmp_path, horizon=6), {}

    def learn(number: int) -> None:
        replies = Replies(teacher, toy_images, MOVED, shelf)
        dealt = TrainImages(toy_images, MOVED, shelf.views)
        found[number] = [
            epoch_of(replies, dealt, 16, 10 * number + e) for e in range(6)
        ]

    students = [threading.Thread(target=learn, args=(n,)) for n in range(4)]
    for student in students:
        student.start()
    for student in students:
        student.join(timeout=60)

    assert sorted(found) == [0, 1, 2, 3]
    assert teacher.asked == [48] * 6
    for epochs in found.values():
        for mine, first in zip(epochs, found[0], strict=True):
            assert mine.keys() == first.keys()
            assert all(torch.equal(reply, first[view]) for view, reply in mine.items())


def test_a_teacher_that_breaks_leaves_no_table_and_half_a_table_is_never_read(
    teacher: Teacher, toy_images: Images, tmp_path: Path
) -> None:
    (tmp_path / "0.1234abcd.part").write_bytes(b"half a table")
    (tmp_path / "0.lock").touch()  # of one that was killed: it is not held
    shelf = shelf_in(tmp_path)
    view = shelf.views.views(0, 48)

    with pytest.raises(AssertionError, match="was asked"):
        Replies(never, toy_images, MOVED, shelf)(view)
    assert tables(tmp_path) == set()
    found = Replies(teacher, toy_images, MOVED, shelf)(view)

    assert torch.equal(found, live(teacher, toy_images, view))
    assert [path.name for path in tmp_path.glob("*.part")] == ["0.1234abcd.part"]


def no_place(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("a file stands where the tables would")


def a_broken_table(folder: Path) -> None:
    (folder / "0.safetensors").write_bytes(b"no table")


@pytest.mark.parametrize("spoilt", [no_place, a_broken_table])
def test_where_nothing_can_be_kept_or_read_a_student_hears_the_same(
    spoilt: Callable[[Path], None],
    teacher: Teacher,
    toy_images: Images,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    spoilt(folder)
    shelf = shelf_in(folder)
    replies = Replies(teacher, toy_images, MOVED, shelf)
    dealt = TrainImages(toy_images, MOVED, shelf.views)

    found = epoch_of(replies, dealt, 16, seed=1)

    views = shelf.views.views(0, 48)
    said = torch.stack([found[view] for view in views.tolist()])
    assert torch.equal(said, live(teacher, toy_images, views))
    assert teacher.asked == [48]
    assert not list(tmp_path.rglob("*.part"))
    for _ in range(2):  # where a table can be kept, it is made again for the next
        Replies(teacher, toy_images, MOVED, shelf)(views[:3])
    assert len(teacher.asked) == (2 if spoilt is a_broken_table else 3)
