"""What every column of every table means, from the docstrings of the rows' fields."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from itertools import pairwise
from textwrap import dedent
from types import UnionType
from typing import get_args, get_type_hints

from bench.results.literature import FILE, Reported
from bench.results.parquet import schema
from bench.results.rows import TABLES

HEAD = """# Published results

One Parquet file a table, one row a task. `bench run` and `bench publish` write them;
read them with anything that reads Parquet:

```python
import pandas

pandas.read_parquet("results/steal.parquet")
```

`store/` beside them holds the work of this machine (weights, single rows, logs) and is
not tracked. A row that is published stays as it is, because an equal key means an equal
computation. Rows do not say which protocol they are for: a protocol is a selection of
rows, made when boards are.

This page is made from `bench/results/rows.py` and `bench/results/literature.py`:
`bench show columns > results/README.md`.

Accuracies, agreements and fractions lie in [0, 1], times are seconds, memory is
bytes, a query is one image answered.
"""


LITERATURE = """
What papers, their code and their readers report, one value a line, each with its
source. `bench site` sets it beside our cells.
"""
Line = tuple[str, str, bool]
"""Name and type of a column, and whether it may be null."""


def markdown() -> str:
    """All tables with their columns, types and meanings, as Markdown."""
    parts = [HEAD]
    for name, kind in TABLES.items():
        title = (kind.__doc__ or "").partition("\n")[0]
        columns = [(c.name, str(c.type), c.nullable) for c in schema(kind)]
        parts += [f"## {name}.parquet\n\n{title}\n", *_table(kind, columns), ""]
    parts += [f"## {FILE}\n{LITERATURE}", *_table(Reported, _typed(Reported)), ""]
    return "\n".join(parts)


def _table(kind: type, columns: Iterable[Line]) -> Iterator[str]:
    meanings = _meanings(kind)
    yield "| column | type | null | meaning |\n|---|---|---|---|"
    for name, of, nullable in columns:
        text = meanings.get(name, "").replace("|", "\\|")
        yield f"| {name} | {of} | {'yes' if nullable else ''} | {text} |"


def _typed(kind: type) -> Iterator[Line]:
    """The columns of a file that is no table of ours, by their Python types."""
    for name, hint in get_type_hints(kind).items():
        nullable = isinstance(hint, UnionType)
        yield name, (get_args(hint)[0] if nullable else hint).__name__, nullable


def _meanings(kind: type) -> dict[str, str]:
    """The docstring under each field of `kind` and of what it inherits."""
    found: dict[str, str] = {}
    for cls in filter(is_dataclass, reversed(kind.__mro__)):
        [body] = [
            node
            for node in ast.parse(dedent(inspect.getsource(cls))).body
            if isinstance(node, ast.ClassDef)
        ]
        for first, second in pairwise(body.body):
            if (
                isinstance(first, ast.AnnAssign)
                and isinstance(first.target, ast.Name)
                and isinstance(second, ast.Expr)
                and isinstance(second.value, ast.Constant)
            ):
                found[first.target.id] = " ".join(str(second.value.value).split())
    return found
