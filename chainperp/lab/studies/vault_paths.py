"""S5's paths: people, marks and last prices, run through the engine under given terms.

Source: adl-and-scenarios 9, S5.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.token_venue import TokenVenue
from chainperp.lab.venue import DOLLAR, USD
from chainperp.model.actions import TimeInForce

ENTRY: Final = 100 * DOLLAR
TOKEN: Final = 40.0
SPENT_MS: Final = 1_000
"""The fund may buy each second here: its schedule is not what is studied."""
CHECKS: Final = ("mark", "last price")


class Values(Strict):
    """Percent of maintenance, percent a step, seconds, and runs."""

    thresholds_percent: Annotated[tuple[Percent, ...], Field(min_length=2)] = (30, 45, 67, 80, 100)
    traders: Annotated[int, Field(ge=5, le=500)] = 40
    steps: Annotated[int, Field(ge=5, le=400)] = 60
    step_percent: Annotated[float, Field(gt=0, le=5)] = 0.35
    drift_percent: float = -0.15
    fall_percent: Annotated[int, Field(ge=1, le=100)] = 60
    """Of the steps; in the rest the price comes back."""
    rebounds_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (0, 50, 100)
    """Of the fall, won back; the middle one in all tables but the last."""
    gap_percent: Annotated[float, Field(ge=0, le=20)] = 2.5
    gap_chance_percent: Annotated[float, Field(ge=0, le=100)] = 2.0
    wick_percent: Annotated[float, Field(ge=0, le=20)] = 1.0
    wick_chance_percent: Annotated[float, Field(ge=0, le=100)] = 10.0
    paths: Annotated[int, Field(ge=1, le=200)] = 8
    book_percent: Annotated[int, Field(ge=0, le=100)] = 5
    half_lives_seconds: Annotated[tuple[int, ...], Field(min_length=1)] = (10, 600, 3600)
    pool_usd: Annotated[int, Field(ge=1000, le=10**8)] = 20_000
    supply_pools: Annotated[int, Field(ge=1, le=1000)] = 10
    holdings_percent: Annotated[int, Field(ge=0, le=100)] = 30
    depths_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (0, 1, 2, 5, 10, 20)
    """Bids at each step as a share of open interest, one lot at least: for the book's success."""
    fee_bps: Annotated[float, Field(ge=0, le=100)] = 4.5


class World(NamedTuple):
    """One path before anybody decides: longs with margins, marks, last prices, and the longs whose
    equity falls below zero at some mark: those must be closed by anybody's rule."""

    longs: dict[str, int]
    margins: dict[str, int]
    prices: dict[str, list[int]]
    needed: frozenset[str]


class Terms(NamedTuple):
    """How the venue liquidates: share of maintenance, checked price, routing, unwinding."""

    threshold: int
    check: str = "mark"
    fund_bps: int = 0
    half_life: int = 10


@dataclass(slots=True)
class Sum:
    """Over all paths of a cell, in micro-USD."""

    vault: int = 0
    seized: int = 0
    deficits: int = 0
    rounds: int = 0
    accounts: int = 0
    excess: int = 0
    notional: int = 0
    bought: int = 0
    sold_lots: int = 0
    """Liquidated into the book."""
    taken_lots: int = 0
    through_book: int = 0
    """Notional of liquidations sold into the book, and of what the vault no longer holds at the
    end, at the last mark."""
    price: float = 0.0
    """Sum of the token's price over its first one, at the end of each path."""
    line: list[float] = field(default_factory=list)
    chain: Chain | None = None

    @property
    def profit(self) -> int:
        """Of vault and fund together."""
        return self.vault + self.bought

    @property
    def cost(self) -> int:
        """What traders lost by being taken over, and deficits."""
        return self.seized + self.deficits


