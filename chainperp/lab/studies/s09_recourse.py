"""S9: a large account that is never liquidated, and refuses to pay.

All worlds run on the engine. Without the exemption the account is sold or taken over at
maintenance, and customers lose nothing, or winners pay. The engine spares nobody; an operator who
wants to must book a guarantee as money: credits that keep the account above maintenance, backed by
nothing, until a day on which it refuses. Then its margin in the venue's own token is sold in the
spot book, raises less than it was counted for, and the hole grows. Closed form beside it. Figures
follow the record of CoinFLEX, 2022, whose customer denies the debt.
Source: adl-and-scenarios 9, S9.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from chainperp.base.errors import ensure
from chainperp.lab.chain import Chain
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.token_venue import TokenVenue
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.model.actions import TimeInForce

TITLE: Final = "A large account that is never liquidated, and refuses to pay"
ENTRY: Final = 100 * DOLLAR
TOKEN: Final = 4.3
"""Dollars of the venue's token before it was sold: FLEX on 23 June 2022."""


class Values(Strict):
    """Millions of USD and percent."""

    position: Annotated[int, Field(ge=1)] = 140
    margin_percent: Annotated[int, Field(ge=5, le=100)] = 36
    token_share_percent: Annotated[int, Field(ge=0, le=100)] = 40
    fall_percent: Annotated[int, Field(ge=5, le=95)] = 70
    hole: Annotated[int, Field(ge=1)] = 47
    token_loss: Annotated[int, Field(ge=0)] = 37
    liabilities: Annotated[tuple[int, ...], Field(min_length=1)] = (5, 7, 10)
    recovery_percent: tuple[Percent, ...] = (0, 15, 30)
    discount_percent: Annotated[int, Field(ge=0, le=100)] = 20
    steps: Annotated[int, Field(ge=2, le=100)] = 35
    refuse_percent: tuple[Percent, ...] = (0, 50, 100)


