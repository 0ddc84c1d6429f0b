"""What tasks leave on disk: rows, weights, logs. No other file knows where they lie.

    STORE/<key>/row.parquet          the task is over; written last
    STORE/<key>/weights.safetensors  teachers, released teachers, students
    STORE/<key>/log.txt              the traceback of a task that failed

    STORE/replies/<name>/            what a teacher replied, see `bench.threat.replies`

Everything is written aside and renamed, so that a reader sees all or nothing, even when
two processes do the same task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from bench.errors import BadResults, Status, Unfit
from bench.results.parquet import kind_of, read, write
from bench.results.rows import Row

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Store:
    """One folder a task, named by its key."""

    root: Path
    """Absolute: workers may stand in another folder."""

    @classmethod
    def at(cls, folder: Path) -> Self:
        """The store in `folder`, as a user writes it: from here, or from `~`."""
        return cls(folder.expanduser().resolve())

    def open(self) -> None:
        """Make the folder and see that it takes files.

        Raises:
            Unfit: it does not.
        """
        probe(self.root, "store", "--store")

    def folder(self, key: str) -> Path:
        """Where the task called `key` keeps its files."""
        return self.root / key

    def replies(self, name: str) -> Path:
        """Where the replies of a teacher to one set of images are kept.

        They save work and nothing else: the folder may be removed at any time that no
        run uses it.
        """
        return self.root / "replies" / name

    def row(self, key: str) -> Row | None:
        """The row of a task that is over, or None.

        Raises:
            BadResults: its file is not one.
        """
        path = self.folder(key) / "row.parquet"
        return _only(path) if path.exists() else None

    def rows(self) -> Iterator[Row]:
        """Every row in the store, in the order of their keys.

        Raises:
            BadResults: a file is not one.
        """
        for path in sorted(self.root.glob("*/row.parquet")):
            yield _only(path)

    def save(self, row: Row, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Keep `row`, and the `tensors` that later tasks build on.

        A task that once ended well is not undone by a later try that did not.

        Args:
            row: Of the task.
            tensors: By name, of any device and memory layout.

        Raises:
            BadResults: a row is there already, and its file is not one.
            Unfit: the folder takes no more files.
        """
        if row.status != Status.OK:
            old = self.row(row.key)
            if old is not None and old.status == Status.OK:
                return
        try:
            folder = self.folder(row.key)
            folder.mkdir(parents=True, exist_ok=True)
            if tensors is not None:
                _save(tensors, folder / "weights.safetensors")
            write([row], type(row), folder / "row.parquet")
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Unfit(f"cannot keep a row in {self.root}: {why}") from error

    def tensors(self, key: str) -> dict[str, Tensor]:
        """What `save` kept beside the row, on the CPU."""
        from safetensors.torch import load_file

        return load_file(self.folder(key) / "weights.safetensors")

    def has_tensors(self, key: str) -> bool:
        """Whether `save` kept any beside the row."""
        return (self.folder(key) / "weights.safetensors").exists()

    def log(self, key: str, text: str) -> Path:
        """Keep `text` beside the row; returns where."""
        path = self.folder(key) / "log.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    part = path.with_name(f"weights.{uuid4().hex[:8]}.part")
    # A file holds no memory twice: layers that share a tensor get a copy each.
    plain = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    save_file(plain, part)
    part.replace(path)


def _only(path: Path) -> Row:
    rows = list(read(kind_of(path), path))
    if len(rows) != 1:
        raise BadResults(
            f"{path} holds {len(rows)} rows, not one; remove {path.parent} and run the "
            "command again"
        )
    return rows[0]


def probe(folder: Path, what: str, option: str) -> None:
    """Make `folder` and see that it takes files.

    Args:
        folder: The place.
        what: Names it in the message.
        option: The option that names another.

    Raises:
        Unfit: it does not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".probe-{uuid4().hex[:8]}"
        trial.touch()
        trial.unlink()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Unfit(
            f"cannot write to the {what} {folder}: {why}; name another folder with "
            f"{option}"
        ) from error
