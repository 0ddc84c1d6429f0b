"""Randomness that each task derives from its own names, never from a global seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(*parts: object) -> int:
    """A seed in [0, 2**63) from the names in `parts`; other names, other stream.

    Defenses are left out of the parts that name a student, so that the student which
    meets the defended teacher starts from the same weights as the one which meets the
    undefended teacher: the two are compared as a pair.
    """
    text = "\0".join(map(str, parts))
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Give a generator on `device`, and put torch's global ones back afterwards.

    New layers draw their weights from torch's global generator; inside, that one is
    seeded as well.
    """
    import torch  # here, so that plans derive seeds without it

    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator(device).manual_seed(seed)
