"""The features of a network: what reaches its last linear layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class Features:
    """Filled anew by each forward pass of the network."""

    last: Tensor | None = None
    """The input of the last `nn.Linear`, `(B, F)`, with its gradient; None before the
    first pass, and always for a network without such a layer."""


@contextmanager
def features(network: nn.Module) -> Iterator[Features]:
    """Watch the features of `network` while the block runs."""
    seen = Features()

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.last = inputs[0]

    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers[-1:]]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
