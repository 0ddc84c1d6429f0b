"""Images that an attack made, as one small picture for the site."""

from __future__ import annotations

from io import BytesIO

import torch
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

SAMPLES = 64
"""Images in a picture, eight a line."""


def png(images: Tensor) -> bytes:
    """The first of `images` `(N, C, H, W)` in [0, 1] side by side, as a PNG file.

    Small images are enlarged, pixel by pixel, to about 32 pixels.
    """
    few = images[:SAMPLES].detach().float().cpu().clamp(0, 1)
    scale = max(1, 32 // few.shape[-1])
    few = few.repeat_interleave(scale, dim=-1).repeat_interleave(scale, dim=-2)
    grid = make_grid(few, nrow=8, padding=2)
    stream = BytesIO()
    to_pil_image((grid * 255).round().to(torch.uint8)).save(stream, "PNG")
    return stream.getvalue()
