"""The questions of the tables about the spot market to their rules, as in `cases.py`.

Importing this module registers them. Tokens have 8 decimals and lots of 0.01.
"""

from chainperp.base.units import strip_decimal
from chainperp.rules import conservation, spot
from tests.rules.cases import (
    PARAMETERS,
    case,
    decimal,
    holds,
    is_yes,
    maybe,
    percent,
    usd,
    verdict,
    whole,
    yes_no,
)
from tests.rules.runner import Row

WEI_PER_LOT = 10**6


@case("SPT-1")
def _pair_known(row: Row) -> str:
    return yes_no(spot.is_pair_known(whole(row, "asset"), whole(row, "pairs")))


@case("SPT-2")
def _kind(row: Row) -> str:
    return verdict(
        spot.check_spot_kind(
            is_yes(row, "reduce-only"), is_yes(row, "trigger"), is_yes(row, "builder")
        )
    )


@case("SPT-3")
def _value(row: Row) -> str:
    return yes_no(spot.is_spot_value_enough(usd(row, "value"), PARAMETERS.spot_order_value_min))


@case("SPT-4")
def _hold(row: Row) -> str:
    is_buy = row["side"] == "buy"
    amount = spot.spot_hold(is_buy, decimal(row["price"], 4), decimal(row["size"], 2), WEI_PER_LOT)
    return f"{strip_decimal(amount, 6 if is_buy else 8)} {'USDC' if is_buy else 'CHP'}"


@case("SPT-5")
def _balance(row: Row) -> str:
    return yes_no(spot.is_spot_balance_enough(decimal(row["free"], 8), decimal(row["needed"], 8)))


@case("SPT-6")
def _fee(row: Row) -> str:
    amount, name = row["receives"].split()
    decimals = 6 if name == "USDC" else 8
    fee = spot.spot_fee(decimal(amount, decimals), percent(row, "rate", 1_000_000))
    return f"{strip_decimal(fee, decimals)} {name}"


@case("SPT-7")
def _burned(row: Row) -> str:
    total = spot.burned_after(whole(row, "burned"), whole(row, "amount"), whole(row, "supply"))
    return "refused" if total is None else f"{total:,}"


@case("SPT-8")
def _volume(row: Row) -> str:
    counted = spot.counted_volume(usd(row, "traded"), PARAMETERS.spot_volume_weight)
    return strip_decimal(counted, 6)


@case("SPT-9")
def _mark(row: Row) -> str:
    prices = [maybe(row, column) for column in ("best bid", "best ask", "last")]
    bid, ask, last = (None if one is None else decimal(one, 4) for one in prices)
    mark = spot.pair_mark(bid, ask, last)
    return "none" if mark is None else strip_decimal(mark, 4)


@case("INV-5")
def _supply(row: Row) -> str:
    return holds(
        lambda: conservation.check_supply(
            1, whole(row, "balances"), whole(row, "burned"), whole(row, "supply")
        )
    )


@case("INV-6")
def _held(row: Row) -> str:
    return holds(
        lambda: conservation.check_held(
            1, whole(row, "orders reserve"), whole(row, "held"), whole(row, "balance")
        )
    )
