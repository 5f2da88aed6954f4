"""Orders from the words of a command line: limit, market, trigger, take-profit and stop-loss.

There is no market order on the wire: it is a limit beyond the middle of the book that is not left
resting, as the official client makes it. A trigger that sells "at market" carries a limit too.
Source: hyperliquid-api 4.3.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chainperp.base.units import parse_decimal
from chainperp.cli import output
from chainperp.cli.signing import Session, checked_price, checked_size

if TYPE_CHECKING:
    from chainperp.client.markets import Market

PERCENT_DECIMALS: Final = 6
HUNDRED_PERCENT: Final = 100 * 10**PERCENT_DECIMALS
MARKET: Final = "market"
TIFS: Final = ("Gtc", "Ioc", "Alo")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order as somebody typed it. `price` is a limit or the word market."""

    coin: str
    side: str
    size: str
    price: str
    tif: str | None = None
    reduce_only: bool = False
    cloid: str | None = None
    slippage: str = "5"
    trigger: str | None = None


def price_words(words: list[str], example: str) -> str:
    """The price of `@ 95000`, `@ market`, `market` or `95000`."""
    if words and words[0] == "@":
        words = words[1:]
    if len(words) != 1:
        output.usage(f"the price is missing or not one word; it reads: {example}")
    return words[0]


def order_request(session: Session, wanted: Wanted) -> dict[str, Any]:
    """One order of an `order` or `batchModify` action, checked against its market's grid."""
    if wanted.side not in ("buy", "sell"):
        output.usage("an order reads: BTC buy 0.01 @ 95000", f"side was {wanted.side[:20]!r}")
    if wanted.tif not in (None, *TIFS):
        output.usage(f"--tif is Gtc, Ioc or Alo, was {wanted.tif!r}")
    market = session.market(wanted.coin)
    is_buy = wanted.side == "buy"
    if wanted.trigger is not None:
        price, kind = _triggered(market, wanted, is_buy=is_buy)
    elif wanted.price == MARKET:
        if wanted.tif not in (None, "Ioc"):
            output.usage("a market order never rests: --tif is Ioc for it")
        price, kind = _beyond_mid(session, market, wanted, is_buy=is_buy), _limit("Ioc")
    else:
        price, kind = checked_price(market, wanted.price), _limit(wanted.tif or "Gtc")
    request: dict[str, Any] = {
        "a": market.asset,
        "b": is_buy,
        "p": price,
        "s": checked_size(market, wanted.size),
        "r": wanted.reduce_only,
        "t": kind,
    }
    if wanted.cloid is not None:
        request["c"] = wanted.cloid
    return request


def closing_trigger(
    session: Session, parent: dict[str, Any], tpsl: str, trigger: str, slippage: str
) -> dict[str, Any]:
    """An order that closes at market what the parent opens, once the mark reaches a price."""
    market = next(one for one in session.markets if one.asset == parent["a"])
    is_buy = not parent["b"]
    price = checked_price(market, trigger)
    return {
        "a": parent["a"],
        "b": is_buy,
        "p": _beyond(market, price, slippage, is_buy=is_buy),
        "s": parent["s"],
        "r": True,
        "t": _trigger(tpsl, price, is_market=True),
    }


def _limit(tif: str) -> dict[str, Any]:
    return {"limit": {"tif": tif}}


def _trigger(tpsl: str, price: str, *, is_market: bool) -> dict[str, Any]:
    return {"trigger": {"isMarket": is_market, "triggerPx": price, "tpsl": tpsl}}


def _triggered(market: "Market", wanted: Wanted, *, is_buy: bool) -> tuple[str, dict[str, Any]]:
    """Limit and kind of `--trigger sl:90000`."""
    tpsl, colon, text = (wanted.trigger or "").partition(":")
    if tpsl not in ("tp", "sl") or not colon:
        output.usage(f"--trigger reads sl:90000 or tp:110000, was {wanted.trigger!r}")
    if wanted.tif is not None:
        output.usage("a trigger order has no --tif")
    trigger = checked_price(market, text)
    if wanted.price == MARKET:
        price = _beyond(market, trigger, wanted.slippage, is_buy=is_buy)
        return price, _trigger(tpsl, trigger, is_market=True)
    return checked_price(market, wanted.price), _trigger(tpsl, trigger, is_market=False)


def _beyond_mid(session: Session, market: "Market", wanted: Wanted, *, is_buy: bool) -> str:
    if session.options.offline:
        output.usage("a market order needs the middle of the book: not possible with --offline")
    mid = session.node.info("allMids").get(market.name)
    if mid is None:
        output.fail(4, f"{market.name} has neither a book nor a mark: nothing to price it by")
    price = _beyond(market, mid, wanted.slippage, is_buy=is_buy)
    output.say(f"{market.name} middle {mid}: limit {price} ({wanted.slippage} % beyond)")
    return price


def _beyond(market: "Market", price: str, slippage: str, *, is_buy: bool) -> str:
    from chainperp.client.markets import price_with_slippage

    percent = parse_decimal(slippage.removesuffix("%").strip(), PERCENT_DECIMALS, "slippage")
    if not 0 <= percent < HUNDRED_PERCENT:
        output.usage(f"--slippage is a percentage from 0 to below 100, was {slippage}")
    return price_with_slippage(market, price, percent, is_buy=is_buy)
