"""What one attack has asked, counted before it is answered."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import BudgetExhausted


@dataclass
class Ledger:
    """What one attack has used; kept by the harness, never handed out."""

    budget: int | None = None
    """Images that may be answered; None sets no limit."""
    queries: int = 0

    def spend(self, count: int) -> None:
        """Book `count` answers before any of them is given.

        Raises:
            BudgetExhausted: fewer than `count` are left; none is booked.
        """
        if self.budget is not None and self.queries + count > self.budget:
            raise BudgetExhausted(
                f"asked about {count} images with {self.budget - self.queries} left"
            )
        self.queries += count
