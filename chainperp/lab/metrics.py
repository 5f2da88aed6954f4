"""Measures of who paid what, in exact integers where that is possible.

Amounts are micro-USD unless said otherwise; shares are parts per billion, cut, not rounded. All
definitions are those of adl-and-scenarios 6; `None` stands for "undefined here".
"""

from collections.abc import Sequence
from fractions import Fraction
from math import exp
from typing import NamedTuple

PPB = 10**9
CHURN = 5.0
"""Beta of the retention proxy: a haircut of 10 % loses 39 % of accounts, 20 % loses 63 %."""
DAILY_REVENUE = 24 * 1.5e-5 + 4e-4
"""Of a winner's endowment a day: hourly funding of 1.5e-5, and a turnover of one at 4 bps."""


def gini(amounts: Sequence[int]) -> Fraction:
    """Inequality over all candidates, zeros included; 0 where nobody paid.

    Formula: 2 sum k x(k) / (n sum x) - (n + 1) / n, x ascending, k from 1.

    >>> gini([20, 0, 0, 0, 0]), gini([4, 4])
    (Fraction(4, 5), Fraction(0, 1))
    """
    count, total = len(amounts), sum(amounts)
    if total == 0:
        return Fraction(0)
    weighted = sum(place * one for place, one in enumerate(sorted(amounts), start=1))
    return Fraction(2 * weighted - (count + 1) * total, count * total)


def herfindahl(amounts: Sequence[int]) -> Fraction:
    """HHI: sum of squared shares; 0 where nobody paid.

    >>> herfindahl([3, 1])
    Fraction(5, 8)
    """
    total = sum(amounts)
    return Fraction(sum(one * one for one in amounts), total * total) if total else Fraction(0)


def top_share(amounts: Sequence[int], count: int) -> Fraction:
    """Share of the largest `count` payers.

    >>> top_share([5, 3, 2], 2)
    Fraction(4, 5)
    """
    total = sum(amounts)
    return Fraction(sum(sorted(amounts)[-count:]), total) if total and count else Fraction(0)


