"""Everything that is shown of published rows, each row in a protocol's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bench.boards.ablation import Ablation
from bench.boards.ablations import ablations
from bench.boards.board import Board, leaderboard
from bench.boards.seen import Release, Student, seen_release, seen_student
from bench.planning.coverage import Coverage
from bench.planning.protocol import Protocol
from bench.results.index import Results
from bench.results.rows import Row

UNNAMED = Coverage(
    Protocol.model_construct(name="", version=0, tracks={}, options={}, sweeps={})
)
"""In its words only the defaults of plugins are usual: for rows that fit nothing."""


@dataclass(frozen=True)
class Overview:
    """What rows come to under several protocols; everything is made once."""

    results: Results
    protocols: Sequence[Protocol]
    """In the order in which they are shown."""

    @cached_property
    def boards(self) -> list[Board]:
        """The official boards."""
        return leaderboard(self.results, self.protocols)

    @cached_property
    def releases(self) -> list[Release]:
        """The current released teachers."""
        rows = self.results.current.releases
        return [seen_release(row, self.words(row)) for row in rows]

    @cached_property
    def students(self) -> list[Student]:
        """The current students, teacherless ones included."""
        rows = self.results.current.students
        return [seen_student(row, self.words(row)) for row in rows]

    @cached_property
    def ablations(self) -> list[Ablation]:
        """Those of every protocol in turn, and of rows that no protocol asks for."""
        found: list[Ablation] = []
        for coverage in (*self._coverages, UNNAMED):
            for one in ablations(self._compared(coverage), coverage):
                # Two protocols may hold the same study.
                if all(replace(one, protocol=o.protocol) != o for o in found):
                    found.append(one)
        return found

    def words(self, row: Row) -> Coverage:
        """In whose words `row` is told: of the first protocol that covers it.

        Else of the first whose networks and recipes it has. Protocols that rank stand
        before those that do not.
        """
        covering = self._covering(row)
        fitting = (c for c in self._coverages if c.fits(row))
        return covering[0] if covering else next(fitting, UNNAMED)

    def covering(self, row: Row) -> list[Protocol]:
        """The protocols that ask for the computation of `row`."""
        return [coverage.protocol for coverage in self._covering(row)]

    def is_ranked(self, row: Row) -> bool:
        """Whether a protocol that asks for the computation of `row` ranks something."""
        return any(coverage.ranks for coverage in self._covering(row))

    def _compared(self, coverage: Coverage) -> list[Row]:
        """What stands in the ablations of one protocol.

        That is what it covers. Rows that nobody asks for but that fit it, such as
        points of a sweep by hand, are read beside all else that fits.
        """
        rows = self.results.current.rows
        if coverage is UNNAMED:
            return [row for row in rows if self.words(row) is UNNAMED]
        strays = (row for row in rows if not self._covering(row))
        if any(self.words(row) is coverage for row in strays):
            return [row for row in rows if coverage.fits(row)]
        return [row for row in rows if coverage in self._covering(row)]

    def _covering(self, row: Row) -> list[Coverage]:
        return self._covered[row.key]

    @cached_property
    def _coverages(self) -> list[Coverage]:
        return sorted(map(Coverage, self.protocols), key=lambda c: not c.ranks)

    @cached_property
    def _covered(self) -> dict[str, list[Coverage]]:
        """By key, who covers a row."""
        return {
            row.key: [c for c in self._coverages if c.covers(row)]
            for row in self.results.rows
        }
