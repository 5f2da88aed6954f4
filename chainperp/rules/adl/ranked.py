"""ADL: queues that close the highest score first: P1 Hyperliquid, P2 BitMEX, P3 Binance, P3b OKX,
P4 Huobi. Contract space: they hand out lots, whole positions from the top.

Scores are exact fractions. Equal scores stand in the order of the tie key; nothing else, so that
a larger position or a chosen address is no disadvantage and no advantage. (U-ADL-1 names size,
then address; the audited order is audit-log-and-consensus 9.5.)
"""

from collections.abc import Callable, Sequence
from typing import Final

from chainperp.base.rounding import floor_div
from chainperp.base.units import USD_ONE
from chainperp.rules.adl.allocate import eligible_part, queue, ranking, tie_keys
from chainperp.rules.adl.policy import PPB, Allocation, Candidate, Round, ScoreMode, survey
from chainperp.rules.catalogue import rule

Score = tuple[int, int]
FLOOR: Final = 100_000_000
"""The inverse of the floor of both factors of the product score: 1e-8."""
ABOVE_ALL: Final[Score] = (1, 0)


def product_score(candidate: Candidate) -> Score:
    """Leverage times profit ratio, each at least 1e-8: notional / value * profit / entry.

    An entry notional that rounding took to zero counts as one micro-USDC.

    >>> product_score(Candidate(b"B", 80, entry_notional=296_000, notional=287_200,
    ...     account_value=20_000, pnl=8_800))
    (2527360000, 5920000000)
    """
    value = candidate.account_value
    if value <= 0:
        return ABOVE_ALL
    notional = candidate.notional
    profit = candidate.pnl
    entry = candidate.entry_notional or 1
    if notional * FLOOR < value:
        notional, value = 1, FLOOR
    if profit * FLOOR < entry:
        profit, entry = 1, FLOOR
    return notional * profit, value * entry


def documented_score(candidate: Candidate) -> Score:
    """(mark / entry) * (notional / value) for a long; the price ratio upside down for a short."""
    if candidate.is_long:
        return literal_score(candidate)
    if candidate.account_value <= 0:
        return ABOVE_ALL
    # (entry / mark) * (notional / value), where notional is size times mark.
    return candidate.entry_notional, candidate.account_value


def literal_score(candidate: Candidate) -> Score:
    """(mark / entry) * (notional / value) for both sides, as the page prints it."""
    if candidate.account_value <= 0:
        return ABOVE_ALL
    entry = candidate.entry_notional or 1
    return candidate.notional * candidate.notional, entry * candidate.account_value


SCORES: Final[dict[ScoreMode, Callable[[Candidate], Score]]] = {
    ScoreMode.PRODUCT: product_score,
    ScoreMode.DOCUMENTED: documented_score,
    ScoreMode.LITERAL: literal_score,
}


def bitmex_score(candidate: Candidate) -> Score:
    """Profit ratio times effective leverage for winners, over it for losers.

    Leverage is notional / account value: the value is the distance of mark and bankruptcy price.
    """
    value = candidate.account_value
    if value <= 0:
        return ABOVE_ALL
    entry = candidate.entry_notional or 1
    if candidate.pnl > 0:
        return candidate.pnl * candidate.notional, entry * value
    return candidate.pnl * value, entry * (candidate.notional or 1)


def binance_score(candidate: Candidate) -> Score:
    """Profit over wallet, at least 1 USDC, times margin ratio; 0 for losers."""
    value = candidate.account_value
    if value <= 0:
        return 0, 1
    wallet = max(USD_ONE, candidate.cash)
    return max(0, candidate.pnl) * candidate.maintenance, wallet * value


def okx_score(candidate: Candidate) -> Score:
    """Return on own margin over margin ratio for an isolated position; P2's score for cross.

    The margin ratio here is value over maintenance, so a small one ranks first.
    """
    value = candidate.account_value
    if not candidate.is_isolated:
        return bitmex_score(candidate)
    if value <= 0:
        return ABOVE_ALL
    return candidate.pnl * candidate.maintenance, max(1, candidate.cash) * value


def leverage_score(candidate: Candidate) -> Score:
    """Notional over account value."""
    if candidate.account_value <= 0:
        return ABOVE_ALL
    return candidate.notional, candidate.account_value


def queue_by(
    this_round: Round,
    candidates: Sequence[Candidate],
    score: Callable[[Candidate], Score] | None,
    *,
    in_lots: bool = True,
) -> Allocation:
    """Greedy allocation along a score; without one, along the tie key."""
    reasons, weights = survey(this_round, candidates, in_lots)
    ties = tie_keys(this_round.seed, candidates)
    scores = None
    if score is not None:
        scores = [(0, 1) if reason else score(one)
                  for one, reason in zip(candidates, reasons, strict=True)]  # fmt: skip
    order = ranking(candidates, reasons, scores, ties)
    total = this_round.lots if in_lots else this_round.budget
    takes = queue(total, weights, eligible_part(order, reasons))
    return Allocation(
        order=order,
        reasons=reasons,
        takes=takes,
        weights=weights,
        in_lots=in_lots,
        shortfall=total - sum(takes),
    )


