"""The questions of the table VLT about quotes and children to their rules, as in `cases.py`.

Importing this module registers them. Prices of a table are of ETH: four size decimals.
"""

from chainperp.base.units import format_decimal, size_text, strip_decimal
from chainperp.rules import children, quoting
from chainperp.rules.children import Child
from chainperp.rules.quoting import QuoteInputs
from tests.rules.cases import PARAMETERS, case, decimal, is_yes, micro, usd, whole, yes_no
from tests.rules.runner import Row

DECIMALS = 4
PRICE_DECIMALS = 2


def price(text: str) -> int:
    """A price on the grid."""
    return decimal(text, PRICE_DECIMALS)


def lots(text: str) -> int:
    """Lots of a size."""
    return decimal(text, DECIMALS)


def price_or_none(text: str) -> int | None:
    """A price of a book's side, `none` when it is empty."""
    return None if text == "none" else price(text)


@case("VLT-20")
def _takes_on(row: Row) -> str:
    return yes_no(
        quoting.may_take_on(
            usd(row, "value"),
            usd(row, "positions"),
            usd(row, "day began with"),
            PARAMETERS.quote_leverage_max,
            PARAMETERS.quote_loss_bps,
        )
    )


@case("VLT-21")
def _cap(row: Row) -> str:
    takes_on = is_yes(row, "takes on")
    return micro(quoting.inventory_cap(usd(row, "value"), PARAMETERS.quote_cap_bps, takes_on))


@case("VLT-22")
def _room(row: Row) -> str:
    room = quoting.room_lots(
        row["side"] == "buy",
        price(row["price"]),
        lots(row["position"]),
        usd(row, "entry"),
        usd(row, "cap"),
    )
    return size_text(room, DECIMALS)


@case("VLT-23")
def _skew(row: Row) -> str:
    skew = quoting.quote_skew(
        lots(row["position"]), price(row["price"]), usd(row, "cap"), PARAMETERS.quote_skew_bps
    )
    return strip_decimal(skew, 2)


@case("VLT-24")
def _price(row: Row) -> str:
    found = quoting.quote_price(
        price(row["oracle"]),
        row["side"] == "buy",
        whole(row, "distance"),
        decimal(row["skew"], 2),
        DECIMALS,
    )
    return strip_decimal(found, PRICE_DECIMALS)


@case("VLT-25")
def _kept(row: Row) -> str:
    kept = quoting.is_quote_kept(
        price(row["price"]),
        lots(row["left"]),
        price(row["due price"]),
        lots(row["due size"]),
        price(row["drift"]),
    )
    return "stays" if kept else "canceled: QUOTE_MOVED"


@case("VLT-26")
def _side(row: Row) -> str:
    inputs = QuoteInputs(
        price(row["oracle"]),
        price(row["mark"]),
        DECIMALS,
        usd(row, "value"),
        usd(row, "cap"),
        lots(row["position"]),
        usd(row, "entry"),
        price_or_none(row["bid"]),
        price_or_none(row["ask"]),
    )
    resting: list[tuple[int, int]] = []
    for one in row["rests"].split(", "):
        if one != "none":
            size, at = one.split(" @ ")
            resting.append((price(at), lots(size)))
    plan = quoting.plan_side(inputs, row["side"] == "buy", resting, PARAMETERS)
    told = [f"keeps {format_decimal(resting[at][0], PRICE_DECIMALS)}" for at in plan.kept]
    told += [
        f"{size_text(size, DECIMALS)} @ {strip_decimal(at, PRICE_DECIMALS)}"
        for at, size in plan.placed
    ]
    return ", ".join(told) or "nothing"


@case("VLT-27")
def _netted(row: Row) -> str:
    return str(children.netted_lots(whole(row, "one"), whole(row, "other")))


@case("VLT-28")
def _share(row: Row) -> str:
    return micro(children.capital_share(usd(row, "whole"), whole(row, "basis points")))


@case("VLT-29")
def _capital(row: Row) -> str:
    """A child is `value/maintenance/available/target`."""
    found: list[Child] = []
    for column in ("first", "second"):
        found.append(Child(*(decimal(one, 6) for one in row[column].split("/"))))
    least = PARAMETERS.capital_move_min
    moves = children.plan_capital(found, usd(row, "parent"), usd(row, "budget"), least)
    return ", ".join(micro(one) for one in moves)
