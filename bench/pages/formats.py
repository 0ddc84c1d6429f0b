"""Numbers and rows in words: the only place but the terminal where percent exists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from hashlib import sha256
from typing import Any

from bench.boards.columns import immunity, rank
from bench.boards.intervals import Estimate
from bench.boards.sentence import sentence
from bench.plugins.spec import Kind
from bench.results.rows import BULKY, Row

GROUPS = {
    "result": "status reason accuracy network_accuracy best_accuracy fidelity kl "
    "calibration_error queries flags figures",
    "task": "key parent dataset data_fingerprint data_fraction augmentation classes "
    "teacher teacher_recipe seed defense defense_options defense_defaults "
    "defense_source attack attack_options attack_defaults attack_source teacher_grant "
    "image_grant fraction query_budget teacherless student student_recipe",
    "environment": "device threads precision compiled torch cuda python platform",
    "provenance": "revision version commit dirty command started seconds peak_memory",
}
"""The columns of a row as its page groups them; the last group has all others."""
DRAWN = BULKY | {"curve", "validations", "tries"}
"""Columns that are no text."""

SHARES = {
    "accuracy",
    "network_accuracy",
    "best_accuracy",
    "fidelity",
    "calibration_error",
}
"""Columns that are shown in percent."""


def slug(label: str) -> str:
    """A label as a file name: `nasty` as it is, others with a mark of their own.

    `nasty[omega=0.1]` becomes `nasty-omega-0.1-` and six hex digits of the label, so
    that no two labels share a page.
    """
    plain = re.sub(r"[^a-z0-9._]+", "-", label.lower()).strip("-.")
    if plain == label:
        return plain
    return f"{plain}-{sha256(label.encode()).hexdigest()[:6]}".lstrip("-")


def percent(share: float | None) -> str:
    """A share in percent with one decimal; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}"


def spread(estimate: Estimate | None) -> str:
    """An estimate in percent with its interval and n; a dash for None."""
    if estimate is None:
        return "–"
    value = percent(estimate.value)
    if estimate.n < 2:
        return f"{value} (n = 1)" if estimate.n else value
    low, high = percent(estimate.low), percent(estimate.high)
    return f"{value} [{low}, {high}] (n = {estimate.n})".replace("-", "−")


def typeset(text: str) -> str:
    """A text of the terminal as pages print it: true minus signs and dashes."""
    if text == "-":
        return "–"
    return re.sub(r"(?<![\w\]])-(?=\d)", "−", text)


def at(share: float) -> float:
    """A share as a place on a line of 100 units, kept on the line."""
    return round(100 * min(1.0, max(0.0, share)), 2)


def plugin_address(kind: Kind, label: str) -> str:
    """Where the page of a plugin's label is, below the site's folder."""
    return f"{kind}/{slug(label)}.html"


def address_of(key: str) -> str:
    """The page of the row called `key`, below the site's folder."""
    return f"run/{key}.html"


def facts(row: Row) -> dict[str, list[tuple[str, str]]]:
    """Names and texts of all columns but those that are drawn, in groups."""
    have = [f.name for f in fields(row) if f.name not in DRAWN]
    grouped = {group: names.split() for group, names in GROUPS.items()}
    known = {name for names in grouped.values() for name in names}
    grouped["provenance"] += [name for name in have if name not in known]
    return {
        group: [(n, _text(n, getattr(row, n))) for n in names if n in have]
        for group, names in grouped.items()
    }


def _text(name: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    if name in SHARES:
        return f"{percent(value)} %"
    if name == "peak_memory":
        return f"{value / 2**20:,.0f} MiB"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if name == "queries" else str(value)
    if isinstance(value, dict):
        return ", ".join(f"{k} = {v:.4g}" for k, v in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "percent": percent,
    "spread": spread,
    "at": at,
    "slug": slug,
    "typeset": typeset,
    "rank": rank,
    "immunity": immunity,
    "sentence": sentence,
}
"""By their names in the templates."""
