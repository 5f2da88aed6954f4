"""SPT: the spot market, where tokens change hands against USDC. Nothing here is margin."""

from chainperp.base.rounding import floor_div
from chainperp.base.units import FEE_RATE_ONE
from chainperp.model.decisions import Rejection
from chainperp.model.tokens import SPOT_FIRST
from chainperp.parameters.schema import BPS_ONE
from chainperp.rules.catalogue import rule


@rule("SPT-1")
def is_pair_known(asset: int, pairs: int) -> bool:
    """The asset number of a spot pair is 10000 and the pair's place in the list.

    Prices have the grid of PRC-1 with the base token's size decimals, sizes are whole lots (ORD-2,
    ORD-3). Source: DOC[Asset IDs], U-SPT-6 (decimals of the grid).

    >>> is_pair_known(10_000, 1), is_pair_known(10_001, 1), is_pair_known(9_999, 1)
    (True, False, False)
    """
    return SPOT_FIRST <= asset < SPOT_FIRST + pairs


@rule("SPT-2")
def check_spot_kind(reduce_only: bool, has_trigger: bool, has_builder: bool) -> Rejection:
    """Spot takes limit orders: GTC, IOC and post-only. There is no position to reduce and no mark
    to wait for; TWAP orders and builder fees are not offered.

    Source: U-SPT-7.

    >>> check_spot_kind(False, False, False).name, check_spot_kind(True, False, False).name
    ('ACCEPTED', 'SPOT_REDUCE_ONLY')
    """
    if has_trigger:
        return Rejection.SPOT_TRIGGER
    if reduce_only:
        return Rejection.SPOT_REDUCE_ONLY
    return Rejection.SPOT_BUILDER if has_builder else Rejection.ACCEPTED


@rule("SPT-3")
def is_spot_value_enough(notional: int, minimum: int) -> bool:
    """A spot order is worth at least 10 USDC at its limit price.

    Source: DOC[Error responses], U-SPT-2.

    >>> is_spot_value_enough(10_000_000, 10_000_000), is_spot_value_enough(9_999_999, 10_000_000)
    (True, False)
    """
    return notional >= minimum


@rule("SPT-4")
def spot_hold(is_buy: bool, price: int, lots: int, wei_per_lot: int) -> int:
    """An order gives lots of the token for price times lots of USDC: a sell holds the lots while it
    rests, a buy the USDC at its limit. A fill frees what was held for it.

    Returns the token's smallest unit for a sell, micro-USDC for a buy. What is held can be neither
    sent nor offered twice. Source: DOC[HIP-1].

    Example: 25.00 of a token with two size decimals at 0.4 is 2,500 lots at 4,000.

    >>> spot_hold(True, 4_000, 2_500, 1_000_000), spot_hold(False, 4_000, 2_500, 1_000_000)
    (10000000, 2500000000)
    """
    return lots * price if is_buy else lots * wei_per_lot


@rule("SPT-5")
def is_spot_balance_enough(free: int, needed: int) -> bool:
    """An order is accepted if the balance that no other order holds covers what SPT-4 holds for it,
    all of it at the limit price; an order that a modify replaces holds nothing any more.

    Source: DOC[Error responses], InsufficientSpotBalance.

    >>> is_spot_balance_enough(10, 10), is_spot_balance_enough(9, 10)
    (True, False)
    """
    return free >= needed


@rule("SPT-6")
def spot_fee(received: int, rate: int, discount: int = 0) -> int:
    """A spot fill costs each side its rate of what it receives, less the discount of its account:
    the buyer pays in the token, the seller in USDC. It is never negative.

    Rates are in millionths, by the same 14-day volume as those of perpetuals (FEE-2), the discount
    in basis points (REF-3). The fee in the token is burned, the one in USDC goes where trading fees
    go (FEE-3, REF-4).
    Rounding: down to the smallest unit of what is received. Source: DOC[HIP-1], DOC[Fees], U-SPT-1.

    Example: 25 tokens of 8 decimals at 0.07 % cost 0.0175; 10 USDC at 0.04 % cost 0.004.

    >>> spot_fee(2_500_000_000, 700), spot_fee(10_000_000, 400), spot_fee(1_428, 700)
    (1750000, 4000, 0)
    >>> spot_fee(10_000_000, 400, 400)
    3840
    """
    paid = rate * (BPS_ONE - discount)
    return floor_div(received * paid, FEE_RATE_ONE * BPS_ONE) if paid > 0 else 0


@rule("SPT-7")
def burned_after(burned: int, amount: int, supply: int) -> int | None:
    """What is burned is gone: supply shrinks by it and never grows again.

    Returns all that is burned then, None for nothing and for more than there is.
    Source: reliability INV-T1, INV-T2.

    >>> burned_after(5, 7, 100), burned_after(95, 6, 100), burned_after(5, 0, 100)
    (12, None, None)
    """
    total = burned + amount
    return total if amount > 0 and total <= supply else None


@rule("SPT-8")
def counted_volume(notional: int, weight: int) -> int:
    """In the volume that sets fee rates a spot trade counts twice.

    Source: DOC[Fees] (14-day weighted volume = perpetuals + 2 x spot).

    >>> counted_volume(10_000_000, 2)
    20000000
    """
    return notional * weight


@rule("SPT-9")
def pair_mark(bid: int | None, ask: int | None, last: int | None) -> int | None:
    """The price of a pair is the median of best bid, best ask and last trade; the last trade when a
    side of its book is empty; none before the first trade.

    It values nothing that can be liquidated. Source: OURS (U-SPT-8), after DOC[Robust price
    indices].

    >>> pair_mark(10_001, 10_003, 10_010), pair_mark(None, 10_003, 10_010), pair_mark(1, 3, None)
    (10003, 10010, None)
    """
    if bid is None or ask is None or last is None:
        return last
    return sorted((bid, ask, last))[1]
