"""S1: the safety-net report that a venue publishes from its state.

Source: adl-and-scenarios 9, S1.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from chainperp.lab.studies.overload import Achieved
from chainperp.lab.venue import DOLLAR

ENTRY: Final = 100 * DOLLAR
GRID: Final = 200
"""Steps of the report's curve: half percents."""
UNKNOWN: Final = Achieved(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What a venue publishes: `losses` are (lots, margin) of the side that would lose."""

    open_interest: int
    fund: int
    losers: tuple[tuple[int, int], ...]
    checked: Achieved = UNKNOWN
    """Seconds between the checks before it."""

    def shortfall(self, gap: Fraction) -> int:
        """Losers' losses beyond their margins at a gap, in micro-USD."""
        total = 0
        for lots, margin in self.losers:
            total += max(0, int(lots * ENTRY * gap) - margin)
        return total

    def payout(self, gap: Fraction) -> Fraction:
        """What winners get of their marked gains, at least."""
        gains = sum(lots for lots, _ in self.losers) * ENTRY * gap
        return 1 - Fraction(max(0, self.shortfall(gap) - self.fund)) / gains

    def survivable(self) -> Fraction:
        """The largest gap on the grid whose shortfall the fund pays."""
        found = Fraction(0)
        for step in range(1, GRID + 1):
            if self.shortfall(Fraction(step, GRID)) > self.fund:
                break
            found = Fraction(step, GRID)
        return found
