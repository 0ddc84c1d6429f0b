"""What a user writes to name a plugin: `name`, `module:Class` or `path/file.py:Class`.

Options follow in brackets: `kd[tau=8,alpha=0.5]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bench.entry_points import installed
from bench.errors import BadOption

Kind = Literal["attack", "defense"]
Value = str | int | float | bool | None
"""What an option can hold."""


def split(spec: str) -> tuple[str, dict[str, str]]:
    """`kd[tau=8,alpha=0.5]` as `("kd", {"tau": "8", "alpha": "0.5"})`.

    Raises:
        BadOption: the brackets do not hold option=value pairs.
    """
    name, bracket, rest = spec.partition("[")
    if not bracket:
        return spec.strip(), {}
    pairs = [p.partition("=") for p in rest.removesuffix("]").split(",") if p.strip()]
    if not rest.endswith("]") or not all(k.strip() and eq for k, eq, _ in pairs):
        raise BadOption(
            f"cannot read {spec!r}: write name[option=value,...], quoted for the shell"
        )
    return name.strip(), {k.strip(): v.strip() for k, _, v in pairs}


def short_name(kind: Kind, name: str) -> str:
    """What rows call the plugin `name`, however it was asked for.

    An installed one goes by its entry point, one in a file by `stem:Class`.
    """
    for own, entry in installed(f"bench.{kind}s").items():
        if name in (own, entry.value):
            return own
    module, colon, attribute = name.rpartition(":")
    return (
        f"{Path(module).stem}:{attribute}" if module.endswith(".py") and colon else name
    )


def text_of(value: Value) -> str:
    """An option's value as a user would write it: 8 for 8.0."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
