"""ADL: no position is chosen. P0 sells into the book, P15 and P17 cut gains at settlement, P16 cuts
withdrawals, P18 settles by the day, P19 lets profit wait until it is covered.
"""

from collections.abc import Sequence

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.base.units import day_of
from chainperp.model.decisions import AdlReason
from chainperp.rules.adl.policy import PPB, Allocation, Candidate, Round, survey
from chainperp.rules.adl.proportional import fill_by
from chainperp.rules.catalogue import rule


@rule("ADL-10")
def disposal_slice(lots: int, full: int, fraction_ppb: int, share_ppb: int, volume: int) -> int:
    """P0: a seized position is sold into the book in slices, a small rest at once, and no slice
    takes more than a share of the other side's volume within the slippage range.

    Nobody is chosen; everybody feels the price, and the fund may be emptied.
    Formula: min(lots if lots <= full else lots * fraction, share * volume).
    Rounding: down, a slice is never larger than its limits. Source: 3P[Vega 0012-POSR-013].

    >>> disposal_slice(280, 50, 500_000_000, 10_000_000, 10_000)
    100
    """
    part = lots if lots <= full else floor_div(lots * fraction_ppb, PPB)
    return min(part, floor_div(share_ppb * volume, PPB))


def disposal_schedule(
    lots: int, full: int, fraction_ppb: int, share_ppb: int, volume: int
) -> list[int]:
    """All slices of a position at a volume that stays; ends early when a slice is empty.

    >>> disposal_schedule(280, 50, 500_000_000, 10_000_000, 10_000)
    [100, 90, 45, 45]
    """
    slices: list[int] = []
    left = lots
    while left > 0:
        part = disposal_slice(left, full, fraction_ppb, share_ppb, volume)
        if part <= 0:
            break
        slices.append(part)
        left -= part
    return slices


