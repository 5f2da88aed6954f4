"""FEE: what a trade costs and who receives it."""

from chainperp.base.rounding import floor_div, toward_zero
from chainperp.base.units import FEE_RATE_ONE
from chainperp.rules.catalogue import rule


@rule("FEE-1")
def trading_fee(notional: int, rate: int) -> int:
    """A fill costs each side its notional times its rate; the minimum order value bounds the loss.

    Rates are in millionths; negative rates are rebates. Rounding: toward zero at one micro-USDC.
    Source: DOC[Fees]; OBS for the rounding (U-NUM-4).

    Example: 66653.0 * 0.001 at 0.015 % is 0.00999795, charged as 0.009997.

    >>> trading_fee(66_653_000, 150)
    9997
    """
    return toward_zero(notional * rate, FEE_RATE_ONE)


@rule("FEE-2")
def fee_rates(volume: int, tiers: tuple[tuple[int, int, int], ...]) -> tuple[int, int]:
    """The taker and maker rates of a UTC day follow from the volume of the 14 days before it.

    Tiers are (volume above, taker, maker) from the lowest; an account is in the last tier whose
    bound its volume exceeds. Source: DOC[Fees], U-FEE-3.

    >>> table = ((0, 450, 150), (5_000_000_000_000, 400, 120))
    >>> fee_rates(5_000_000_000_000, table), fee_rates(5_000_000_000_001, table)
    ((450, 150), (400, 120))
    """
    taker, maker = tiers[0][1], tiers[0][2]
    for above, tier_taker, tier_maker in tiers[1:]:
        if volume > above:
            taker, maker = tier_taker, tier_maker
    return taker, maker


@rule("FEE-3")
def hlp_share(fees: int, share_bps: int) -> int:
    """Of each trade's fees the liquidity vault gets its published share, the fund gets the rest.

    The shares of a block's trades move together at its end. Rounding: down for the vault, at
    each trade, so the residue is the fund's. Source: U-FEE-1.

    >>> hlp_share(6_000_000, 100)
    60000
    """
    return floor_div(fees * share_bps, 10_000)


@rule("FEE-4")
def volume_of_window(days: list[tuple[int, int]], today: int, window: int) -> int:
    """Volume counts from the last complete UTC days of the window; today's does not count yet. That
    of a master and its sub-accounts is one volume.

    `days` are (day number, volume in micro-USDC). Source: DOC[Fees], DOC[Sub-accounts],
    U-FEE-3.

    >>> volume_of_window([(1, 5), (2, 7), (16, 9)], today=16, window=14)
    7
    """
    total = 0
    for day, volume in days:
        if today - window <= day < today:
            total += volume
    return total
