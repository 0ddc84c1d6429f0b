"""What every column of every table means, from the docstrings of their rows."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from types import UnionType
from typing import get_args, get_type_hints

from bench.boards.papers import FILE, Published
from bench.results import rows

HEAD = """# Published results

One Parquet file a table, one row a task. `bench run` and `bench publish` write them;
read them with anything that reads Parquet:

```python
import pandas

pandas.read_parquet("results/steal.parquet")
```

`store/` beside them holds the work of this machine (weights, single rows, logs) and is
not tracked. A row that is published stays as it is, for an equal key means an equal
computation.

This page is made from `bench/rows.py` and `bench/published.py`:
`bench show columns > results/README.md`.

Accuracies, agreements and fractions are shares in [0, 1], times are seconds, memory is
bytes, a query is one image answered.
"""


def markdown() -> str:
    """All tables with their columns, types and meanings, as Markdown."""
    parts = [HEAD]
    for name, kind in rows.TABLES.items():
        title = (kind.__doc__ or "").partition("\n")[0]
        parts.append(f"## {name}.parquet\n\n{title}\n")
        parts.append("| column | type | null | meaning |\n|---|---|---|---|")
        schema, meanings = rows.schema(kind), _meanings(kind)
        for column in fields(kind):
            found = schema.field(column.name)
            null = "yes" if found.nullable else ""
            text = meanings.get(column.name, "").replace("|", "\\|")
            parts.append(f"| {column.name} | {found.type} | {null} | {text} |")
        parts.append("")
    parts.append(_literature())
    return "\n".join(parts)


def _literature() -> str:
    """The columns of the published values, which are no rows of ours."""
    lines = [
        f"## {FILE}\n\n"
        "What papers, their code and their readers report, one value a line, each\n"
        "with its source. `bench site` sets it beside our cells.\n",
        "| column | type | null | meaning |\n|---|---|---|---|",
    ]
    meanings = _meanings(Published)
    for name, hint in get_type_hints(Published).items():
        kind, null = (
            (get_args(hint)[0], "yes") if isinstance(hint, UnionType) else (hint, "")
        )
        lines.append(
            f"| {name} | {kind.__name__} | {null} | {meanings.get(name, '')} |"
        )
    return "\n".join([*lines, ""])


def _meanings(kind: type[rows.Row | Published]) -> dict[str, str]:
    """The docstring under each field of `kind` and of what it inherits."""
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        if not issubclass(cls, rows.Row | Published):
            continue
        [body] = [
            node
            for node in ast.parse(inspect.getsource(cls)).body
            if isinstance(node, ast.ClassDef)
        ]
        for first, second in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(first, ast.AnnAssign)
                and isinstance(first.target, ast.Name)
                and isinstance(second, ast.Expr)
                and isinstance(second.value, ast.Constant)
            ):
                found[first.target.id] = " ".join(str(second.value.value).split())
    return found
