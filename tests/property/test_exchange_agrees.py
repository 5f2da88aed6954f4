"""The engine agrees with the exchange by definition: results, money, positions, orders, margins."""

import os
import random
from fractions import Fraction
from typing import Any

import pytest

from chainperp.base.units import USD_ONE, Address
from chainperp.model.accounts import Account
from chainperp.model.actions import UpdateLeverage, UsdSend, Withdraw
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import Kind, OrderStatus, Rejection, SystemType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.rules.prices import round_to_price_grid
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE, MARKET_MAKER, Market
from chainperp.transition.transfers import available
from chainperp.transition.valuation import account_value, refresh
from tests.oracles.naive_book import Event
from tests.oracles.naive_exchange import (
    DAY,
    MARKETS,
    PARAMETERS,
    PURSES,
    START_PRICES,
    Drawn,
    Life,
    NaiveExchange,
    Place,
    on_grid,
)
from tests.support.world import Result, World, address_of, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
UNSEEN = (  # not drawn by a life
    Rejection.MUST_DEPOSIT, Rejection.SIGNER_UNKNOWN, Rejection.AGENT_NOT_ALLOWED,
    Rejection.EXPIRED, Rejection.ACTION_NOT_OFFERED, Rejection.TOO_MANY_IN_ACTION,
    Rejection.NO_PRICE, Rejection.AGENT_IN_USE, Rejection.AGENT_TOO_MANY,
    Rejection.AGENT_EXPIRED, Rejection.AGENT_NAME_INVALID, Rejection.NONCE_DUPLICATE,
    Rejection.NONCE_TOO_LOW, Rejection.NONCE_TOO_HIGH, Rejection.BALANCE_TRANSFER_GAS,
    Rejection.BAD_TRIGGER_PRICE, Rejection.TRIGGER_NOT_REDUCE_ONLY, Rejection.SIBLING_FILLED,
    Rejection.PARENT_ENDED, Rejection.STALE_PRICE, Rejection.LIQUIDATED, Rejection.LIQUIDATION,
    Rejection.UNWIND, Rejection.QUOTE_MOVED, Rejection.TWAP_DETAILS,
    Rejection.DISPLAY_NAME_INVALID,
    Rejection.MULTI_SIG_REQUIRED,
    Rejection.MULTI_SIG_USER_INVALID,
    Rejection.MULTI_SIG_OUTER_UNKNOWN, Rejection.MULTI_SIG_OUTER_INVALID,
    Rejection.MULTI_SIG_INNER_INVALID, Rejection.MULTI_SIG_THRESHOLD, Rejection.MULTI_SIG_SELF,
    Rejection.MULTI_SIG_SIGNER_UNKNOWN, Rejection.MULTI_SIG_TOO_MANY,
    Rejection.MULTI_SIG_TERMS_INVALID,
)  # fmt: skip
ARRANGED = [
    one
    for one in Rejection
    if one is Rejection.SCHEDULED_CANCEL
    # Spot, vaults with their children, the fund and the border have second exchanges of their own.
    or (120 <= one < 220 and one not in UNSEEN and not 156 <= one < 205)
]
REASONS = [one for one in Rejection if one < 100 and one not in (*UNSEEN, *ARRANGED)]

# Without the risk phase and without capital nothing moves there.
RISK_ACCOUNTS = {BACKSTOP_VAULT, INSURANCE, MARKET_MAKER}


def living_world(**parameters: object) -> World:
    """A funded world of three markets with prices, one of them isolated only."""
    world = World(parameters={**PARAMETERS, **parameters}, markets=[dict(row) for row in MARKETS])
    world.fund(**PURSES)
    world.prices({asset: str(price) for asset, price in START_PRICES.items()})
    return world


def live_orders(world: World) -> dict[str, list[tuple[int, int]]]:
    """Each name's orders as (asset, oid)."""
    names = [*PURSES, *(f"{name}/{number}" for name in PURSES for number in (1, 2))]
    return {
        name: [(one.asset, one.oid) for one in world.account(name).orders.values()]
        for name in names
        if address_of(name) in world.state.accounts
    }


