"""S7's dynamics: a venue whose fund is refilled by selling its own token, day by day.

Two routes: the constant-product pool in closed form, and the spot book of the engine, in which the
treasury's orders are filled, its dollars are the fund, and deficits are paid out of it.
"""

from math import exp, log
from typing import Final, NamedTuple

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws
from chainperp.lab.token_venue import SELLER, TokenVenue
from chainperp.lab.venue import USD

TARGET: Final = 0.2
"""The fund that the rule keeps, in units of the pool's first depth."""
FEES: Final = 0.01
RUN: Final = 0.3
"""A fall in a day after which people withdraw, and discretion waits."""
STEP: Final = 0.05
"""Of price between two bids of the book that stands for the pool."""
PRICE: Final = 40.0
SPAN: Final = 40
"""Depths of dollars that the market maker has."""
LUNA: Final = ((3, 4.3), (4, 500.0), (5, 18_000.0))
"""Day of May 2022 and supply over the first one's (adl-and-scenarios 9, S7; LUN)."""


class Case(NamedTuple):
    """One cell: shares of the first depth, exponents, and the rule."""

    deficit: float
    reaction: float
    collateral: float
    automatic: bool
    number: int


class Rules(NamedTuple):
    """Days, what discretion sells a day at most and what winners pay first, as shares of depth;
    tokens of the treasury over the pool's."""

    days: int
    daily_cap: float
    winners: float
    treasury: float


class Path:
    """One venue. Amounts in units of the pool's first depth; price 1 at the start."""

    def __init__(self, treasury: float) -> None:
        self.depth = self.price = self.tokens = 1.0
        self.treasury = treasury
        self.fund = TARGET
        self.supply = self.growth = 1.0
        """Supply over the first one, and the most that it has grown in one sale."""

    def settle(self, amount: float) -> None:
        """The fund earns an amount, or owes one when it is negative."""
        self.fund += amount

    def sell(self, wanted: float) -> None:
        """Raise at most `wanted` from the treasury for the fund."""
        most = self.depth * self.treasury / (self.tokens + self.treasury)
        raised = min(wanted, 0.999 * most)
        if raised > 0:
            sold = raised * self.tokens / (self.depth - raised)
            self.took(sold, self.price * ((self.depth - raised) / self.depth) ** 2)
            self.settle(raised)

    def took(self, sold: float, price: float) -> None:
        """Tokens went from the treasury to the pool, which has this price now."""
        self.treasury -= sold
        self.growth = max(self.growth, 1 + sold / self.supply)
        self.supply += sold
        self.price = price

    def moves(self, factor: float, reaction: float) -> None:
        """The price moves by others' trades; they bring the pool back to its ratio at the price."""
        self.price *= factor
        self.depth = max(1e-6, self.price**reaction)
        self.tokens = self.depth / self.price


class BookPath(Path):
    """The same venue on the engine: every sale is an order, every deficit a payment.

    What the fund cannot pay stays owed beside the chain, as it would.
    """

    def __init__(self, treasury: float, pool_usd: int, pool_tokens: int) -> None:
        super().__init__(treasury)
        self.usd, self.whole = pool_usd, pool_tokens
        self.start = pool_usd / pool_tokens
        self.venue = TokenVenue(SPAN * pool_usd, int(treasury * pool_tokens))
        for name in ("traders", "creditors"):
            self.venue.to_spot(name, SPAN * pool_usd)
        self.owed = 0
        self.venue.pay("traders", SELLER, int(TARGET * pool_usd * USD))

    def settle(self, amount: float) -> None:
        """Earned from traders, or paid to creditors as far as there is money; debts first."""
        micro = int(abs(amount) * self.usd * USD)
        if amount >= 0:
            self.venue.pay("traders", SELLER, micro)
        else:
            self.owed += micro
        self._pay_debts()

    def _pay_debts(self) -> None:
        paid = min(self.owed, self.venue.balance(SELLER))
        self.venue.pay(SELLER, "creditors", paid)
        self.owed -= paid
        self.fund = (self.venue.balance(SELLER) - self.owed) / (self.usd * USD)

    def sell(self, wanted: float) -> None:
        """The order of the closed form, into bids that are laid for it."""
        most = self.depth * self.treasury / (self.tokens + self.treasury)
        aim = min(wanted, 0.999 * most)
        if aim <= 0:
            return
        lowest = ((self.depth - aim) / self.depth) ** 2
        scale = self.price * self.start
        factor = self.venue.lay(scale, self.depth * self.usd, lowest, STEP)
        _, sold = self.venue.sell(aim * self.tokens / (self.depth - aim) * self.whole)
        # A bid stands at the geometric mean of its step, whose upper end is the pool's price.
        price = self.venue.bid / self.start / factor**0.5 if sold else self.price
        self.took(sold / self.whole, price or self.price * lowest)
        self._pay_debts()


