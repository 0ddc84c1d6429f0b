"""A service that draws by chance answers each view once, and bills it once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.data import Augmentation, Images
from bench.threat.first_replies import FirstReplies
from bench.threat.grants import HardLabels, SoftLabels
from bench.threat.ledger import Ledger

OWNED = Images(
    torch.arange(9 * 64, dtype=torch.int64).remainder(256).to(torch.uint8)
    .reshape(9, 1, 8, 8), torch.zeros(9, dtype=torch.long),
)  # fmt: skip


def drawn(pixels: Tensor) -> Tensor:
    """Other log-probabilities at each call."""
    return torch.randn(len(pixels), 10).log_softmax(dim=1)


@pytest.mark.parametrize("grant", [SoftLabels, HardLabels])
def test_a_view_is_billed_once_and_answered_alike_under_a_randomised_service(
    grant: type[SoftLabels] | type[HardLabels],
) -> None:
    ledger, plain = Ledger(budget=7), Augmentation()
    teacher = grant(drawn, ledger, FirstReplies(drawn, OWNED, plain))
    views = torch.tensor([3, 0, 3, 8])
    pixels = OWNED.seen(views, plain)

    first = teacher(pixels, views)
    again = teacher(pixels.flip(0), views.flip(0)).flip(0)

    assert torch.equal(first, again) and torch.equal(first[0], first[2])
    assert ledger.queries == 3
    teacher(pixels, None)
    assert ledger.queries == 7  # without a view, equal pixels are not recognised
