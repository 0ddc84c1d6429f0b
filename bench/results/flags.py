"""The warnings that the harness itself puts into rows."""

from __future__ import annotations

from enum import StrEnum


class Flag(StrEnum):
    """What was seen of a plugin that does not play fair, or is broken."""

    OFF_SIMPLEX = "replies off the simplex"
    CHANGING = "replies change between equal calls"
    BATCH = "replies depend on the batch"
    DECOY = "the released network is not the model that serves"
    NOISE = "accuracy lost to one grey level of noise"
    SHIFT = "accuracy lost to a shift of half a pixel"
    VANISHED = "gradients vanish"
    QUOTA = "replies changed while it was attacked"


REACHES = "reaches: "
"""Begins the flag of a plugin whose source takes what it was not granted."""