def carry_out(world: World, drawn: Drawn) -> Result:
    """The drawn block, through the engine."""
    time_ms = world.engine.state.time_ms + drawn.elapsed
    world.nonce = max(world.nonce, time_ms)
    system = [world.deposit_input(name, usdc) for name, usdc in drawn.deposits]
    system += [
        SystemInput(SystemType.WITHDRAWAL_DONE, wid.to_bytes(8, "big") + bytes(32))
        for wid in drawn.payouts
    ]
    if drawn.votes:
        system.append(world.vote(drawn.votes))
    transactions = [
        world.transaction(name, action, user_signed=user_signed)
        for name, action, user_signed in drawn.actions
    ]
    return world.block(transactions, system, at=time_ms)


def events_of(result: Result) -> list[Event]:
    """Orders and fills of a block in the words of the naive exchange."""
    found: list[Event] = []
    for raw in result.block.entries:
        entry = decode_entry(raw)
        fields = decode_payload(entry)
        if entry.kind is Kind.ORDER:
            found.append(
                ("order", fields["oid"], fields["account"], OrderStatus(fields["status"]),
                 Rejection(fields["reason"]), fields["remaining"])
            )  # fmt: skip
        elif entry.kind is Kind.FILL:
            event: list[object] = ["fill", fields["asset"], fields["price"], fields["lots"]]
            for side in ("maker", "taker"):
                event.append(fields[side])
                event += [fields[f"{side}_{name}"] for name in ("oid", "fee", "start", "pnl")]
            found.append(tuple(event))
    return found


def check_events(fast: list[Event], slow: list[Event], where: str) -> None:
    """Equal, where the naive side says None about the size of an order that was refused."""
    assert len(fast) == len(slow), f"{where}: {fast} {slow}"
    for one, other in zip(fast, slow, strict=True):
        refused = other[0] == "order" and other[-1] is None
        assert (one[:-1] if refused else one) == (other[:-1] if refused else other), where


def check_account(world: World, naive: NaiveExchange, account: Account, where: str) -> None:
    """Cash, positions, settings, orders, value, margin and what may leave."""
    who = account.address
    person = naive.people[who]
    refresh(world.engine.state, account)
    assert account.raw == person.raw, where
    assert account_value(account) == naive.value(who), where
    assert account.margin_total == naive.margin(who), where
    assert available(world.engine.state, account) == naive.free(who), where
    for asset in range(len(naive.places)):
        held = person.held(asset)
        exposure = account.exposures.get(asset)
        if exposure is None:
            assert held.lots == 0, where
            continue
        assert (exposure.lots, exposure.entry_notional, exposure.raw_isolated) == (
            held.lots, held.entry, held.cash,
        ), where  # fmt: skip
        assert (exposure.is_cross, exposure.leverage) == naive.setting(who, asset), where
    orders = [(one.asset, one.oid, one.remaining, one.price) for one in account.orders.values()]
    assert orders == [
        (asset, one.oid, one.remaining, one.price) for asset, one in naive.orders(who)
    ], where  # fmt: skip


def check_market(market: Market, place: Place, where: str) -> None:
    """Prices, samples and queues."""
    assert (market.oracle, market.mark) == (place.oracle, place.mark), where
    assert market.book.price_last == place.last, where
    assert (market.premium_sum, market.premium_samples) == (
        sum(place.premiums), len(place.premiums),
    ), where  # fmt: skip
    for is_buy in (True, False):
        queue = [(one.oid, one.remaining) for one in market.book.side(is_buy).walk()]
        assert queue == [(one.oid, one.remaining) for one in place.book.side(is_buy)], where


def check_everything(world: World, naive: NaiveExchange, where: str) -> None:
    """The two exchanges, cell by cell."""
    state = world.engine.state
    assert set(state.accounts) - RISK_ACCOUNTS == set(naive.people), where
    for address in sorted(naive.people):
        account = state.accounts[Address(address)]
        check_account(world, naive, account, where)
    for market, place in zip(state.markets, naive.places, strict=True):
        check_market(market, place, where)
    rewards = {who: one.unclaimed for who, one in state.referrals.items() if one.unclaimed}
    assert rewards == {who: amount for who, amount in naive.rewards.items() if amount}, where
    spot = {who: person.spot for who, person in naive.people.items() if person.spot}
    assert state.spot[0] == spot, where
    pending = {wid: one.amount for wid, one in state.withdrawals.items()}
    assert (state.custody, pending) == (naive.custody, naive.pending), where