def market_unwind(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P0 as a policy: nobody is chosen, everything stays to be sold into the book."""
    reasons, weights = survey(this_round, candidates, in_lots=True)
    order = sorted(range(len(reasons)), key=lambda index: (reasons[index], candidates[index].key))
    return Allocation(
        order=order,
        reasons=reasons,
        takes=[0] * len(reasons),
        weights=weights,
        in_lots=True,
        shortfall=this_round.lots,
    )


def in_account_order(
    this_round: Round, candidates: Sequence[Candidate]
) -> tuple[list[int], list[AdlReason], list[int]]:
    """Order by account id, reasons and capacities in wealth space."""
    reasons, caps = survey(this_round, candidates, in_lots=False)
    order = sorted(range(len(reasons)), key=lambda index: (reasons[index], candidates[index].key))
    return order, reasons, caps


@rule("ADL-25")
def loss_socialisation(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P15: gains of a settlement are paid in the proportion of what was collected from losers;
    the residue of the division goes to the last receiver in account order.

    Nobody is closed. The last receiver may be better off by one unit less than there are receivers;
    what would give him more than his gain goes to the receiver before him, which is our own rule.
    Formula: gives gain - gain * collected / expected. Rounding: payments down, see above.
    Rejects: as ADL-1. Source: 3P[Vega 0003-MTMK], adl-and-scenarios P15 and U10.

    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=900, pnl=pnl)
    ...     for key, pnl in ((b"a", 10), (b"b", 10), (b"c", 10))]
    >>> loss_socialisation(Round(seed=bytes(32), budget=10), rows).takes
    [4, 4, 2]
    """
    order, reasons, gains = in_account_order(this_round, candidates)
    expected = sum(gains)
    collected = max(0, expected - this_round.budget)
    paid = [floor_div(gain * collected, expected) if gain else 0 for gain in gains]
    residue = collected - sum(paid)
    for index in reversed(order):
        # Nobody may receive more than his gain: what is too much for the last goes one up.
        extra = min(residue, gains[index] - paid[index])
        paid[index] += extra
        residue -= extra
    takes = [gain - part for gain, part in zip(gains, paid, strict=True)]
    return Allocation(
        order=order,
        reasons=reasons,
        takes=takes,
        weights=gains,
        in_lots=False,
        shortfall=this_round.budget - sum(takes),
    )


@rule("ADL-26")
def withdrawal_haircut(amount: int, bankruptcies: int, fund: int, positive_balances: int) -> int:
    """P16: while bankruptcies exceed the fund, every withdrawal leaves a share behind that
    refunds it: the uncovered loss over all positive settlement balances.

    Who waits pays less: the opposite sign of a run. Formula: amount * min(1, (bankruptcies -
    fund)+ / balances). Rounding: up, against who leaves. Source: 3P[Paradex], U11.

    >>> withdrawal_haircut(1_000, 50, 20, 300), withdrawal_haircut(1_000, 20, 20, 300)
    (100, 0)
    """
    uncovered = max(0, bankruptcies - fund)
    if uncovered == 0:
        return 0
    if uncovered >= positive_balances:
        return amount
    return ceil_div(amount * uncovered, positive_balances)


@rule("ADL-27")
def clawback(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P17: at the end of a settlement period every profit of the period gives the same share of
    the period's uncovered loss.

    Profit is that of the period; what an account no longer has cannot be taken back.
    Formula: loss * profit / all profits. Rounding: down, units left over to the largest
    remainders. Rejects: as ADL-1. Source: 3P[BitVC], 3P[OKEx], adl-and-scenarios P17.

    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=900, pnl=pnl)
    ...     for key, pnl in ((b"a", 30), (b"b", 10))]
    >>> clawback(Round(seed=bytes(32), budget=8), rows).takes
    [6, 2]
    """
    return fill_by(this_round, candidates, lambda one, cap: max(0, one.pnl))


def clawback_rate(loss: int, profits: int) -> int:
    """Share of each profit that is taken back, in ppb: min(1, loss / profits). Rounds down.

    >>> clawback_rate(3_000, 6_508), clawback_rate(7, 5)
    (460971112, 1000000000)
    """
    return PPB if loss >= profits else floor_div(loss * PPB, profits)


@rule("ADL-28")
def profits_of_day(rows: Sequence[tuple[int, bytes, int]], day: int) -> list[tuple[bytes, int]]:
    """P18: the settlement period is the UTC day; only what an account gained over the whole day
    takes part, by P17.

    Rows are (time in ms, account, realised profit); the answer is by account.
    Rejects: an account whose day ended without profit. Source: 3P[Deribit], adl-and-scenarios P18.

    >>> profits_of_day([(5, b"a", 9), (6, b"a", -2), (7, b"b", -1), (86_400_000, b"a", 4)], 0)
    [(b'a', 7)]
    """
    totals: dict[bytes, int] = {}
    for time_ms, key, profit in rows:
        if day_of(time_ms) == day:
            totals[key] = totals.get(key, 0) + profit
    return [(key, totals[key]) for key in sorted(totals) if totals[key] > 0]


def coverage_ratio(vault: int, capital: int, insurance: int, profits: int) -> tuple[int, int]:
    """How much of all positive profit is covered: min(1, (vault - capital - insurance)+ / profits).

    >>> coverage_ratio(120, 80, 10, 60), coverage_ratio(150, 80, 10, 60)
    ((30, 60), (1, 1))
    """
    covered = max(0, vault - capital - insurance)
    return (1, 1) if covered >= profits else (covered, profits)


def withdrawable_profit(profit: int, ratio: tuple[int, int]) -> int:
    """Profit that may leave now. Rounds down.

    >>> withdrawable_profit(7, (30, 60))
    3
    """
    return floor_div(max(0, profit) * ratio[0], ratio[1])


@rule("ADL-29")
def junior_profit(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P19: profit is junior to deposits: every winner may use the covered share of it, and the
    rest waits; the share is computed anew each block.

    Nobody is closed and nothing is lost for good. Formula: waits profit - profit * (profits -
    loss) / profits. Rounding: what may be used, down; so a few units more than the loss wait.
    Rejects: as ADL-1. Source: 3P[Percolator], adl-and-scenarios P19.

    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=900, pnl=pnl)
    ...     for key, pnl in ((b"a", 10), (b"b", 10), (b"c", 10))]
    >>> junior_profit(Round(seed=bytes(32), budget=10), rows).takes
    [4, 4, 4]
    """
    order, reasons, caps = in_account_order(this_round, candidates)
    profits = sum(caps)
    ratio = coverage_ratio(max(0, profits - this_round.budget), 0, 0, profits)
    takes = [cap - withdrawable_profit(cap, ratio) if cap else 0 for cap in caps]
    return Allocation(
        order=order,
        reasons=reasons,
        takes=takes,
        weights=caps,
        in_lots=False,
        shortfall=max(0, this_round.budget - profits),
    )
