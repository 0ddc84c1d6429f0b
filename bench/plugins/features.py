"""The features of a network: what reaches the linear layer that makes its logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class Features:
    """Filled anew by each forward pass of the network."""

    last: Tensor | None = None
    """The input `(B, F)`, with its gradient, of the `nn.Linear` whose output is what
    the network returns; None before the first pass, and where no such layer made it."""


@contextmanager
def features(network: nn.Module) -> Iterator[Features]:
    """Watch the features of `network` while the block runs.

    Which layer it is, each pass shows by what comes out: the order in which layers are
    registered says nothing, and some are never called or serve another purpose.
    """
    seen = Features()
    calls: list[tuple[Tensor, Tensor]] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((inputs[0], output))

    def judge(_: nn.Module, __: tuple[Tensor, ...], logits: Tensor) -> None:
        made = [features for features, output in calls if _same(output, logits)]
        seen.last = made[-1] if made else None
        calls.clear()

    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    hooks.append(network.register_forward_hook(judge))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _same(output: Tensor, logits: Tensor) -> bool:
    """Whether both hold the same numbers, be it after a change of type."""
    if output is logits:
        return True
    if output.shape != logits.shape:
        return False
    cast, equal = output.detach().to(logits.dtype), logits.detach()
    return bool(((cast == equal) | (cast.isnan() & equal.isnan())).all())
