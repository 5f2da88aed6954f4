"""ADL: orders that look at nobody's profit. P12 by lot, P13 by time, P14 dYdX's offset.

Chance is the seed of the round, which is fixed and public before the block's transactions are.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from chainperp.base.rounding import ceil_div, remainder
from chainperp.rules.adl.allocate import eligible_part
from chainperp.rules.adl.policy import Allocation, Candidate, Round, survey
from chainperp.rules.adl.ranked import queue_by
from chainperp.rules.catalogue import rule

DRAWS: Final = 10_000
"""About how many draws a round of single lots makes; accounts smaller than a portion add some."""


@rule("ADL-22")
def random_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P12: whole positions are closed in the order of the tie key.

    Fair before the draw, as concentrated as any queue after it. Formula: SHA-256(seed, account),
    ascending. Rounding: none. Rejects: as ADL-1. Source: adl-and-scenarios P12, 3.4.

    >>> rows = [Candidate(key, 5, entry_notional=1, notional=1, account_value=1, pnl=1)
    ...     for key in (b"a", b"b", b"c", b"d", b"e")]
    >>> random_queue(Round(seed=bytes(32), lots=12), rows).takes
    [5, 0, 0, 5, 2]
    """
    return queue_by(this_round, candidates, None)


def random_profit(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P12 in wealth space: whole profits in the order of the tie key."""
    return queue_by(this_round, candidates, None, in_lots=False)


class Urn:
    """Lots of all accounts in one urn: draws one in logarithmic time (a Fenwick tree of counts)."""

    __slots__ = ("left", "sums")

    def __init__(self, counts: Sequence[int]) -> None:
        self.left = sum(counts)
        self.sums = [0, *counts]
        for place in range(1, len(self.sums)):
            above = place + (place & -place)
            if above < len(self.sums):
                self.sums[above] += self.sums[place]

    def owner(self, number: int) -> int:
        """Whose the lot with this number is, counting from 0 in account order."""
        place, step = 0, 1 << len(self.sums).bit_length()
        while step:
            below = place + step
            if below < len(self.sums) and self.sums[below] <= number:
                place = below
                number -= self.sums[below]
            step >>= 1
        return place

    def take(self, owner: int, lots: int) -> None:
        """Remove lots of an account."""
        self.left -= lots
        place = owner + 1
        while place < len(self.sums):
            self.sums[place] -= lots
            place += place & -place


def random_single_lots(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P12, its other form: the lots themselves are drawn one by one, so that large positions give
    more often and nobody is closed at once.

    Draw number k is SHA-256(seed, k as u64) modulo the lots in the urn, in account order. Beyond
    `DRAWS` lots each draw stands for a portion of equal size, or for what its owner has left.

    >>> rows = [Candidate(key, lots, entry_notional=1, notional=1, account_value=1, pnl=1)
    ...     for key, lots in ((b"a", 900), (b"b", 90), (b"c", 10))]
    >>> random_single_lots(Round(seed=bytes(32), lots=100), rows).takes
    [93, 7, 0]
    """
    reasons, weights = survey(this_round, candidates, in_lots=True)
    order = sorted(range(len(reasons)), key=lambda index: (reasons[index], candidates[index].key))
    remaining = [weights[index] for index in eligible_part(order, reasons)]
    urn = Urn(remaining)
    takes = [0] * len(reasons)
    left = min(this_round.lots, urn.left)
    shortfall = this_round.lots - left
    portion = max(1, ceil_div(left, DRAWS))
    draw = 0
    while left > 0:
        number = sha256(this_round.seed + draw.to_bytes(8, "big")).digest()
        owner = urn.owner(remainder(int.from_bytes(number, "big"), urn.left))
        lots = min(portion, left, remaining[owner])
        urn.take(owner, lots)
        remaining[owner] -= lots
        takes[order[owner]] += lots
        left -= lots
        draw += 1
    return Allocation(
        order=order,
        reasons=reasons,
        takes=takes,
        weights=weights,
        in_lots=True,
        shortfall=shortfall,
    )


@rule("ADL-23")
def time_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P13: the oldest position is closed first, or the newest when the terms say so.

    Rounding: none; equal times by tie key. Rejects: as ADL-1. Source: adl-and-scenarios P13.

    >>> rows = [Candidate(key, 5, entry_notional=1, notional=1, account_value=1, pnl=1,
    ...     opened_at=time) for key, time in ((b"a", 30), (b"b", 10), (b"c", 20))]
    >>> time_queue(Round(seed=bytes(32), lots=7), rows).takes
    [0, 5, 2]
    """
    sign = 1 if this_round.terms.newest_first else -1
    return queue_by(this_round, candidates, lambda one: (sign * one.opened_at, 1))


def stays_collateralised(candidate: Candidate, closed: int, this_round: Round) -> bool:
    """Whether a candidate keeps the maintenance of what stays open after closing at the price.

    Rounding: the maintenance that stays, up.

    >>> one = Candidate(b"a", 4, entry_notional=1, notional=40, account_value=9, pnl=1,
    ...     maintenance=4)
    >>> [stays_collateralised(one, 2, Round(seed=b"", mark=10, price=price)) for price in (7, 6)]
    [True, False]
    """
    gain = (this_round.price - this_round.mark) * closed
    value = candidate.account_value + (gain if candidate.is_long else -gain)
    return value >= ceil_div(candidate.maintenance * (candidate.lots - closed), candidate.lots)


@rule("ADL-24")
def offset_round(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P14: positions are closed in account order from a place drawn with the seed; one that would
    fall below its maintenance margin at the price is passed over, and a remainder may be left.

    Nothing ranks, so nothing can be gamed; careful accounts are hit by chance. At most
    `offset_limit` accounts are tried. Formula: place = SHA-256(seed) mod number of accounts.
    Rounding: none. Rejects: as ADL-1. Source: CODE[v4-chain 84d4664], adl-and-scenarios P14, U9.

    >>> rows = [Candidate(key, 5, entry_notional=1, notional=1, account_value=1, pnl=1)
    ...     for key in (b"a", b"b", b"c")]
    >>> offset_round(Round(seed=bytes(32), lots=7), rows).takes
    [2, 0, 5]
    """
    reasons, weights = survey(this_round, candidates, in_lots=True, asks_itself=True)
    order = sorted(range(len(reasons)), key=lambda index: (reasons[index], candidates[index].key))
    stored = eligible_part(order, reasons)
    takes = [0] * len(reasons)
    left = this_round.lots
    if stored:
        drawn = int.from_bytes(sha256(this_round.seed).digest(), "big")
        offset = remainder(drawn, len(stored))
        stored = stored[offset:] + stored[:offset]
    for index in stored[: this_round.terms.offset_limit]:
        closed = min(left, weights[index])
        if closed > 0 and stays_collateralised(candidates[index], closed, this_round):
            takes[index] = closed
            left -= closed
    return Allocation(
        order=stored + order[len(stored) :],
        reasons=reasons,
        takes=takes,
        weights=weights,
        in_lots=True,
        shortfall=left,
    )


def bankruptcy_quote(
    net_notional_change: int, collateral: int, maintenance_change: int, maintenance: int
) -> int:
    """Quote that the liquidated account pays or gets, so that it ends at exactly its share of
    nothing: -change of net notional - collateral * |change of maintenance| / maintenance.

    Rounding: up, so that the account ends at zero or above. Source: CODE[v4-chain 84d4664].

    >>> bankruptcy_quote(-100, -7, -10, 10)
    107
    """
    paid = net_notional_change * maintenance + collateral * abs(maintenance_change)
    return ceil_div(-paid, maintenance)
