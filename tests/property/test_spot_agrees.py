"""The spot market and a slow second one make the same of the same random flow.

After every block: outcome of every order, balances, holds, burned tokens, fees and last price are
equal, tokens and USDC are conserved, and holds recount. Now and then the engine goes on from its
own snapshot; at the end all blocks are executed again, to the same bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random

import pytest

from chainperp.base.units import E8
from chainperp.chain.engine import Engine, recount
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import (
    ClassTransfer,
    CreateSubAccount,
    ModifyOrders,
    OrderRequest,
    PlaceOrders,
    SendAsset,
    SubAccountSpotTransfer,
)
from chainperp.model.decisions import OrderStatus, Rejection
from chainperp.model.tokens import SPOT_FIRST, USDC_NAME, wire_name
from chainperp.state.store import ASSISTANCE_FUND, LIQUIDITY_VAULT
from tests.oracles.naive_spot import NaiveSpot, Open, Wish
from tests.support.world import RULES, TIFS, Result, World, address_of

TOKEN = wire_name(1, "CHP")
PEOPLE = ("ann", "ben", "cat", "ann/1")
SUPPLY = 10**9
STEPS = 350
RATES = [[0, 700, 400], [2_000_000_000, 600, 300], [20_000_000_000, 250, 0]]


@dataclass
class Both:
    """The engine and the slow market, side by side."""

    draw: Random
    world: World
    slow: NaiveSpot
    trades: int = 0
    kinds: set[str] = field(default_factory=set)

    def amount(self, decimals: int) -> Fraction:
        """Something to send: often more than there is, sometimes nothing or less."""
        steps = self.draw.choice((-1, 0, 1, 10**decimals, self.draw.randrange(3000 * 10**decimals)))
        return Fraction(steps, 10**decimals)

    def wish(self, who: str) -> Wish:
        """An order around a price of one, sometimes off the grid or too small."""
        draw = self.draw
        price = Fraction(draw.randrange(9_980, 10_020), 10**4)
        if draw.random() < 0.3:
            price = Fraction(draw.choice((5, 10, 11, 20)), 10)
        if draw.random() < 0.02:
            price += Fraction(1, 10**5)
        size = Fraction(draw.choice((0, 1000, 1234, draw.randrange(30_000))), 100)
        if draw.random() < 0.02:
            size += Fraction(1, 1000)
        cloid = bytes([draw.randrange(3)]) * 16 if draw.random() < 0.2 else None
        return Wish(who, draw.random() < 0.5, price, size, draw.choice(tuple(TIFS)), cloid)

    def target(self, who: str) -> int | bytes:
        """An order to cancel or replace: mostly one's own that rests."""
        mine: list[Open] = [one for one in self.slow.opened if one.who == who]
        if mine and self.draw.random() < 0.85:
            one = self.draw.choice(mine)
            return one.cloid if one.cloid is not None and self.draw.random() < 0.5 else one.number
        return self.draw.choice((1, self.slow.next_number, b"\x01" * 16))

    def step(self) -> None:
        """One action on both."""
        who = self.draw.choice(PEOPLE)
        dice = self.draw.random()
        self.slow.told = []
        if dice < 0.62:
            self.place(who)
        elif dice < 0.74:
            target = self.target(who)
            self.slow.cancel(who, target)
            self.same_orders(self.world.cancel(who, SPOT_FIRST, target))
        elif dice < 0.84:
            self.modify(who)
        elif dice < 0.9:
            self.shift(who)
        elif dice < 0.97:
            self.send(who)
        else:
            later = self.world.state.time_ms + self.draw.choice((3_600_000, 86_400_000))
            self.world.block(at=later)
            self.world.nonce = later
            self.slow.day = self.world.state.day
        self.same_state()

    def place(self, who: str) -> None:
        wishes = [self.wish(who) for _ in range(self.draw.randrange(1, 4))]
        for one in wishes:
            self.slow.place(one)
        self.same_orders(self.world.act(who, PlaceOrders([request(one) for one in wishes])))

    def modify(self, who: str) -> None:
        target, one, always = self.target(who), self.wish(who), self.draw.random() < 0.5
        self.slow.modify(target, one, always)
        self.same_orders(self.world.act(who, ModifyOrders([(target, request(one))], always)))

    def shift(self, who: str) -> None:
        """Between margin and spot balance, of a sub-account by its master."""
        amount, to_perp = self.amount(6), self.draw.random() < 0.3
        master, _, is_sub = who.partition("/")
        sub = address_of(who) if is_sub else None
        action = ClassTransfer(int(amount * 10**6), to_perp, sub)
        done = self.slow.shift(who, amount, to_perp)
        self.same_answer(self.world.act(master, action, user_signed=True), done)

    def send(self, who: str) -> None:
        """Either token, to anybody or within a family."""
        is_usdc = self.draw.random() < 0.4
        amount = self.amount(6 if is_usdc else 8)
        signed = int(amount * (10**6 if is_usdc else 10**8))
        name = USDC_NAME if is_usdc else TOKEN
        if who == "ann/1" or self.draw.random() < 0.3:
            is_deposit = who != "ann/1"
            ends = ("ann", "ann/1") if is_deposit else ("ann/1", "ann")
            moved = SubAccountSpotTransfer(address_of("ann/1"), is_deposit, signed, name)
            done = self.slow.send(*ends, amount, is_usdc)
            self.same_answer(self.world.act("ann", moved), done)
            return
        to = self.draw.choice(PEOPLE)
        done = self.slow.send(who, to, amount, is_usdc)
        sent = SendAsset(address_of(to), signed, name)
        self.same_answer(self.world.act(who, sent, user_signed=True), done)

    def same_answer(self, result: Result, done: bool) -> None:
        """Accepted by both or by none."""
        assert (result.codes == [Rejection.ACCEPTED]) is done, result.codes
        self.kinds.add(f"moved {done}")

    def same_orders(self, result: Result) -> None:
        """Every decision about an order, in order."""
        found = [
            (one["oid"], OrderStatus(one["status"]).name, Rejection(one["reason"]).name)
            for one in result.orders
        ]
        assert found == self.slow.told
        self.trades += len(result.fills)
        self.kinds.update(f"{status} {reason}" for _, status, reason in found)

    def same_state(self) -> None:
        """All balances, holds and totals; nothing is lost on either side."""
        state, slow = self.world.state, self.slow
        for who in PEOPLE:
            address = address_of(who)
            for token, table, one in ((0, slow.usdc, 10**6), (1, slow.tokens, 10**8)):
                assert state.spot[token].get(address, 0) == table.get(who, 0) * one, (who, token)
                held = slow.held(who, token == 0) * one
                assert state.spot_held(token, address) == held, (who, token)
            assert state.accounts[address].raw == slow.margin.get(who, 0) * 10**6
            orders = sorted(one.number for one in slow.opened if one.who == who)
            assert list(state.accounts[address].orders) == orders
        assert state.tokens[1].burned == slow.burned * 10**8
        fees = sum(state.accounts[one].raw for one in (ASSISTANCE_FUND, LIQUIDITY_VAULT))
        assert fees == slow.fees * 10**6
        last = state.pairs[0].book.price_last
        assert last == (None if slow.last is None else slow.last * 10**4)
        assert sum(state.spot[1].values()) + state.tokens[1].burned == SUPPLY * 10**8
        recount(state)


