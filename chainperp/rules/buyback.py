"""BUY: when the assistance fund buys the exchange's token, how much, at which price, what then.

Everything is a function of the committed state: nobody chooses a time, a size or a price. There is
no rule here, nor anywhere else, that sells: what is bought is burned in the same block.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.base.units import Price
from chainperp.model.decisions import BuybackOutcome, LedgerType, Rejection
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule
from chainperp.rules.prices import round_for_buyer

# No dollar and no token has more units than that.
SPENT_MAX = 2**62
BURNED_MAX = 2**96


class Source(IntEnum):
    """Where money of the fund comes from, or where it goes."""

    FEES = 0
    LIQUIDATIONS = 1
    OTHER = 2
    VAULT_SHARE = 3  # out: the liquidity vault's share of fees
    REFERRALS = 4  # out: what referrers get of fees
    OWN = 5  # between the fund's own cells


SOURCES: dict[int, Source] = {
    LedgerType.LIQUIDATION_PROFIT: Source.LIQUIDATIONS,
    LedgerType.FEE_SHARE: Source.VAULT_SHARE,
    LedgerType.REFERRAL_REWARD: Source.REFERRALS,
    LedgerType.BUYBACK_MONEY: Source.OWN,
    LedgerType.BUYBACK_REST: Source.OWN,
}


class Receipt(NamedTuple):
    """What a purchase on the EVM did: micro-USDC spent; tokens in their smallest unit."""

    spent: int
    bought: int
    burned: int


@rule("BUY-1")
def is_purchase_due(balance: int, now_ms: int, tried_ms: int, parameters: Parameters) -> bool:
    """A purchase is due in the first block in which the fund holds 10 USDC and 60 s have passed
    since it was due last.

    A purchase that was due and impossible counts too: it is written down with its reason, and the
    next one is due 60 s later. `balance` is in micro-USDC, after the fee shares of the block.
    Source: U-AF-1, U-AF-2.

    Example: 10 USDC at 60,000 ms after the last one: due; a micro-USDC or a millisecond less: not.
    """
    waited = now_ms - tried_ms >= parameters.buyback_interval_ms
    return waited and balance >= parameters.buyback_balance_min


@rule("BUY-2")
def purchase_limit(mark: int, size_decimals: int, slippage_bps: int) -> Price:
    """A purchase pays at most 1 % more than the mark of the spot pair.

    Rounding: down to the tick, in favour of the fund. Source: U-AF-1.

    >>> purchase_limit(10_000, 2, 100), purchase_limit(99_999, 2, 100), purchase_limit(1, 2, 100)
    (10100, 100990, 1)
    """
    return round_for_buyer(floor_div(mark * (10_000 + slippage_bps), 10_000), size_decimals)


@rule("BUY-3")
def purchase_lots(balance: int, depth: int, limit: int, parameters: Parameters) -> int:
    """A purchase is worth 0.1 % of what is offered up to its limit, but at least the smallest
    order, 10 USDC, and at most what the fund holds; where less than 10 USDC is offered or held,
    there is none.

    `depth` is the sum of price times lots of all asks up to the limit, `limit` the price of a lot,
    all in micro-USDC. Returns lots, valued at the limit, so that the money always suffices; 0 for
    none. Rounding: the share down, the smallest order up to a lot. What is left stays in the fund.
    Source: U-AF-1, U-AF-3.

    Example: 30,000 USDC offered up to 1.01: 30 USDC buy 29.70 tokens, in lots of 0.01.
    """
    least = ceil_div(parameters.buyback_value_min, limit)
    if depth < parameters.buyback_value_min:
        return 0
    wanted = floor_div(floor_div(depth * parameters.buyback_depth_bps, 10_000), limit)
    lots = min(max(wanted, least), floor_div(balance, limit))
    return lots if lots >= least else 0


@rule("BUY-4")
def is_mark_usable(bid: int | None, ask: int | None, mark: int | None) -> bool:
    """There is no purchase without a mark that rests on live quotes of both sides: a last trade
    alone may be of any age.

    Source: reliability INV-C5, U-AF-4.

    >>> is_mark_usable(99, 101, 100), is_mark_usable(None, 101, 100), is_mark_usable(99, 101, None)
    (True, False, False)
    """
    return bid is not None and ask is not None and mark is not None


@rule("BUY-5")
def source_of(kind: int) -> Source:
    """All that the fund gets is counted under one source: fees of trades, its share of seized
    margin, or anything else (activation, withdrawals, deposits); what it pays on is counted too.

    `kind` is the ledger type of a transfer; fees of trades are in no transfer, they are what the
    fund's cells have gained besides. Source: reliability INV-T5, U-AF-5.

    >>> source_of(LedgerType.LIQUIDATION_PROFIT), source_of(LedgerType.WITHDRAWAL_FEE)
    (<Source.LIQUIDATIONS: 1>, <Source.OTHER: 2>)
    """
    return SOURCES.get(kind, Source.OTHER)


@rule("BUY-6")
def tokens_to_burn(held_before: int, bought: int) -> int:
    """Everything that the fund holds of the token after a purchase is burned in the same block; it
    keeps none, and so it has none to sell.

    Amounts in the token's smallest unit. Source: DOC[Fees], decision 12, U-AF-6.

    >>> tokens_to_burn(0, 2_970_000_000)
    2970000000
    """
    return held_before + bought


@rule("BUY-7")
def vault_transfer(balance: int, unspent: int, parameters: Parameters) -> int:
    """Where the chain has a contract that buys on the EVM, the fund sends it money whenever a
    purchase is due, after the purchase in the book: a tenth of what is left, but at least 10 USDC
    and never more than there is; nothing while an earlier transfer is on its way or not spent.

    `balance` is what the fund holds after its purchase, `unspent` what was sent and neither
    cancelled nor spent, in micro-USDC. Returns the amount, 0 for none. Rounding: down. It is asked
    for like a withdrawal, without a fee. Source: U-BR-5.

    Example: of 500 USDC 50 are sent, of 40 USDC 10, of 9.99 USDC nothing.
    """
    least = parameters.buyback_evm_min
    if unspent >= least:
        return 0
    amount = max(floor_div(balance * parameters.buyback_evm_bps, 10_000), least)
    return amount if amount <= balance else 0


@rule("BUY-8")
def check_vault_purchase(number: int, purchases: int, receipt: Receipt) -> Rejection:
    """Purchases on the EVM are taken into the fund's books once each, in the order of their number
    there. What the contract spent beyond what the fund paid it was somebody's gift, and is counted
    as one.

    `purchases` is how many were taken so far. Rejects: another number than the next, nothing spent
    or bought, fewer tokens burned than bought, or more than any supply. Source: U-BR-6.

    >>> check_vault_purchase(1, 0, Receipt(5, 7, 7)).name
    'ACCEPTED'
    >>> check_vault_purchase(1, 0, Receipt(5, 7, 6)).name
    'VAULT_PURCHASE_AMOUNT'
    """
    if number != purchases + 1:
        return Rejection.VAULT_PURCHASE_NUMBER
    is_possible = (
        0 < receipt.spent <= SPENT_MAX and 0 < receipt.bought <= receipt.burned <= BURNED_MAX
    )
    return Rejection.ACCEPTED if is_possible else Rejection.VAULT_PURCHASE_AMOUNT


class Quotes(NamedTuple):
    """A spot pair at one moment: best prices, last trade, and mark; None where there is none."""

    bid: int | None
    ask: int | None
    last: int | None
    mark: int | None


class Purchase(NamedTuple):
    """A purchase that is due: what is to be bought, or why nothing is, with the deciding rule.
    `limit` and `depth` are 0 where there is no mark to go by."""

    outcome: BuybackOutcome
    rule: str
    limit: int
    depth: int
    lots: int


def plan_purchase(
    balance: int,
    quotes: Quotes,
    size_decimals: int,
    worth_within: Callable[[int], int],
    parameters: Parameters,
) -> Purchase:
    """What a purchase that is due comes to (BUY-2 to BUY-4).

    `worth_within` gives the sum of price times lots of all asks up to a price, in micro-USDC.
    """
    mark = quotes.mark
    if mark is None or not is_mark_usable(quotes.bid, quotes.ask, mark):
        return Purchase(BuybackOutcome.NO_MARK, "BUY-4", 0, 0, 0)
    limit = purchase_limit(mark, size_decimals, parameters.buyback_slippage_bps)
    depth = worth_within(limit)
    lots = purchase_lots(balance, depth, limit, parameters)
    if lots:
        return Purchase(BuybackOutcome.BOUGHT, "BUY-3", limit, depth, lots)
    is_thin = depth < parameters.buyback_value_min
    outcome = BuybackOutcome.NO_DEPTH if is_thin else BuybackOutcome.TOO_LITTLE
    return Purchase(outcome, "BUY-3", limit, depth, 0)