def largest_share_ppb(amounts: Sequence[int], bases: Sequence[int]) -> int:
    """Largest amount over its base in ppb, clipped to one; who pays from nothing counts as one.

    >>> largest_share_ppb([1, 2, 0], [3, 9, 0])
    333333333
    """
    shares = (
        PPB if base <= 0 else min(PPB, amount * PPB // base)
        for amount, base in zip(amounts, bases, strict=True)
        if amount
    )
    return max(shares, default=0)


def majorises(first: Sequence[int], second: Sequence[int]) -> str:
    """Which of two allocations of one total is the more equal: every prefix sum of the sorted
    payments is at most the other's.

    >>> majorises([2, 2], [3, 1]), majorises([3, 3, 0], [4, 1, 1]), majorises([1], [1])
    ('fairer', 'incomparable', 'equal')
    """
    ours = theirs = 0
    is_less = is_more = False
    for one, other in zip(sorted(first, reverse=True), sorted(second, reverse=True), strict=True):
        ours, theirs = ours + one, theirs + other
        is_less, is_more = is_less or ours < theirs, is_more or ours > theirs
    if is_less and is_more:
        return "incomparable"
    return "fairer" if is_less else "less fair" if is_more else "equal"


def rank_breaks(endowments: Sequence[int], takes: Sequence[int]) -> int:
    """Pairs in which who had at least as much is left with less (strictly richer, now poorer).

    Of equal endowments the order is not defined, so only strictly richer ones count.

    >>> rank_breaks([5, 4, 3], [3, 0, 0])
    2
    """
    rows = sorted(zip(endowments, takes, strict=True))
    left = [have - take for have, take in rows]
    levels = {value: place for place, value in enumerate(sorted(set(left)), start=1)}
    counts = [0] * (len(levels) + 1)
    found, seen, at = 0, 0, 0
    while at < len(rows):
        end = at
        while end < len(rows) and rows[end][0] == rows[at][0]:
            end += 1
        for one in range(at, end):
            found += seen - _up_to(counts, levels[left[one]])
        for one in range(at, end):
            _add(counts, levels[left[one]])
        seen, at = seen + end - at, end
    return found


def _up_to(counts: list[int], place: int) -> int:
    total = 0
    while place > 0:
        total += counts[place]
        place -= place & -place
    return total


def _add(counts: list[int], place: int) -> None:
    while place < len(counts):
        counts[place] += 1
        place += place & -place


class Round(NamedTuple):
    """One shock as the metrics see it, in any one unit of money.

    `deficit` is the losers' negative equity, `largest_loss` the largest of them, `removed` what
    was taken from winners, `needed` the budget that the closing prices required, `survivor` the
    largest endowment that a winner keeps.
    """

    deficit: float
    largest_loss: float
    removed: float
    needed: float
    survivor: float


def severity(one: Round) -> float | None:
    """Theta: removed over deficit, not clipped; undefined without a deficit."""
    return one.removed / one.deficit if one.deficit > 0 else None


def severity_load(removed: int, endowments: Sequence[int]) -> float | None:
    """Kappa = theta n / b(n): what is removed, over the largest endowment; undefined without one.

    Endowments are in units of the deficit per winner, so theta n is what is removed, and b(n), the
    scale of the winners' extremes, is their largest. Bounded kappa is the published study's
    condition for a static rule; it is about 1 / PTSR.

    >>> severity_load(30, [20, 60])
    0.5
    """
    top = max(endowments, default=0)
    return removed / top if top > 0 else None


def leverage_imbalance(
    winners: Sequence[tuple[int, int]], losers: Sequence[tuple[int, int]]
) -> float | None:
    """Lambda: sum of notional / equity over winners, over that of notional / |equity| over losers;
    rows are (notional, equity). Who has an equity of zero has no leverage and is left out.

    >>> leverage_imbalance([(10, 5), (6, 2)], [(20, -2)])
    0.5
    """
    above, below = (
        sum(notional / abs(equity) for notional, equity in side if equity)
        for side in (winners, losers)
    )
    return above / below if below else None


def overshoot(one: Round) -> float:
    """Removed minus needed, with its sign."""
    return one.removed - one.needed


def ptsr(one: Round) -> float | None:
    """Top survivor over the deficit that is left, as the published code computes it; undefined
    where the deficit is covered."""
    left = one.deficit - one.removed
    return one.survivor / left if left > 0 else None


def pmr(one: Round) -> float | None:
    """Top survivor over the largest loss, by the uncovered share: PTSR * D / largest loss."""
    ratio = ptsr(one)
    if ratio is None or one.largest_loss <= 0:
        return None
    return ratio * one.deficit / one.largest_loss


def rd_nse(one: Round) -> float | None:
    """Top survivor over itself plus the deficit that is left: PTSR / (1 + PTSR)."""
    ratio = ptsr(one)
    return None if ratio is None else ratio / (1 + ratio)


def overshoot_regret(rounds: Sequence[Round]) -> float:
    """Sum of |removed - needed|: too little counts like too much."""
    return sum(abs(overshoot(one)) for one in rounds)


def fairness_regret(
    rounds: Sequence[Round], largest: Sequence[float], reference: Sequence[float]
) -> float:
    """Sum of the difference of the largest haircut shares to a reference policy's, times need.

    The published study compares with an integer programme that is not the optimum (7.3, item 8):
    say which reference was used.
    """
    return sum(
        abs(share - best) * one.needed
        for one, share, best in zip(rounds, largest, reference, strict=True)
    )


def churn(haircut: float) -> float:
    """Chance that an account leaves after losing this share of its endowment: a proxy.

    >>> round(churn(0.1), 2), round(churn(0.2), 2)
    (0.39, 0.63)
    """
    return 1 - exp(-CHURN * haircut)


def revenue_loss(endowments: Sequence[int], takes: Sequence[int]) -> float:
    """Two years of revenue from those who leave, by the study's proxy: 730 r sum w churn(x / w)."""
    return (
        730
        * DAILY_REVENUE
        * sum(
            have * churn(take / have) for have, take in zip(endowments, takes, strict=True) if have
        )
    )
