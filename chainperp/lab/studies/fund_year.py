"""S6's year through the engine: one chain per source of refill, the same shocks.

A shock is a thin long that one update of the mark leaves owing the day's deficit; the engine's
insurance account pays first, then the short on the other side (P6). Income reaches the account
before the next shock. The treasury's tokens are sold into bids that are the pool. A million of the
study is a thousand dollars here. The same year in closed form stands beside it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws
from chainperp.lab.token_venue import SELLER, TokenVenue
from chainperp.lab.venue import DOLLAR, USD

ENTRY = 100 * DOLLAR
LOW = 94 * DOLLAR
LEVERAGE = 50
OWED = 40_000
"""Micro-USD that a lot of a thin long owes after the fall: six percent less a margin of two."""
SCALE = 1000 * USD
"""Micro-USD of a million of the study."""
STEP = 0.02


class Source(NamedTuple):
    """How a fund is refilled: millions a day, millions a day while it is below its target, and
    whether the treasury sells."""

    income: float
    below: float = 0.0
    sells: bool = False


class Pool(NamedTuple):
    """Dollars in millions, and tokens of pool and treasury."""

    dollars: float
    tokens: int
    treasury: int


class Shock(NamedTuple):
    """A day and its deficit, in lots of a thin long."""

    day: int
    lots: int

    @property
    def deficit(self) -> float:
        """In millions."""
        return self.lots * OWED / SCALE


@dataclass(slots=True)
class Year:
    """What happened; millions."""

    empty: int = 0
    """Shocks after which the fund had nothing."""
    socialised: float = 0.0
    sold: float = 0.0
    funds: list[float] = field(default_factory=list)
    """After each shock, before anything is refilled."""
    chain: Chain | None = None


def shocks_of(days: int, chance: float, scale: float, alpha: float, seed: int) -> list[Shock]:
    """Pareto deficits on a share of days."""
    draws = Draws(seed, "S6/year")
    found: list[Shock] = []
    for day in range(days):
        if draws.unit() <= chance:
            size = min(scale * draws.pareto(alpha), 1000 * scale)
            found.append(Shock(day, max(1, int(size * SCALE / OWED))))
    return found


def earned(fund: float, source: Source, target: float, days: int) -> float:
    """Income of so many days; what is kept while the fund is short, day by day."""
    total = 0.0
    for _ in range(days):
        total += max(source.income, source.below) if fund + total < target else source.income
    return total


def in_closed_form(
    shocks: list[Shock], source: Source, fund: float, target: float, pool: Pool
) -> Year:
    """The year as arithmetic."""
    year = Year()
    dollars, tokens, left, day = pool.dollars, float(pool.tokens), float(pool.treasury), 0
    for shock in shocks:
        fund += earned(fund, source, target, shock.day - day)
        day = shock.day
        paid = min(fund, shock.deficit)
        fund -= paid
        year.socialised += shock.deficit - paid
        year.empty += fund <= 1e-9
        year.funds.append(fund)
        if source.sells:
            most = dollars * left / (tokens + left)
            raised = min(max(0.0, target - fund), 0.999 * most)
            sold = raised * tokens / (dollars - raised)
            dollars, tokens, left = dollars - raised, tokens + sold, left - sold
            year.sold += raised
            fund += raised
    return year


def through_engine(
    shocks: list[Shock], source: Source, fund: float, target: float, pool: Pool
) -> Year:
    """The same year on a chain."""
    year = Year()
    venue = TokenVenue(
        int(pool.dollars * 1000) + 1000, pool.treasury if source.sells else 1,
        policy_id=600, leverage=LEVERAGE, insurance=int(fund * SCALE),
    )  # fmt: skip
    venue.mark(ENTRY)
    if source.sells:
        lowest = (pool.tokens / (pool.tokens + pool.treasury)) ** 2
        venue.lay(pool.dollars * 1000 / pool.tokens, pool.dollars * 1000, lowest, STEP)
    dollars, tokens, day = pool.dollars, float(pool.tokens), 0
    for number, shock in enumerate(shocks):
        held = venue.insurance / SCALE
        venue.insure(int(earned(held, source, target, shock.day - day) * SCALE))
        day = shock.day
        year.socialised += _shock(venue, number, shock)
        year.empty += venue.insurance <= 0
        year.funds.append(venue.insurance / SCALE)
        if source.sells:
            most = dollars * (left := venue.balance(SELLER, 1) / 10**8) / (tokens + left)
            aim = min(max(0.0, target - venue.insurance / SCALE), 0.999 * most)
            raised, sold = venue.sell(aim * tokens / (dollars - aim))
            dollars, tokens = dollars - raised / 1000, tokens + sold
            # The operator carries the money over: accounts cannot pay into the fund.
            venue.pay(SELLER, "operator", venue.balance(SELLER))
            venue.insure(int(raised * USD))
            year.sold += raised / 1000
    year.chain = venue.evidence()
    return year


def _shock(venue: TokenVenue, number: int, shock: Shock) -> float:
    """One fall; returns what the winner paid, in millions."""
    thin, winner, lots = f"thin{number}", f"winner{number}", shock.lots
    venue.join({thin: lots * USD // LEVERAGE, winner: lots * USD, "operator": USD})
    venue.trade(thin, {winner: -lots}, ENTRY)
    told = venue.mark(LOW)
    paid = sum(sum(one.haircuts.values()) for one in told.rounds)
    venue.mark(ENTRY)
    return paid / SCALE
