"""What must hold after every transaction, whatever happened: money, lots, books, caches, orders.

The checks are hooked into the running engine, so they see the state between the transactions of
one block and between the fills of one order. Codes are those of reliability section 5.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.errors import InvariantBroken
from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.actions import (
    Action,
    ApproveAgent,
    CancelOrders,
    Noop,
    PlaceOrders,
    TimeInForce,
    UsdSend,
)
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.orders import Order
from chainperp.state import arrangements, leaves, schemas
from chainperp.state.store import (
    ASSISTANCE_FUND,
    LIQUIDITY_VAULT,
    ROUNDING,
    Market,
    State,
)
from chainperp.transition import block as block_module
from chainperp.transition import matching as matching_module
from chainperp.transition.recorder import FLAG_MAKER_DONE, Recorder
from chainperp.transition.transfers import available
from tests.oracles.naive_exchange import HOUR, Life
from tests.property.test_exchange_agrees import carry_out, live_orders, living_world
from tests.support.world import VALIDATOR, Result, World, address_of, order

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(60) if LONG else range(3)
NONCE_CODES = (Rejection.NONCE_DUPLICATE, Rejection.NONCE_TOO_LOW, Rejection.NONCE_TOO_HIGH)
REFUSED = (OrderStatus.REJECTED, OrderStatus.REQUEST_REFUSED)
STRANGERS = (Rejection.SIGNER_UNKNOWN, Rejection.MUST_DEPOSIT)


# --- one state ------------------------------------------------------------------------------------


def check_state(state: State, draw: random.Random, *, by_age: bool = True) -> None:
    """Everything that can be recomputed from the cells, recomputed. `by_age`: no order was sent by
    a trigger, so queues are in order of ids."""
    check_money(state, draw)
    for market in state.markets:
        check_lots(state, market)
        check_book(state, market, by_age)
    for account in state.accounts.values():
        check_caches(state, account)


def check_money(state: State, draw: random.Random) -> None:
    """E1, E3, INV-M5: cells are custody; at any marks the values of all accounts are its cash."""
    cash = sum(one.raw + one.raw_isolated_total for one in state.accounts.values())
    pending = sum(one.amount for one in state.withdrawals.values())
    spot = sum(state.spot[0].values())
    assert all(total > 0 for total in state.spot[0].values())
    assert set(state.spot[0]) <= set(state.accounts)
    assert cash + spot + pending == state.custody
    marks = [draw.randint(1, 2**40) for _ in state.markets]
    value = 0
    for account in state.accounts.values():
        isolated = sum(one.raw_isolated for one in account.exposures.values())
        assert isolated == account.raw_isolated_total
        value += account.raw + isolated
        value += sum(one.lots * marks[one.asset] for one in account.exposures.values())
        assert all(one.lots or not one.raw_isolated for one in account.exposures.values())
        assert all(one.lots or not one.entry_notional for one in account.exposures.values())
        assert all(not one.is_cross or not one.raw_isolated for one in account.exposures.values())
    assert value == cash
    assert state.accounts[ROUNDING].raw >= 0


def check_lots(state: State, market: Market) -> None:
    """E2, INV-P2: signed lots sum to zero; longs, shorts and the counters are one number."""
    lots = {
        address: account.exposures[market.asset].lots
        for address, account in state.accounts.items()
        if market.asset in account.exposures and account.exposures[market.asset].lots
    }
    longs = sum(one for one in lots.values() if one > 0)
    assert sum(lots.values()) == 0
    assert longs == market.lots_long == market.lots_short
    assert {address: one.lots for address, one in market.holders.items()} == lots


def check_book(state: State, market: Market, by_age: bool = True) -> None:
    """INV-B1 to B4: sorted levels with true sums, not crossed, every order where it belongs."""
    seen: dict[int, object] = {}
    for side in (market.book.bids, market.book.asks):
        assert side.keys == sorted(set(side.keys))
        assert {side.sign * key for key in side.keys} == set(side.levels)
        for price, level in side.levels.items():
            queue = [one for one in side.walk() if one.price == price]
            assert queue
            assert level.lots == sum(one.remaining for one in queue)
            assert not by_age or [one.oid for one in queue] == sorted(one.oid for one in queue)
            assert (level.first, level.last) == (queue[0], queue[-1])
        for one in side.walk():
            assert 0 < one.remaining <= one.lots
            assert one.is_buy is (side.sign == 1)
            assert one.tif is not TimeInForce.IOC
            assert one.account is state.accounts[one.account.address]
            assert one.exposure is one.account.exposures[market.asset]
            assert one.account.orders[one.oid] is one
            seen[one.oid] = one
    owned = [
        one.oid
        for account in state.accounts.values()
        for one in account.orders.values()
        if one.asset == market.asset and one.trigger is None
    ]
    assert sorted(owned) == sorted(seen)
    bid, ask = market.book.bids.best_price(), market.book.asks.best_price()
    assert bid is None or ask is None or bid < ask


def check_caches(state: State, account: Account) -> None:
    """INV-O7, INV-B4: reserves, client ids, margin and value are what the live orders make them."""
    live = list(account.orders.values())
    assert {one.cloid: one for one in live if one.cloid is not None} == account.cloids
    position_value, margin_total = 0, 0
    for asset, one in account.exposures.items():
        here = [found for found in live if found.asset == asset]
        mine = [found for found in here if not found.reduce_only and found.trigger is None]
        bids = [found for found in mine if found.is_buy]
        asks = [found for found in mine if not found.is_buy]
        assert one.bids_lots == sum(found.remaining for found in bids)
        assert one.asks_lots == sum(found.remaining for found in asks)
        assert one.bids_notional == sum(found.remaining * found.price for found in bids)
        assert one.asks_notional == sum(found.remaining * found.price for found in asks)
        assert one.reduce_only_orders == len(
            [
                found
                for found in here
                if (found.reduce_only if found.trigger is None else found.trigger.is_position)
            ]
        )
        assert 1 <= one.leverage <= state.markets[asset].terms.leverage_max
        if account.epoch != state.mark_epoch:
            continue
        value = one.lots * state.markets[asset].mark
        worst = max(value + one.bids_notional, one.asks_notional - value)
        worst -= 0 if one.is_cross else abs(value)
        margin = -(-worst // one.leverage)
        assert (one.value, one.margin) == (value, margin)
        margin_total += margin
        position_value += value if one.is_cross else 0
    if account.epoch == state.mark_epoch:
        assert (account.margin_total, account.position_value) == (margin_total, position_value)


def scopes(state: State, account: Account, asset: int) -> tuple[int, int]:
    """Values of the cross scope and of the isolated position of a market, at mark."""
    cross, isolated = account.raw, 0
    for one in account.exposures.values():
        if one.is_cross:
            cross += one.lots * state.markets[one.asset].mark
        elif one.asset == asset:
            isolated = one.raw_isolated + one.lots * state.markets[asset].mark
    return cross, isolated


def all_leaves(state: State) -> dict[tuple[str, bytes], Record]:
    """Every committed value, decoded, and every book."""
    found: dict[tuple[str, bytes], Record] = {}

    def note(name: str, key: bytes, raw: bytes) -> None:
        found[name, key] = canonical.decode(schemas.schema_of(name), raw)

    for address, account in state.accounts.items():
        note("acct", address, leaves.encode_account(state, account))
        for one in account.exposures.values():
            if one.lots:
                side = "L" if one.lots > 0 else "S"
                note(f"pos/{one.asset:08x}/{side}", address, leaves.encode_position(one))
    for address, agent in state.agents.items():
        note("agent", address, leaves.encode_agent(agent))
    for address, validator in state.validators.items():
        note("val", address, leaves.encode_validator(validator))
    for market in state.markets:
        key = market.asset.to_bytes(4, "big")
        note("oracle", key, leaves.encode_market(market))
        found["queue", key] = {"orders": leaves.encode_book(market)}
    for wid, pending in state.withdrawals.items():
        note("wd", wid.to_bytes(8, "big"), leaves.encode_withdrawal(pending))
    note("meta", b"counters", leaves.encode_counters(state))
    for name in arrangements.names(len(state.tokens)):
        collection = arrangements.collection_of(name)
        for key in collection.keys(state):
            encoded = arrangements.encode(state, name, key)
            assert encoded is not None
            note(name, key, encoded[0])
    return found


Cells = dict[tuple[str, bytes], Record]


def changes(before: Cells, after: Cells) -> list[tuple[str, bytes, str]]:
    """Collection, key and field of everything that differs."""
    found: list[tuple[str, bytes, str]] = []
    for place in sorted({*before, *after}):
        old, new = before.get(place), after.get(place)
        if old is None or new is None:
            found.append((*place, "(new)" if old is None else "(gone)"))
        else:
            found += [(*place, name) for name in old if old[name] != new[name]]
    return found


# --- one run --------------------------------------------------------------------------------------


@dataclass
class Story:
    """An order's life as the log tells it."""

    account: bytes
    asset: int
    is_buy: bool
    price: int
    lots: int
    tif: int
    reduce_only: bool
    filled: int = 0
    final: str = ""