@rule("ADL-11")
def hyperliquid_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P1: the positions with the highest leverage times profit are closed first, whole ones from
    the top; the last may be closed in part.

    A flat account never pays, and the loss is covered while the other side exists. Splitting an
    account moves its parts down the queue, and hedges lose a leg: the price of a queue.
    Formula: product: max(notional / value, 1e-8) * max(profit / entry notional, 1e-8).
    documented: (mark / entry) * (notional / value), short entry / mark. literal: never inverted.
    Rounding: none, scores are compared as exact fractions; ties by SHA-256(seed, account).
    Rejects: as ADL-1. Source: RE-OSEC, DOC[Auto-deleveraging], U-ADL-1, U-ADL-2.

    >>> B = Candidate(b"B", 80, entry_notional=296_000, notional=287_200, account_value=20_000,
    ...     pnl=8_800, is_long=False)
    >>> A = Candidate(b"A", 50, entry_notional=205_000, notional=179_500, account_value=100_000,
    ...     pnl=25_500, is_long=False)
    >>> hyperliquid_queue(Round(seed=bytes(32), is_target_long=True, lots=100), [A, B]).takes
    [20, 80]
    """
    return queue_by(this_round, candidates, SCORES[this_round.terms.score_mode])


@rule("ADL-12")
def bitmex_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P2: winners rank by profit ratio times effective leverage, losers behind them by profit
    ratio over leverage.

    Formula: profit / entry notional, times or over notional / account value. Closes at the
    bankrupt order's bankruptcy price. Rounding: none. Rejects: as ADL-1; an account that is
    bankrupt itself is skipped. Source: 3P[BitMEX ADL], adl-and-scenarios P2.

    >>> rows = [Candidate(bytes([i]), size, entry_notional=10, notional=10, account_value=1,
    ...     pnl=score) for i, (size, score) in enumerate([(10, 3), (10, 6), (20, 1), (20, 5)])]
    >>> bitmex_queue(Round(seed=bytes(32), lots=20), rows).takes
    [0, 10, 0, 10]
    """
    return queue_by(this_round, candidates, bitmex_score)


@rule("ADL-13")
def binance_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P3: winners rank by profit over wallet times margin ratio; losers all score zero.

    Formula: max(0, profit) * maintenance / (max(1 USDC, wallet) * account value). Closes at the
    bankruptcy price; the open orders of those chosen are cancelled. Rounding: none.
    Rejects: as ADL-1. Source: 3P[Binance ADL], adl-and-scenarios P3.

    >>> rows = [Candidate(b"a", 9, entry_notional=50, notional=60, account_value=30_000_000,
    ...     pnl=10_000_000, cash=20_000_000, maintenance=3_000_000), Candidate(b"b", 9,
    ...     entry_notional=50, notional=60, account_value=12_000_000, pnl=10_000_000,
    ...     cash=2_000_000, maintenance=3_000_000)]
    >>> binance_queue(Round(seed=bytes(32), lots=10), rows).takes
    [1, 9]
    """
    return queue_by(this_round, candidates, binance_score)


def rank_quantile(rank: int, users: int) -> int:
    """The quantile that Binance shows: rank over users in ppb; 0 is closed first. Rounds down.

    >>> rank_quantile(0, 8), rank_quantile(6, 8)
    (0, 750000000)
    """
    return floor_div(rank * PPB, users)


@rule("ADL-31")
def okx_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P3b: isolated positions rank by return on own margin over margin ratio, cross ones as P2.

    It closes at the current mark, so winners lose nothing at that instant: the fund stops losing
    and keeps the remaining deficit. `is_fund_low` says when it starts.
    Formula: profit / margin * maintenance / value. Rounding: none. Rejects: as ADL-1.
    Source: 3P[OKX ADL], adl-and-scenarios P3b and U7.

    >>> rows = [Candidate(key, 9, entry_notional=50, notional=60, account_value=value, pnl=10,
    ...     cash=value - 10, maintenance=3, is_isolated=True) for key, value in
    ...     ((b"a", 30), (b"b", 12))]
    >>> okx_queue(Round(seed=bytes(32), lots=10), rows).takes
    [1, 9]
    """
    return queue_by(this_round, candidates, okx_score)


def is_fund_low(balance: int, peak: int) -> bool:
    """Whether the insurance fund has fallen to 70 % of its peak of 8 hours, or below.

    >>> is_fund_low(70, 100), is_fund_low(71, 100)
    (True, False)
    """
    return balance * 10 <= peak * 7


@rule("ADL-14")
def huobi_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P4: the highest effective leverage is closed first, whatever the profit.

    Formula: notional / account value. Closes at the forced order's price. Rounding: none.
    Rejects: as ADL-1. Source: 3P[Huobi/BitVC 2015], adl-and-scenarios P4.

    >>> rows = [Candidate(key, 9, entry_notional=50, notional=60, account_value=value, pnl=-1)
    ...     for key, value in ((b"a", 30), (b"b", 12))]
    >>> huobi_queue(Round(seed=bytes(32), lots=10), rows).takes
    [1, 9]
    """
    return queue_by(this_round, candidates, leverage_score)


def profit_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P1 in wealth space by profit alone: what a study compares the queue with."""
    return queue_by(this_round, candidates, lambda one: (one.pnl, 1), in_lots=False)


def profit_leverage_queue(this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P1 in wealth space by profit ratio of equity times leverage: profit * notional / value^2."""
    return queue_by(
        this_round,
        candidates,
        lambda one: (one.pnl * one.notional, one.account_value * one.account_value),
        in_lots=False,
    )
