"""A round of prices for all markets: each mark follows from what its entries say, nothing else.

The auditor here keeps every market's averages for itself and computes each factor anew, so that
markets which were last priced at other times cannot share what is not theirs.
"""

import random
from collections import defaultdict

import pytest

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.units import E8
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import Kind, rule_number
from chainperp.model.records import SCHEMAS
from chainperp.rules import prices
from tests.support.world import Result, World, order

MARKETS = 3  # BTC, ETH and SOL as they are listed by default
BASE = (60_000, 3_000, 150)
SEEDS = range(4)


def priced_world(seed: int) -> World:
    """Three validators, whose votes are forgotten after a second, and two funded traders."""
    world = World({"oracle_stale_ms": 1_000, "mark_band_bps": 30 + 40 * (seed % 2)}, validators=3)
    world.fund(ann="100000000", ben="100000000")
    return world


def vote_of(world: World, draw: random.Random, validator: int) -> SystemInput:
    """Prices of some markets, some with a price from elsewhere."""
    assets = sorted(draw.sample(range(MARKETS), draw.randint(1, MARKETS)))
    item = world.vote(
        {asset: str(BASE[asset] + draw.randint(-9, 9)) for asset in assets}, validator
    )
    action = item.vote.action  # type: ignore[union-attr]
    action.prices = [  # type: ignore[union-attr]
        (asset, price, E8(price + draw.randint(-5, 5) * 10**8) if draw.random() < 0.4 else None)
        for asset, price, _ in action.prices  # type: ignore[union-attr]
    ]
    return item


def trade(world: World, draw: random.Random) -> Result:
    """An order around the touch; crossing ones give the books a last price."""
    asset = draw.randrange(MARKETS)
    away = draw.randint(-4, 12)
    side = draw.choice(("buy", "sell"))
    price = BASE[asset] - away if side == "buy" else BASE[asset] + away
    return world.place(draw.choice(("ann", "ben")), order(asset, side, "1", str(price)))


