"""What a user writes to name a plugin: `name`, `module:Class` or `path/file.py:Class`.

Options follow in brackets: `kd[tau=8,alpha=0.5]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bench import entry_points
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
    """What rows call the plugin `name`, however it was asked for."""
    return entry_points.short_name(f"bench.{kind}s", name)


def text_of(value: Value) -> str:
    """An option's value as a user would write it: 8 for 8.0."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def brackets(options: Mapping[str, Value], usual: Mapping[str, Value]) -> str:
    """Of `options` those that depart from `usual`, as a label has them: `[tau=8]`."""
    departs = [f"{k}={text_of(v)}" for k, v in options.items() if v != usual.get(k)]
    return f"[{','.join(departs)}]" if departs else ""
