"""Images as one small picture for the site, such as those that an attack made."""

from __future__ import annotations

from io import BytesIO

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

LINE, LINES = 8, 8
"""Images in a line, lines in a picture."""
SIZE = 32
"""Smaller images are enlarged to about this many pixels, each by a whole factor."""


def png(images: Tensor, line: int = LINE) -> bytes:
    """The first of `images` `(N, C, H, W)` in [0, 1], `line` a line, as a PNG file."""
    few = images[: line * LINES].detach().float().cpu().clamp(0, 1)
    scale = max(1, SIZE // few.shape[-1])
    few = few.repeat_interleave(scale, dim=-1).repeat_interleave(scale, dim=-2)
    few = F.pad(few, (1, 1, 1, 1), value=0.5)
    missing = -len(few) % line
    few = torch.cat([few, few.new_full((missing, *few.shape[1:]), 0.5)])
    _, channels, height, width = few.shape
    tiles = few.view(-1, line, channels, height, width).permute(0, 3, 1, 4, 2)
    sheet = tiles.reshape(-1, line * width, channels)  # (lines H, line W, C)
    grey = channels == 1
    pixels = (sheet * 255).round().to(torch.uint8).numpy()
    stream = BytesIO()
    Image.fromarray(pixels[:, :, 0] if grey else pixels).save(stream, "PNG")
    return stream.getvalue()
