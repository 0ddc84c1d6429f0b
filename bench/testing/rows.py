"""Rows for tests: every column has a value, and every column can be set.

    teacher_row(seed=1)
    release_row("nasty", seed=1, defense_options={"omega": 0.1})
    steal_row("nasty", "kd", seed=1, accuracy=0.7, track="limited")

Rows that are made with the same columns belong together: `parent` is the key of the row
that the same columns make one table below. They fit `PROTOCOL` unless a column departs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar, get_type_hints

from bench.results.rows import ProtectRow, Row, StealRow, TeacherRow
from bench.testing.protocol import PROTOCOL
from bench.threat.access import Access

R = TypeVar("R", bound=Row)

DEFAULTS: dict[str, dict[str, Any]] = {
    "nasty": {"omega": 0.04, "tau": 4.0, "adversary": ""},
    "kd": {"tau": 4.0, "alpha": 0.9},
    "dafl": {"batch_size": 64, "student_lr": 0.1},
}
"""Options of plugins by name; a plugin that is not here has none."""
ASKS = {"scratch": "HardLabels", "label_kd": "HardLabels", "dafl": "Weights"}
"""What attacks use of the teacher; others the confidences."""
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CHOSEN: dict[str, Any] = {
    "status": "ok",
    "dataset": "digits",
    "data_fingerprint": "f" * 16,
    "classes": 10,
    "revision": 1,
    "threads": 1,
    "seconds": 1.0,
    "started": STARTED,
}
"""Columns whose value matters to somebody."""
ANYTHING: dict[type, Any] = {str: "", int: 0, float: 0.0, bool: False}
"""By type, the value of a column that must have one and that nobody asks for."""
# fmt: off
DECIDES = {
    "dataset", "data_fingerprint", "data_fraction", "augmentation", "precision",
    "teacher", "teacher_recipe", "seed", "revision", "defense", "defense_options",
    "defense_source", "attack", "attack_options", "attack_source", "teacher_grant",
    "image_grant", "fraction", "query_budget", "student", "student_recipe",
}
# fmt: on
"""Columns that a key is made of."""


def teacher_row(
    seed: int = 0, accuracy: float | None = 0.98, **columns: Any
) -> TeacherRow:
    """The undefended teacher of a seed.

    Args:
        seed: Of teacher and students.
        accuracy: On the test images.
        columns: In place of the defaults.
    """
    known = {"seed": seed, "accuracy": accuracy, **columns}
    return _row(TeacherRow, known)


def release_row(
    defense: str = "nasty",
    seed: int = 0,
    accuracy: float | None = 0.97,
    **columns: Any,
) -> ProtectRow:
    """What one defense made of that teacher.

    Args:
        defense: The plugin's name.
        seed: Of teacher and students.
        accuracy: Of the replies.
        columns: In place of the defaults. `defense_options` may be a mapping of those
            that depart from `DEFAULTS`.
    """
    parent = _key_of(TeacherRow, {"seed": seed, **columns})
    known = {"seed": seed, "accuracy": accuracy, "parent": parent}
    return _row(ProtectRow, known | _plugin("defense", defense, columns) | columns)


def steal_row(
    defense: str = "nasty",
    attack: str = "kd",
    seed: int = 0,
    accuracy: float | None = 0.9,
    track: str = "open",
    **columns: Any,
) -> StealRow:
    """The student of one attack on that release.

    Args:
        defense: The defense's name.
        attack: The attack's name.
        seed: Of teacher and students.
        accuracy: Of the student.
        track: Of `PROTOCOL`: its access.
        columns: In place of the defaults. `access` stands for all columns that tell
            what is granted; `*_options` may be mappings, as above.
    """
    access = columns.pop("access", None) or PROTOCOL.tracks[track].accesses()[0]
    whose = _plugin("defense", defense, columns)
    how = _plugin("attack", attack, columns)
    parent = _key_of(ProtectRow, {"seed": seed, **whose, **columns})
    known = {
        "seed": seed,
        "accuracy": accuracy,
        "parent": parent,
        **whose,
        **how,
        **_granted(access),
        "asks": ASKS.get(attack, "SoftLabels"),
        "teacherless": attack == "scratch",
        "student": PROTOCOL.students[0],
    }
    return _row(StealRow, known | columns)


def steal_rows(
    defense: str, attack: str, accuracies: Sequence[float | None], **columns: Any
) -> list[StealRow]:
    """A student a seed, see `steal_row`."""
    return [
        steal_row(defense, attack, seed, accuracy, **columns)
        for seed, accuracy in enumerate(accuracies)
    ]


def _granted(access: Access) -> dict[str, Any]:
    return {
        "teacher_grant": access.teacher.value,
        "image_grant": access.images.value,
        "fraction": access.fraction,
        "query_budget": access.queries,
    }


def _plugin(kind: str, name: str, columns: dict[str, Any]) -> dict[str, Any]:
    """The columns of one plugin; takes a mapping of options out of `columns`."""
    defaults, options = DEFAULTS.get(name, {}), columns.get(f"{kind}_options", {})
    if isinstance(options, Mapping):
        columns.pop(f"{kind}_options", None)
        options = json.dumps({**defaults, **options})
    return {
        kind: name,
        f"{kind}_options": options,
        f"{kind}_defaults": json.dumps(defaults),
        f"{kind}_source": "0" * 16,
    }


def _row(kind: type[R], columns: Mapping[str, Any]) -> R:
    """A row of `kind`, with a key of all that decides its result."""
    types = get_type_hints(kind)
    known: dict[str, Any] = {"key": _key_of(kind, columns), **_chosen(columns)}
    values: dict[str, Any] = {
        f.name: known[f.name] if f.name in known else ANYTHING[types[f.name]]
        for f in fields(kind)
        if f.name in known or (f.default is f.default_factory is MISSING)
    }
    unknown = columns.keys() - values.keys()
    if unknown:
        raise TypeError(f"{kind.__name__} has no column {', '.join(sorted(unknown))}")
    return kind(**values)


def _chosen(columns: Mapping[str, Any]) -> dict[str, Any]:
    """`CHOSEN` and recipes, with `columns` in their place."""
    known = {**CHOSEN, "teacher": PROTOCOL.teachers[0], **columns}
    for network in {"teacher", "student"} & known.keys():
        recipe = PROTOCOL.recipe_of(known[network], {})
        known.setdefault(f"{network}_recipe", json.dumps(asdict(recipe)))
    return known


def _key_of(kind: type[Row], columns: Mapping[str, Any]) -> str:
    """16 hex digits of those columns that decide the result of a row of `kind`."""
    names = DECIDES & {f.name for f in fields(kind)}
    decides = {n: v for n, v in _chosen(columns).items() if n in names}
    text = json.dumps([kind.table, decides], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:16]
