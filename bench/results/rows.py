"""The tables: one dataclass a table, one instance a row, one Parquet file a task.

Accuracies, agreements and fractions are shares in [0, 1], never percent; times are
seconds, memory is bytes, a query is one image answered. A measurement is null where the
task did not end well, and `status` and `reason` say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, TypeAdapter, ValidationError

from bench.errors import BadResults


@dataclass(frozen=True, kw_only=True)
class Row:
    """What every task tells."""

    key: str
    """The task's name in the store: a hash of all that decides its result."""
    status: str
    """ok | failed | oom | diverged | timeout | skipped."""
    reason: str = ""
    """One line; empty when the status is ok."""
    official: bool
    """Nothing departs from the protocol; other rows are never ranked."""
    protocol: str
    protocol_version: int
    dataset: str
    data_fingerprint: str
    """16 hex digits from every pixel and label of the whole set."""
    data_share: float = 1.0
    """Share of the training images that the protocol uses, for teacher and attacker."""
    precision: str = "fp32"
    """fp32 | bf16: of training and replies; students are scored in the same."""
    classes: int | None = None
    """Of the data set; chance is 1 / classes. Null where the task was never begun."""
    teacher: str
    """The teacher's network."""
    teacher_recipe: str
    """How it was trained, as JSON."""
    seed: int
    """Each seed has a teacher and students of its own."""
    flags: list[str] = field(default_factory=list)
    """Visible warnings, such as "collapsed"."""
    figures: dict[str, float] = field(default_factory=dict)
    """Health figures that the plugin reported, such as nasty's tau2_kl."""
    curve: list[float] = field(default_factory=list)
    """Test accuracy during training: a diagnostic, nothing was chosen by it."""
    revision: int
    """`bench.REVISION`: the core's numbers are comparable within one."""
    version: str
    """Of distill-bench."""
    commit: str | None = None
    """Of the checkout that ran; null when installed from a wheel."""
    dirty: bool | None = None
    """Whether tracked code differed from that commit."""
    torch: str
    cuda: str | None = None
    """The CUDA version that torch was built for, where a GPU was used."""
    python: str
    platform: str
    device: str
    """The processor or the GPU by name."""
    threads: int
    """CPU threads that torch used."""
    compiled: bool = False
    """Whether networks went through torch.compile."""
    command: str
    started: datetime
    """UTC."""
    seconds: float
    peak_memory: int | None = None
    """Bytes: of the GPU's allocator, or else the process's resident peak."""


@dataclass(frozen=True, kw_only=True)
class TeacherRow(Row):
    """One undefended teacher."""

    accuracy: float | None = None
    """On the test images, after training."""
    calibration_error: float | None = None
    """Expected calibration error over 15 bins of equal width."""


@dataclass(frozen=True, kw_only=True)
class ProtectRow(Row):
    """One released teacher: what one defense made of one teacher."""

    parent: str
    """Key of the undefended teacher."""
    defense: str
    """The name, with options that depart from the protocol's."""
    defense_options: str
    """Every option as JSON."""
    defense_source: str
    """16 hex digits from the plugin's files."""
    accuracy: float | None = None
    """Of the replies, on the test images."""
    network_accuracy: float | None = None
    """Of the network that leaks with the weights."""
    fidelity: float | None = None
    """Share of test images on which replies and undefended teacher agree."""
    calibration_error: float | None = None
    """Of the replies."""
    responses: list[float] = field(default_factory=list)
    """Portrait, of seed 0 alone, for it costs seconds: the K log-probabilities, in nats
    and at least log 1e-12, replied to the first test image of each of the first ten
    classes, example after example."""
    response_classes: list[int] = field(default_factory=list)
    """Portrait: the examples' labels, in the order of `responses`."""
    response_images: bytes | None = None
    """Portrait: PNG of the examples, side by side in the order of `responses`."""
    features_map: list[float] = field(default_factory=list)
    """Portrait: t-SNE of the input of the network's last Linear layer, x0, y0, x1, ...,
    of up to 500 test images, balanced over classes. The unit means nothing. Empty where
    there is no such layer or nothing to tell apart."""
    logits_map: list[float] = field(default_factory=list)
    """Portrait: the same of the replies' log-probabilities."""
    map_classes: list[int] = field(default_factory=list)
    """Portrait: labels of the images on both maps, in their order."""
    confidence: list[float] = field(default_factory=list)
    """Portrait: share of test images whose largest probability, as replied, lies in
    each of 20 bins of equal width over [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class StealRow(Row):
    """One student: one attack on one released teacher."""

    parent: str
    """Key of the released teacher."""
    defense: str
    """The name, with options that depart from the protocol's."""
    defense_options: str
    """Every option as JSON."""
    defense_source: str
    """16 hex digits from the plugin's files."""
    attack: str
    """The name, with options that depart from the protocol's."""
    attack_options: str
    """Every option as JSON."""
    attack_source: str
    """16 hex digits from the plugin's files."""
    teacher_grant: str
    """Weights | SoftLabels | HardLabels."""
    image_grant: str
    """TrainImages | SurrogateImages | NoImages."""
    fraction: float
    """Share of the training set that was granted."""
    track: str
    """The threat model; tracks are never mixed in one ranking."""
    teacherless: bool
    """A control that never asks the teacher."""
    student: str
    """The student's network."""
    student_recipe: str
    """How the protocol trains it from images, as JSON."""
    accuracy: float | None = None
    """Of the student's last state, on the test images."""
    best_accuracy: float | None = None
    """The highest of `curve`: papers print it; chosen on test, it is never ranked."""
    fidelity: float | None = None
    """Share of test images on which student and released teacher agree."""
    kl: float | None = None
    """Mean KL(released teacher || student) on the test images, in nats."""
    queries: int | None = None
    """Images the teacher answered; null when the attacker held the weights."""
    samples: bytes | None = None
    """PNG of images that the attack made, where it keeps any."""


