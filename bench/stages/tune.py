"""Tuning: several tries of one attack on one defense, and the choice among them.

An attacker tunes as he would in the field. With images he keeps some of those that he
was granted back, and compares on them: the accuracy where they have labels, else the
agreement with the released teacher. Without images he compares on images that he made.
Tries are done on a seed of their own; test images are never among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import Skipped, Status
from bench.results.grid import grid_of
from bench.results.rows import TryRow, TuneRow
from bench.results.scores import Choice
from bench.stages.attempt import Attempt
from bench.stages.task import Result, Task
from bench.stages.tries import Try
from bench.threat.access import ImageGrant

if TYPE_CHECKING:
    from bench.worker.workbench import Workbench


@dataclass(frozen=True, eq=False, kw_only=True)
class Tune(Attempt):
    """Choose the best of `tries`; its own attack and recipe are those of the base."""

    tries: tuple[Try, ...]
    items: tuple[str, ...]
    """As JSON, in what each of the tries departs from the base."""
    held_out: float

    row: ClassVar = TuneRow
    plural: ClassVar = "choices"
    tolerant: ClassVar = True

    @property
    def parents(self) -> tuple[Task, ...]:
        """The tries."""
        return self.tries

    @property
    def keeps_weights(self) -> bool:
        """The row says it all."""
        return False

    @property
    def label(self) -> str:
        """A few words for a person."""
        return f"choose among {len(self.tries)}: {super().label}"

    @property
    def grid(self) -> str:
        """All items, as one JSON list."""
        return grid_of(self.items)

    def columns(self) -> dict[str, Any]:
        """Those of the attempt, the grid and the share held out."""
        tries = [one.key for one in self.tries]
        known = {"grid": self.grid, "held_out": self.held_out, "tries": tries}
        return super().columns() | known

    def perform(self, bench: Workbench) -> Result:
        """Compare the tries that ended well.

        Raises:
            Skipped: none did.
        """
        rows = [bench.store.row(one.key) for one in self.tries]
        well = [
            row if isinstance(row, TryRow) and row.status == Status.OK else None
            for row in rows
        ]
        if not any(well):
            raise Skipped(f"none of {len(self.tries)} tries ended well")
        found = [None if row is None else row.validation for row in well]
        if self.access.images is ImageGrant.NO_IMAGES:
            found = self._on_each_others(bench, [row is not None for row in well])
        values = [-1.0 if value is None else value for value in found]
        best = max(range(len(values)), key=lambda place: (values[place], -place))
        if values[best] < 0:  # nothing was measured: the first that ended well
            best = [row is not None for row in well].index(True)
            bench.notes.flag("no try could be validated")
        choice = Choice(
            chosen=self.items[best],
            validation=None if values[best] < 0 else values[best],
            validations=values,
        )
        return Result((choice,), {})

    def chosen(self, bench: Workbench) -> tuple[Try, str]:
        """The try that an earlier task chose, and its item.

        Raises:
            Skipped: that task left no row.
        """
        row = bench.store.row(self.key)
        if not isinstance(row, TuneRow):
            raise Skipped(f"nothing is known of '{self.label}'")
        return self.tries[self.items.index(row.chosen)], row.chosen

    def _on_each_others(
        self, bench: Workbench, well: Sequence[bool]
    ) -> list[float | None]:
        """Agreement of each student with the teacher on what the other tries made.

        Every class that the teacher sees in another's images weighs alike, so that a
        generator that draws one class alone teaches the judge little. A student is not
        asked about the images that it was trained with.
        """
        from bench.worker.validation import agreement_by_class, firsts

        loaded = [
            one.load(bench) if ok else None
            for one, ok in zip(self.tries, well, strict=True)
        ]
        ask = self.tries[0].served(bench).reply
        pools = {
            place: (pixels := one[1].to(bench.device), firsts(ask, pixels))
            for place, one in enumerate(loaded)
            if one is not None and one[1] is not None
        }
        found: list[float | None] = []
        for place, one in enumerate(loaded):
            others = [pool for where, pool in pools.items() if where != place]
            if one is None or not others:
                found.append(None)
                continue
            found.append(fmean(agreement_by_class(one[0], *pool) for pool in others))
        return found
