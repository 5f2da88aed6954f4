"""S9: a large account that is never liquidated, and refuses to pay.

The engine shows the world without the exemption: the account is sold or taken over at maintenance,
and customers lose nothing, or winners pay. The world with it is a ledger: margin partly in the
venue's own token, liquidation off until a day, then a refusal; selling the token in a pool raises
less than it was counted for, and the hole grows. Figures follow the record of CoinFLEX, 2022, whose
customer denies the debt. Source: adl-and-scenarios 9, S9.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.scenario import Strict
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.model.actions import TimeInForce

TITLE: Final = "A large account that is never liquidated, and refuses to pay"
ENTRY: Final = 100 * DOLLAR


class Values(Strict):
    """Millions of USD and percent."""

    position: Annotated[int, Field(ge=1)] = 140
    margin_percent: Annotated[int, Field(ge=5, le=100)] = 36
    token_share_percent: Annotated[int, Field(ge=0, le=100)] = 40
    fall_percent: Annotated[int, Field(ge=5, le=95)] = 70
    hole: Annotated[int, Field(ge=1)] = 47
    token_loss: Annotated[int, Field(ge=0)] = 37
    liabilities: Annotated[tuple[int, ...], Field(min_length=1)] = (5, 7, 10)
    recovery_percent: tuple[int, ...] = (0, 15, 30)
    discount_percent: Annotated[int, Field(ge=0, le=100)] = 20
    steps: Annotated[int, Field(ge=2, le=100)] = 35
    refuse_percent: tuple[int, ...] = (0, 50, 100)


def without_exemption(values: Values, has_book: bool) -> dict[str, Any]:
    """The same fall through the engine, the account treated like any other; a lot is 1,000 USD."""
    venue = Venue(policy_id=600, leverage=5)
    venue.mark(ENTRY)
    lots = values.position * 1000
    venue.join({"large": lots * USD * values.margin_percent // 100})
    shorts = {f"short{k}": -lots // 10 for k in range(10)}
    venue.join({name: 2 * -size * USD for name, size in shorts.items()})
    venue.trade("large", shorts, ENTRY)
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


def with_exemption(values: Values) -> dict[str, float]:
    """The ledger: what the account owes at the end before and after its token is sold.

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
    rows: list[list[Cell]] = [
        ["never liquidated, token counted", ledger["before"], 0.0, None],
        ["never liquidated, token sold", ledger["after"], 0.0, None],
    ]
    rows += [
        [name, one["hole"] / USD / 1000, one["winners"] / USD / 1000, one["left"]]
        for name, one in plain.items()
    ]
    back: list[list[Cell]] = []
    for times in values.liabilities:
        for percent in values.recovery_percent:
            for refuses in values.refuse_percent:
                hole = ledger["after"] * refuses / 100
                owed = times * ledger["after"]
                later = hole * percent / 100 * (1 - values.discount_percent / 100)
                back.append([times, percent, refuses, (1 - (hole - later) / owed) * 100])
    ratio = ledger["after"] / ledger["before"]
    outcome = Outcome(
        tables=[
            Table("worlds", "The hole in four worlds",
                  ["world", "customers' hole (m USD)", "winners paid (m USD)",
                   "lots still open"], rows),
            Table("token", "The venue's token as margin",
                  ["counted for (m USD)", "sale raises (m USD)", "pool depth (m USD)",
                   "hole after / before"],
                  [[ledger["nominal"], ledger["raised"], ledger["depth"], ratio]]),
            Table("recovery", "What customers get, by liabilities over hole",
                  ["liabilities / hole", "recovered after a year (%)", "chance of refusal (%)",
                   "customers' claims covered (%)"], back),
        ],
        figures=[Figure(name="holes", title="The hole, before and after the token is sold",
                        x="the venue's token", y="million USD", ticks=["counted", "sold"],
                        series=[Series("never liquidated", [0.0, 1.0],
                                       [ledger["before"], ledger["after"]])], kind="bars")],
        chains={name: one["evidence"] for name, one in plain.items()},
        assumed={"U14": "position, margin and pool depth are chosen so that the record's 47 and 84 "
                 "come out; the customer denies the debt"},
        notes=["The world with the exemption is not the engine's: an engine without a way to spare "
               "an account from liquidation cannot show it, which is the point."],
    )  # fmt: skip
    none = all(one["hole"] == 0 for one in plain.values())
    outcome.verdicts = [
        verdict("C11", none, f"without the exemption customers lose nothing (winners pay "
                f"{plain['no book: winners pay']['winners'] / USD / 1000:.1f} m without a book); "
                f"with it the hole is {ledger['before']:.1f} m",
                "a published limit on what one account may owe"),
        verdict("C20", none and ratio > 1, f"the hole exists only with the exemption, and grows by "
                f"{ratio:.2f} when the venue's own token is sold",
                "collateral that does not fall with the venue"),
    ]  # fmt: skip
    return outcome
