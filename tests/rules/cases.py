"""How a table row becomes a question to a rule, and the rule's answer a text.

One function per rule code. Units in the tables are for people: USDC, prices and sizes as decimals,
percentages; here they become the integers that the rules take. `accepted` and `refused` stand for
yes and no.
"""

import re
from collections.abc import Callable

from chainperp.base.errors import BadRequest, InvariantBroken
from chainperp.base.units import (
    E8,
    FEE_RATE_ONE,
    RATE_ONE,
    Usd,
    format_decimal,
    parse_decimal,
    price_decimals,
    price_from_e8,
    strip_decimal,
)
from chainperp.model.accounts import NonceSet
from chainperp.model.actions import (
    Action,
    CancelOrders,
    ModifyOrders,
    Noop,
    OrderRequest,
    PlaceOrders,
    TimeInForce,
    TriggerTerms,
)
from chainperp.model.decisions import Rejection, SystemType
from chainperp.model.markets import MarketTerms, margin_tiers
from chainperp.parameters.load import load_parameters
from chainperp.parameters.schema import BPS_ONE
from chainperp.rules import (
    admission,
    conservation,
    fees,
    funding,
    margin,
    matching,
    ordering,
    orders,
    pnl,
    prices,
    transfers,
    triggers,
)
from chainperp.storage.package import PARAMETERS_FILE
from tests.rules.runner import Case, Row