@dataclass
class Watch:
    """Hooks into the engine and everything seen so far."""

    draw: random.Random
    executed: set[tuple[bytes, int]] = field(default_factory=set)
    stories: dict[int, Story] = field(default_factory=dict)
    positions: dict[tuple[bytes, int], int] = field(default_factory=dict)
    flows: dict[tuple[bytes, int], list[int]] = field(default_factory=dict)
    last_tid: int = 0
    transactions: int = 0
    rejected: int = 0
    fills: int = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Run the checks after each transaction and around each match."""
        original = block_module.process_transaction
        trade = matching_module._trade

        def process(state: State, recorder: Recorder, one: Transaction) -> None:
            before, nonces, start = all_leaves(state), kept(state, one), len(recorder.entries)
            original(state, recorder, one)
            check_state(state, self.draw)
            entries = [decode_entry(raw) for raw in recorder.entries[start:]]
            records = [(entry.kind, decode_payload(entry)) for entry in entries]
            code = Rejection(records[0][1]["code"])
            self.transactions += 1
            self.check_nonces(state, one, code, nonces)
            self.check_rejected(one, code, records, changes(before, all_leaves(state)))

        def watched(
            state: State, recorder: Recorder, market: Market, maker: Order, taker: Any, *rest: Any
        ) -> Any:
            sides = (maker.account, taker.account)
            before = [scopes(state, account, market.asset) for account in sides]
            answer = trade(state, recorder, market, maker, taker, *rest)
            for account, old in zip(sides, before, strict=True):
                new = scopes(state, account, market.asset)
                for was, now in zip(old, new, strict=True):
                    assert now >= 0 or now >= was, f"U-REL-1: {account.address!r} {was} {now}"
            return answer

        patch.setattr(block_module, "process_transaction", process)
        patch.setattr(matching_module, "_trade", watched)

    def check_nonces(
        self, state: State, one: Transaction, code: Rejection, before: list[int]
    ) -> None:
        """INV-N1 to N4."""
        after, limit = kept(state, one), state.parameters.nonces_kept
        if code in NONCE_CODES or code in STRANGERS:
            assert after == before
            return
        assert (one.signer, one.nonce) not in self.executed
        self.executed.add((one.signer, one.nonce))
        assert after == sorted({*before, one.nonce})[-limit:]
        assert len(before) < limit or after[0] >= before[0]
        past, future = (
            state.parameters.nonce_window_past_ms,
            state.parameters.nonce_window_future_ms,
        )
        assert state.time_ms - past < one.nonce < state.time_ms + future

    def check_rejected(
        self,
        one: Transaction,
        code: Rejection,
        records: list[tuple[Kind, Record]],
        changed: list[tuple[str, bytes, str]],
    ) -> None:
        """INV-M9: a refusal changes the nonce, the log, and the next order id; nothing else."""
        rest = [change for change in changed if change[2] not in ("nonces", "nonces_digest")]
        touched = {change[:2] for change in changed if change not in rest}
        assert touched <= {("acct", one.signer), ("agent", one.signer)}
        if code is not Rejection.ACCEPTED:
            self.rejected += 1
            assert rest == []
            return
        orders = [fields for kind, fields in records if kind is Kind.ORDER]
        if not orders or len(orders) != len(records) - 1:
            return
        if all(fields["status"] in REFUSED for fields in orders):
            self.rejected += 1
            assert set(rest) <= {("meta", b"counters", "next_oid")}, rest

    def read(self, world: World, raws: list[bytes]) -> None:
        """Follow the orders and fills of a block through their lives."""
        records = [(one.kind, decode_payload(one)) for one in map(decode_entry, raws)]
        for kind, fields in records:
            # A taker's decision comes after its fills, so its terms are noted first.
            if kind is Kind.ORDER and fields["status"] not in REFUSED:
                self.stories.setdefault(
                    fields["oid"],
                    Story(
                        fields["account"],
                        fields["asset"],
                        fields["is_buy"],
                        fields["price"],
                        fields["lots"],
                        fields["tif"],
                        fields["reduce_only"],
                    ),
                )
        run: list[Record] = []
        for kind, fields in records:
            if kind is Kind.FILL:
                run = (
                    [*run, fields]
                    if run and run[0]["taker_oid"] == fields["taker_oid"]
                    else [fields]
                )
                self.check_fill(fields, run)
            elif kind is Kind.ORDER and fields["oid"] in self.stories:
                self.check_status(fields)
        for oid, story in self.stories.items():
            live = world.engine.state.accounts[Address(story.account)].orders.get(oid)
            assert (live is None) is bool(story.final), oid
            assert live is None or story.lots == story.filled + live.remaining

    def check_fill(self, fill: Record, run: list[Record]) -> None:
        """INV-B5 to B9, INV-P6, P7 and INV-O3 for one fill."""
        maker, taker = self.stories[fill["maker_oid"]], self.stories[fill["taker_oid"]]
        self.fills += 1
        assert fill["tid"] == self.last_tid + 1
        self.last_tid = fill["tid"]
        assert fill["price"] == maker.price
        assert maker.price <= taker.price if taker.is_buy else maker.price >= taker.price
        assert (maker.account, taker.account) == (fill["maker"], fill["taker"])
        assert maker.account != taker.account
        assert maker.is_buy is not taker.is_buy
        assert maker.tif != TimeInForce.IOC
        assert taker.tif != TimeInForce.ALO
        assert fill["flags"] & 1 == taker.is_buy
        assert fill["maker_oid"] < fill["taker_oid"]
        worse = [one["price"] if taker.is_buy else -one["price"] for one in run]
        assert worse == sorted(worse)
        same = [one["maker_oid"] for one in run if one["price"] == fill["price"]]
        assert same == sorted(same)
        for side, story in (("maker", maker), ("taker", taker)):
            self.check_side(fill, side, story)
        if fill["flags"] & FLAG_MAKER_DONE:
            assert not maker.final
            assert maker.filled == maker.lots
            maker.final = "filled"

    def check_side(self, fill: Record, side: str, story: Story) -> None:
        """Position, reduce-only, and profit over a round trip, of one side."""
        place = (story.account, story.asset)
        start = self.positions.get(place, 0)
        assert start == fill[f"{side}_start"]
        signed = fill["lots"] if story.is_buy else -fill["lots"]
        after = start + signed
        if story.reduce_only:
            assert abs(after) < abs(start)
            assert after * start >= 0
        self.positions[place] = after
        story.filled += fill["lots"]
        assert story.filled <= story.lots
        flow = self.flows.setdefault(place, [0, 0])
        flow[0] -= signed * fill["price"]
        flow[1] += fill[f"{side}_pnl"]
        if after == 0:
            assert flow[0] == flow[1], "INV-P6: profit is not the cash difference"
            self.flows[place] = [0, 0]

    def check_status(self, fields: Record) -> None:
        """INV-O1 and O2 for one decision."""
        story, status = self.stories[fields["oid"]], OrderStatus(fields["status"])
        if status is OrderStatus.REQUEST_REFUSED:
            return
        assert not story.final, f"order {fields['oid']} was {story.final}, now {status.name}"
        assert story.lots == story.filled + fields["remaining"]
        if status is OrderStatus.FILLED:
            assert story.filled == story.lots
        if status is OrderStatus.OPEN:
            assert story.filled == 0
        if status in (OrderStatus.FILLED, OrderStatus.CANCELED):
            story.final = status.name


def kept(state: State, one: Transaction) -> list[int]:
    """The nonces that a signer's key has used, as kept."""
    known = state.agents.get(one.signer) or state.accounts.get(one.signer)
    return [] if known is None else list(known.nonces.kept)