class Auditor:
    """Averages and last times by market, from the entries alone."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.basis: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.own: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.priced_at: dict[int, int] = {}
        self.marks: dict[int, int] = {}
        self.met: set[str] = set()

    def check(self, result: Result) -> None:
        """Oracle, mark and inputs stand together, one group for each market, in asset order."""
        triples = [one for one in result.entries if one.kind in (Kind.ORACLE, Kind.MARK,
                                                                 Kind.MARK_INPUTS)]  # fmt: skip
        for entry in triples:
            fields = canonical.decode(SCHEMAS[entry.kind], entry.payload)
            assert canonical.encode(SCHEMAS[entry.kind], fields) == entry.payload
        oracles, marks = result.of(Kind.ORACLE), result.of(Kind.MARK)
        inputs = result.of(Kind.MARK_INPUTS)
        assets = [one["asset"] for one in oracles]
        assert assets == sorted(set(assets))
        for oracle, mark, given in zip(oracles, marks, inputs, strict=True):
            assert oracle["asset"] == mark["asset"] == given["asset"]
            assert oracle["price"] == mark["oracle"] == given["oracle"]
            assert oracle["price"] == self.median(oracle, "price")
            assert (self.median(oracle, "external")) == given["external"]
            self.check_mark(mark, given)

    def median(self, oracle: Record, name: str) -> int | None:
        """PRC-3 over the votes of an entry; of three equal validators two are a quorum."""
        votes = [(one[name], one["validator"], one["power"]) for one in oracle["votes"]]
        voted = [one for one in votes if one[0]]
        power = 3 if name == "price" else len(votes)
        return prices.weighted_median(voted, power)

    def check_mark(self, mark: Record, given: Record) -> None:
        """PRC-4 to PRC-10 over the inputs, with factors that nothing shares."""
        asset, oracle, now = given["asset"], given["oracle"], self.world.state.time_ms
        parameters = self.world.state.parameters
        elapsed = now - self.priced_at.get(asset, now)
        assert given["elapsed_ms"] == elapsed
        bid, ask = given["bid"], given["ask"]
        local = prices.book_price(bid, ask, given["last"])
        if bid is not None and ask is not None:
            decay = prices.decay_factor(elapsed, parameters.ema_basis_tau_ms)
            self.basis[asset] = prices.ema_step(
                *self.basis[asset], bid + ask - 2 * oracle, elapsed, decay
            )
        if local is not None:
            decay = prices.decay_factor(elapsed, parameters.ema_book_tau_ms)
            self.own[asset] = prices.ema_step(*self.own[asset], local, elapsed, decay)
        market = self.world.market(asset)
        assert self.basis[asset] == (market.basis_numerator, market.basis_denominator)
        assert self.own[asset] == (market.book_numerator, market.book_denominator)
        numerator, denominator = self.basis[asset]
        basis = (numerator, 2 * denominator) if denominator else (0, 1)
        average = self.own[asset] if self.own[asset][1] else None
        decimals = market.terms.size_decimals
        middle = prices.mark_price(oracle, basis, local, given["external"], average, decimals)
        bounded = prices.bounded_mark(middle, oracle, parameters.mark_band_bps, decimals)
        assert mark["mark"] == bounded
        assert mark["previous_mark"] == self.marks.get(asset, bounded)
        code = "PRC-4" if bounded == middle else "PRC-10"
        assert given["rule"] == rule_number(code)
        assert (given["ema_book"] is None) == (average is None)
        self.note(given, code)
        self.priced_at[asset], self.marks[asset] = now, bounded

    def note(self, given: Record, code: str) -> None:
        """What the life has met."""
        self.met.add(code)
        for name in ("bid", "last", "external", "ema_book"):
            self.met.add(f"no {name}" if given[name] is None else name)
        missing = [name for name, value in given.items() if value is None]
        self.met.add({(): "all", ("external",): "no external only"}.get(tuple(missing), "gaps"))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_mark_follows_from_its_entries(seed: int) -> None:
    """Votes of several validators, some stale; markets priced at their own times."""
    world, draw = priced_world(seed), random.Random(seed)
    auditor = Auditor(world)
    for _ in range(150):
        if draw.random() < 0.5:
            trade(world, draw)
        voting = draw.sample(range(3), draw.randint(1, 3))
        at = world.state.time_ms + draw.choice((200, 200, 400, 1_500))
        auditor.check(
            world.block(system=[vote_of(world, draw, one) for one in sorted(voting)], at=at)
        )
    names = ("bid", "last", "external", "ema_book")
    optional = {word for name in names for word in (name, f"no {name}")}
    shapes = {"all", "no external only", "gaps"}
    assert auditor.met == optional | shapes | {"PRC-4", "PRC-10"}


def rest_on_both_sides(world: World) -> None:
    """A bid and an ask in each of two markets."""
    step, world.step = world.step, 50
    for asset in (0, 1):
        world.place("ann", order(asset, "buy", "1", str(BASE[asset] - 3)))
        world.place("ben", order(asset, "sell", "1", str(BASE[asset] + 5)))
    world.step = step


def test_a_round_is_of_one_time_but_each_market_of_its_own() -> None:
    """Two markets, priced 200 and 1,000 ms ago, in one round: other factors, other averages."""
    world = priced_world(0)
    auditor = Auditor(world)
    start = world.state.time_ms
    for at, assets in ((1_000, (0, 1)), (1_800, (1,)), (2_000, (0, 1)), (2_200, (0, 1))):
        named = {asset: str(BASE[asset]) for asset in assets}
        votes = [world.vote(named, validator) for validator in range(2)]
        result = world.block(system=votes, at=start + at)
        auditor.check(result)
        if at == 1_000:
            rest_on_both_sides(world)
        if at == 2_000:
            assert [one["elapsed_ms"] for one in result.of(Kind.MARK_INPUTS)] == [1_000, 200]
    assert 0 < world.market(0).basis_denominator != world.market(1).basis_denominator
