"""Artefacts and rows on disk; the only file that knows where they lie.

    STORE/<key>/row.parquet             the task is over; written last
    STORE/<key>/failure.parquet         a later try that failed, beside a good row
    STORE/<key>/weights.safetensors     teachers, released teachers, students
    STORE/<key>/log.txt                 the traceback of a task that failed

    STORE/replies/<name>/               what a teacher said, see `bench.replies`

    RESULTS/{teacher,protect,steal}.parquet     published rows

Everything is written aside and renamed, so that whoever looks sees all or nothing, even
when two processes do the same task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from filelock import FileLock

from bench.errors import BadResults, Unfit
from bench.results.rows import TABLES, Row, read, table_of, write

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
        probe(self.root, "store", "--store")

    def folder(self, key: str) -> Path:
        """Where the task called `key` keeps its files."""
        return self.root / key

    def replies(self, name: str) -> Path:
        """Where the replies of a teacher to one set of images are remembered.

        They save work and nothing else: the folder may be removed at any time that no
        run uses it.
        """
        return self.root / "replies" / name

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

    def last(self, kind: type[Row], key: str, since: float) -> Row | None:
        """The row that the task's last try left after the time `since`, if any.

        Args:
            kind: Of the row.
            key: The task's.
            since: Seconds since the epoch, as `time.time()` tells them.
        """
        tries = [self.folder(key) / name for name in ("row.parquet", "failure.parquet")]
        fresh = {p.stat().st_mtime: p for p in tries if p.exists()}
        newest = max(fresh, default=0.0)
        return _only(kind, fresh[newest]) if newest > since else None

    def save(self, row: Row, tensors: Mapping[str, Tensor] | None = None) -> None:
        """Keep `row`, and the `tensors` that later tasks build on.

        A task that once ended well is not undone by a later try that did not: that
        one's row stands beside it, as failure.parquet.

        Raises:
            Unfit: the folder takes no more files.
        """
        try:
            self._save(row, tensors)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Unfit(f"cannot keep a row in {self.root}: {why}") from error

    def _save(self, row: Row, tensors: Mapping[str, Tensor] | None) -> None:
        folder = self.folder(row.key)
        folder.mkdir(parents=True, exist_ok=True)
        if row.status != "ok":
            old = self.row(type(row), row.key)
            if old is not None and old.status == "ok":
                write([row], type(row), folder / "failure.parquet")
                return
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

    def has_tensors(self, key: str) -> bool:
        """Whether `save` kept any beside the row."""
        return (self.folder(key) / "weights.safetensors").exists()

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
    if results.exists() and not results.is_dir():
        raise BadResults(f"{results} is no folder of tables")
    files = {kind: results / f"{name}.parquet" for name, kind in TABLES.items()}
    return [
        r for kind, path in files.items() if path.exists() for r in read(kind, path)
    ]


def publish(rows: Iterable[Row], results: Path, again: bool = False) -> list[Row]:
    """Merge `rows` into the tables in `results`, sorted; returns all that stand there.

    A row that is published already stays as it is, for an equal key means an equal
    computation, unless it had failed, or `again` is true and the new one has not. Two
    commands that publish at once wait for each other.

    Raises:
        BadResults: a table that stands there is not one; nothing is written.
        Unfit: the folder takes no files.
    """
    probe(results, "results folder", "--results")
    with FileLock(results / ".lock"):
        merged = {row.key: row for row in published(results)}
        for row in rows:
            merged[row.key] = _better(merged.get(row.key), row, again)
        everything = sorted(merged.values(), key=_order)
        for name, kind in TABLES.items():
            mine = [row for row in everything if table_of(row) == name]
            if mine:
                write(mine, kind, results / f"{name}.parquet")
    return everything


def _better(old: Row | None, new: Row, again: bool) -> Row:
    if old is None or old.status != "ok" or (again and new.status == "ok"):
        return new
    # The same computation may have been asked for in other words, which say whether it
    # departs from the protocol and what it is called.
    return restamped(old, new) if new.official and not old.official else old


def restamped(row: Row, like: Row) -> Row:
    """`row` with the labels and the official mark of `like`, its equal by key."""
    names = ("official", "defense", "attack")
    have = {f.name for f in fields(row)}
    return replace(row, **{n: getattr(like, n) for n in names if n in have})


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


def _order(row: Row) -> tuple[str, ...]:
    names = ("protocol", "dataset", "teacher", "defense", "attack", "student")
    return (
        *(str(getattr(row, name, "")) for name in names),
        f"{row.seed:09d}",
        row.key,
    )
