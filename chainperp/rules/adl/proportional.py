"""ADL: everybody gives in proportion. P5 by lots, P6 by profit, P7 with limits, P8 by risk,
P9 quadratic, P11 the smallest largest percentage.

Residues of a division go to the largest remainders, ties by tie key: rounding down alone
collects too little in every round, rounding up too much.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Final

from chainperp.base.rounding import floor_div
from chainperp.model.decisions import AdlReason
from chainperp.rules.adl.allocate import ranking, tie_keys, water_level, waterfill
from chainperp.rules.adl.policy import PPB, Allocation, Candidate, Round, survey
from chainperp.rules.catalogue import rule

PPM: Final = 1_000_000


def fill_by(
    this_round: Round,
    candidates: Sequence[Candidate],
    weigh: Callable[[Candidate, int], int],
    *,
    in_lots: bool = False,
    total: int | None = None,
) -> Allocation:
    """Capped proportional allocation; `weigh` maps a candidate and its capacity to a weight."""
    reasons, caps = survey(this_round, candidates, in_lots)
    return fill(this_round, candidates, reasons, caps, weigh, in_lots=in_lots, total=total)


def fill(
    this_round: Round,
    candidates: Sequence[Candidate],
    reasons: list[AdlReason],
    caps: list[int],
    weigh: Callable[[Candidate, int], int],
    *,
    in_lots: bool = False,
    total: int | None = None,
) -> Allocation:
    """The same with capacities of the policy's own; the largest weight ranks first."""
    wanted = total
    if wanted is None:
        wanted = this_round.lots if in_lots else this_round.budget
    ties = tie_keys(this_round.seed, candidates)
    weights = [
        0 if reason else max(0, weigh(one, cap))
        for one, cap, reason in zip(candidates, caps, reasons, strict=True)
    ]
    takes = waterfill(wanted, caps, weights, ties)
    return Allocation(
        order=ranking(candidates, reasons, [(weight, 1) for weight in weights], ties),
        reasons=reasons,
        takes=takes,
        weights=caps,
        in_lots=in_lots,
        shortfall=wanted - sum(takes),
    )


@rule("ADL-15")
def pro_rata_lots(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P5: everybody on the other side gives the same share of his lots.

    Splitting an account changes nothing, and no score can be played; but profit does not count,
    so losing positions are closed too. Formula: lots needed * own lots / all lots.
    Rounding: down, lots left over to the largest remainders. Rejects: as ADL-1.
    Source: adl-and-scenarios P5; arXiv 2512.01112.

    >>> rows = [Candidate(key, lots, entry_notional=1, notional=1, account_value=1, pnl=0)
    ...     for key, lots in ((b"a", 10), (b"b", 20), (b"c", 3))]
    >>> pro_rata_lots(Round(seed=bytes(32), lots=10), rows).takes
    [3, 6, 1]
    """
    return fill_by(this_round, candidates, lambda one, cap: cap, in_lots=True)


@rule("ADL-16")
def pro_rata_profit(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P6: every winner gives the same share of the profit that his account value still covers.

    Nobody overtakes anybody, splitting changes nothing, positions stay open. Careful winners pay
    as much as reckless ones. Formula: budget * capacity / all capacities.
    Rounding: down, micro-USDC left over to the largest remainders. Rejects: as ADL-1.
    Source: adl-and-scenarios P6; arXiv 2512.01112.

    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=900, pnl=pnl)
    ...     for key, pnl in ((b"a", 8), (b"b", 4), (b"c", -3))]
    >>> pro_rata_profit(Round(seed=bytes(32), budget=9), rows).takes
    [6, 3, 0]
    """
    return fill_by(this_round, candidates, lambda one, cap: cap)


@rule("ADL-17")
def pro_rata_capped(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P7: every winner gives the same share of his profit, but never more than the haircut limit
    and never so much that less than the equity floor stays.

    What the limits spare is a shortfall when all are at theirs.
    Formula: cap = min(profit * limit, profit - (floor - cash)); then as P6 with those caps.
    Rounding: caps down, in favour of the winner. Rejects: as ADL-1, and CAPPED at a cap of zero.
    Source: adl-and-scenarios P7.

    >>> from chainperp.rules.adl.policy import Terms
    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=90, pnl=pnl, cash=80)
    ...     for key, pnl in ((b"a", 80), (b"b", 20))]
    >>> half = Terms(haircut_limit_ppb=500_000_000)
    >>> answer = pro_rata_capped(Round(seed=bytes(32), budget=60, terms=half), rows)
    >>> answer.takes, answer.shortfall
    ([40, 10], 10)
    """
    terms = this_round.terms
    reasons, wealth = survey(this_round, candidates, in_lots=False)
    caps = [0] * len(wealth)
    for index, (one, most) in enumerate(zip(candidates, wealth, strict=True)):
        if reasons[index]:
            continue
        limit = floor_div(most * terms.haircut_limit_ppb, PPB)
        caps[index] = max(0, min(limit, most - (terms.equity_floor - one.cash)))
        if caps[index] == 0:
            reasons[index] = AdlReason.CAPPED
    # Weights are the profits, not the caps: the level is a share of profit.
    return fill(
        this_round, candidates, reasons, caps, lambda one, cap: min(one.pnl, one.account_value)
    )


def leverage_ppm(candidate: Candidate) -> int:
    """Notional over account value in millionths, rounded down; 0 without value."""
    if candidate.account_value <= 0:
        return 0
    return floor_div(candidate.notional * PPM, candidate.account_value)


@rule("ADL-18")
def pro_rata_risk(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P8: every winner's share of profit grows with his leverage: who runs less risk gives less.

    Formula: weight = capacity * L * max(L - threshold, 0)^power, L = notional / account value;
    power 1 is linear, threshold 0 leaves all in, a threshold alone is the CVaR form.
    Rounding: leverage and weight down. Rejects: as ADL-1. Source: adl-and-scenarios P8.

    >>> rows = [Candidate(key, 1, entry_notional=1, notional=n, account_value=100, pnl=50)
    ...     for key, n in ((b"a", 100), (b"b", 200))]
    >>> pro_rata_risk(Round(seed=bytes(32), budget=50), rows).takes
    [10, 40]
    """
    terms = this_round.terms
    scale = PPM ** (terms.risk_power + 1)

    def weigh(one: Candidate, cap: int) -> int:
        leverage = leverage_ppm(one)
        above = max(0, leverage - terms.risk_threshold_ppm)
        return floor_div(cap * leverage * above**terms.risk_power, scale)

    return fill_by(this_round, candidates, weigh)


