"""The tables: one dataclass a table, one instance a row.

Accuracies, agreements and fractions lie in [0, 1], never percent; times are seconds,
memory is bytes, a query is one image answered. A measurement is null where the
task did not end well, and `status` and `reason` say why.

A row tells what was computed and what came of it. It does not tell what a protocol
calls that, or whether it is ranked: see `bench.planning.coverage`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import ClassVar

from bench.results.grid import UNTUNED
from bench.results.scores import (
    Choice,
    Portrait,
    ReleaseChecks,
    ReleaseScores,
    StudentScores,
    TeacherScores,
    Validation,
)

TABLES: dict[str, type[Row]] = {}
"""Every kind of row by the name of its table, which is its file's in `results/`."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What every task tells. A subclass names its table: `class X(Row, table="x")`."""

    table: ClassVar[str] = ""
    """Of which file in `results/` it is a row."""

    key: str
    """The task's name in the store: a hash of all that decides its result."""
    status: str
    """ok | failed | oom | diverged | timeout | skipped | not_applicable | unfit."""
    reason: str = ""
    """One line; empty when the status is ok."""
    dataset: str
    data_fingerprint: str
    """16 hex digits from every pixel and label of the whole set."""
    data_fraction: float = 1.0
    """Share of the training images that is used at all, by teacher and attacker."""
    augmentation: str = "{}"
    """Random changes of training images, as JSON; what it lacks is left as it is."""
    precision: str = "fp32"
    """fp32 | bf16: of training and replies; students are scored in the same."""
    classes: int | None = None
    """Of the data set; chance is 1 / classes. Null where the task was never begun."""
    teacher: str
    """The teacher's network."""
    teacher_recipe: str
    """How it was trained, as JSON."""
    seed: int
    """Each seed has a teacher and students of its own; -1 is that of tuning, which is
    never ranked."""
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

    def __init_subclass__(cls, table: str = "") -> None:
        super().__init_subclass__()
        if table:
            cls.table = table
            TABLES[table] = cls


@dataclass(frozen=True, kw_only=True)
class TeacherRow(TeacherScores, Row, table="teacher"):
    """One undefended teacher."""


@dataclass(frozen=True, kw_only=True)
class Defended(Row):
    """What the rows of a released teacher and of its students have in common."""

    parent: str
    """Key of the task that this one builds on: for a released teacher the undefended
    one, for a student the released one."""
    defense: str
    """The plugin's name, without options."""
    defense_options: str
    """Every option as JSON."""
    defense_defaults: str
    """The value of every option unless another is asked for, as JSON."""
    defense_source: str
    """16 hex digits from the plugin's files."""


@dataclass(frozen=True, kw_only=True)
class ProtectRow(Portrait, ReleaseChecks, ReleaseScores, Defended, table="protect"):
    """One released teacher: what one defense made of one teacher."""


@dataclass(frozen=True, kw_only=True)
class Attacked(Defended):
    """What all rows of an attack have in common."""

    attack: str
    """The plugin's name, without options."""
    attack_options: str
    """Every option as JSON, before tuning."""
    attack_defaults: str
    """The value of every option unless another is asked for, as JSON."""
    attack_source: str
    """16 hex digits from the plugin's files."""
    asks: str
    """Weights | SoftLabels | HardLabels: what the attack uses of the teacher."""
    teacher_grant: str
    """Weights | SoftLabels | HardLabels: what the attacker held of the teacher."""
    image_grant: str
    """TrainImages | SurrogateImages | NoImages."""
    fraction: float
    """Share of the training images that was granted."""
    query_budget: int | None = None
    """Images that the teacher would have answered at most; null without a limit."""
    teacherless: bool
    """A control that never asks the teacher."""
    reference: bool = False
    """A teacherless student that costs more than an attack: no part of Z."""
    student: str
    """The student's network."""
    student_recipe: str
    """How the protocol trains it from images, as JSON, before tuning."""
    effort: int = 1
    """How many times the protocol's steps the student was trained."""
    grid: str = "[]"
    """What tuning may choose from, as JSON: in each item the values that depart from
    `attack_options`, and from the recipe as `recipe.NAME`; empty without tuning."""
    held_out: float = 0.0
    """Share of the granted images on which tuning compares."""

    @property
    def is_tuned(self) -> bool:
        """It chose from a grid."""
        return self.grid != UNTUNED


@dataclass(frozen=True, kw_only=True)
class StealRow(StudentScores, Attacked, table="steal"):
    """One student: one attack on one released teacher."""

    tuned_by: str = ""
    """Key of the task that chose from `grid`; empty without tuning."""


@dataclass(frozen=True, kw_only=True)
class TryRow(Validation, Attacked, table="try"):
    """One try of tuning: an attack whose options and recipe are those to be tried."""


@dataclass(frozen=True, kw_only=True)
class TuneRow(Choice, Attacked, table="tune"):
    """What tuning chose for one attack on one defense."""

    tries: list[str] = field(default_factory=list)
    """Keys of the tries, in the order of the grid."""


def age(row: Row) -> tuple[datetime, str]:
    """Sorts rows from the first that was started to the last; equal ones by key."""
    return row.started, row.key


BULKY = {"samples", "predictions", "correct", *(f.name for f in fields(Portrait))}
"""Columns to be drawn and not to be read: terminals leave them out."""