TABLES: dict[str, type[Row]] = {
    "teacher": TeacherRow,
    "protect": ProtectRow,
    "steal": StealRow,
}
"""Every table by the name of its file in `results/`."""

BULKY = {
    "samples",
    "responses",
    "response_classes",
    "response_images",
    "features_map",
    "logits_map",
    "map_classes",
    "confidence",
}
"""Columns to be drawn and not to be read: terminals leave them out."""

_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    datetime: pa.timestamp("us", tz="UTC"),
    list[str]: pa.list_(pa.string()),
    list[int]: pa.list_(pa.int64()),
    list[float]: pa.list_(pa.float64()),
    dict[str, float]: pa.map_(pa.string(), pa.float64()),
}


def schema(row: type[Row]) -> pa.Schema:
    """The Arrow schema that the fields of `row` spell; only `T | None` is nullable."""
    hints = get_type_hints(row)
    return pa.schema([_field(f.name, hints[f.name]) for f in fields(row)])


def _field(name: str, hint: Any) -> pa.Field:
    optional = isinstance(hint, UnionType)
    kind = next(t for t in get_args(hint) if t is not type(None)) if optional else hint
    return pa.field(name, _ARROW[kind], nullable=optional)


def table_of(row: Row) -> str:
    """The name of the table that `row` belongs to."""
    return next(name for name, kind in TABLES.items() if kind is type(row))


def write(rows: Iterable[Row], kind: type[Row], path: Path) -> None:
    """Write `rows` of one `kind`; a half-written file never appears under `path`.

    Raises:
        ValueError: a value is not of its column's type.
    """
    plain = [asdict(_checked(kind)(**vars(row))) for row in rows]
    plain = [{**row, "figures": list(row["figures"].items())} for row in plain]
    table = pa.Table.from_pylist(plain, schema=schema(kind))
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    pq.write_table(table, part)
    part.replace(path)


def read(kind: type[Row], path: Path) -> Iterator[Row]:
    """The rows of one `kind` in the Parquet file at `path`.

    Columns that the file lacks take their default; columns that are unknown are left.

    Raises:
        BadResults: it is no Parquet file, or lacks what a row cannot do without.
    """
    try:
        plain = pq.ParquetFile(path).read().to_pylist(maps_as_pydicts="strict")
        known = {f.name for f in fields(kind)}
        checked = _checked(kind)
        rows = [checked(**{k: v for k, v in p.items() if k in known}) for p in plain]
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise BadResults(
            f"cannot read {path} as {kind.__name__}s: {text}; "
            "move it away, or restore it, and run the command again"
        ) from error
    yield from rows


_JUDGES: dict[str, dict[str, TypeAdapter[Any]]] = {}
"""By kind of row, what holds a value strictly against its column's type."""


def _checked(kind: type[Row]) -> Callable[..., Row]:
    """Makes a row of `kind` from values that are of their columns' types."""
    if kind.__qualname__ not in _JUDGES:
        hints = get_type_hints(kind)
        _JUDGES[kind.__qualname__] = {
            f.name: TypeAdapter(hints[f.name], config=ConfigDict(strict=True))
            for f in fields(kind)
        }
    judges = _JUDGES[kind.__qualname__]

    def make(**values: Any) -> Row:
        for name, value in values.items():
            try:
                judges[name].validate_python(value)
            except ValidationError as error:
                what = error.errors()[0]["msg"]
                raise ValueError(f"column {name}: {what}") from error
        return kind(**values)

    return make
