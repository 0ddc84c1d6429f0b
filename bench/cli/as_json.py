"""JSON for `--json`: standard, so an infinite or undefined number is null.

Single answers to test images are left out: rows have them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

ANSWERS = {"answers", "outright"}
"""Fields of boards that hold them."""


def dump(value: Any) -> None:
    """Print `value` as JSON on stdout; times become text."""
    print(json.dumps(_plain(value), indent=2, default=str, allow_nan=False))  # noqa: T201


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items() if k not in ANSWERS}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