@rule("ADL-19")
def quadratic(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P9: every winner's share of profit grows with his profit: a progressive tax.

    Splitting an account in two halves its tax. Formula: weight = capacity squared.
    Rounding: as P6. Rejects: as ADL-1. Source: adl-and-scenarios P9, CODE[aae0be8].

    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=900, pnl=pnl)
    ...     for key, pnl in ((b"a", 20), (b"b", 10))]
    >>> quadratic(Round(seed=bytes(32), budget=10), rows).takes
    [8, 2]
    """
    return fill_by(this_round, candidates, lambda one, cap: cap * cap)


@rule("ADL-21")
def pro_rata_equity(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P11: the largest share of equity that anybody loses is as small as possible: everybody
    gives the same share of his account value, but nobody more than his profit.

    Formula: budget * account value / all account values, capped. Rounding: as P6.
    Rejects: as ADL-1. Source: adl-and-scenarios P11.

    >>> rows = [Candidate(key, 1, entry_notional=1, notional=1, account_value=value, pnl=pnl)
    ...     for key, value, pnl in ((b"a", 300, 50), (b"b", 100, 50), (b"c", 900, 6))]
    >>> pro_rata_equity(Round(seed=bytes(32), budget=46), rows).takes
    [30, 10, 6]
    """
    return fill_by(this_round, candidates, lambda one, cap: one.account_value)


def pro_rata_notional(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """Every winner gives by the value of his position, capped at his profit: a comparison."""
    return fill_by(this_round, candidates, lambda one, cap: one.notional)


def min_max_lots(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P11 in whole lots: the next lot comes from whoever's loss would then be the smallest share
    of his account value, ties by tie key.

    In one market each lot costs the same, so the next lot's share is (lots given + 1) / value.
    All lots below the exact water level go first, at once; fewer than one per account are left.

    >>> rows = [Candidate(key, 9, entry_notional=1, notional=1, account_value=value, pnl=1)
    ...     for key, value in ((b"a", 30), (b"b", 10))]
    >>> min_max_lots(Round(seed=bytes(32), lots=5), rows).takes
    [4, 1]
    """
    reasons, caps = survey(this_round, candidates, in_lots=True)
    ties = tie_keys(this_round.seed, candidates)
    values = [max(0, one.account_value) for one in candidates]
    level = water_level(this_round.lots, caps, values)
    takes = [0] * len(caps)
    for index in level.full:
        takes[index] = caps[index]
    for index in level.rest:
        takes[index] = floor_div(level.left * values[index], level.weight_left)
    left = this_round.lots - sum(takes)
    # Scaled as in `order_keys`: different shares stay different.
    bits = 2 * max(values, default=0).bit_length()
    # Those in `rest` are below their cap at the exact level, so one more lot fits.
    heap = [
        (floor_div(takes[index] + 1 << bits, values[index]), ties[index], index)
        for index in level.rest
    ]
    heapify(heap)
    while left > 0 and heap:
        _, tie, index = heap[0]
        takes[index] += 1
        left -= 1
        if takes[index] == caps[index]:
            heappop(heap)
        else:
            share = floor_div(takes[index] + 1 << bits, values[index])
            heapreplace(heap, (share, tie, index))
    scores = [(value, 1) for value in values]
    return Allocation(
        order=ranking(candidates, reasons, scores, ties),
        reasons=reasons,
        takes=takes,
        weights=caps,
        in_lots=True,
        shortfall=left,
    )
