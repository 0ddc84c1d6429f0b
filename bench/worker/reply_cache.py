"""What a teacher's remembered replies are called: a hash of all that decides them."""

from __future__ import annotations

from hashlib import sha256

import torch

from bench import REVISION
from bench.plugins.base import Released
from bench.worker import provenance
from bench.worker.weights import digest, state_of


def shelf_name(released: Released, device: torch.device, *facts: object) -> str:
    """16 hex digits; protocols share what they have in common.

    Threads, device and torch release move the last bits of replies, so they count.

    Args:
        released: Known by its weights.
        device: Where it answers.
        facts: Whatever else decides the replies.
    """
    names = (
        REVISION,
        digest(state_of(released.parts())),
        facts,
        torch.__version__,
        provenance.device_name(device),
        torch.get_num_threads(),
    )
    return sha256(repr(names).encode()).hexdigest()[:16]