def follow(path: Path, case: Case, rules: Rules) -> str:
    """How a shock of this size ends: recover, grey or spiral.

    The discretionary rule lets winners pay first, sells no more than its daily cap, and nothing on
    a day after a fall of 30 %. Spiral: the price is below a tenth and the fund is still short.
    Recover: the fund is full.
    """
    draws = Draws(20251010, f"S7/{case.number}")
    winners = 0.0 if case.automatic else min(case.deficit, rules.winners)
    path.settle(-(case.deficit - winners))
    path.price *= exp(-case.deficit)
    fell = case.deficit > RUN
    for _ in range(rules.days):
        before = path.price
        wanted = max(0.0, TARGET - path.fund)
        if not case.automatic:
            wanted = 0.0 if fell else min(wanted, rules.daily_cap * path.depth)
        path.sell(wanted)
        fell = path.price < (1 - RUN) * before
        # Token collateral loses with the price: a new deficit of that share. Then fees, and a run.
        lost = case.collateral * max(0.0, before - path.price)
        lost += 0.02 * path.depth if fell else 0.0
        path.settle(FEES * path.price**case.reaction - lost)
        path.moves(exp(0.04 * (draws.unit() - 0.5)), case.reaction)
        if path.fund >= TARGET:
            return "recover"
    return "spiral" if path.price < 0.1 else "grey"


class Speed(NamedTuple):
    """A sale of a constant number of dollars a day from a day on: the dollars as a share of the
    first depth, the exponent with which depth follows the price, the day, supply by day."""

    share: float
    reaction: float
    start: int
    supply: tuple[float, ...]
    miss: float
    """Sum of squared logarithms of supply over LUNA's."""


def redeemed(share: float, reaction: float, start: int) -> tuple[float, ...]:
    """Supply over the first day's at the end of each day of LUNA's: redemptions of a constant
    number of dollars, paid in new tokens, whatever they are worth."""
    path = Path(treasury=1e12)
    found: list[float] = []
    for day in range(1, LUNA[-1][0] + 1):
        if day >= start:
            path.sell(min(share, 0.999 * path.depth))
            path.moves(1.0, reaction)
        found.append(path.supply)
    return tuple(found)


def calibrated() -> Speed:
    """The redemption that comes nearest to LUNA's three days, over a grid of half percents."""
    found: list[Speed] = []
    for start in (1, 2, 3):
        for tenth in range(-5, 11):
            for share in range(20, 200):
                supply = redeemed(share / 200, tenth / 10, start)
                miss = sum((log(supply[day - 1]) - log(times)) ** 2 for day, times in LUNA)
                found.append(Speed(share / 200, tenth / 10, start, supply, miss))
    return min(found, key=lambda one: one.miss)


def redeemed_in_book(speed: Speed) -> tuple[tuple[float, ...], Chain]:
    """The calibrated redemption through the engine's book."""
    path = BookPath(treasury=19_900.0, pool_usd=450_000_000, pool_tokens=50_000)
    found: list[float] = []
    for day in range(1, LUNA[-1][0] + 1):
        if day >= speed.start:
            path.sell(min(speed.share, 0.999 * path.depth))
            path.moves(1.0, speed.reaction)
        found.append(path.supply)
    return tuple(found), path.venue.evidence()
