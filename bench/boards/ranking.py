"""The order of entries, and which of them share a rank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bench.boards.cells import paired
from bench.boards.entry import Entry
from bench.boards.intervals import mean, seeds_to_separate


def ranked(entries: Iterable[Entry], official: bool) -> list[Entry]:
    """Lowest W first; each group is anchored at its first entry.

    The undefended teacher, incomplete entries, and all entries of a board that is not
    official stand in their place without a rank.
    An entry joins the group above when its paired difference to the group's first is
    not resolved; two seeds are the least that resolve anything.
    """
    ordered: list[Entry] = []
    anchor: Entry | None = None
    group, count = 0, 0
    for entry in sorted(entries, key=_weakness):
        rank, needed = None, None
        if official and entry.complete and not entry.is_control:
            count += 1
            gaps = paired(entry.by_seed, anchor.by_seed) if anchor else []
            if anchor is None or (len(gaps) > 1 and mean(gaps).resolved):
                group, anchor = count, entry
            else:
                needed = seeds_to_separate(gaps)
            rank = group
        ordered.append(replace(entry, group=rank, seeds_needed=needed))
    return ordered


def _weakness(entry: Entry) -> float:
    """W; whatever is not known stands last."""
    return entry.student_accuracy.value if entry.student_accuracy else 2.0