def live(
    seed: int, transactions: int, blocks: int, arranging: float = 0.01, **parameters: object
) -> dict[object, int]:
    """One life on both exchanges, compared after every block; counts what happened in it."""
    world = living_world(**parameters)
    naive = NaiveExchange(world.engine.genesis.raw)
    for block in world.inputs:
        naive.block(block)
    life = Life(seed, arranging=arranging)
    seen: dict[object, int] = {}
    for number in range(blocks):
        where = f"seed {seed}, {transactions} per block, block {number}"
        result = carry_out(world, life.block(live_orders(world), transactions))
        codes = naive.block(world.inputs[-1])
        assert result.codes == codes, where
        check_events(events_of(result), naive.events, where)
        check_everything(world, naive, where)
        words = [event[4] if event[0] == "order" else "fill" for event in naive.events]
        for word in [*words, *codes]:
            seen[word] = seen.get(word, 0) + 1
    return seen


@pytest.mark.parametrize("seed", range(4, 40) if LONG else range(4, 7))
def test_random_lives_agree_after_every_block_of_several_transactions(seed: int) -> None:
    """Blocks of five: class order, shared fees and marks that move in between."""
    seen = live(seed, 5, 150)
    assert seen["fill"] > 80, f"seed {seed}: the life is too quiet to mean anything"


@pytest.mark.parametrize(
    "parameters",
    [
        {"user_fill_limit": 0},
        {"transfer_margin_divisor": 3, "withdrawal_fee": 0, "activation_fee": 0},
        {"fee_tiers": [[0, 0, 0]], "hlp_fee_share_bps": 10_000, "funding_hours_per_rate": 1},
        {"volume_window_days": 1, "open_orders_base": 1, "open_orders_max": 20},
    ],
    ids=["no-fill-limit", "thirds", "no-fees", "short-window"],
)
def test_random_lives_agree_under_other_parameters(parameters: dict[str, object]) -> None:
    """The rules read their constants from genesis: other constants, the same agreement."""
    for seed in range(500, 520) if LONG else range(500, 502):
        live(seed, 2, 200, 0.01, **parameters)


def test_random_lives_agree_after_every_transaction_and_meet_every_reason() -> None:
    """One transaction per block; together the lives see every refusal that they can cause."""
    seen: dict[object, int] = {}
    for seed in range(100, 200) if LONG else range(112, 117):
        for word, count in live(seed, 1, 700).items():
            seen[word] = seen.get(word, 0) + count
    missing = [reason.name for reason in REASONS if reason not in seen]
    assert not missing
    assert seen["fill"] > 400


def test_random_lives_of_busy_arrangers_agree_and_meet_every_reason() -> None:
    """TWAP orders, sub-accounts, builders and dead man's switches, with trades in between."""
    seen: dict[object, int] = {}
    for seed in range(300, 340) if LONG else range(300, 304):
        for word, count in live(seed, 2, 500, arranging=0.4).items():
            seen[word] = seen.get(word, 0) + count
    assert not [reason.name for reason in ARRANGED if reason not in seen]
    assert seen["fill"] > 100


def test_sending_all_to_a_new_address_leaves_no_money_for_the_gas() -> None:
    """The amount is there and the activation fee is not; one USDC less goes through."""
    world = living_world()
    naive = NaiveExchange(world.engine.genesis.raw)
    for block in world.inputs:
        naive.block(block)
    for amount in (900 * USD_ONE, 899 * USD_ONE + 1, 899 * USD_ONE):
        result = world.act("mid", UsdSend(address_of("nobody"), amount), user_signed=True)
        assert naive.block(world.inputs[-1]) == result.codes
        check_everything(world, naive, f"sending {amount}")
    assert world.account("mid").raw == 0


