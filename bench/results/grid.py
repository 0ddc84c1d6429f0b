"""How rows hold what tuning may choose from."""

from __future__ import annotations

from collections.abc import Iterable


def grid_of(items: Iterable[str]) -> str:
    """The column `grid` for `items`, each as JSON."""
    return f"[{', '.join(items)}]"


UNTUNED = grid_of(())
"""Of a row without tuning."""
