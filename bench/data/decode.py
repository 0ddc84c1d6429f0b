"""Image files -> one uint8 tensor. The only user of PIL, and never while training."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bench.errors import BadData, one_line

GREY, DEEP = ("1", "L", "LA"), ("I", "I;16", "I;16B", "I;16L", "F")
"""PIL's modes without colour, and those of more than 8 bits."""


def stacked(files: Iterable[tuple[str, bytes]], count: int) -> Tensor:
    """`count` images as `(N, C, H, W)`, uint8; C is 3 if any of them has colour.

    Args:
        files: Where each image lies, for messages, and its encoded bytes.
        count: How many there are.

    Raises:
        BadData: one cannot be decoded, or is not as large as the first.
    """
    stack = np.empty((0, 0, 0, 0), np.uint8)  # (N, H, W, C)
    first = ""
    for row, (where, content) in enumerate(files):
        pixels = decoded(where, content)
        if row == 0:
            first, stack = where, np.empty((count, *pixels.shape), np.uint8)
        if pixels.shape[:2] != stack.shape[1:3]:
            raise BadData(
                f"{where} has {_size(pixels)} pixels and {first} has "
                f"{_size(stack[0])}: all images of a data set must have one size"
            )
        if pixels.shape[2] > stack.shape[3]:  # the first with colour
            wider = np.empty((*stack.shape[:3], 3), np.uint8)
            wider[:row] = stack[:row]
            stack = wider
        stack[row] = pixels
    return torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()


def decoded(where: str, content: bytes) -> NDArray[np.uint8]:
    """One image as `(H, W, C)`, where C is 1 or 3; transparency is dropped.

    Raises:
        BadData: it is no image, or has more than 8 bits a channel.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            mode = image.mode
            pixels = np.asarray(image.convert("L" if mode in GREY else "RGB"))
    # PIL's decoders raise whatever a broken file makes them stumble on.
    except Exception as error:
        why = one_line(error) if content else "it is empty"
        raise BadData(f"cannot decode {where}: {why}") from error
    if mode in DEEP:
        raise BadData(f"{where} has more than 8 bits a channel ({mode})")
    return pixels.reshape(*pixels.shape[:2], -1)


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[0]}x{pixels.shape[1]}"