class Pair:
    """Both exchanges, driven step by step."""

    def __init__(self) -> None:
        self.world = living_world()
        self.naive = NaiveExchange(self.world.engine.genesis.raw)
        for block in self.world.inputs:
            self.naive.block(block)

    def check(self, result: Result) -> list[Rejection]:
        """Compare after a block of the world; returns the reasons of its orders."""
        assert self.naive.block(self.world.inputs[-1]) == result.codes
        check_events(events_of(result), self.naive.events, "step")
        check_everything(self.world, self.naive, "step")
        return [Rejection(fields["reason"]) for fields in result.orders]

    def place(self, name: str, *words: Any, reduce_only: bool = False) -> Rejection:
        """One order; returns its reason."""
        return self.check(self.world.place(name, order(*words, reduce_only=reduce_only)))[-1]

    def days(self, count: int) -> None:
        """Let whole days pass, to the same time of day."""
        time_ms = self.world.engine.state.time_ms + count * DAY + 1
        self.world.nonce = time_ms
        self.check(self.world.block(at=time_ms))


def test_margin_that_is_exactly_enough_agrees() -> None:
    """ORD-11 at equality, one lot above, and exactly nothing left to send."""
    pair = Pair()
    pair.check(pair.world.act("mid", UpdateLeverage(0, True, 1)))
    assert pair.place("mid", 0, "buy", "9.01", "100") is Rejection.PERP_MARGIN
    assert pair.place("mid", 0, "buy", "9", "100") is Rejection.ACCEPTED
    assert pair.place("mid", 0, "buy", "0.2", "50") is Rejection.PERP_MARGIN
    result = pair.world.act("mid", UsdSend(address_of("poor"), 1), user_signed=True)
    pair.check(result)
    assert result.codes == [Rejection.BALANCE_TRANSFER]


def test_closing_a_position_worth_less_than_the_minimum_agrees() -> None:
    """ORD-5: only reduce-only, and only the whole position."""
    pair = Pair()
    pair.place("rich", 0, "sell", "0.1", "100")
    pair.place("mid", 0, "buy", "0.1", "100")
    pair.place("rich", 0, "buy", "0.2", "95")
    small = Rejection.MIN_TRADE_NOTIONAL
    assert pair.place("mid", 0, "sell", "0.1", "95", "Ioc") is small
    assert pair.place("mid", 0, "sell", "0.09", "95", "Ioc", reduce_only=True) is small
    assert pair.place("mid", 0, "sell", "0.1", "95", "Ioc", reduce_only=True) is Rejection.ACCEPTED
    assert pair.world.account("mid").exposures[0].lots == 0


def test_band_and_tier_agree_at_their_bounds() -> None:
    """ORD-4 and ORD-10: the bound itself, and one step on either side."""
    pair = Pair()
    assert pair.place("rich", 0, "buy", "3", "4.99") is Rejection.ORACLE_BAND
    assert pair.place("rich", 0, "buy", "3", "5") is Rejection.ACCEPTED
    assert pair.place("rich", 0, "sell", "3", "195") is Rejection.ACCEPTED
    assert pair.place("rich", 0, "sell", "3", "195.01") is Rejection.ORACLE_BAND
    assert pair.place("rich", 2, "buy", "75", "20") is Rejection.PERP_MAX_POSITION
    assert pair.place("rich", 2, "buy", "74.999", "20") is Rejection.ACCEPTED


@pytest.mark.parametrize(("extra", "taker"), [("0", 450), ("0.1", 400)])
def test_fee_tier_agrees_at_its_bound_and_at_the_ends_of_its_window(extra: str, taker: int) -> None:
    """FEE-2 and FEE-4: volume at the bound is below it; it counts for fourteen days after today."""
    pair = Pair()
    sizes = ["20", extra] if extra != "0" else ["20"]
    for size in sizes:
        pair.place("rich", 0, "sell", size, "100")
        pair.place("wide", 0, "buy", size, "100", "Ioc")
    for passed, rate in ((1, taker), (13, 400), (1, 450)):
        pair.days(passed)
        before = pair.world.account("wide").volume_total
        pair.place("rich", 0, "sell", "0.1", "100")
        result = pair.world.place("wide", order(0, "buy", "0.1", "100", "Ioc"))
        pair.check(result)
        assert result.fills[0]["taker_fee"] == 10_000_000 * rate // 10**6
        assert pair.world.account("wide").volume_total > before


