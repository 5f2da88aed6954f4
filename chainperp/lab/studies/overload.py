"""S1: how often a venue looks when it is overloaded, and the interval that it achieved.

An interval is multiplied by 1 + (orders per second / capacity), as the reference recommends. Orders
per second rise with the fall: none at its beginning, the peak at its end.
Source: adl-and-scenarios 9, S1 (U12).
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

MINUTE: Final = 60
MINUTE_MS: Final = 60_000


class Question(NamedTuple):
    """One run: seconds between checks, percent of the fall, the fund as percent of open interest,
    what the report does not see, and orders per second at the end of the fall as percent of what
    the venue can take."""

    tau: int
    gap: int
    fund: float
    trick: str = ""
    peak: int = 0


class Achieved(NamedTuple):
    """Intervals between checks in seconds: what a report says of the venue itself."""

    least: float
    middle: float
    most: float


def check_times(tau: int, peak: int) -> list[int]:
    """Milliseconds of the checks from the beginning of the fall to the first one after its end.

    >>> check_times(30, 0), check_times(15, 300)
    ([30000, 60000], [15000, 41250, 87188])
    """
    times: list[int] = []
    at = 0
    while at < MINUTE_MS:
        whole = 100 * MINUTE_MS
        # Rounded up: an overloaded venue is not early.
        at += -(-tau * 1000 * (whole + peak * at) // whole)
        times.append(at)
    return times


def achieved(times: Sequence[int]) -> Achieved:
    """Least, median and largest interval between times in milliseconds, two of them at least.

    >>> achieved([0, 15000, 41250, 87188])
    Achieved(least=15.0, middle=26.25, most=45.938)
    """
    steps = [(after - before) / 1000 for before, after in pairwise(times)]
    return Achieved(min(steps), median(steps), max(steps))
