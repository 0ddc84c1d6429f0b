"""Networks by name or place, as tasks carry them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from bench.code import Code
from bench.entry_points import is_ours, place_of, short_name
from bench.errors import BadPlugin

if TYPE_CHECKING:
    from torch import nn

GROUP = "bench.networks"


@dataclass(frozen=True)
class Network:
    """One network that can be built. Equal records compute the same."""

    name: str
    """What rows call it: an installed name, `module:factory` or `stem:factory`."""
    code: Code | None = None
    """Of its factory; None for the bench's own, which `bench.REVISION` covers."""

    def factory(self) -> Callable[[int, int], nn.Module]:
        """What makes its layers from channels C and classes K.

        Raises:
            BadPlugin: it cannot be loaded, or was edited since it was found.
            UnknownName: it is not installed any more.
        """
        return _factory(self)

    def build(
        self,
        channels: int,
        classes: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        precision: str = "fp32",
    ) -> nn.Module:
        """Draw fresh weights; from `(N, C, H, W)` in [0, 1] to logits `(N, K)`.

        They are drawn from torch's global generator: call it inside `seeds.seeded`.

        Args:
            channels: C.
            classes: K.
            mean: Of the training pixels, a value a channel.
            std: Their deviation, a value a channel.
            precision: fp32 or bf16; weights and logits are float32 in both.

        Raises:
            BadPlugin: its factory cannot be loaded, or gives no `nn.Module`.
        """
        from torch import nn

        from bench.networks.layers import Normalise
        from bench.networks.precision import Mixed

        body = self.factory()(channels, classes)
        if not isinstance(body, nn.Module):
            raise BadPlugin(
                f"network {self.name!r} gives {type(body).__name__}, not an nn.Module"
            )
        return Mixed(Normalise(mean, std), body, precision=precision)


def find(name: str) -> Network:
    """The network called `name`, or the one at a place; its code is read, not run.

    Args:
        name: An installed name, "module:factory" or "path/file.py:factory".

    Raises:
        BadPlugin: there is no such file or module, or it is not Python.
        UnknownName: nothing is installed under that name.
    """
    place = place_of(GROUP, name)
    code = None if is_ours(place) else Code.at(place)
    return Network(short_name(GROUP, name), code)


@cache
def _factory(network: Network) -> Callable[[int, int], nn.Module]:
    code = network.code or Code.at(place_of(GROUP, network.name))
    made = code.load()
    if not callable(made):
        raise BadPlugin(f"network {network.name!r} is no function that makes layers")
    return cast("Callable[[int, int], nn.Module]", made)
