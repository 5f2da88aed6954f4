"""S10: margin at a custodian: who bears a refusal, in each state of the law.

An issuer's collateral of `pledged` stays at a custodian; a venue shows a mirrored balance; profit
and loss is settled every few hours. When a party fails between settlements, v is open. State A: the
custodian may refuse, the venue's users bear v. B: it must pay, the issuer's holders bear it. S: the
two share it. D: both books count the same dollars: reported, never cleared. Walking away when v is
owed is an option worth N sigma sqrt(h) / sqrt(2 pi) a cycle. The venue's book is the engine's: an
issuer with a mirrored balance against the venue's users, settled after each move but the last.
Source: adl-and-scenarios 9, S10.
"""

from math import pi, sqrt
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from chainperp.base.errors import BadRequest
from chainperp.lab.chain import Chain
from chainperp.lab.clearing import Debt, Pool, System, clear, open_ledger
from chainperp.lab.draws import generator
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.scenario import Move, Strict
from chainperp.lab.venue import DOLLAR, USD, Venue

TITLE: Final = "Collateral at a custodian: who bears a refusal"
ENTRY: Final = 100 * DOLLAR
HOURS_A_YEAR: Final = 365 * 24
STATES: Final = ("A", "B", "S", "D")


class Values(Strict):
    """Money in USD, volatility in percent a year, hours between settlements."""

    notional_usd: Annotated[int, Field(ge=1)] = 1_000_000_000
    move_percent: Annotated[int, Field(ge=1, le=100)] = 1
    volatility_percent: Annotated[float, Field(gt=0, le=1000)] = 80.0
    hours: Annotated[tuple[float, ...], Field(min_length=1)] = (2.0, 4.0, 8.0, 24.0)
    settled_percent: tuple[Move, ...] = (2, 3)
    """Moves against the issuer and back to it by turns, each settled before the last one."""
    share_percent: Annotated[int, Field(ge=0, le=100)] = 50
    posted_usd: Annotated[int, Field(ge=0)] = 0
    paths: Annotated[int, Field(ge=1000, le=10_000_000)] = 400_000


def option_value(notional: float, volatility: float, hours: float) -> float:
    """Worth of walking away at one settlement: N sigma sqrt(h) / sqrt(2 pi).

    >>> [round(option_value(1e9, 0.8, h) / 1e6, 2) for h in (2, 4, 8, 24)]
    [4.82, 6.82, 9.64, 16.7]
    """
    return notional * volatility * sqrt(hours / HOURS_A_YEAR) / sqrt(2 * pi)


