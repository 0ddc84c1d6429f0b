"""A value with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import t as student_t

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, from `n` seeds; 0 where it is known exactly.

    Of one seed the interval tells of the test images alone, if they are known.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def resolved(self) -> bool:
        """The interval excludes 0; one seed resolves nothing."""
        return self.n != 1 and (self.low > 0 or self.high < 0)


def quantile(n: int) -> float:
    """Of Student's t with n - 1 degrees of freedom, two-sided at `LEVEL`; n >= 2."""
    return float(student_t.ppf(0.5 + LEVEL / 2, n - 1))


def spanned(first: Estimate, second: Estimate) -> Estimate:
    """The value of `first`, with an interval that holds both intervals."""
    low, high = min(first.low, second.low), max(first.high, second.high)
    return Estimate(first.value, low, high, first.n)