def _enter(venue: Venue, values: Values) -> tuple[int, dict[str, int]]:
    """The large position and the ten shorts against it: its lots, and theirs by name."""
    venue.mark(ENTRY)
    lots = values.position * 1000
    venue.join({"large": lots * USD * values.margin_percent // 100})
    shorts = {f"short{k}": -lots // 10 for k in range(10)}
    venue.join({name: 2 * -size * USD for name, size in shorts.items()})
    venue.trade("large", shorts, ENTRY)
    return lots, shorts


def without_exemption(values: Values, has_book: bool) -> dict[str, Any]:
    """The same fall through the engine, the account treated like any other; a lot is 1,000 USD."""
    venue = Venue(policy_id=600, leverage=5)
    lots, shorts = _enter(venue, values)
    if has_book:
        venue.join({"buyer": 4 * lots * USD})
    before = venue.values(shorts)
    paid = 0
    for step in range(1, values.steps + 1):
        price = ENTRY - ENTRY * values.fall_percent * step // (100 * values.steps)
        price = price // 100 * 100
        if has_book and venue.lots("large"):
            bid = price * 99 // 100 // 100 * 100
            venue.block([venue.order("buyer", venue.lots("large"), bid, TimeInForce.GTC)])
        now = venue.engine.state.markets[0].mark
        due = {n: venue.value(n) + venue.lots(n) * (price - now) for n in shorts}
        venue.mark(price)
        paid += sum(max(0, due[n] - venue.value(n)) for n in shorts)
    return {
        "hole": max(0, -venue.value("large")) + max(0, -venue.insurance),
        "winners": paid,
        "left": venue.lots("large"),
        "gains": sum(venue.value(n) - before[n] for n in shorts),
        "evidence": venue.evidence(),
    }


@dataclass(slots=True)
class Guaranteed:
    """The world with the exemption, on the engine. Micro-USD, a lot is 1,000 USD of the record."""

    credited: int
    """Booked by the operator with nothing behind it."""
    holes: list[int]
    """Unbacked credits less what the account is worth, after each step."""
    raised: float
    """By the sale of the venue's token, in USD."""
    token_price: float
    """After the sale, over the one before."""
    chain: Chain


def with_guarantee(values: Values, ledger: dict[str, float]) -> Guaranteed:
    """The fall with an operator who credits what the account needs not to be liquidated."""
    tokens = int(ledger["nominal"] * 1000 / TOKEN)
    venue = TokenVenue(int(ledger["nominal"] * 1000) + 10_000, tokens, policy_id=600, leverage=5)
    lots, _ = _enter(venue, values)
    credited = 0
    holes: list[int] = []
    for step in range(1, values.steps + 1):
        price = ENTRY - ENTRY * values.fall_percent * step // (100 * values.steps)
        price = price // 100 * 100
        now = venue.engine.state.markets[0].mark
        worth = venue.value("large") + lots * (price - now)
        # Maintenance is a tenth of the position at five times leverage; a little more is booked.
        missing = lots * price * 11 // 100 - worth
        if missing > 0:
            venue.join({"large": missing})
            credited += missing
        told = venue.mark(price)
        ensure(venue.lots("large") == lots and not told.rounds, "INV-0", "it was liquidated")
        holes.append(max(0, credited - venue.value("large")))
    depth = ledger["depth"] * 1000
    raised, price_after = ledger["nominal"] * 1000, 1.0
    if depth:
        lowest = (depth / (depth + ledger["nominal"] * 1000)) ** 2
        factor = venue.lay(TOKEN, depth, lowest, 0.1)
        raised, _ = venue.sell(tokens)
        price_after = venue.bid / TOKEN / factor**0.5
    return Guaranteed(credited, holes, raised, price_after, venue.evidence())


def with_exemption(values: Values) -> dict[str, float]:
    """The closed form: what the account owes at the end before and after its token is sold.

    The token was counted at `token_loss` more than a sale raises: the pool's depth X follows from
    that, X = q (q - loss) / loss for a nominal q.
    """
    margin = values.position * values.margin_percent / 100
    loss = values.position * values.fall_percent / 100
    # The record gives the hole with the token still counted; the rest of the loss was paid in.
    paid_in = max(0.0, loss - margin - values.hole)
    nominal = max(values.token_loss + 1.0, margin * values.token_share_percent / 100)
    depth = nominal * (nominal - values.token_loss) / values.token_loss if values.token_loss else 0
    raised = depth * nominal / (depth + nominal) if depth else nominal
    return {
        "before": loss - margin - paid_in,
        "after": loss - margin - paid_in + nominal - raised,
        "nominal": nominal,
        "raised": raised,
        "depth": depth,
        "paid in": paid_in,
    }


def run(values: Values, seed: int) -> Outcome:
    """Both worlds, and what customers get back."""
    plain = {name: without_exemption(values, book) for name, book in
             (("sold into a book", True), ("no book: winners pay", False))}  # fmt: skip
    ledger = with_exemption(values)
    booked = with_guarantee(values, ledger)
    open_lots = values.position * 1000
    hole = booked.holes[-1] / USD / 1000 - ledger["paid in"]
    sold = hole + ledger["nominal"] - booked.raised / 1000
    rows: list[list[Cell]] = [
        ["never liquidated, token counted", hole, ledger["before"], 0.0, open_lots],
        ["never liquidated, token sold", sold, ledger["after"], 0.0, open_lots],
    ]
    rows += [
        [name, one["hole"] / USD / 1000, 0.0, one["winners"] / USD / 1000, one["left"]]
        for name, one in plain.items()
    ]
    ratio = ledger["after"] / ledger["before"]
    outcome = Outcome(
        tables=[
            Table("worlds", "The hole in four worlds",
                  ["world", "customers' hole, engine (m USD)",
                   "customers' hole, closed form (m USD)", "winners paid (m USD)",
                   "lots still open"], rows),
            Table("token", "The venue's token as margin",
                  ["counted for (m USD)", "sale raises, engine's book (m USD)",
                   "sale raises, pool (m USD)", "pool depth (m USD)", "price after (times)",
                   "hole after / before, engine", "hole after / before, closed form"],
                  [[ledger["nominal"], booked.raised / 1000, ledger["raised"], ledger["depth"],
                    booked.token_price, sold / hole if hole else None, ratio]]),
            _recovery(values, ledger["after"]),
        ],
        figures=[Figure(name="holes", title="The hole, before and after the token is sold",
                        x="the venue's token", y="million USD", ticks=["counted", "sold"],
                        series=[Series("never liquidated", [0.0, 1.0],
                                       [ledger["before"], ledger["after"]])], kind="bars"),
                 _by_step(values, booked)],
        chains={**{name: one["evidence"] for name, one in plain.items()},
                "never liquidated": booked.chain},
        assumed={"U14": "position, margin and pool depth are chosen so that the record's 47 and 84 "
                 "come out; the customer denies the debt"},
        notes=["The engine has no way to spare an account. The guarantee is credits of "
               f"{booked.credited / USD / 1000:.1f} m USD, each an entry of the log: money that no "
               "deposit outside backs, which is what an audit compares.",
               "Engine and closed form differ by the grid of prices and the steps of the book."],
    )  # fmt: skip
    none = all(one["hole"] == 0 for one in plain.values())
    same = abs(hole - ledger["before"]) < 0.1 and abs(sold - ledger["after"]) < 0.5
    outcome.verdicts = [
        verdict("C11", none, f"without the exemption customers lose nothing (winners pay "
                f"{plain['no book: winners pay']['winners'] / USD / 1000:.1f} m without a book); "
                f"with it the hole is {hole:.1f} m on the engine, {ledger['before']:.1f} m in "
                "closed form",
                "a published limit on what one account may owe"),
        verdict("C20", none and same and sold > hole, "the hole exists only with the exemption, "
                f"and grows by {sold / hole if hole else 0:.2f} (recorded: {84 / 47:.2f}) when the "
                "venue's own token is sold",
                "collateral that does not fall with the venue"),
    ]  # fmt: skip
    return outcome


def _recovery(values: Values, hole: float) -> Table:
    """What customers get back of their claims."""
    rows: list[list[Cell]] = []
    for times in values.liabilities:
        for percent in values.recovery_percent:
            for refuses in values.refuse_percent:
                missing = hole * refuses / 100
                later = missing * percent / 100 * (1 - values.discount_percent / 100)
                share = (1 - (missing - later) / (times * hole)) * 100
                rows.append([times, percent, refuses, share])
    columns = ["liabilities / hole", "recovered after a year (%)", "chance of refusal (%)",
               "customers' claims covered (%)"]  # fmt: skip
    return Table("recovery", "What customers get, by liabilities over hole", columns, rows)


def _by_step(values: Values, booked: Guaranteed) -> Figure:
    falls = [values.fall_percent * (k + 1) / values.steps for k in range(len(booked.holes))]
    holes = [hole / USD / 1000 for hole in booked.holes]
    return Figure(
        name="refusal",
        title="The hole by the fall at which the account refuses",
        x="fall (%)",
        y="million USD",
        series=[Series("engine", falls, holes)],
    )
