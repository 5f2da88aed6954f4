"""S11's run: who leaves, hour by hour, under four rules of withdrawal; then everything is cleared.

Day 0 comes from the engine: each venue's fall with its exempt winners gives the haircuts and the
hole. Then exempt firms ask for all at once and stay out; others leave at a pace once their own
venue paid less than it owed, or once any venue halted. A venue pays from liquid assets, then sells
the rest in haste; one that cannot pay halts. Traders frozen there cannot top up elsewhere: a second
round. At the end what is left is cleared with the credit lines, and with an outside lender's loans.
The issuer's holders redeem on a curve meanwhile, so what it has lying at venues is asked for as
well. Amounts are millions of USD.
Source: adl-and-scenarios 11.1, 11.4; DYD for the limits, PDX for the haircut on leavers.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from chainperp.lab.chain import Chain
from chainperp.lab.clearing import Debt, System, clear
from chainperp.lab.venue import DOLLAR, USD, Venue, spread

FREE: Final = "free"
LIMIT: Final = "rate limit"
LEAVERS: Final = "haircut on leavers"
WAIT: Final = "haircut on leavers, who then wait"
HALT: Final = "halt"
RULES: Final = (FREE, LIMIT, LEAVERS, WAIT, HALT)
HOURS: Final = 72
MICRO: Final = 10**12
"""Micro-USD of a million, for the clearing."""
HOLDERS: Final = 20
"""Winning accounts of a venue on the engine, so that exempt shares go in steps of 5 %."""
SCALE: Final = 1000
"""A thousand lots of a dollar for a million."""
HOURLY: Final = (0.01, 1.0)
DAILY: Final = (0.10, 10.0)
"""dYdX: at most so much of all deposits, or so many millions if that is more."""
BYBIT: Final = 1 - (2 / 3) ** (1 / 24)
"""An hour's share of those who leave, so that a third is gone in a day."""
LENDER: Final = "lender"
TWO_DAYS: Final = 48
KINDS: Final = ("exempt", "others", "issuer")
"""Who a venue owes: exempt firms, other users, the issuer for its holders."""


def redeemed_hourly(percent: float) -> float:
    """An hour's share of what holders still have, so that `percent` is redeemed in two days.

    >>> round(1 - (1 - redeemed_hourly(13)) ** 48, 9)
    0.13
    """
    return float(1 - (1 - percent / 100) ** (1 / TWO_DAYS))


class Terms(NamedTuple):
    """One experiment. Shares in percent by venue, amounts in millions."""

    exempt: tuple[int, ...]
    open_interest: tuple[int, ...]
    cash: tuple[int, ...]
    funds: tuple[int, ...]
    missing_elsewhere: tuple[float, ...]
    """What a custodian does not hand over."""
    credit: int
    fall_percent: int
    margin_percent: int
    thin_percent: int
    equity_permille: int
    rule: str = FREE
    liquid_percent: int = 60
    haste_percent: int = 90
    """Kept of what is sold in haste."""
    wound_up_percent: int = 85
    """Kept of what a halted venue still has."""
    frozen_percent: int = 20
    second_gap_percent: int = 5
    redeem_percent: float = 0.0
    """Of the issuer's debt in two days; its holders' money at each venue is `at_venues`."""
    at_venues: tuple[float, ...] = ()
    loans: int = 0
    """Of an outside lender to each venue."""
    is_lender_last: bool = False
    """Whether users come before lenders, venues with their lines among them."""


class Day(NamedTuple):
    """A venue after day 0: taken from non-exempt winners, and what nobody covered."""

    haircuts: float
    hole: float


