"""Help for refused orders, cancels and modifies: the numbers that decided."""

import re
from typing import Any

from chainperp.base.units import (
    E8_DECIMALS,
    USD_DECIMALS,
    format_decimal,
    parse_decimal,
    strip_decimal,
)
from chainperp.cli.chain_log import clock
from chainperp.cli.refusals.case import Case, Lines, position_size


def tick(case: Case) -> Lines:
    """Neighbours of a price off the grid."""
    from chainperp.client.markets import neighbours

    market = case.market
    if market is None:
        return
    price = case.order["p"]
    around = neighbours(market, parse_decimal(price, E8_DECIMALS, "price"))
    near = " and ".join(strip_decimal(one, E8_DECIMALS) for one in around if one)
    yield f"was {price}; nearest valid prices {near} ({market.price_rule})"
    yield f"try: chainperp tick {market.name} {price}"


def minimum(case: Case) -> Lines:
    """The smallest size at the price."""
    from chainperp.client.markets import smallest_size

    market = case.market
    least = re.search(r"\$?(\d+)( USDC)?\.", case.text)
    if market is None or least is None:
        return
    price, size = case.order["p"], case.order["s"]
    value = parse_decimal(price, 8, "price") * parse_decimal(size, 8, "size")
    yield (
        f"{size} at {price} is worth {strip_decimal(value, 16)} USDC; the smallest size at this "
        f"price is {smallest_size(market, price, int(least[1]))}"
    )


