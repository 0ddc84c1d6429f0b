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

    @property
    def remaining(self) -> int | None:
        """Answers that are left; None when there is no limit."""
        return None if self.budget is None else self.budget - self.queries

    def spend(self, count: int) -> None:
        """Book `count` answers before any of them is given.

        Raises:
            BudgetExhausted: fewer than `count` are left; none is booked.
        """
        left = self.remaining
        if left is not None and count > left:
            raise BudgetExhausted(f"asked about {count} images with {left} left")
        self.queries += count
