"""The market-making child on a real engine: when it quotes, what stays, what it may lose."""

from decimal import Decimal

import pytest

from chainperp.model.decisions import Kind, LedgerType, OrderStatus, Rejection, rule_number
from chainperp.state.store import BACKSTOP_VAULT, LIQUIDITY_VAULT, MARKET_MAKER
from chainperp.transition.recorder import FLAG_NETTED, FLAG_TAKER_BUYS
from tests.support.desk import Desk, rounds_of
from tests.support.forced import BTC, ETH, usdc
from tests.support.world import order

DAY = 86_400_000


def test_a_calm_market_is_quoted_once_and_leaves_no_more_entries() -> None:
    """Rounds that change nothing write nothing: the queue place and the log stay."""
    desk = Desk()
    first = desk.round({ETH: "3650"})
    (one,) = rounds_of(first)
    assert one["rows"][0]["placed"] == 6
    assert one["value"] == one["day_value"] == usdc("100000")
    before = [(quote.oid, quote.price, quote.remaining) for quote in desk.quotes()]
    for _ in range(10):
        result = desk.round({ETH: "3650.5"})
        assert not rounds_of(result)
        assert not result.orders
    assert [(quote.oid, quote.price, quote.remaining) for quote in desk.quotes()] == before


def test_a_round_records_its_orders_behind_its_inputs() -> None:
    """The QUOTE entry comes first; the orders are the child's, post-only and accepted."""
    desk = Desk()
    result = desk.round({ETH: "3650"})
    kinds = [entry.kind for entry in result.entries]
    place = kinds.index(Kind.QUOTE)
    assert kinds[place + 1 : place + 7] == [Kind.ORDER] * 6
    for one in result.orders:
        assert one["account"] == MARKET_MAKER
        assert (one["status"], one["tif"]) == (OrderStatus.OPEN, 3)


def test_without_capital_it_does_nothing() -> None:
    """Chains that give it no money have no QUOTE entry and no position setting of the child."""
    desk = Desk(maker="0")
    for price in ("3650", "3700", "3600"):
        assert not rounds_of(desk.round({ETH: price}))
    assert not desk.engine.state.accounts[MARKET_MAKER].exposures
    assert not desk.engine.state.day_values


def test_an_interval_of_zero_switches_it_off() -> None:
    """The parameter that says so."""
    desk = Desk(quote_interval_ms=0)
    assert not rounds_of(desk.round({ETH: "3650"}))
    assert not desk.quotes()


def test_a_market_that_is_isolated_only_is_not_quoted() -> None:
    """The child holds everything cross."""
    desk = Desk(isolated_only=(ETH,))
    desk.round({ETH: "3650", BTC: "100000"})
    assert not desk.quotes(ETH)
    assert len(desk.quotes(BTC)) == 6


def test_it_has_no_priority_over_an_order_at_the_same_price() -> None:
    """Who was there first is filled first."""
    desk = Desk()
    desk.person("Ann", "100000")
    desk.person("Ben", "100000")
    desk.mark("3650")
    desk.place("Ann", order(ETH, "buy", "0.1", "3642.7"))
    desk.round({ETH: "3650"})
    assert desk.quotes(is_buy=True)[0].price == 364270
    result = desk.place("Ben", order(ETH, "sell", "0.2", "3642.7", "Ioc"))
    assert [fill["maker"] == MARKET_MAKER for fill in result.fills] == [False, True]


def test_it_pays_the_makers_fee() -> None:
    """No exemption: 1.5 basis points of each fill."""
    desk = Desk(fees=True)
    desk.person("Ben", "100000")
    desk.round({ETH: "3650"})
    result = desk.place("Ben", order(ETH, "sell", "0.2", "3642.7", "Ioc"))
    (fill,) = result.fills
    assert fill["maker"] == MARKET_MAKER
    assert fill["maker_fee"] == usdc("728.54") * 15 // 100_000


