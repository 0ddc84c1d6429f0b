"""Where a command writes for a person."""

from __future__ import annotations

from rich.console import Console


def console(stderr: bool = False) -> Console:
    """A terminal, or whatever stands in for it; `:Fog:` in a name is no emoji."""
    return Console(stderr=stderr, emoji=False)


def say(out: Console, text: str) -> None:
    """Print one line as it is: brackets in it are no markup."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)
