"""MRG: what an account must hold to open, to keep and to take money out.

Account value of the cross scope is raw USD plus every cross position at mark; of an isolated
position, its own raw USD plus its value at mark. All requirements round up, against the account.
"""

from chainperp.base.rounding import ceil_div, floor_div
from chainperp.model.markets import MarginTier, MarketTerms
from chainperp.rules.catalogue import rule


@rule("MRG-1")
def initial_margin(value: int, bids: int, asks: int, leverage: int, is_cross: bool) -> int:
    """A market holds margin for its worst side: the position with all bids, or with all asks.

    `value` is the signed position at mark; `bids` and `asks` are the resting orders' notional at
    their own limit prices, reduce-only and trigger orders excluded. An isolated position already
    holds its own margin, so only what orders could add is held from the cross balance.
    Formula: max(value + bids, asks - value) / leverage; isolated: less |value| before dividing.
    Rounding: up. Source: DOC[Margining], OBS, U-ACC-1.

    Example: a resting bid for 0.0005 BTC at 65,000 with 2x holds 16.25 USDC.

    >>> initial_margin(0, 32_500_000, 0, 2, is_cross=True)
    16250000
    """
    buying = value + bids
    selling = asks - value
    worst = buying if buying > selling else selling
    if not is_cross:
        worst -= value if value >= 0 else -value
    return -(-worst // leverage)


@rule("MRG-2")
def maintenance_margin(notional: int, terms: MarketTerms) -> int:
    """A position must keep half the initial margin required at its tier's maximum leverage.

    Formula: notional * rate - deduction of the tier, over the table's common denominator.
    Rounding: up, once per position. Source: DOC[Margin tiers], U-MAR-1.

    Example: 200M of BTC, 40x to 150M and 20x above, needs 200M * 2.5 % - 1.875M = 3.125M.
    """
    tier = tier_of(notional, terms)
    return ceil_div(notional * tier.rate - tier.deduction, terms.tier_denominator)


def tier_of(notional: int, terms: MarketTerms) -> MarginTier:
    """The tier that a notional falls into; a bound belongs to the tier it opens."""
    found = terms.tiers[0]
    for tier in terms.tiers:
        if notional < tier.lower:
            break
        found = tier
    return found


@rule("MRG-3")
def opening_margin(notional: int, leverage: int) -> int:
    """Increasing an isolated position moves the notional over the leverage from cross into it.

    Rounding: up. Source: CODE[LiquidationPx.tsx].

    >>> opening_margin(100_000_001, 20)
    5000001
    """
    return ceil_div(notional, leverage)


@rule("MRG-4")
def released_margin(raw_isolated: int, value_at_price: int, closed: int, lots: int) -> int:
    """Closing part of an isolated position gives back the same share of its value at the price.

    A full close gives back all of it. Formula: (raw + lots * price) * closed / lots.
    Rounding: down, in favour of the position that stays. Source: CODE[LiquidationPx.tsx].

    >>> released_margin(-95_059_824, 100_027_650, 335, 335)
    4967826
    """
    if closed == lots:
        return raw_isolated + value_at_price
    return floor_div((raw_isolated + value_at_price) * closed, lots)


@rule("MRG-5")
def withdrawable(account_value: int, margin: int, position_notional: int, divisor: int) -> int:
    """What leaves an account other than by trading must leave the initial margin of everything
    open, and at least a tenth of the position value.

    Formula: value - max(initial margin, position value / 10), never below 0.
    Rounding: the requirement up. Source: DOC[Margining].

    Example: value 5,000 and positions of 30,000 at 20x: 10 % is more than 1,500, so 2,000 leaves.

    >>> withdrawable(5_000_000_000, 1_500_000_000, 30_000_000_000, 10)
    2000000000
    """
    required = max(margin, ceil_div(position_notional, divisor))
    return max(0, account_value - required)


@rule("MRG-6")
def is_leverage_allowed(leverage: int, leverage_max: int) -> bool:
    """Leverage is a whole number from 1 to the maximum of the market's first tier.

    Source: DOC[Margining].

    >>> is_leverage_allowed(40, 40), is_leverage_allowed(41, 40), is_leverage_allowed(0, 40)
    (True, False, False)
    """
    return 1 <= leverage <= leverage_max


@rule("MRG-7")
def isolated_removable(value: int, notional: int, leverage: int, divisor: int) -> int:
    """Margin leaves an isolated position only above its own initial margin and a tenth of its
    value.

    Formula: value - max(notional / leverage, notional / 10), never below 0. Rounding: the
    requirement up. Source: DOC[Margining]; the position alone is tested.

    >>> isolated_removable(4_967_826, 100_027_650, 50, 10)
    0
    """
    required = max(ceil_div(notional, leverage), ceil_div(notional, divisor))
    return max(0, value - required)


@rule("MRG-8")
def is_liquidatable(account_value: int, maintenance: int) -> bool:
    """A scope is liquidatable when its account value is below its maintenance margin; equality
    is safe.

    Source: DOC[Liquidations].

    >>> is_liquidatable(99, 100), is_liquidatable(100, 100)
    (True, False)
    """
    return account_value < maintenance