PARAMETERS = load_parameters(PARAMETERS_FILE.read_text(encoding="utf-8"))
CASES: dict[str, Case] = {}
TIFS = {"gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC, "alo": TimeInForce.ALO}


def case(code: str) -> Callable[[Case], Case]:
    """Register the function that answers a rule's rows."""

    def register(function: Case) -> Case:
        CASES[code] = function
        return function

    return register


def decimal(text: str, decimals: int) -> int:
    """Integer of 10^-decimals of a decimal with thousands commas; the sign + is allowed."""
    try:
        return parse_decimal(text.replace(",", "").lstrip("+"), decimals, "cell")
    except BadRequest as error:
        raise ValueError(str(error)) from error


def usd(row: Row, column: str) -> int:
    """Micro-USDC of a cell."""
    return decimal(row[column], 6)


def whole(row: Row, column: str) -> int:
    """A whole number."""
    return decimal(row[column], 0)


def percent(row: Row, column: str, one: int) -> int:
    """A percentage as an integer of 1/one."""
    scaled = decimal(row[column].removesuffix("%").strip(), 12) * one
    if scaled % (100 * 10**12):
        raise ValueError(f"{row[column]} does not fit 1/{one}")
    return scaled // (100 * 10**12)


def is_yes(row: Row, column: str) -> bool:
    """A cell that says yes or no."""
    return {"yes": True, "no": False}[row[column]]


def maybe(row: Row, column: str) -> str | None:
    """A cell's text, or None for a dash."""
    return None if row[column] in {"-", "–", ""} else row[column]


def yes_no(answer: bool) -> str:
    """Accepted or refused."""
    return "accepted" if answer else "refused"


def verdict(rejection: Rejection) -> str:
    """Accepted, or refused with its reason."""
    accepted = rejection is Rejection.ACCEPTED
    return "accepted" if accepted else f"refused: {rejection.name}"


def micro(amount: int) -> str:
    """USDC of an amount in micro-USDC."""
    return strip_decimal(amount, 6)


def rounded(numerator: int, denominator: int, decimals: int) -> str:
    """A positive fraction as a decimal rounded to the nearest, for people."""
    scaled = (2 * numerator * 10**decimals + denominator) // (2 * denominator)
    return f"{scaled // 10**decimals}.{scaled % 10**decimals:0{decimals}d}"


def terms(row: Row) -> MarketTerms:
    """Market terms with the tiers of a cell such as `0: 40x, 150,000,000: 20x`."""
    steps = [
        (decimal(lower, 6), int(leverage))
        for lower, leverage in re.findall(r"([\d,]*\d):\s*(\d+)x", row["tiers"])
    ]
    tiers, denominator = margin_tiers(steps)
    return MarketTerms(0, "TEST", 5, tiers, denominator, Usd(1), False)


@case("ADM-1")
def _nonce(row: Row) -> str:
    many = re.fullmatch(r"(\d+) from ([\d,]+)", row["used"])
    if many is not None:
        start = decimal(many[2], 0)
        used = list(range(start, start + int(many[1])))
    else:
        used = [decimal(one, 0) for one in row["used"].split() if one not in {"-", "–"}]
    nonce, time_ms = whole(row, "nonce"), whole(row, "block time")
    return verdict(admission.check_nonce(NonceSet(used), nonce, time_ms, PARAMETERS))


@case("ADM-2")
def _authority(row: Row) -> str:
    return verdict(
        admission.check_authority(
            is_yes(row, "is an account"), is_yes(row, "agent in force"), is_yes(row, "user-signed")
        )
    )


@case("ADM-3")
def _expiry(row: Row) -> str:
    text = maybe(row, "expires after")
    expires = None if text is None else decimal(text, 0)
    return yes_no(not admission.is_expired(expires, whole(row, "block time")))


@case("ADM-4")
def _agent(row: Row) -> str:
    return verdict(
        admission.check_agent(
            maybe(row, "name") or "",
            whole(row, "other names"),
            whole(row, "sub-accounts"),
            whole(row, "valid until"),
            whole(row, "block time"),
            PARAMETERS,
        )
    )


def request_of(tif: str) -> OrderRequest:
    """An order of a time in force, or a trigger order."""
    force = TIFS.get(tif, TimeInForce.GTC)
    waits = TriggerTerms(E8(1), True, True) if tif == "trigger" else None
    return OrderRequest(0, True, E8(1), E8(1), False, force, trigger=waits)


def action_of(text: str) -> Action:
    """`ioc`, `alo+gtc`, `cancel`, `modify:gtc` or anything else, as an action."""
    if text == "cancel":
        return CancelOrders([])
    if text.startswith("modify:"):
        return ModifyOrders([(1, request_of(text.removeprefix("modify:")))], False)
    tifs = text.split("+")
    if all(tif in TIFS or tif == "trigger" for tif in tifs):
        return PlaceOrders([request_of(tif) for tif in tifs])
    return Noop()


@case("BLK-1")
def _block_order(row: Row) -> str:
    batch = [one.split() for one in row["batch"].split(",")]
    ranked = sorted(batch, key=lambda one: ordering.action_class(action_of(one[0])))
    return " ".join(name for _, name in ranked)


@case("BLK-2")
def _periods(row: Row) -> str:
    last, passed = ordering.periods_due(
        whole(row, "block before"), whole(row, "block now"), whole(row, "period")
    )
    return f"multiple {last}, {passed} passed"


@case("PRC-1")
def _price_grid(row: Row) -> str:
    decimals = whole(row, "size decimals")
    price = price_from_e8(decimal(row["price"], 8), decimals)
    if price is None:
        raise ValueError("the price has too many decimals for its market: that is ORD-3")
    return yes_no(prices.is_on_price_grid(price, decimals))


@case("PRC-2")
def _round_price(row: Row) -> str:
    decimals = price_decimals(whole(row, "size decimals"))
    found = prices.round_to_price_grid(
        decimal(row["value"], 12), 10 ** (12 - decimals), whole(row, "size decimals")
    )
    return strip_decimal(found, decimals)


@case("PRC-3")
def _median(row: Row) -> str:
    votes = [
        (decimal(price, 6), bytes([number]), int(power))
        for number, (power, price) in enumerate(re.findall(r"(\d+) at ([\d.,]*\d)", row["votes"]))
    ]
    found = prices.weighted_median(votes, whole(row, "all power"))
    return "refused: no quorum" if found is None else strip_decimal(found, 6)


@case("PRC-4")
def _mark(row: Row) -> str:
    decimals = whole(row, "size decimals")
    scale = price_decimals(decimals)
    texts = {name: maybe(row, name) for name in ("book", "elsewhere", "book average")}
    values = {name: None if text is None else decimal(text, scale) for name, text in texts.items()}
    average = values["book average"]
    # Averages are fractions: other denominators than 1 make the rule compare them as such.
    found = prices.mark_price(
        decimal(row["oracle"], scale),
        (3 * decimal(row["basis"], scale), 3),
        values["book"],
        values["elsewhere"],
        None if average is None else (7 * average, 7),
        decimals,
    )
    return strip_decimal(found, scale)


@case("PRC-5")
def _ema(row: Row) -> str:
    numerator = denominator = 0
    seen: list[str] = []
    elapsed = whole(row, "every ms")
    decay = prices.decay_factor(elapsed, whole(row, "tau ms"))
    for sample in row["samples"].split():
        numerator, denominator = prices.ema_step(
            numerator, denominator, decimal(sample, 6), elapsed, decay
        )
        seen.append(rounded(numerator, denominator * 10**6, 4))
    return " ".join(seen)


@case("PRC-6")
def _decay(row: Row) -> str:
    factor = prices.decay_factor(whole(row, "elapsed ms"), whole(row, "tau ms"))
    return str(factor) if "bits" in row else format_decimal(factor * 10**15 >> 64, 15)


@case("PRC-7")
def _book_price(row: Row) -> str:
    texts = [maybe(row, name) for name in ("bid", "ask", "last")]
    found = prices.book_price(*(None if text is None else decimal(text, 2) for text in texts))
    return "none" if found is None else strip_decimal(found, 2)


@case("PRC-8")
def _round_forced(row: Row) -> str:
    decimals = whole(row, "size decimals")
    scale = price_decimals(decimals)
    rounding = {"sells": prices.round_for_seller, "buys": prices.round_for_buyer}[row["forced"]]
    return strip_decimal(rounding(decimal(row["limit"], scale), decimals), scale)


@case("PRC-10")
def _bounded(row: Row) -> str:
    decimals = whole(row, "size decimals")
    scale = price_decimals(decimals)
    mark, oracle = decimal(row["mark"], scale), decimal(row["oracle"], scale)
    return strip_decimal(prices.bounded_mark(mark, oracle, whole(row, "band bps"), decimals), scale)


@case("PRC-9")
def _fresh(row: Row) -> str:
    age = whole(row, "age ms")
    is_fresh = prices.is_price_fresh(10**9, 10**9 + age, whole(row, "limit ms"))
    return "yes" if is_fresh else "refused: STALE_PRICE"


@case("ORD-1")
def _market(row: Row) -> str:
    return yes_no(orders.is_market_known(whole(row, "asset"), whole(row, "markets")))


@case("ORD-2")
def _size(row: Row) -> str:
    lots = orders.order_size(decimal(row["size"], 8), 10 ** (8 - whole(row, "size decimals")))
    return f"{lots} lots" if lots else "refused"


@case("ORD-3")
def _price(row: Row) -> str:
    tick = 10 ** (2 + whole(row, "size decimals"))
    return yes_no(orders.order_price(decimal(row["price"], 8), tick) is not None)


@case("ORD-4")
def _band(row: Row) -> str:
    return yes_no(
        orders.is_inside_band(
            decimal(row["price"], 6),
            decimal(row["oracle"], 6),
            PARAMETERS.order_band_numerator,
            PARAMETERS.order_band_denominator,
        )
    )


@case("ORD-5")
def _value(row: Row) -> str:
    return yes_no(
        orders.is_value_enough(
            usd(row, "value"), PARAMETERS.order_value_min, is_yes(row, "closes all, reduce-only")
        )
    )


@case("ORD-6")
def _value_max(row: Row) -> str:
    limit = orders.order_value_max(whole(row, "leverage max"), row["order"] == "limit", PARAMETERS)
    return yes_no(usd(row, "value") <= limit)


@case("ORD-7")
def _open_orders(row: Row) -> str:
    limit = orders.open_orders_limit(usd(row, "volume"), PARAMETERS)
    return yes_no(whole(row, "open orders") < limit) + f", limit {limit}"


@case("ORD-8")
def _reducible(row: Row) -> str:
    found = orders.reducible_lots(decimal(row["position"], 4), row["side"] == "buy")
    return f"up to {strip_decimal(found, 4)}" if found else "refused"


@case("ORD-9")
def _post_only(row: Row) -> str:
    text = maybe(row, "best opposite")
    best = None if text is None else decimal(text, 6)
    return yes_no(not orders.would_match(decimal(row["price"], 6), row["side"] == "buy", best))


@case("ORD-10")
def _tier(row: Row) -> str:
    return yes_no(
        orders.is_tier_respected(usd(row, "position"), whole(row, "leverage"), terms(row))
    )


@case("ORD-11")
def _margin(row: Row) -> str:
    return yes_no(orders.is_margin_enough(usd(row, "account value"), usd(row, "margin with it")))


@case("ORD-12")
def _cloid(row: Row) -> str:
    text = maybe(row, "cloid")
    live = {one.encode(): 1 for one in row["live"].split() if one not in {"-", "–"}}
    return yes_no(orders.is_cloid_free(None if text is None else text.encode(), live))


@case("ORD-13")
def _modify(row: Row) -> str:
    tif = row["new order"]
    return yes_no(orders.is_modify_offered(tif == "alo", tif == "gtc", is_yes(row, "always place")))


@case("ORD-14")
def _own(row: Row) -> str:
    live = {int(one): 1 for one in row["own live orders"].split() if one not in {"-", "–"}}
    return yes_no(orders.is_own_order(live, whole(row, "order")))


@case("MAT-1")
def _execution(row: Row) -> str:
    return strip_decimal(matching.execution_price(decimal(row["resting price"], 6)), 6)


@case("MAT-2")
def _self_trade(row: Row) -> str:
    same = matching.is_self_trade(row["maker"].encode(), row["taker"].encode())
    return "canceled" if same else "trades"


@case("MAT-3")
def _affordable(row: Row) -> str:
    return yes_no(
        matching.is_fill_affordable(
            usd(row, "value before"),
            usd(row, "value after"),
            usd(row, "margin after"),
            is_yes(row, "shrinks"),
            1 if row["limit"] == "on" else 0,
        )
    )


@case("MAT-4")
def _rests(row: Row) -> str:
    stays = matching.rests(row["tif"] in {"gtc", "alo"}, decimal(row["left"], 6))
    return "rests" if stays else ("filled" if row["left"] == "0" else "canceled")


@case("MRG-1")
def _initial(row: Row) -> str:
    return micro(
        margin.initial_margin(
            usd(row, "position value"),
            usd(row, "bids"),
            usd(row, "asks"),
            whole(row, "leverage"),
            row["mode"] == "cross",
        )
    )


@case("MRG-2")
def _maintenance(row: Row) -> str:
    return micro(margin.maintenance_margin(usd(row, "notional"), terms(row)))


@case("MRG-3")
def _opening(row: Row) -> str:
    return micro(margin.opening_margin(usd(row, "notional"), whole(row, "leverage")))


@case("MRG-4")
def _released(row: Row) -> str:
    return micro(
        margin.released_margin(
            usd(row, "raw USD"), usd(row, "value"), whole(row, "lots closed"), whole(row, "of lots")
        )
    )


@case("MRG-5")
def _withdrawable(row: Row) -> str:
    return micro(
        margin.withdrawable(
            usd(row, "account value"),
            usd(row, "initial margin"),
            usd(row, "position value"),
            PARAMETERS.transfer_margin_divisor,
        )
    )


@case("MRG-6")
def _leverage(row: Row) -> str:
    return yes_no(margin.is_leverage_allowed(whole(row, "leverage"), whole(row, "leverage max")))


@case("MRG-7")
def _removable(row: Row) -> str:
    limit = margin.isolated_removable(
        usd(row, "position's own value"),
        usd(row, "notional"),
        whole(row, "leverage"),
        PARAMETERS.transfer_margin_divisor,
    )
    return yes_no(usd(row, "take out") <= limit)


@case("MRG-8")
def _liquidatable(row: Row) -> str:
    found = margin.is_liquidatable(usd(row, "account value"), usd(row, "maintenance margin"))
    return "liquidatable" if found else "safe"


@case("PNL-1")
def _entry(row: Row) -> str:
    return micro(
        pnl.entry_after_close(
            usd(row, "entry notional"), whole(row, "lots before"), whole(row, "lots after")
        )
    )


@case("PNL-2")
def _realised(row: Row) -> str:
    size = decimal(row["size"], 4)
    entry, price = decimal(row["entry"], 6), decimal(row["price"], 6)
    if size * entry % 10**4 or size * price % 10**4:
        raise ValueError("size times price is not whole micro-USDC")
    return micro(
        pnl.realised_pnl(size * entry // 10**4, size * price // 10**4, row["side"] == "long")
    )


@case("FEE-1")
def _fee(row: Row) -> str:
    value = decimal(row["price"], 6) * decimal(row["size"], 6)
    if value % 10**6:
        raise ValueError("price times size is not whole micro-USDC")
    discount = percent(row, "discount", BPS_ONE)
    return micro(fees.trading_fee(value // 10**6, percent(row, "rate", FEE_RATE_ONE), discount))


@case("FEE-2")
def _fee_rates(row: Row) -> str:
    tiers = {"perps": PARAMETERS.fee_tiers, "spot": PARAMETERS.spot_fee_tiers}[row["of"]]
    taker, maker = fees.fee_rates(usd(row, "volume"), tiers)
    return f"taker {strip_decimal(taker, 4)} %, maker {strip_decimal(maker, 4)} %"


@case("FEE-3")
def _vault_share(row: Row) -> str:
    return micro(fees.hlp_share(usd(row, "fees"), PARAMETERS.hlp_fee_share_bps))


@case("FEE-4")
def _volume(row: Row) -> str:
    days = [
        (int(day), decimal(volume, 6))
        for day, volume in re.findall(r"day (\d+): ([\d,.]*\d)", row["days"])
    ]
    return micro(fees.volume_of_window(days, whole(row, "today"), PARAMETERS.volume_window_days))


@case("FND-1")
def _premium(row: Row) -> str:
    sides: list[tuple[int, int] | None] = []
    for name in ("impact bid", "impact ask"):
        text = maybe(row, name)
        sides.append(None if text is None else (decimal(text, 6), 1))
    found = funding.premium_sample(sides[0], sides[1], decimal(row["oracle"], 6))
    return "no sample" if found is None else strip_decimal(found, 12)


@case("FND-2")
def _funding_rate(row: Row) -> str:
    samples = whole(row, "samples")
    rate = funding.funding_rate(
        decimal(row["premium"], 12) * samples,
        samples,
        PARAMETERS.funding_interest,
        PARAMETERS.funding_clamp,
        PARAMETERS.funding_cap,
        PARAMETERS.funding_hours_per_rate,
    )
    return strip_decimal(rate, 8)


@case("FND-3")
def _payment(row: Row) -> str:
    lots, price = decimal(row["position"], 5), decimal(row["oracle"], 1)
    payment = funding.funding_payment(lots, price, decimal(row["rate"], 8))
    if RATE_ONE != 10**8:
        raise ValueError("rates are no longer of 10^-8")
    return f"pays {micro(payment)}" if payment >= 0 else f"receives {micro(-payment)}"


@case("FND-4")
def _impact(row: Row) -> str:
    notional = usd(row, "notional")
    lots = filled = 0
    for size, price in re.findall(r"([\d.]+) @ ([\d.]+)", row["levels"]):
        level_lots, level_price = decimal(size, 5), decimal(price, 1)
        if filled + level_lots * level_price >= notional:
            found = funding.impact_price(notional, lots, filled, level_price)
            return rounded(found[0], found[1] * 10, 4)
        lots += level_lots
        filled += level_lots * level_price
    return "too thin"


def amount_of(row: Row) -> int | None:
    """An amount in micro-USDC, None when it is not one."""
    try:
        return usd(row, "amount")
    except ValueError:
        return None


@case("TRF-1")
def _send(row: Row) -> str:
    return verdict(
        transfers.check_send(amount_of(row), usd(row, "withdrawable"), row["to"] == "oneself")
    )


@case("TRF-2")
def _activation(row: Row) -> str:
    fee = transfers.activation_fee(is_yes(row, "new address"), PARAMETERS.activation_fee)
    return micro(fee)


@case("TRF-3")
def _withdrawal(row: Row) -> str:
    return verdict(
        transfers.check_withdrawal(
            amount_of(row),
            usd(row, "withdrawable"),
            PARAMETERS.withdrawal_fee,
            row["to"] == "an account",
        )
    )


@case("TRF-7")
def _grant(row: Row) -> str:
    return verdict(transfers.check_grant(usd(row, "amount"), row["network"] == "Testnet"))


@case("TRF-8")
def _payout(row: Row) -> str:
    split = transfers.payout_split(whole(row, "outcome"), usd(row, "amount"))
    if split is None:
        return "refused"
    return f"{micro(split[0])} leaves custody, {micro(split[1])} goes back"


@case("TRF-9")
def _border(row: Row) -> str:
    return verdict(transfers.check_border(SystemType[row["input"]], is_yes(row, "contracts")))


@case("TRF-4")
def _deposit(row: Row) -> str:
    return yes_no(transfers.is_next_deposit(whole(row, "number"), whole(row, "credited so far")))


@case("TRF-5")
def _class_transfer(row: Row) -> str:
    return verdict(transfers.check_class_transfer(amount_of(row), usd(row, "available")))


@case("TRF-6")
def _asset_send(row: Row) -> str:
    cells = {"spot": True, "perps": False, "another dex": None}
    return verdict(
        transfers.check_asset_send(
            {"USDC": 0, "CHP": 1}.get(row["token"]),
            cells[row["from"]],
            cells[row["into"]],
            row["to"] == "oneself",
        )
    )


def holds(check: Callable[[], None]) -> str:
    """Whether an invariant holds, or the code with which the process stops."""
    try:
        check()
    except InvariantBroken as error:
        return f"stops: {error.code}"
    return "holds"


@case("INV-1")
def _cash(row: Row) -> str:
    return holds(lambda: conservation.check_cash(usd(row, "all cells"), usd(row, "custody")))


@case("INV-2")
def _lots(row: Row) -> str:
    return holds(lambda: conservation.check_lots(0, whole(row, "longs"), whole(row, "shorts")))


@case("INV-3")
def _book(row: Row) -> str:
    bid, ask = maybe(row, "best bid"), maybe(row, "best ask")
    return holds(
        lambda: conservation.check_book(
            0,
            None if bid is None else decimal(bid, 6),
            None if ask is None else decimal(ask, 6),
        )
    )


@case("INV-4")
def _time(row: Row) -> str:
    return holds(lambda: conservation.check_time(whole(row, "before"), whole(row, "now")))


@case("TRG-1")
def _ahead(row: Row) -> str:
    rises = (row["side"] == "buy") is (row["kind"] == "stop")
    ahead = triggers.is_ahead_of_mark(decimal(row["trigger"], 2), decimal(row["mark"], 2), rises)
    return yes_no(ahead)


@case("TRG-2")
def _fired(row: Row) -> str:
    rises = (row["side"] == "buy") is (row["kind"] == "stop")
    fired = triggers.has_fired(decimal(row["trigger"], 2), decimal(row["mark"], 2), rises)
    return "fires" if fired else "waits"


@case("TRG-3")
def _firing_order(row: Row) -> str:
    mark = decimal(row["mark"], 2)
    waiting = [one.split(" at ") for one in row["fired"].split(", ")]
    ranked = sorted(
        waiting,
        key=lambda one: triggers.firing_rank(decimal(one[1], 2), mark, int(one[0].lstrip("#"))),
    )
    return " ".join(name for name, _ in ranked)


@case("TRG-4")
def _siblings(row: Row) -> str:
    ends = triggers.ends_siblings(row["order"] == "parent", whole(row, "filled"))
    return "siblings canceled" if ends else "siblings stay"


@case("TRG-5")
def _children(row: Row) -> str:
    lots, filled = whole(row, "lots"), whole(row, "filled")
    wakes = triggers.wakes_children(lots, lots - filled, is_yes(row, "lacks margin"))
    return "children wake" if wakes else "children canceled"


@case("TRG-6")
def _market_trigger(row: Row) -> str:
    price = triggers.market_trigger_price(
        decimal(row["mark"], 4),
        decimal(row["limit"], 4),
        row["side"] == "buy",
        PARAMETERS.trigger_tolerance_numerator,
        PARAMETERS.trigger_tolerance_denominator,
        2,
    )
    return strip_decimal(price, 4)


@case("TRG-7")
def _protective(row: Row) -> str:
    return yes_no(triggers.may_join_group(is_yes(row, "trigger"), is_yes(row, "reduce-only")))


@case("TRG-8")
def _lots_when_sent(row: Row) -> str:
    return f"{triggers.lots_when_sent(whole(row, 'size'), whole(row, 'position'))} lots"
