"""What an attacker may touch: one grant for the teacher, one for images.

    teacher    Weights      the network itself, gradients included
               SoftLabels   log-probabilities, N images at a time, counted
               HardLabels   class indices, N images at a time, counted

    images     TrainImages      a share of the teacher's own training set
               SurrogateImages  other people's images, without labels
               NoImages         nothing at all

An attack names the two it needs as its type parameters, and is handed those two
objects and no others. What a grant does not offer cannot be reached through it.

Shapes: N images, B batch, C channels, H x W pixels, K classes. Pixels are float in
[0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

import torch
from torch import Tensor, nn

from bench.data import PLAIN, Augmentation, Batch, Images, Schedule
from bench.errors import BudgetExhausted, Denied
from bench.threat.replies import Answer, Replies


class Weights:
    """White box: a frozen private copy of the network that the defense released.

    Gradients reach the images that are passed through `network`, not its weights.
    """

    def __init__(self, network: nn.Module) -> None:
        """Copy `network`, so that an attack cannot change the next one's teacher."""
        self.network: Final = deepcopy(network).eval().requires_grad_(False)


@dataclass
class Ledger:
    """What one attack has used; kept by the harness, never handed out."""

    budget: int | None = None
    """Images that may be answered; None sets no limit."""
    queries: int = 0

    def spend(self, count: int) -> None:
        """Book `count` answers before any of them is given.

        Raises:
            BudgetExhausted: fewer than `count` are left; none is booked.
        """
        if self.budget is not None and self.queries + count > self.budget:
            raise BudgetExhausted(
                f"asked about {count} images with {self.budget - self.queries} left"
            )
        self.queries += count


class _Oracle:
    """A counted door to the teacher; the network stays behind it."""

    __slots__ = ("__answer", "__known", "__ledger", "__replies")

    def __init__(
        self, answer: Answer, ledger: Ledger, replies: Replies | None = None
    ) -> None:
        """Open the door; every image that passes is booked in `ledger`.

        Args:
            answer: What the service replies, as log-probabilities.
            ledger: Counts, and holds the budget.
            replies: What it replies to the views that the image grant deals; None
                knows none, and every image is asked about anew.
        """
        self.__answer = answer
        self.__ledger = ledger
        self.__replies = replies
        self.__known = torch.zeros(replies.views if replies else 0, dtype=torch.bool)

    @property
    def remaining(self) -> int | None:
        """Images that may still be asked about; None when there is no limit."""
        budget = self.__ledger.budget
        return None if budget is None else budget - self.__ledger.queries

    def _reply(self, images: Tensor, view: Tensor | None) -> Tensor:
        if images.requires_grad:
            raise Denied(
                "no gradient passes a label oracle: detach the images, or name "
                "Weights as this attack's teacher grant"
            )
        with torch.no_grad():
            if view is None or self.__replies is None:
                self.__ledger.spend(len(images))
                return self.__answer(images)
            self.__known = self.__known.to(view.device)
            new = view[~self.__known[view]].unique()
            self.__ledger.spend(len(new))
            self.__known[new] = True
            return self.__replies(view)

    def __reduce__(self) -> NoReturn:
        raise Denied("an oracle stays in the process that granted it")


class SoftLabels(_Oracle):
    """Black box with confidences.

    Log-probabilities carry every temperature tau: softmax(log p / tau) is
    softmax(z / tau) for the logits z behind p.
    """

    __slots__ = ()

    def __call__(self, images: Tensor, view: Tensor | None = None) -> Tensor:
        """Answer `(N, C, H, W)` with log-probabilities `(N, K)`.

        Args:
            images: Pixels in [0, 1].
            view: `Batch.view` `(N,)` of images that were dealt by an image grant. A
                view names its pixels: it is answered whatever `images` holds, and one
                that was answered before is answered again for free.

        Raises:
            BudgetExhausted: fewer answers are left than asked; none is given.
            Denied: `images` carries gradients.
        """
        return self._reply(images, view)


class HardLabels(_Oracle):
    """Black box without confidences."""

    __slots__ = ()

    def __call__(self, images: Tensor, view: Tensor | None = None) -> Tensor:
        """Answer `(N, C, H, W)` with class indices `(N,)`.

        Args:
            images: Pixels in [0, 1].
            view: As for `SoftLabels`.

        Raises:
            BudgetExhausted: fewer answers are left than asked; none is given.
            Denied: `images` carries gradients.
        """
        return self._reply(images, view).argmax(dim=1)


class _Dealer:
    """Deals images in batches, augmented."""

    __slots__ = ("__augment", "__epoch", "__images", "__schedule")

    def __init__(
        self,
        images: Images,
        augment: Augmentation = PLAIN,
        schedule: Schedule | None = None,
    ) -> None:
        """Deal `images`, each changed by `augment` whenever it is dealt.

        Args:
            images: To be dealt.
            augment: Random changes.
            schedule: Says which view of each image an epoch shows; None leaves that to
                the generator of each epoch.
        """
        self.__images = images
        self.__augment = augment
        self.__schedule = schedule
        self.__epoch = 0

    def __len__(self) -> int:
        return len(self.__images)

    @property
    def pixels(self) -> Tensor:
        """All images as they are, `(N, C, H, W)`."""
        return self.__images.as_float()

    @property
    def views(self) -> int:
        """How many different views `batches` can deal."""
        return len(self) * self.__augment.codes

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch in a fresh order, each image under a fresh augmentation.

        A last batch of a single image is left out: BatchNorm cannot train on it.

        Args:
            size: B, images a batch.
            generator: Draws the order, and the augmentation where nothing else lays it
                down; on the device of the images.
        """
        views = None
        if self.__schedule is not None:
            views = self.__schedule.views(self.__epoch, len(self))
            self.__epoch += 1
        yield from self.__images.batches(size, self.__augment, generator, views)

    def in_order(self, size: int) -> Iterator[Tensor]:
        """All images as they are, `(B, C, H, W)`, `size` at a time."""
        for pixels in self.__images.pixels.split(size):
            yield pixels.float() / 255


class TrainImages(_Dealer):
    """A share of the teacher's own training set, with its labels."""

    __slots__ = ("labels",)

    def __init__(
        self,
        images: Images,
        augment: Augmentation = PLAIN,
        schedule: Schedule | None = None,
    ) -> None:
        """Deal `images` with their labels, changed by `augment`."""
        super().__init__(images, augment, schedule)
        # A copy: on the CPU the images are those that later tasks are dealt as well.
        self.labels: Final = images.labels.clone()
        """Classes of `pixels`, `(N,)`."""


class SurrogateImages(_Dealer):
    """Other people's images. Every label they are dealt with is -1."""

    __slots__ = ()

    def __init__(
        self,
        images: Images,
        augment: Augmentation = PLAIN,
        schedule: Schedule | None = None,
    ) -> None:
        """Deal `images` without their labels, changed by `augment`."""
        blank = torch.full_like(images.labels, -1)
        super().__init__(Images(images.pixels, blank), augment, schedule)


@dataclass(frozen=True)
class NoImages:
    """Nothing; the attacker must make its own images."""


TEACHER_GRANTS = (Weights, SoftLabels, HardLabels)
IMAGE_GRANTS = (TrainImages, SurrogateImages, NoImages)

TeacherGrant = TypeVar("TeacherGrant", Weights, SoftLabels, HardLabels)
ImageGrant = TypeVar("ImageGrant", TrainImages, SurrogateImages, NoImages)
