"""Artefacts and rows on disk; the only file that knows where they lie.

    STORE/<key>/row.parquet             the task is over; written last
    STORE/<key>/weights.safetensors     teachers, released teachers, students
    STORE/<key>/log.txt                 the traceback of a task that failed

    RESULTS/{teacher,protect,steal}.parquet     published rows

Everything is written aside and renamed, so that whoever looks sees all or nothing, even
when two processes do the same task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.errors import BadResults, Unfit
from bench.rows import TABLES, Row, read, table_of, write

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Store:
    """One folder a task, named by its key."""

    root: Path
    """Absolute: workers may stand in another folder."""

    def open(self) -> None:
        """Make the folder and see that it takes files.

        Raises:
            Unfit: it does not.
        """
        probe = self.root / f".probe-{uuid4().hex[:8]}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Unfit(
                f"cannot write to the store {self.root}: {why}; name another folder "
                "with --store"
            ) from error

    def folder(self, key: str) -> Path:
        """Where the task called `key` keeps its files."""
        return self.root / key

    def row(self, kind: type[Row], key: str) -> Row | None:
        """The row of a task that is over, or None.

        Raises:
            BadResults: its file is not one.
        """
        path = self.folder(key) / "row.parquet"
        return _only(kind, path) if path.exists() else None

    def rows(self) -> Iterator[Row]:
        """Every row in the store, in the order of their keys.

        Raises:
            BadResults: a file is not one.
        """
        for path in sorted(self.root.glob("*/row.parquet")):
            yield _only(_kind(path), path)

    def save(self, row: Row, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Keep `row`, and the `tensors` that later tasks build on."""
        folder = self.folder(row.key)
        folder.mkdir(parents=True, exist_ok=True)
        if tensors is not None:
            from safetensors.torch import save_file

            part = folder / f"weights.{uuid4().hex[:8]}.part"
            # A file holds no memory twice: layers that share a tensor get a copy each.
            plain = {
                k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()
            }
            save_file(plain, part)
            part.replace(folder / "weights.safetensors")
        write([row], type(row), folder / "row.parquet")

    def tensors(self, key: str) -> dict[str, Tensor]:
        """What `save` kept beside the row, on the CPU."""
        from safetensors.torch import load_file

        return load_file(self.folder(key) / "weights.safetensors")

    def log(self, key: str, text: str) -> Path:
        """Keep `text` beside the row; returns where."""
        path = self.folder(key) / "log.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def _only(kind: type[Row], path: Path) -> Row:
    rows = list(read(kind, path))
    if len(rows) != 1:
        raise BadResults(
            f"{path} holds {len(rows)} rows, not one; remove {path.parent} and run the "
            "command again"
        )
    return rows[0]


def _kind(path: Path) -> type[Row]:
    """The kind of the row at `path`, by its columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise BadResults(
            f"cannot read {path}: it is no Parquet file; remove {path.parent} "
            "and run the command again"
        ) from error
    if "attack" in names:
        return TABLES["steal"]
    return TABLES["protect" if "defense" in names else "teacher"]


def published(results: Path) -> list[Row]:
    """Every row of the Parquet tables in `results`.

    Raises:
        BadResults: a file is not one.
    """
    files = {kind: results / f"{name}.parquet" for name, kind in TABLES.items()}
    return [
        r for kind, path in files.items() if path.exists() for r in read(kind, path)
    ]


def publish(rows: Iterable[Row], results: Path, replace: bool = False) -> list[Row]:
    """Merge `rows` into the tables in `results`, sorted; returns all that stand there.

    A row that is published already stays as it is, for an equal key means an equal
    computation, unless it had failed or `replace` is true.

    Raises:
        BadResults: a table that stands there is not one; nothing is written.
        Unfit: the folder takes no files.
    """
    merged = {row.key: row for row in published(results)}
    for row in rows:
        old = merged.get(row.key)
        if old is None or old.status != "ok" or replace:
            merged[row.key] = row
    everything = sorted(merged.values(), key=_order)
    try:
        results.mkdir(parents=True, exist_ok=True)
        for name, kind in TABLES.items():
            mine = [row for row in everything if table_of(row) == name]
            if mine:
                write(mine, kind, results / f"{name}.parquet")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Unfit(
            f"cannot write to the results folder {results}: {why}; name another with "
            "--results"
        ) from error
    return everything


def _order(row: Row) -> tuple[str, ...]:
    names = ("protocol", "dataset", "teacher", "defense", "attack", "student")
    return (
        *(str(getattr(row, name, "")) for name in names),
        f"{row.seed:09d}",
        row.key,
    )
