"""What an attacker may touch of the teacher: its weights, or its counted replies.

An attack names a grant of the teacher and one of images as its type parameters, and is
handed those two objects and no others. What a grant does not offer cannot be reached
through it. Which grants a track has is said in `bench.threat.access`.

Shapes: N images, C channels, H x W pixels, K classes. Pixels are float in [0, 1].
"""

from __future__ import annotations

from copy import deepcopy
from typing import ClassVar, Final, NoReturn

import torch
from torch import Tensor, nn

from bench.errors import Denied
from bench.threat.access import TeacherGrant
from bench.threat.ledger import Ledger
from bench.threat.replies import Answer, Memory


class Weights:
    """White box: a frozen private copy of the network that the defense released.

    Gradients reach the images that are passed through `network`, not its weights.
    """

    grant: ClassVar = TeacherGrant.WEIGHTS

    def __init__(self, network: nn.Module) -> None:
        """Copy `network`, so that an attack cannot change the next one's teacher."""
        self.network: Final = deepcopy(network).eval().requires_grad_(False)


class _Oracle:
    """A counted door to the teacher; the network stays behind it."""

    __slots__ = ("__answer", "__ledger", "__paid", "__recall")

    def __init__(
        self, answer: Answer, ledger: Ledger, memory: Memory | None = None
    ) -> None:
        """Open the door; every image that passes is booked in `ledger`.

        Args:
            answer: What the service replies, as log-probabilities.
            ledger: Counts, and holds the budget.
            memory: What it replies to the views that the image grant deals; None
                knows none, and every image is asked about anew.
        """
        # Functions, not what they call: nothing that is held says more than is told.
        told = self._told
        self.__answer: Answer = lambda images: told(answer(images))
        self.__recall: Answer | None = None
        if memory is not None:
            self.__recall = lambda view: told(memory(view))
        self.__ledger = ledger
        self.__paid = torch.zeros(memory.views if memory else 0, dtype=torch.bool)

    @staticmethod
    def _told(replies: Tensor) -> Tensor:
        """What the attacker learns of log-probabilities `(N, K)`."""
        return replies.detach()

    @property
    def remaining(self) -> int | None:
        """Images that may still be asked about; None when there is no limit."""
        return self.__ledger.remaining

    def _reply(self, images: Tensor, view: Tensor | None) -> Tensor:
        if images.requires_grad:
            raise Denied(
                "no gradient passes a label oracle: detach the images, or name "
                "Weights as this attack's teacher grant"
            )
        with torch.no_grad():
            if view is None or self.__recall is None:
                self.__ledger.spend(len(images))
                return self.__answer(images)
            self.__paid = self.__paid.to(view.device)
            new = view[~self.__paid[view]].unique()
            self.__ledger.spend(len(new))
            self.__paid[new] = True
            return self.__recall(view)

    def __reduce__(self) -> NoReturn:
        raise Denied("an oracle stays in the process that granted it")


class SoftLabels(_Oracle):
    """Black box with confidences.

    Log-probabilities carry every temperature tau: softmax(log p / tau) is
    softmax(z / tau) for the logits z behind p.
    """

    __slots__ = ()
    grant: ClassVar = TeacherGrant.SOFT_LABELS

    def __call__(self, images: Tensor, view: Tensor | None = None) -> Tensor:
        """Answer `(N, C, H, W)` with log-probabilities `(N, K)`.

        Args:
            images: Pixels in [0, 1].
            view: `Batch.view` `(N,)` of images that were dealt by an image grant. A
                view names its pixels: it is answered whatever `images` holds, billed
                once, and answered alike ever after, by a randomised service too. Equal
                images without a view are not recognised: each is a query.

        Raises:
            BudgetExhausted: fewer answers are left than asked; none is given.
            Denied: `images` carries gradients.
        """
        return self._reply(images, view)


class HardLabels(_Oracle):
    """Black box without confidences."""

    __slots__ = ()
    grant: ClassVar = TeacherGrant.HARD_LABELS

    @staticmethod
    def _told(replies: Tensor) -> Tensor:
        """The first class alone, `(N,)`."""
        return replies.argmax(dim=1)

    def __call__(self, images: Tensor, view: Tensor | None = None) -> Tensor:
        """Answer `(N, C, H, W)` with class indices `(N,)`.

        Args:
            images: Pixels in [0, 1].
            view: As for `SoftLabels`.

        Raises:
            BudgetExhausted: fewer answers are left than asked; none is given.
            Denied: `images` carries gradients.
        """
        return self._reply(images, view)