def test_levels_that_would_match_are_left_out_not_sent() -> None:
    """Somebody offers below the oracle price: the bids above that are not placed."""
    desk = Desk(maker="0")
    desk.person("Ann", "100000")
    desk.mark("3650")
    desk.place("Ann", order(ETH, "sell", "1", "3636"))
    at = desk.state.time_ms // 3000 * 3000 + 3000
    result = desk.block(system=[desk.deposit_to(MARKET_MAKER, "100000")], at=at)
    assert [one.price for one in desk.quotes(is_buy=True)] == [363540, 362810]
    assert not [one for one in result.orders if one["status"] == OrderStatus.REJECTED]
    assert rounds_of(result)[0]["rows"][0]["ask"] == 363600


def test_a_stale_price_takes_all_quotes_away() -> None:
    """After 10 s without an oracle round nothing of the child's rests."""
    desk = Desk()
    desk.round({ETH: "3650"})
    for _ in range(3):
        desk.round()
        assert len(desk.quotes()) == 6
    result = desk.round()
    assert not desk.quotes()
    assert {one["reason"] for one in result.orders} == {Rejection.QUOTE_MOVED}


def fill_bids(desk: Desk) -> int:
    """Somebody sells into everything that the child bids; returns the lots."""
    bids = desk.quotes(is_buy=True)
    if not bids:
        return 0
    lots = sum(one.remaining for one in bids)
    low = min(one.price for one in bids)
    text = f"{Decimal(lots) / 10_000}"
    result = desk.place("Ben", order(ETH, "sell", text, f"{Decimal(low) / 100}", "Ioc"))
    assert all(one["maker"] == MARKET_MAKER for one in result.fills)
    return sum(one["lots"] for one in result.fills)


def take_asks(desk: Desk) -> None:
    """Somebody buys all that the child offers."""
    asks = desk.quotes(is_buy=False)
    if asks:
        text = f"{Decimal(sum(one.remaining for one in asks)) / 10_000}"
        high = f"{Decimal(max(one.price for one in asks)) / 100}"
        desk.place("Ben", order(ETH, "buy", text, high, "Ioc"))


def test_inventory_moves_the_ladder_until_the_cap_ends_it() -> None:
    """Sold to without end, the child bids lower and lower and stops at a tenth of its value."""
    desk = Desk()
    desk.person("Ben", "1000000")
    best: list[int] = []
    for _ in range(6):
        desk.round({ETH: "3650"})
        bids = desk.quotes(is_buy=True)
        if bids:
            best.append(max(one.price for one in bids))
        fill_bids(desk)
    assert best == sorted(best, reverse=True)
    assert best[0] > best[-1]
    cost = desk.engine.state.accounts[MARKET_MAKER].exposures[ETH].entry_notional
    assert usdc("9900") < cost <= usdc("10000")
    desk.round({ETH: "3650"})
    assert not desk.quotes(is_buy=True)
    assert len(desk.quotes(is_buy=False)) == 3


def test_a_wall_pulled_against_the_quoter_costs_at_most_the_cap() -> None:
    """POPCAT: somebody sells into every bid while the price falls by nine tenths in twelve steps.
    What the child paid counts against the cap, so a fall does not make room for more."""
    desk = Desk(maker="100000", parent="500000", vault="100000")
    desk.person("Ben", "100000000")
    cap = usdc("10000")
    others = (desk.value(LIQUIDITY_VAULT), desk.value(BACKSTOP_VAULT))
    price = 3650.0
    for _ in range(12):
        desk.round({ETH: f"{price:.1f}"})
        fill_bids(desk)
        fill_bids(desk)
        price *= 0.82
    desk.round({ETH: f"{price:.1f}"})
    lost = usdc("100000") - desk.value(MARKET_MAKER)
    assert usdc("7000") < lost <= cap
    assert (desk.value(LIQUIDITY_VAULT), desk.value(BACKSTOP_VAULT)) == others