def strange(draw: random.Random, world: World, transactions: list[Transaction]) -> None:
    """Give some transactions other nonces: used, old, far, or in between."""
    for one in transactions:
        if draw.random() < 0.25:
            now = world.engine.state.time_ms
            one.nonce = draw.choice(
                (one.nonce - 1, one.nonce - draw.randint(1, 40), now - 172_800_000 + 1,
                 now - draw.randint(0, 400_000_000), now + draw.randint(0, 90_000_000))
            )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("transactions", [1, 6])
@pytest.mark.parametrize("spot", [0.0, 0.3], ids=["trading", "moving-spot"])
def test_every_invariant_holds_after_every_transaction(
    seed: int, transactions: int, spot: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random lives in blocks of one and of many, with strange nonces, watched from inside; some
    move spot balances most of the time."""
    watch = Watch(random.Random(seed))
    world = living_world()
    make = world.transaction
    watch.install(monkeypatch)
    life = Life(7_000 + seed * 10 + transactions, arranging=0.15, spot=spot)

    def odd(*args: Any, **kwargs: Any) -> Transaction:
        one = make(*args, **kwargs)
        strange(watch.draw, world, [one])
        return one

    monkeypatch.setattr(world, "transaction", odd)
    rounding = 0
    before = all_leaves(world.engine.state)
    for number in range(700 // transactions):
        try:
            result = carry_out(world, life.block(live_orders(world), transactions))
            check_state(world.engine.state, watch.draw)
            watch.read(world, result.block.entries)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, block {number}: {error}") from error
        rounding = check_residues(world, result.of(Kind.FUNDING), rounding)
        check_withdrawable(world.engine.state)
        before = check_uninvolved(world, result, before)
    assert watch.fills > 15, "the life is too quiet to mean anything"
    assert watch.rejected > 150
    assert world.state.spot[0] or not spot


def check_withdrawable(state: State) -> None:
    """INV-M8: while nobody is in deficit, all that could leave now is covered by custody."""
    values = [
        value
        for account in state.accounts.values()
        for asset in range(len(state.markets))
        for value in scopes(state, account, asset)
    ]
    if min(values) >= 0:
        free = sum(available(state, account) for account in state.accounts.values())
        free += sum(state.spot[0].values())
        assert free + sum(one.amount for one in state.withdrawals.values()) <= state.custody


def check_uninvolved(world: World, result: Result, before: Cells) -> Cells:
    """INV-M11: who is in no entry of the block has the same cells as before."""
    after = all_leaves(world.engine.state)
    named: set[bytes] = set()
    for entry in result.entries:
        if entry.kind in (Kind.SEAL, Kind.GENESIS, Kind.TX_SYSTEM):
            continue
        fields = decode_payload(entry)
        rows = [fields, *fields.get("rows", [])]
        named |= {one for row in rows for one in row.values() if isinstance(one, bytes)}
    # Fees and their share have no entry of their own beside the fill.
    named |= {ASSISTANCE_FUND, LIQUIDITY_VAULT, VALIDATOR}
    for name, key, what in changes(before, after):
        if name == "acct" or name.startswith(("pos/", "spot/")):
            assert key in named, (name, key, what)
    return after


def check_residues(world: World, fundings: list[Record], before: int) -> int:
    """INV-M7, INV-F1: a settlement leaves less than one unit per position, to `rounding`."""
    residue = sum(row["payment"] for one in fundings for row in one["rows"])
    after = world.engine.state.accounts[ROUNDING].raw
    assert after - before == residue
    assert 0 <= residue <= sum(len(one["rows"]) for one in fundings)
    return after


def test_no_signed_transaction_is_executed_twice_even_when_its_key_changes_roles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """INV-N3 for a key that is an agent, is revoked, gets an account, and is approved again."""
    watch = Watch(random.Random(1))
    world = living_world()
    watch.install(monkeypatch)
    agent = address_of("key")
    nobody = Address(bytes(20))
    place = PlaceOrders([order(0, "buy", "0.5", "99", "Alo")])
    steps: list[tuple[str, Action, bool]] = [
        ("rich", ApproveAgent(agent, ""), True), ("key", place, False), ("key", Noop(), False),
        ("rich", ApproveAgent(nobody, ""), True), ("rich", ApproveAgent(agent, "bot"), True),
        ("key", place, False), ("mid", UsdSend(agent, 5_000_000), True), ("key", place, False),
        ("rich", ApproveAgent(nobody, "bot"), True), ("key", Noop(), False),
        ("key", CancelOrders([(0, 1)]), False), ("mid", UsdSend(agent, 5_000_000), True),
        ("key", Noop(), False),
    ]  # fmt: skip
    done: list[Transaction] = []
    for name, action, user_signed in steps:
        done.append(world.transaction(name, action, user_signed=user_signed))
        world.block([done[-1]])
        codes = world.block(list(done)).codes
        assert set(codes) <= {*NONCE_CODES, *STRANGERS}, name
    world.fund(key="40")
    assert Rejection.ACCEPTED not in world.block(list(done)).codes
    world.block(at=world.engine.state.time_ms + 60 * HOUR)
    assert Rejection.ACCEPTED not in world.block(list(done)).codes


def falsify_cash(state: State) -> None:
    """One micro-dollar from nowhere."""
    account = state.accounts[address_of("rich")]
    account.raw += 1
    state.touch(account)


def falsify_isolated(state: State) -> None:
    """A cell that the running totals do not see; the recount does."""
    exposure = state.open_exposure(state.accounts[address_of("rich")], 0)
    exposure.raw_isolated += 1


def falsify_lots(state: State) -> None:
    """Open interest of one side only."""
    state.markets[0].lots_long += 1


def falsify_both_sides(state: State) -> None:
    """Counters that agree with each other and not with the positions."""
    state.markets[0].lots_long += 1
    state.markets[0].lots_short += 1


def falsify_book(state: State) -> None:
    """A bid moved to the price of the best ask."""
    market = state.markets[0]
    asks = market.book.asks.best_price()
    assert asks is not None
    account = state.accounts[address_of("rich")]
    exposure = state.open_exposure(account, 0)
    market.book.bids.add(
        Order(10**6, account, exposure, True, asks, 1, False, TimeInForce.GTC, None)
    )


@pytest.mark.parametrize(
    ("falsify", "code"),
    [
        (falsify_cash, "INV-1"),
        (falsify_isolated, "INV-1"),
        (falsify_lots, "INV-2"),
        (falsify_both_sides, "INV-2"),
        (falsify_book, "INV-3"),
    ],
)
def test_a_falsified_state_stops_the_engine_before_it_seals(
    falsify: Callable[[State], None], code: str
) -> None:
    """Section 5.1: no check is vacuous; the block is dropped whole."""
    world = living_world()
    world.place("rich", order(0, "sell", "1", "101"), order(0, "buy", "1", "99"))
    world.place("mid", order(0, "buy", "0.5", "101", "Ioc"))
    falsify(world.engine.state)
    with pytest.raises(InvariantBroken) as raised:
        world.block()
    assert raised.value.code == code


def test_block_time_that_does_not_rise_stops_the_engine() -> None:
    """INV-C1 at equality."""
    world = living_world()
    with pytest.raises(InvariantBroken, match="INV-4"):
        world.block(at=world.engine.state.time_ms)