def test_a_book_that_holds_exactly_the_impact_notional_gives_a_sample() -> None:
    """FND-1 at equality, and one lot too thin."""
    pair = Pair()
    for size, samples in (("3.89", 0), ("0.11", 1)):
        pair.place("rich", 0, "buy", size, "100")
        pair.check(pair.world.block(at=pair.world.engine.state.time_ms + 5_000))
        assert pair.world.market(0).premium_samples == samples


def test_derived_prices_round_to_the_grid_as_their_definition_says() -> None:
    """PRC-2 over many sizes: five figures, half to even, whole numbers keep all figures."""
    draw = random.Random(3)
    for _ in range(20_000):
        decimals = draw.randint(0, 6)
        bottom = draw.choice((1, 2, 8, draw.randint(1, 10**6)))
        top = draw.randint(1, 10 ** draw.randint(1, 12)) * draw.choice((1, 5, bottom))
        expected = on_grid(Fraction(top, bottom), decimals)
        assert round_to_price_grid(top, bottom, decimals) == expected, (top, bottom, decimals)


def test_the_rest_of_an_order_that_only_reduces_is_not_asked_for_margin() -> None:
    """ORD-11, U-MAR-3: below initial margin, a partly filled closing order rests like any other."""
    pair = Pair()
    pair.place("rich", 0, "sell", "1.5", "100")
    pair.place("poor", 0, "buy", "0.5", "100")
    pair.place("less", 0, "buy", "1", "100")
    pair.check(pair.world.act("less", UpdateLeverage(0, True, 20)))
    pair.check(pair.world.act("less", Withdraw(address_of("less"), 338_000_000), user_signed=True))
    pair.check(pair.world.prices({0: "97"}))
    pair.place("wide", 0, "buy", "0.4", "97")
    before = pair.world.engine.state.next_oid
    assert pair.place("less", 0, "sell", "0.9", "97") is Rejection.ACCEPTED
    assert pair.world.account("less").orders[before].remaining == 50


def test_the_rest_is_asked_when_other_orders_of_the_side_already_close_the_position() -> None:
    """Fees of the fills make the difference: the rest alone would reduce, together they open."""
    pair = Pair()
    pair.check(pair.world.act("mid", UpdateLeverage(0, True, 1)))
    pair.place("rich", 0, "sell", "5", "100")
    pair.place("mid", 0, "buy", "5", "100")
    pair.check(pair.world.act("mid", UsdSend(address_of("poor"), 825_000), user_signed=True))
    assert pair.place("mid", 0, "sell", "8.9", "101") is Rejection.ACCEPTED
    pair.place("rich", 0, "buy", "3", "100")
    assert pair.place("mid", 0, "sell", "5", "100") is Rejection.MARGIN_CANCELED
    assert pair.world.account("mid").exposures[0].lots == 200


def test_an_isolated_fill_counts_the_markets_other_orders() -> None:
    """MAT-3, INV-R1: after the first fill and its fee, margin for the second bid is short."""
    pair = Pair()
    pair.check(pair.world.act("mid", UpdateLeverage(0, False, 1)))
    pair.place("mid", 0, "buy", "4", "100")
    pair.place("mid", 0, "buy", "5", "100")
    pair.place("rich", 0, "sell", "2", "100", "Ioc")
    assert not [one for one in pair.world.account("mid").orders.values() if one.lots == 400]


def test_a_modify_that_changes_side_does_not_count_the_order_it_replaces() -> None:
    """ORD-11: the replaced ask is gone, so only one unit matches; the limit price is held."""
    pair = Pair()
    pair.place("rich", 0, "sell", "1", "109")
    pair.check(pair.world.act("mid", UpdateLeverage(0, True, 1)))
    pair.place("mid", 0, "sell", "4", "105")
    oid = next(iter(pair.world.account("mid").orders))
    for size, reason in (("8.5", Rejection.PERP_MARGIN), ("8.1", Rejection.ACCEPTED)):
        result = pair.world.modify("mid", oid, order(0, "buy", size, "110"), True)
        assert pair.check(result)[-1] is reason
