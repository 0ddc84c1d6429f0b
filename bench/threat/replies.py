"""What a fixed teacher replies, remembered by view.

Students of one teacher who train on the same images under one plan of views ask the
same questions, whatever their seed, network, temperature or options. The first to reach
an epoch asks about all of it and leaves a table on disk; the others read it:

    STORE/replies/<teacher and images>/<epoch>.safetensors

Where an image has no more views than there will be epochs, a table holds one view of
every image in place of one epoch, `view-<code>.safetensors`: a few images that are seen
many times are then asked about once a view.

Each has log-probabilities `(N, K)`, the images in their order. A table comes from
batches of one size in one order, so on processors it is the same to the bit whoever
makes it, and a student learns the same whether it was found or made.

Epochs are looked for in turn: an attack that deals one without asking about it, and
goes on, is answered live from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.data import Augmentation, Images, ViewPlan

Answer = Callable[[Tensor], Tensor]
"""Maps images `(N, C, H, W)` to log-probabilities `(N, K)`."""


class Memory(Protocol):
    """What a service replies to the views of one set of images."""

    @property
    def views(self) -> int:
        """How many views there are."""

    def __call__(self, view: Tensor) -> Tensor:
        """Log-probabilities `(B, K)` for each `view` in `(B,)`."""


ROOM = 8 * 2**30
"""Bytes that all tables of one teacher and one set of images may take; a longer
training asks about every batch."""


@dataclass(frozen=True)
class Shelf:
    """Where the tables of one teacher and one set of images lie."""

    folder: Path
    views: ViewPlan
    """Lays down which views an epoch shows."""
    horizon: int
    """Epochs of other views that the student at hand will see, or views of an image
    where those are fewer: so many tables there are."""
    classes: int
    """K."""


@dataclass
class Replies:
    """The replies of one teacher to the views of one set of images.

    A randomised service needs `FirstReplies` instead.
    """

    answer: Answer
    """Answers equal images alike, whenever and beside whatever they are asked."""
    images: Images
    augment: Augmentation
    shelf: Shelf | None = None
    """None, like one without room, leaves nothing behind: each batch is asked about."""

    last: Tensor | None = field(default=None, init=False)
    """The views that were answered last, `(B,)`."""
    _epoch: int = field(default=-1, init=False)
    _shown: Tensor | None = field(default=None, init=False)
    """The views that the epoch shows, `(N,)`."""
    _table: Tensor | None = field(default=None, init=False)
    """The replies to them, `(N, K)`."""
    _tables: Tensor | None = field(default=None, init=False)
    """The replies to all views, `(codes, N, K)`, where tables are by view."""

    def __post_init__(self) -> None:
        if self.shelf is not None:
            size = self.shelf.horizon * len(self.images) * self.shelf.classes * 4
            self.shelf = self.shelf if size <= ROOM else None

    @property
    def views(self) -> int:
        """How many views there are."""
        return len(self.images) * self.augment.codes

    def __call__(self, view: Tensor) -> Tensor:
        """Log-probabilities `(B, K)` for each `view` in `(B,)`."""
        self.last = view
        codes = self.augment.codes
        rows = view // codes
        if self.shelf is not None and self._by_view(self.shelf):
            return self._all(self.shelf)[view % codes, rows]
        table = self._find(rows, view)
        with torch.no_grad():
            if table is None:
                return self.answer(self.images.seen(view, self.augment))
            return table[rows]

    def _by_view(self, shelf: Shelf) -> bool:
        return self.augment.codes <= shelf.horizon

    def _all(self, shelf: Shelf) -> Tensor:
        if self._tables is None:
            tables = [self._get(shelf, code) for code in range(self.augment.codes)]
            self._tables = torch.stack(tables)
        return self._tables

    def _find(self, rows: Tensor, view: Tensor) -> Tensor | None:
        """The table that holds each `view`: that of this epoch, or of the next."""
        if self.shelf is None:
            return None
        if self._shown is not None and torch.equal(self._shown[rows], view):
            return self._table
        shown = self._views(self.shelf, self._epoch + 1)
        if not torch.equal(shown[rows], view):
            return None
        self._epoch, self._shown = self._epoch + 1, shown
        self._table = self._get(self.shelf, self._epoch)
        return self._table

    def _views(self, shelf: Shelf, number: int) -> Tensor:
        """The views of the table of that number."""
        if self._by_view(shelf):
            shown = torch.arange(len(self.images)) * self.augment.codes + number
        else:
            shown = shelf.views.views(number, len(self.images))
        return shown.to(self.images.labels.device)

    def _get(self, shelf: Shelf, number: int) -> Tensor:
        try:
            table = self._read(shelf, number)
        except (OSError, SafetensorError):
            # No place, or a broken file: then it is computed for this student alone.
            with suppress(OSError):
                self._path(shelf, number).unlink()
            table = self._compute(shelf, number)
        return table.to(self.images.labels.device)

    def _read(self, shelf: Shelf, number: int) -> Tensor:
        """A table by number; while another makes it, the next ones are made here."""
        path = self._path(shelf, number)
        while not path.exists():
            ahead = range(number, max(shelf.horizon, number + 1))
            if not any(self._make(shelf, later) for later in ahead):
                time.sleep(0.02)
        return load_file(path)["replies"]

    def _make(self, shelf: Shelf, number: int) -> bool:
        """Make a table by number, unless it is there or another is at it."""
        path = self._path(shelf, number)
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.stem}.{uuid4().hex[:8]}.part")
        try:
            with FileLock(path.with_suffix(".lock"), blocking=False):
                if path.exists():
                    return False
                save_file({"replies": self._compute(shelf, number)}, part)
                part.replace(path)
        except Timeout:
            return False
        finally:
            part.unlink(missing_ok=True)
        return True

    def _compute(self, shelf: Shelf, number: int) -> Tensor:
        size = self.images.at_once(self.images.pixels.device)
        views = self._views(shelf, number).split(size)
        with torch.no_grad():
            seen = (self.images.seen(view, self.augment) for view in views)
            replies = [self.answer(pixels).float() for pixels in seen]
        return torch.cat(replies).cpu().contiguous()

    def _path(self, shelf: Shelf, number: int) -> Path:
        name = f"view-{number}" if self._by_view(shelf) else str(number)
        return shelf.folder / f"{name}.safetensors"