def losses(state: str, open_amount: int, share_percent: int, posted: int) -> dict[str, int]:
    """Who bears what the issuer owes and the custodian does or does not pay, in micro-USD.

    The venue's own collateral at the custodian, `posted`, is paid out to the issuer first when the
    venue is the one that fails; here the issuer owes, so it does not help.
    """
    paid = {"A": 0, "B": open_amount, "S": open_amount * share_percent // 100, "D": open_amount}
    system = System(
        {"issuer": paid[state], "venue": 0, "users": 0},
        (Debt("issuer", "venue", open_amount), Debt("venue", "users", open_amount)),
    )
    cleared = clear(system)
    users = open_amount - cleared.received(system, "users")
    return {"venue's users": users, "issuer's holders": cleared.paid(system, "issuer")}


class Booked(NamedTuple):
    """The venue's book when the issuer fails, in micro-USD."""

    claims: int
    """Of the venue's users, as the engine has them."""
    backing: int
    """What the venue holds for them: their deposits, and what was settled so far."""
    moved: int
    """Settled in all, either way."""
    chain: Chain


def booked(values: Values) -> Booked:
    """The engine's book: users long against the issuer, whose balance only mirrors the custodian's;
    the last move is not settled."""
    venue = Venue(policy_id=600, leverage=10)
    venue.mark(ENTRY)
    # The exchange limits an order's value: a large book is kept in thousands.
    scale = 1000 if values.notional_usd % 1000 == 0 else 1
    notional = values.notional_usd // scale
    venue.join({"issuer": notional * USD, "users": notional * USD})
    venue.trade("issuer", {"users": notional}, ENTRY)
    backing, moved, price = notional * USD, 0, ENTRY
    against = [move * (-1 if place % 2 else 1) for place, move in enumerate(values.settled_percent)]
    for move in against:
        price += ENTRY * move // 100
        before = venue.value("users")
        venue.mark(price)
        settled = venue.value("users") - before
        backing += settled
        moved += abs(settled)
    venue.mark(price + ENTRY * values.move_percent // 100)
    claims = venue.value("users")
    return Booked(claims * scale, backing * scale, moved * scale, venue.evidence())


def book_table(values: Values, found: Booked) -> tuple[Table, bool]:
    """What users miss in each state, from the engine's book and from the clearing."""
    open_amount = values.notional_usd * USD * values.move_percent // 100
    rows: list[list[Cell]] = []
    same = True
    for state in STATES[:-1]:
        borne = losses(state, open_amount, values.share_percent, 0)
        missing = found.claims - found.backing - borne["issuer's holders"]
        same = same and missing == borne["venue's users"]
        rows.append([state, found.claims / USD, found.backing / USD, found.moved / USD,
                     borne["issuer's holders"] / USD, missing / USD,
                     borne["venue's users"] / USD])  # fmt: skip
    columns = ["state", "users' claims, engine (USD)", "held for them (USD)",
               "settled before (USD)", "custodian pays (USD)", "users miss, engine (USD)",
               "users miss, clearing (USD)"]  # fmt: skip
    return Table("book", "The venue's book when the issuer fails between settlements", columns,
                 rows), same  # fmt: skip


def run(values: Values, seed: int) -> Outcome:
    """All four states, the option, and the ledger that refuses."""
    pledged = values.notional_usd * USD
    open_amount = pledged * values.move_percent // 100
    rows: list[list[Cell]] = []
    sums: dict[str, int] = {}
    twice = 0
    refusal = ""
    for state in STATES:
        found = losses(state, open_amount, values.share_percent, values.posted_usd * USD)
        # In D the issuer's holders are told that they have lost nothing.
        claims = {"issuer": pledged - found["issuer's holders"], "venue": open_amount}
        if state == "A":
            claims["venue"] = 0
        if state == "S":
            claims["venue"] = found["issuer's holders"]
        if state == "D":
            claims["issuer"] = pledged
        pool = Pool(f"custody ({state})", pledged, claims)
        if state == "D":
            twice = pool.counted_twice
        else:
            sums[state] = sum(found.values())
        try:
            open_ledger([pool])
            started = "yes"
        except BadRequest as error:
            started, refusal = "refused", str(error)
        borne = {name: 0 if state == "D" else amount for name, amount in found.items()}
        rows.append(
            [state, open_amount / USD, *(amount / USD for amount in borne.values()),
             pool.counted_twice / USD, started]
        )  # fmt: skip
    columns = ["state", "open between settlements (USD)", "borne by the venue's users (USD)",
               "borne by the issuer's holders (USD)", "counted twice (USD)",
               "ledger starts"]  # fmt: skip
    ledger = booked(values)
    book, agrees = book_table(values, ledger)
    outcome = Outcome(
        tables=[
            Table("states", f"A move of {values.move_percent} % on "
                  f"{values.notional_usd:,} USD", columns, rows),
            _options(values, seed),
            book,
        ],
        chains={"the venue's book": ledger.chain},
        figures=[_figure(values)],
        assumed={"U13": "which state applies, what the venue posts and who decides: all four run"},
        notes=[f"State D: {refusal}."],
    )  # fmt: skip
    same = len(set(sums.values())) == 1 and twice == open_amount and agrees
    outcome.verdicts = [
        verdict(
            "C21",
            same,
            f"in states A, B and S the sum of losses is the same {open_amount / USD:,.0f} USD and "
            f"every dollar has one bearer; in D the books claim {twice / USD:,.0f} USD more than "
            "the pool has, exactly what is open, and the ledger does not start; the engine's book "
            "of the venue misses the same, only what moved since the last settlement",
            "collateral that the venue posts for its own failure; it protects the issuer only",
        )
    ]
    return outcome


def _options(values: Values, seed: int) -> Table:
    """The option's worth: formula and Monte Carlo."""
    import numpy as np

    rows: list[list[Cell]] = []
    for hours in values.hours:
        exact = option_value(values.notional_usd, values.volatility_percent / 100, hours)
        deviation = values.volatility_percent / 100 * sqrt(hours / HOURS_A_YEAR)
        moves = generator(seed, f"S10/{hours}").standard_normal(values.paths) * deviation
        owed = np.maximum(-moves, 0.0) * values.notional_usd
        mean, error = float(owed.mean()), float(owed.std() / sqrt(values.paths))
        rows.append([hours, exact, mean, error, (mean - exact) / error,
                     max(0.0, exact - values.posted_usd)])  # fmt: skip
    columns = ["hours between settlements", "worth a cycle, formula (USD)", "simulated (USD)",
               "standard error (USD)", "difference (standard errors)",
               "after what the venue posts (USD)"]  # fmt: skip
    return Table("option", "The right to walk away", columns, rows)


def _figure(values: Values) -> Figure:
    hours = [0.5 * step for step in range(1, 97)]
    worth = [
        option_value(values.notional_usd, values.volatility_percent / 100, one) / 1e6
        for one in hours
    ]
    return Figure(
        name="option",
        title="Worth of walking away at one settlement",
        x="hours between settlements",
        y="million USD",
        series=[Series(f"{values.volatility_percent:g} % a year", hours, worth)],
    )
