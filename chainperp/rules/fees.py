"""FEE: what a trade costs and who receives it."""

from chainperp.base.rounding import floor_div, toward_zero
from chainperp.base.units import BUILDER_RATE_ONE, FEE_RATE_ONE
from chainperp.model.decisions import Rejection
from chainperp.parameters.schema import BPS_ONE, Parameters
from chainperp.rules.catalogue import rule


@rule("FEE-1")
def trading_fee(notional: int, rate: int, discount: int = 0) -> int:
    """A fill costs each side its notional times its rate, less the discount of its account; the
    minimum order value bounds the loss.

    Rates are in millionths; negative rates are rebates, which no discount lessens. The discount is
    in basis points of the fee. Formula: notional * rate * (1 - discount), in this order of factors,
    divided once. Rounding: toward zero at one micro-USDC.
    Source: DOC[Fees]; OBS for the rounding (U-NUM-4).

    Example: 66653.0 * 0.001 at 0.015 % is 0.00999795, charged as 0.009997; 10,000 at 0.045 % with
    the 4 % of a referred account is 4.32.

    >>> trading_fee(66_653_000, 150), trading_fee(10_000_000_000, 450, 400)
    (9997, 4320000)
    """
    if discount and rate > 0:
        return toward_zero(notional * rate * (BPS_ONE - discount), FEE_RATE_ONE * BPS_ONE)
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
    for above, tier_taker, tier_maker in tiers:
        if volume > above:
            taker, maker = tier_taker, tier_maker
    return taker, maker


@rule("FEE-3")
def hlp_share(fees: int, share_bps: int) -> int:
    """Of each trade's fees, less what its referrers get, the liquidity vault gets its published
    share, the fund gets the rest.

    `fees` are both sides' together, so less a maker's rebate. The shares of a block's trades move
    together at its end. Rounding: down for the vault, at each trade, so the residue is the fund's.
    Source: U-FEE-1.

    >>> hlp_share(6_000_000, 100)
    60000
    """
    return floor_div(fees * share_bps, BPS_ONE)


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


@rule("FEE-8")
def maker_rate(rate: int, volume: int, exchange: int, tiers: tuple[tuple[int, int], ...]) -> int:
    """Who has made more than 0.5 % of the exchange's maker volume in the 14 days before a UTC day
    gets a rebate on that day instead of paying as maker: 0.001 %, above 1.5 % 0.002 %, above 3 %
    0.003 %.

    `rate` is that of the volume tier, `volume` the maker volume of the account (and of its
    sub-accounts or its master), `exchange` that of all; tiers are (share above in basis points,
    rebate in millionths) from the lowest. Negative: a rebate. Trades of spot pay none (U-FEE-9).
    Source: DOC[Fees], U-FEE-3.

    >>> table = ((50, 10), (150, 20), (300, 30))
    >>> maker_rate(150, 5_000, 1_000_000, table), maker_rate(150, 5_001, 1_000_000, table)
    (150, -10)
    >>> maker_rate(0, 0, 0, table), maker_rate(0, 1, 1, table)
    (0, -30)
    """
    for above, rebate in tiers:
        if volume * BPS_ONE > exchange * above:
            rate = -rebate
    return rate


@rule("FEE-9")
def maker_fee_paid(fee: int, taker_fee: int) -> int:
    """A maker's rebate is paid out of the taker's fee of the same trade, so it is at most that.

    `fee` is the maker's by FEE-1. Source: U-FEE-2.

    >>> maker_fee_paid(-300, 240), maker_fee_paid(-30, 240), maker_fee_paid(150, 0)
    (-240, -30, 150)
    """
    return max(fee, -taker_fee)
