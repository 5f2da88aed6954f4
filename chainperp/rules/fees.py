"""FEE: what a trade costs and who receives it."""

from chainperp.base.rounding import floor_div, toward_zero
from chainperp.base.units import BUILDER_RATE_ONE, FEE_RATE_ONE
from chainperp.model.decisions import Rejection
from chainperp.parameters.schema import Parameters
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


@rule("FEE-5")
def builder_fee(notional: int, rate: int) -> int:
    """A fill of an order that names a builder costs its side the builder's rate besides the fee of
    the exchange; all of it is the builder's, at once.

    It is charged to the maker's or the taker's side alike, whichever order names one, and counts in
    MAT-3. `rate` is in tenths of a basis point. Rounding: toward zero at one micro-USDC.
    Source: DOC[Fees], U-FEE-5.

    >>> builder_fee(10_000_000, 10)
    1000
    """
    return toward_zero(notional * rate, BUILDER_RATE_ONE)


@rule("FEE-6")
def check_builder_approval(
    rate: int | None, others: int, builder_value: int, parameters: Parameters
) -> Rejection:
    """An account approves up to ten builders, each with the highest rate that it may charge, at
    most 1 %; a builder must be worth 100 USDC then. Rate 0 revokes an approval.

    `rate` is in tenths of a basis point, None for a text that is no rate; `others` counts the other
    builders approved. Only the account's own key may: the action is user-signed.
    Rejects: no rate or too high, too many, a builder without means.
    Source: DOC[Fees], hyperliquid-api 4.2, U-FEE-7.
    """
    if rate is None or rate > parameters.builder_approval_max:
        return Rejection.BUILDER_RATE_INVALID
    if rate == 0:
        return Rejection.ACCEPTED
    if others >= parameters.builder_approvals_max:
        return Rejection.BUILDER_TOO_MANY
    if builder_value < parameters.builder_value_min:
        return Rejection.BUILDER_BALANCE
    return Rejection.ACCEPTED


@rule("FEE-7")
def is_builder_fee_approved(rate: int, approved: int, highest: int) -> bool:
    """Orders may name a builder at a rate that their owner approved, at most 0.1 %; what a master
    approved covers its sub-accounts. Rate 0 charges nothing and needs no approval.

    Refuses the whole action. Rates are in tenths of a basis point.
    Source: DOC[Fees], hyperliquid-api 4.5, U-FEE-6.

    >>> is_builder_fee_approved(10, 10, 100), is_builder_fee_approved(11, 10, 100)
    (True, False)
    >>> is_builder_fee_approved(101, 1000, 100), is_builder_fee_approved(0, 0, 100)
    (False, True)
    """
    return rate == 0 or rate <= min(approved, highest)