def request(one: Wish) -> OrderRequest:
    """An order for the engine."""
    return OrderRequest(
        SPOT_FIRST, one.is_buy, E8(int(one.price * 10**8)), E8(int(one.size * 10**8)), False,
        TIFS[one.tif], cloid=one.cloid,
    )  # fmt: skip


def begin(seed: int) -> Both:
    """Four accounts with tokens and USDC, one of them a sub-account; few orders each."""
    limits: dict[str, object] = {
        "spot_fee_tiers": RATES, "sub_account_volume_min": 0, "snapshot_interval": 1,
        "recount_interval": 10, "open_orders_base": 10, "open_orders_max": 10,
    }  # fmt: skip
    world = World(limits, holders={"ann": 5000, "ben": 3000})
    world.fund(ann="9000", ben="9000", cat="9000")
    world.act("ann", CreateSubAccount("desk"))
    tiers = [(Fraction(a, 10**6), Fraction(t, 10**6), Fraction(m, 10**6)) for a, t, m in RATES]
    slow = NaiveSpot(tiers, {"ann/1": "ann"}, orders_max=10)
    slow.margin = {name: Fraction(9000) for name in ("ann", "ben", "cat")}
    slow.tokens = {"ann": Fraction(5000), "ben": Fraction(3000)}
    slow.day = world.state.day
    both = Both(Random(seed), world, slow)
    for name in ("ann", "ben", "cat"):
        world.act(name, ClassTransfer(3000 * 10**6, False), user_signed=True)
        assert slow.shift(name, Fraction(3000), False)
    both.same_state()
    return both


def restored(world: World) -> Engine:
    """The engine as its own snapshot gives it."""
    raw = world.engine.snapshot()
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    engine.restore(raw, world.blocks[-1].entries[-1])
    return engine


def again(world: World) -> Iterator[list[bytes]]:
    """All blocks executed anew."""
    engine = Engine(parse_genesis(world.engine.genesis.raw), RULES)
    yield engine.seal_genesis().entries
    for block in world.inputs:
        yield engine.execute(block).entries


@pytest.mark.parametrize("seed", range(6))
def test_both_markets_agree(seed: int) -> None:
    """Block by block, across snapshots; and a second run gives the same bytes."""
    both = begin(seed)
    for number in range(STEPS):
        both.step()
        if number % 40 == 39:
            both.world.engine = restored(both.world)
            both.same_state()
    assert both.trades > 25
    assert [block.entries for block in both.world.blocks] == list(again(both.world))


def test_the_flow_reaches_every_outcome() -> None:
    """Not vacuous: refusals, partial fills, self-trades and moves of both kinds occur."""
    kinds: set[str] = set()
    for seed in range(10, 14):
        both = begin(seed)
        for _ in range(STEPS):
            both.step()
        kinds |= both.kinds
    assert kinds >= {
        "OPEN ACCEPTED", "FILLED ACCEPTED", "PARTIALLY_FILLED ACCEPTED", "CANCELED IOC_REMAINDER",
        "CANCELED SELF_TRADE", "CANCELED MODIFIED", "CANCELED CANCELED_BY_USER",
        "REJECTED IOC_CANCEL", "REJECTED SPOT_BALANCE", "REJECTED SPOT_MIN_NOTIONAL",
        "REJECTED BAD_ALO_PRICE", "REJECTED CLOID_IN_USE", "REJECTED TOO_MANY_OPEN_ORDERS",
        "REJECTED SIZE_INVALID", "REJECTED SIZE_ZERO", "REJECTED TICK",
        "REQUEST_REFUSED MISSING_ORDER", "REQUEST_REFUSED MODIFY_MISSING",
        "REQUEST_REFUSED MODIFY_INVALID", "moved True", "moved False",
    }  # fmt: skip
