"""Networks, found by name. This file and the catalogue start without torch.

A factory `(channels, classes) -> nn.Module` makes the layers of one network. It is
named in the group `bench.networks` of `pyproject.toml`, ours and outsiders' alike, or
is asked for by its place. Normalisation comes before its layers, so every network takes
pixels in [0, 1] and an attack works in the same space whatever the data set.

Every network of the bench ends in an `nn.Linear`, whose input is the feature vector
`(N, F)`. They pool over space, or pad, so none asks for an image size and none refuses
one: the same weights take 8, 28, 32 or 64 pixels, square or not. There is one file a
family; those of the Nasty Teacher study (https://arxiv.org/abs/2105.07381) have, in
colour, exactly as many parameters as there.
"""

from __future__ import annotations

from bench.networks.catalogue import Network, find

__all__ = ["Network", "find"]