def day_zero(terms: Terms, place: int) -> tuple[Day, Chain]:
    """A venue's fall through the engine: thin longs, solid ones, equal shorts, the first of them
    exempt; the fund pays, then winners in proportion (P6), then nobody."""
    side = terms.open_interest[place] * SCALE // 2
    thin = side * terms.thin_percent // 100
    names = [f"short{number}" for number in range(HOLDERS)]
    shorts = {name: -lots for name, lots in spread(side, names).items()}
    venue = Venue(policy_id=600, leverage=50, insurance=terms.funds[place] * SCALE * USD)
    entry = 100 * DOLLAR
    venue.mark(entry)
    venue.join({name: -lots * USD for name, lots in shorts.items()})
    venue.join({"thin": thin * USD * terms.margin_percent // 100, "solid": side * USD,
                "book": 2 * side * USD})  # fmt: skip
    venue.trade("book", shorts, entry)
    venue.trade("book", {"thin": thin, "solid": side - thin}, entry)
    venue.exempt(names[: HOLDERS * terms.exempt[place] // 100])
    told = venue.mark(entry * (100 - terms.fall_percent) // 100)
    taken = sum(sum(one.haircuts.values()) for one in told.rounds)
    hole = told.owed + max(0, -venue.value("thin"))
    return Day(taken / SCALE / USD, hole / SCALE / USD), venue.evidence()


def day_zero_closed(terms: Terms, place: int) -> Day:
    """The same in closed form: losses beyond margin and fund, then what winners can pay."""
    side = terms.open_interest[place] / 2
    short = side * terms.thin_percent / 100 * (terms.fall_percent - terms.margin_percent) / 100
    missing = max(0.0, short - terms.funds[place])
    able = side * terms.fall_percent / 100 * (100 - terms.exempt[place]) / 100
    taken = min(missing, able)
    return Day(taken, missing - taken)


@dataclass(slots=True)
class House:
    """One venue during the run."""

    name: str
    liquid: float
    slow: float
    owed: dict[str, float]
    is_alarmed: bool
    short: float = 0.0
    """P16's X: what bankrupt accounts left beyond the fund, still to be had from leavers."""
    halted: int | None = None
    lost: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))
    gone: float = 0.0
    paid_today: float = 0.0

    @property
    def claims(self) -> float:
        """What users are still owed."""
        return sum(self.owed.values())

    def lose(self, amount: float) -> None:
        """A loss of assets, liquid ones first."""
        first = min(self.liquid, amount)
        self.liquid -= first
        self.slow = max(0.0, self.slow - (amount - first))


@dataclass(frozen=True, slots=True)
class Ran:
    """Where it ended."""

    first: float
    classes: dict[str, float]
    halts: tuple[tuple[str, int], ...]
    out_in_a_day: float
    """Share of all users' claims that left within 24 hours."""

    @property
    def total(self) -> float:
        """All losses, wherever they were borne."""
        return sum(self.classes.values())

    @property
    def amplification(self) -> float:
        """Total over first loss."""
        return self.total / self.first if self.first else 1.0


def simulate(terms: Terms, days: list[Day], holders: float = 0.0) -> Ran:
    """The run after these days 0; `holders` is what the issuer's holders bear already."""
    houses: list[House] = []
    first = holders
    haircuts = 0.0
    for place, day in enumerate(days):
        elsewhere = terms.missing_elsewhere[place]
        missing = day.haircuts + day.hole + elsewhere
        first += missing
        taken = 0.0
        if terms.rule not in (LEAVERS, WAIT):
            taken = min(missing, day.haircuts + elsewhere, day_able(terms, place))
        haircuts += taken
        liquid = terms.cash[place] * terms.liquid_percent / 100
        houses.append(House(
            f"venue {place + 1}", liquid + terms.loans, terms.cash[place] - liquid,
            _owed(terms, place), missing > 0,
            missing - taken if terms.rule in (LEAVERS, WAIT) else 0.0,
        ))  # fmt: skip
        houses[-1].lose(missing - taken)
    # A credit line was drawn: the debtor has the money, and owes it.
    before = sum(house.claims for house in houses)
    out = 0.0
    for hour in range(HOURS):
        _hour(terms, houses, hour)
        if hour == 23:
            out = sum(house.gone for house in houses) / before
    for house in houses:
        _last_haircut(house)
    return _settled(terms, houses, (first, haircuts, holders), out)


def _owed(terms: Terms, place: int) -> dict[str, float]:
    """Claims on a venue by kind; what the issuer has there is part of what users have."""
    users = terms.cash[place] * (1 - terms.equity_permille / 1000)
    others = users * (100 - terms.exempt[place]) / 100
    issuer = min(others, terms.at_venues[place]) if terms.at_venues else 0.0
    return {"exempt": users * terms.exempt[place] / 100, "others": others - issuer,
            "issuer": issuer}  # fmt: skip


def _last_haircut(house: House) -> None:
    """P16 has no end of its own: who is still there after the run bears what leavers left."""
    rest = min(house.short, house.claims) if house.halted is None else 0.0
    if rest > 0:
        share = rest / house.claims
        for kind in KINDS:
            house.lost[kind] += house.owed[kind] * share
            house.owed[kind] *= 1 - share


def day_able(terms: Terms, place: int) -> float:
    """What non-exempt winners of a venue gained, which is all that can be taken from them."""
    side = terms.open_interest[place] / 2
    return side * terms.fall_percent / 100 * (100 - terms.exempt[place]) / 100


def _hour(terms: Terms, houses: list[House], hour: int) -> None:
    is_panic = any(house.halted is not None for house in houses)
    for place, house in enumerate(houses):
        if hour % 24 == 0:
            house.paid_today = 0.0
        if house.halted is not None:
            continue
        if terms.rule == HALT and house.is_alarmed:
            _halt(terms, houses, place, hour)
            continue
        is_waiting = terms.rule == WAIT and house.short > 0
        leaves = (house.is_alarmed or is_panic) and not is_waiting
        leaving = house.owed["others"] * BYBIT if leaves else 0.0
        if not _serve(terms, house, leaving):
            _halt(terms, houses, place, hour)


def _serve(terms: Terms, house: House, leaving: float) -> bool:
    """Pay who asks this hour; False when the venue cannot. Exempt firms ask for all, and are first
    where service is in order; a limit serves all alike."""
    redeemed = house.owed["issuer"] * redeemed_hourly(terms.redeem_percent)
    asked = {"exempt": house.owed["exempt"], "others": leaving, "issuer": redeemed}
    total = sum(asked.values())
    share = 1.0
    if terms.rule == LIMIT and total > 0:
        hourly = max(HOURLY[0] * house.claims, HOURLY[1])
        daily = max(DAILY[0] * house.claims, DAILY[1]) - house.paid_today
        share = min(1.0, max(0.0, min(hourly, daily)) / total)
    factor = 0.0
    if terms.rule in (LEAVERS, WAIT) and house.claims > 0:
        factor = min(1.0, house.short / house.claims)
    for kind, amount in asked.items():
        leaves = amount * share
        due = leaves * (1 - factor)
        if not _pay(terms, house, due):
            return False
        house.lost[kind] += leaves - due
        house.short = max(0.0, house.short - (leaves - due))
        house.gone += leaves
        house.paid_today += leaves
        house.owed[kind] -= leaves
    return True


def _pay(terms: Terms, house: House, due: float) -> bool:
    """From liquid assets, then by selling the others in haste."""
    keep = terms.haste_percent / 100
    if due > house.liquid + house.slow * keep:
        return False
    first = min(due, house.liquid)
    house.liquid -= first
    house.slow -= (due - first) / keep
    return True


def _halt(terms: Terms, houses: list[House], place: int, hour: int) -> None:
    """A venue stops; its traders cannot top up elsewhere, where books are as thin as the share of
    exempt firms that left them."""
    houses[place].halted = hour
    for other, house in enumerate(houses):
        if house.halted is None:
            thin = terms.open_interest[other] / 2 * terms.thin_percent / 100
            gap = terms.second_gap_percent / 100 / (1 - min(90, terms.exempt[other]) / 100)
            house.lose(thin * terms.frozen_percent / 100 * gap / len(houses))


def _books(terms: Terms, houses: list[House]) -> System:
    """What venues have left, and owe to users, to each other and to an outside lender."""
    assets: dict[str, int] = {}
    keep: dict[str, tuple[int, int]] = {}
    debts: list[Debt] = []
    line = terms.credit * MICRO
    names = [house.name for house in houses]
    for house, lender in zip(houses, names[1:] + names[:1], strict=True):
        assets[house.name] = int((house.liquid + house.slow) * MICRO)
        keep[house.name] = (terms.wound_up_percent, 100)
        for kind, amount in house.owed.items():
            who = f"{house.name} {kind}"
            assets[who] = 0
            debts.append(Debt(house.name, who, int(amount * MICRO), terms.is_lender_last))
        if line:
            debts.append(Debt(house.name, lender, line))
        if terms.loans:
            debts.append(Debt(house.name, LENDER, terms.loans * MICRO))
    if terms.loans:
        assets[LENDER] = 0
    return System(assets, tuple(debts), keep)


def _settled(
    terms: Terms, houses: list[House], before: tuple[float, float, float], out: float
) -> Ran:
    """Clear what is left with the ring of credit lines."""
    first, haircuts, holders = before
    system = _books(terms, houses)
    done = clear(system)
    lost = dict.fromkeys((*KINDS, LENDER), 0.0)
    failed: dict[str, None] = {}
    for debt, amount in zip(system.debts, done.payments, strict=True):
        kind = debt.creditor.rpartition(" ")[2]
        if kind in lost:
            lost[kind] += (debt.amount - amount) / MICRO
        if amount < debt.amount:
            failed[debt.debtor] = None
    owners = 0.0
    for place, house in enumerate(houses):
        had = terms.cash[place] * terms.equity_permille / 1000
        owners += max(0.0, had - max(0, done.left[house.name]) / MICRO)
    for house in houses:
        for kind in KINDS:
            lost[kind] += house.lost[kind]
    classes = {"exempt users": lost["exempt"], "other users": lost["others"] + haircuts,
               "issuer's holders": holders + lost["issuer"], "owners": round(owners, 6),
               "outside lender": lost[LENDER]}  # fmt: skip
    halts = [(h.name, HOURS if h.halted is None else h.halted) for h in houses
             if h.halted is not None or h.name in failed]  # fmt: skip
    return Ran(first, classes, tuple(sorted(halts, key=lambda row: (row[1], row[0]))), out)
