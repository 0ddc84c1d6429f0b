"""The weights of several modules as one set of named tensors, and back."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import torch
from torch import Tensor, nn

from bench.errors import BadPlugin, one_line


def state_of(parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of all `parts`, named `part.tensor`."""
    return {
        f"{name}.{k}": v
        for name, part in parts.items()
        for k, v in part.state_dict().items()
    }


def copy_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values, that nothing will change."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def load_parts(parts: Mapping[str, nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Fill each of `parts` from the `tensors` named after it.

    Raises:
        BadPlugin: they do not fit.
    """
    for name, part in parts.items():
        own = {
            k.removeprefix(f"{name}."): v
            for k, v in tensors.items()
            if k.startswith(f"{name}.")
        }
        try:
            part.load_state_dict(own)
        except RuntimeError as error:
            text = one_line(error)
            raise BadPlugin(
                f"the {name} that `protect` released does not fit the one that "
                f"`skeleton` builds: {text}"
            ) from error


def digest(tensors: Mapping[str, Tensor]) -> str:
    """64 hex digits from names and values."""
    found = sha256()
    for name, tensor in tensors.items():
        found.update(name.encode())
        found.update(
            tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        )
    return found.hexdigest()