def test_a_squeeze_of_a_short_ends_with_the_childs_own_capital() -> None:
    """JELLY: everything is bought from the child, then the price rises fifty times. It is
    liquidated like everybody; parent and liquidator are not drawn on, and its debt is nobody's but
    the ADL round's."""
    desk = Desk(maker="100000", parent="500000")
    desk.person("Ben", "1000000")
    for _ in range(5):
        desk.round({ETH: "3650"})
        take_asks(desk)
    short = desk.held()
    assert -28_000 < short < -27_000
    told = desk.round({ETH: "182500"})
    assert desk.held() == 0
    assert told.of(Kind.ADL_BEGIN)[0]["target"] == MARKET_MAKER
    assert desk.value(MARKET_MAKER) >= 0
    assert desk.value(LIQUIDITY_VAULT) == usdc("500000")
    assert desk.value(BACKSTOP_VAULT) == 0


def test_the_loss_of_a_day_stops_it_until_the_next() -> None:
    """A tenth lost since the day began: it only reduces; the next UTC day it quotes again."""
    desk = Desk(quote_cap_bps=5_000, quote_size_bps=1_200, child_maker_bps=0)
    desk.person("Ben", "1000000")
    desk.round({ETH: "3650"})
    fill_bids(desk)
    assert desk.held() > 0
    desk.round({ETH: "2500"})
    assert desk.value(MARKET_MAKER) < usdc("90000")
    assert not desk.quotes(is_buy=True)
    asks = desk.quotes(is_buy=False)
    assert asks
    assert sum(one.remaining for one in asks) <= desk.held()
    desk.block(system=[desk.vote({ETH: "2500"})], at=(desk.state.time_ms // DAY + 1) * DAY)
    desk.round({ETH: "2500"})
    assert desk.engine.state.day_values[MARKET_MAKER] == desk.value(MARKET_MAKER)
    assert desk.quotes(is_buy=True)


def test_liquidation_cancels_its_orders_like_anybodys() -> None:
    """Below maintenance its quotes go first, with the reason of a liquidation."""
    desk = Desk(quote_cap_bps=10_000, quote_size_bps=9_000, quote_levels=1, quote_loss_bps=10_000)
    desk.person("Ben", "10000000")
    for _ in range(2):
        desk.round({ETH: "3650"})
        take_asks(desk)
    assert desk.held() < -26_000
    desk.round({ETH: "3650"})
    assert desk.quotes()
    told = desk.mark("7400")
    for _ in range(3):
        told = told if told.tests else desk.mark("7400")
    (test,) = told.tests
    assert test["account"] == MARKET_MAKER
    assert ("maker", Rejection.LIQUIDATED) in told.canceled


# --- capital and netting --------------------------------------------------------------------------


def next_day(desk: Desk) -> "list[dict[str, object]]":
    """The first block of the next UTC day; returns its CHILDREN entries."""
    return desk.block(at=(desk.state.time_ms // DAY + 1) * DAY).of(Kind.CHILDREN)


def test_capital_moves_once_a_day_by_at_most_five_percent() -> None:
    """A million in the parent: 50,000 a day, to the liquidator until its share, then the quoter."""
    desk = Desk(maker="0", parent="1000000")
    values: list[tuple[int, int, int]] = []
    for _ in range(14):
        next_day(desk)
        assert desk.family_value() == usdc("1000000")
        values.append(tuple(desk.value(one) // 10**6 for one in (
            LIQUIDITY_VAULT, BACKSTOP_VAULT, MARKET_MAKER)))  # type: ignore[arg-type]  # fmt: skip
    assert values[0] == (950_000, 50_000, 0)
    assert values[7] == (600_000, 400_000, 0)
    assert values[8] == (550_000, 400_000, 50_000)
    assert values[11:] == [(400_000, 400_000, 200_000)] * 3
    result = desk.block()
    assert not result.of(Kind.CHILDREN)


def test_each_move_is_one_ledger_entry_behind_its_record() -> None:
    """The record has what the rule needs; the ledger has the money."""
    desk = Desk(maker="0", parent="1000000")
    result = desk.block(at=(desk.state.time_ms // DAY + 1) * DAY)
    (told,) = result.of(Kind.CHILDREN)
    assert told["rule"] == rule_number("VLT-29")
    assert (told["whole"], told["budget"]) == (usdc("1000000"), usdc("50000"))
    assert [row["moved"] for row in told["children"]] == [usdc("50000"), 0]
    (moved,) = [row for row in result.of(Kind.LEDGER) if row["type"] == LedgerType.CHILD_CAPITAL]
    assert (moved["source"], moved["destination"]) == (LIQUIDITY_VAULT, BACKSTOP_VAULT)
    assert moved["amount"] == usdc("50000")


def test_a_child_in_debt_gets_nothing() -> None:
    """U-VLT-6: not while it is below maintenance, whatever the parent has."""
    desk = Desk(maker="0", parent="1000000")
    state = desk.engine.state
    for address, amount in ((BACKSTOP_VAULT, -1), (LIQUIDITY_VAULT, 1)):
        state.accounts[address].raw += amount
        state.touch(state.accounts[address])
    (told,) = next_day(desk)
    children = told["children"]
    assert isinstance(children, list)
    assert [row["moved"] for row in children] == [0, usdc("50000")]


def test_dust_is_not_moved() -> None:
    """What fees bring into the parent on a quiet day stays there."""
    desk = Desk(maker="0", parent="1900")
    assert not next_day(desk)


def opposite(desk: Desk) -> None:
    """The liquidator long, the quoter short, against people."""
    desk.person("Ben", "1000000")
    desk.person("Cas", "1000000")
    desk.round({ETH: "4000"})
    for _ in range(2):
        take_asks(desk)
        desk.round({ETH: "4000"})
    desk.person("Ann", "40000")
    desk.trade("Ann", "Cas", "100", "3999")
    for _ in range(50):
        desk.round({ETH: "4000"})  # until the average of the basis moves little at a jump
    desk.mark("3635")
    assert desk.held(BACKSTOP_VAULT) > 0


def test_opposite_positions_of_children_are_netted_at_the_mark() -> None:
    """The smaller position goes on both sides, values stay as they were, no fee is paid."""
    desk = Desk(vault="100000", unwind_interval_ms=10**9, fees=True)
    opposite(desk)
    long, short = desk.held(BACKSTOP_VAULT), desk.held(MARKET_MAKER)
    assert long > 0 > short
    at = (desk.state.time_ms // 60_000 + 1) * 60_000
    desk.block(system=[desk.vote({ETH: "3640"})], at=at - 200)
    values, mark = (desk.value(BACKSTOP_VAULT), desk.value(MARKET_MAKER)), desk.market(ETH).mark
    result = desk.block(at=at)
    fills = [one for one in result.fills if one["flags"] & FLAG_NETTED]
    (fill,) = fills
    assert (fill["maker"], fill["taker"]) == (MARKET_MAKER, BACKSTOP_VAULT)
    assert not fill["flags"] & FLAG_TAKER_BUYS
    assert (fill["lots"], fill["price"]) == (-short, mark)
    assert fill["maker_fee"] == fill["taker_fee"] == 0
    assert (desk.value(BACKSTOP_VAULT), desk.value(MARKET_MAKER)) == values
    assert (desk.held(BACKSTOP_VAULT), desk.held(MARKET_MAKER)) == (long + short, 0)
    (told,) = result.of(Kind.CHILDREN)
    assert told["rule"] == rule_number("VLT-27")
    assert told["netted"] == [{"asset": ETH, "lots": -short, "price": mark}]


def test_netting_can_be_switched_off_and_waits_for_a_price() -> None:
    """An interval of zero, or a price too old to act on."""
    for options in ({"netting_interval_ms": 0}, {"price_stale_ms": 1000}):
        desk = Desk(vault="100000", unwind_interval_ms=10**9, **options)  # type: ignore[arg-type]
        opposite(desk)
        at = (desk.state.time_ms // 60_000 + 1) * 60_000 + 60_000
        assert not desk.block(at=at).of(Kind.CHILDREN)
        assert desk.held(BACKSTOP_VAULT) > 0 > desk.held(MARKET_MAKER)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quote_drift_bps", 21),
        ("quote_half_spread_bps", 9_930),
        ("quote_cap_bps", 10_001),
        ("child_maker_bps", 6_001),
        ("capital_day_bps", 10_001),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name: str, value: int) -> None:
    """Genesis says which one and how much is possible."""
    with pytest.raises(Exception, match=rf"{name}.* are more than"):
        Desk(**{name: value})  # type: ignore[arg-type]