def margin(case: Case) -> Lines:
    """What the account has, what the order needs, what is missing."""
    market = case.market
    state = case.ask("clearinghouseState", user=case.session.account)
    if state is not None:
        summary = state["crossMarginSummary"]
        yield (
            f"account {case.session.account}: value {summary['accountValue']} USDC, margin in use "
            f"{summary['totalMarginUsed']}, withdrawable {state['withdrawable']}"
        )
    if market is None or "p" not in case.order:
        return
    data = case.ask("activeAssetData", user=case.session.account, coin=market.name)
    if data is None:
        return
    leverage = int(data["leverage"]["value"])
    price, size = case.order["p"], case.order["s"]
    value = parse_decimal(price, 8, "price") * parse_decimal(size, 8, "size")
    needed = -(-value // (leverage * 10**10))
    side = 0 if case.order["b"] else 1
    free = parse_decimal(data["availableToTrade"][side], USD_DECIMALS, "available")
    yield (
        f"the order is worth {strip_decimal(value, 16)} USDC: at {leverage}x it needs "
        f"{format_decimal(needed, 6)}, free for it are {format_decimal(free, 6)}"
    )
    if needed > free:
        yield f"margin missing: {format_decimal(needed - free, 6)} USDC"
    yield (
        f"what to do: at most {data['maxTradeSzs'][side]} {market.name}, or more leverage "
        f"(chainperp tx leverage {market.name} {market.leverage_max} is the most), or more USDC"
    )


def spot_balance(case: Case) -> Lines:
    """What is free of the token that the order gives, and what it needs."""
    market = case.market
    if market is None:
        return
    base, quote = market.name.split("/")
    is_buy = bool(case.order["b"])
    name = quote if is_buy else base
    price, size = case.order["p"], case.order["s"]
    needed = size
    if is_buy:
        needed = strip_decimal(
            parse_decimal(price, 8, "price") * parse_decimal(size, 8, "size"), 16
        )
    state = case.ask("spotClearinghouseState", user=case.session.account)
    rows = {} if state is None else {row["coin"]: row for row in state["balances"]}
    if state is not None:
        row = rows.get(name, {"total": "0.0", "hold": "0.0"})
        yield (
            f"account {case.session.account}: spot balance {row['total']} {name}, of which open "
            f"orders hold {row['hold']}; the order needs {needed}"
        )
    if is_buy:
        yield "USDC of the margin does not count: chainperp tx shift AMOUNT spot moves it over"


def leverage_too_high(case: Case) -> Lines:
    """Less leverage for a larger position."""
    if case.market is not None:
        yield (
            f"the larger a position, the less leverage is allowed: chainperp tx leverage "
            f"{case.market.name} N with a smaller N, or a smaller order"
        )


def position(case: Case) -> Lines:
    """What is open."""
    if case.market is None:
        return
    size = position_size(case, case.market.name)
    side = "a buy" if case.order.get("b") else "a sell"
    yield f"the position in {case.market.name} is {size}; {side} would not make it smaller"


def post_only(case: Case) -> Lines:
    """The best price at which the order would rest."""
    from chainperp.client.markets import neighbours

    found = re.search(r"bbo was (\d+(?:\.\d+)?|None)@(\d+(?:\.\d+)?|None)", case.text)
    market = case.market
    if found is None or market is None:
        return
    is_buy = bool(case.order["b"])
    other = found[2] if is_buy else found[1]
    if other == "None":
        return
    edge = parse_decimal(other, E8_DECIMALS, "price")
    unit = market.price_unit_e8
    # The next valid price on the passive side of the best opposite price.
    around = neighbours(market, edge - unit if is_buy else edge + unit)
    price = strip_decimal(around.below if is_buy else around.above, E8_DECIMALS)
    word = "at most" if is_buy else "at least"
    yield f"to rest, a {'buy' if is_buy else 'sell'} may cost {word} {price} now"


def no_match(case: Case) -> Lines:
    """The other side's best price."""
    if case.market is None:
        return
    book = case.ask("l2Book", coin=case.market.name)
    if book is None:
        return
    levels = book["levels"][1 if case.order["b"] else 0]
    side = "ask" if case.order["b"] else "bid"
    if not levels:
        yield f"there is no {side} in the book of {case.market.name}: nobody to trade with"
        return
    yield f"the best {side} is {levels[0]['px']} for {levels[0]['sz']}; yours was {case.order['p']}"


def far_from_oracle(case: Case) -> Lines:
    """The oracle price."""
    if case.market is None:
        return
    context = _market_context(case, case.market.asset)
    if context is not None:
        yield f"the oracle price is {context['oraclePx']}, yours was {case.order['p']}"
    yield "a limit is at most 95 % away from the oracle price"


def _market_context(case: Case, asset: int) -> dict[str, Any] | None:
    answer = case.ask("metaAndAssetCtxs")
    if answer is None:
        return None
    context: dict[str, Any] = answer[1][asset]
    return context


def no_oracle(_case: Case) -> Lines:
    """Where a price comes from."""
    yield "validators have not voted a fresh price: wait, or on a local chain with --dev"
    yield "chainperp dev oracle COIN=PRICE"


def trigger_price(case: Case) -> Lines:
    """On which side of the mark the trigger lies."""
    trigger = case.order["t"].get("trigger")
    if trigger is None or case.market is None:
        return
    context = _market_context(case, case.market.asset)
    mark = "not known" if context is None else context["markPx"]
    is_above = (trigger["tpsl"] == "tp") != bool(case.order["b"])
    side = "buy" if case.order["b"] else "sell"
    yield (
        f"the mark price is {mark}; the trigger of a {side} {trigger['tpsl']} lies "
        f"{'above' if is_above else 'below'} it, yours was {trigger['triggerPx']}"
    )


def reduce_only_trigger(_case: Case) -> Lines:
    """What to add."""
    yield "add --reduce-only: a trigger order may only close what is open"


def cloid(case: Case) -> Lines:
    """The client id that is taken."""
    yield f"an open order has client id {case.order.get('c')}: choose another, or cancel that one"


def missing_order(case: Case) -> Lines:
    """What became of the order."""
    action = case.action
    rows = action.get("cancels") or action.get("modifies") or [action]
    row = rows[case.place or 0]
    oid = row.get("o", row.get("oid", row.get("cloid")))
    answer = case.ask("orderStatus", user=case.session.account, oid=oid)
    if answer is not None and answer.get("status") == "order":
        found = answer["order"]
        when = clock(found["statusTimestamp"])
        yield f"order {oid} is {found['status']} since {when}"
    elif answer is not None:
        yield f"account {case.session.account} never had an order {oid}"
    yield f"its open orders: chainperp query orders {case.session.account}"