def world_of(values: Values, number: int, seed: int, rebound: int) -> World:
    """A path's people and prices: marks walk, drift and gap, and win back a share of the fall; last
    prices have wicks besides."""
    draws = Draws(seed, f"S5/{number}")
    longs = {f"long{k}": draws.whole(100, 20_000) for k in range(values.traders)}
    margins = {n: -(-lots * USD // draws.whole(10, 40)) for n, lots in longs.items()}
    prices: dict[str, list[int]] = {check: [] for check in CHECKS}
    price, drift = float(ENTRY), values.drift_percent
    falling = values.steps * values.fall_percent // 100
    for step in range(values.steps):
        if step == falling:
            won = 1 + (ENTRY - price) / price * rebound / 100
            drift = (won ** (1 / (values.steps - falling)) - 1) * 100
        moved = drift + values.step_percent * 3.46 * (draws.unit() - 0.5)
        has_gap = draws.unit() * 100 < values.gap_chance_percent
        moved -= values.gap_percent if has_gap and step < falling else 0
        price *= 1 + moved / 100
        wick = draws.unit() * values.wick_percent
        wick = wick if draws.unit() * 100 < values.wick_chance_percent else 0.0
        prices["mark"].append(int(price) // 100 * 100)
        prices["last price"].append(int(price * (1 - wick / 100)) // 100 * 100)
    fall = ENTRY - min(prices["mark"])
    needed = frozenset(name for name, lots in longs.items() if lots * fall > margins[name])
    return World(longs, margins, prices, needed)


def venue_of(values: Values, world: World, terms: Terms) -> TokenVenue:
    """The venue with everybody's positions, and the pool's offers of the token."""
    tokens = int(values.pool_usd / TOKEN)
    venue = TokenVenue(
        values.pool_usd, 1, tokens, policy_id=600, leverage=40, vault=10**7 * USD,
        backstop_numerator=terms.threshold, backstop_denominator=100,
        unwind_half_life_ms=terms.half_life * 1000, unwind_interval_ms=1000,
        liquidation_fund_bps=terms.fund_bps, buyback_interval_ms=SPENT_MS,
        buyback_depth_bps=10_000, buyback_balance_min=USD, buyback_value_min=USD,
    )  # fmt: skip
    if terms.fund_bps:
        venue.offer(TOKEN, values.pool_usd, 1.5, 0.002)
        # One trade, so that the pair has a last price.
        venue.to_spot("first buyer", 1000)
        venue.buy("first buyer", 1)
    venue.mark(ENTRY)
    venue.join({"book": 10 * sum(world.longs.values()) * USD})
    venue.join(world.margins)
    venue.trade("book", world.longs, ENTRY)
    return venue


def one_path(values: Values, world: World, terms: Terms, into: Sum) -> None:
    """One path through the engine."""
    venue = venue_of(values, world, terms)
    start, first = venue.value("vault"), venue.ask
    size = max(1, sum(world.longs.values()) * values.book_percent // 100)
    line, before = [1.0], into.taken_lots
    for checked, price in zip(world.prices[terms.check], world.prices["mark"], strict=True):
        bid = price * 995 // 1000 // 100 * 100
        venue.block([venue.order("book", size, bid, TimeInForce.GTC)])
        now = venue.engine.state.markets[0].mark
        held = {
            name: venue.value(name) + venue.lots(name) * (checked - now) for name in world.longs
        }
        told = venue.mark(checked)
        for name, lots in told.taken.items():
            into.seized += max(0, held[name])
            into.accounts += 1
            into.excess += name not in world.needed
            into.notional += lots * checked
        into.sold_lots += sum(told.sold.values())
        into.taken_lots += sum(told.taken.values())
        into.through_book += sum(told.sold.values()) * checked
        into.rounds += len(told.rounds)
        into.deficits += told.drawn + told.owed
        into.deficits += sum(sum(one.haircuts.values()) for one in told.rounds)
        line.append(venue.ask / first if first else 1.0)
    # What is still held is worth the mark, not the last print.
    last = world.prices["mark"][-1]
    venue.mark(last)
    into.through_book += (into.taken_lots - before - venue.lots("vault")) * last
    if terms.fund_bps:
        while venue.fund >= 2 * USD and line[-1] != venue.ask:
            line.append(venue.ask)
            venue.block()
        line[values.steps + 1 :] = [venue.ask / first]
    into.vault += venue.value("vault") - start
    into.bought += venue.spent
    into.price += line[-1]
    into.line, into.chain = line, venue.evidence()


def cell(values: Values, worlds: list[World], terms: Terms) -> Sum:
    """All paths under the same terms."""
    into = Sum()
    for world in worlds:
        one_path(values, world, terms, into)
    return into
