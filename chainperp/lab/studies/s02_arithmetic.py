"""S2: the arithmetic of 100 → 80 = 20 + 60, and the same through the engine under each policy.

A short of one unit has a marked gain x. A fraction f is closed at gain x1, the rest is marked at
x2: the statement shows f·x1 realised and (1 - f)·x2 unrealised. Source: adl-and-scenarios 9, S2.
"""

from fractions import Fraction
from typing import Annotated, Final

from pydantic import Field

from chainperp.lab.outcome import Finding, Outcome, Table, Verdict
from chainperp.lab.problem import code_of
from chainperp.lab.scenario import Strict
from chainperp.lab.venue import DOLLAR, USD, Venue, gains
from chainperp.rules.adl.choose import POLICIES
from chainperp.rules.adl.policy import Policy

TITLE: Final = "A gain of 100 on which 80 is paid"
ENTRY: Final = 100 * DOLLAR


class Values(Strict):
    """Percent of the price, and how many shorts share one long's loss."""

    gap_percent: Annotated[int, Field(ge=1, le=50)] = 10
    margin_percent: Annotated[int, Field(ge=6, le=50)] = 8
    shorts: Annotated[int, Field(ge=2, le=200)] = 20


def fraction_closed(x: Fraction, x1: Fraction, x2: Fraction, paid: Fraction) -> Fraction | None:
    """The fraction f for which f·x1 + (1 - f)·x2 is `paid`; None when any or none will do.

    >>> fraction_closed(Fraction(10), Fraction(5), Fraction(10), Fraction(8))
    Fraction(2, 5)
    """
    if x1 == x2:
        return None
    found = (x2 - paid) / (x2 - x1)
    return found if 0 <= found <= 1 and x1 <= x and x2 <= x else None


def triples(x: Fraction, paid: Fraction) -> Table:
    """Ways to be paid 80 of 100, as a statement shows them (percent of notional)."""
    rows: list[list[str | int | float | None]] = []
    for x1, x2 in (
        (Fraction(5), x), (Fraction(0), x), (paid, x), (Fraction(2), x), (paid, paid),
    ):  # fmt: skip
        found = Fraction(1, 4) if x1 == x2 else fraction_closed(x, x1, x2, paid)
        if found is None:
            continue
        realised, open_part = found * x1, (1 - found) * x2
        rows.append(
            [
                float(found),
                float(x1),
                float(x2),
                float(realised / x * 100),
                float(open_part / x * 100),
                float((realised + open_part) / x * 100),
            ]
        )
    columns = ["fraction closed", "closed at gain (%)", "rest marked at (%)",
               "statement: realised (of 100)", "statement: unrealised (of 100)",
               "sum (of 100)"]  # fmt: skip
    return Table("triples", "The same 80 in several statements", columns, rows)


def engine_payout(
    values: Values, policy: Policy, path: list[int]
) -> tuple[Venue, dict[str, int], int]:
    """The shorts' gains under a policy after marks of a path, and their marked gains."""
    venue = Venue(policy_id=policy.policy_id, leverage=20)
    venue.mark(ENTRY)
    shorts = {f"short{place}": -100 * (place + 1) for place in range(values.shorts)}
    total = -sum(shorts.values())
    venue.join({name: -lots * USD for name, lots in shorts.items()})
    venue.join({"long": total * USD * values.margin_percent // 100})
    venue.trade("long", shorts, ENTRY)
    before = venue.values(shorts)
    for price in path:
        venue.mark(price)
    return venue, gains(before, venue.values(shorts)), total * (ENTRY - path[-1])


def run(values: Values, seed: int) -> Outcome:
    """Both: the table of triples, and every policy in one gap and with a mark at the limit."""
    x, paid = Fraction(values.gap_percent), Fraction(min(values.gap_percent, values.margin_percent))
    end = ENTRY * (100 - values.gap_percent) // 100
    limit = ENTRY * (100 - int(paid)) // 100
    outcome = Outcome(tables=[triples(x, paid)])
    rows: list[list[str | int | float | None]] = []
    exact: dict[str, list[Policy]] = {"one gap": [], "limit first": []}
    for policy in POLICIES:
        for label, path in (("one gap", [end]), ("limit first", [limit, end])):
            venue, paid_out, marked = engine_payout(values, policy, path)
            total = sum(paid_out.values())
            if total * x == marked * paid:
                exact[label].append(policy)
            covered = venue.value("long") + venue.insurance >= 0
            rows.append(
                [f"{code_of(policy)} {policy.name}", label, policy.price_rule.name.lower(),
                 marked, total, float(Fraction(total * 100, marked)),
                 sum(1 for gain in paid_out.values() if gain < marked), venue.value("long"),
                 "yes" if covered else "no"]
            )  # fmt: skip
            outcome.chains[f"{code_of(policy)} {label}"] = venue.evidence()
    outcome.tables.append(
        Table(
            "payouts",
            "Payout of the short side through the engine",
            ["policy", "path", "price rule", "marked gain (micro-USD)", "paid (micro-USD)",
             "payout (%)", "shorts below the whole gain", "left to the long (micro-USD)",
             "covered"],
            rows,
        )
    )  # fmt: skip
    outcome.verdicts = verdicts(exact, x, paid)
    outcome.assumed = {"U-ADL-5": "the previous mark is that before the latest mark update"}
    outcome.notes.append(
        "In one gap a policy that closes at the previous mark gives the shorts nothing and the "
        "bankrupt long its whole margin back: less than the losers could pay was paid. P0 leaves "
        "the whole marked gain standing, of which the last part nobody owes any more."
    )
    return outcome


def verdicts(exact: dict[str, list[Policy]], x: Fraction, paid: Fraction) -> list[Verdict]:
    """Supported only if every policy but P0 pays the capacity to the micro-dollar."""
    closing = [policy for policy in POLICIES if policy.policy_id]
    missed = [code_of(one) for one in closing if one not in exact["one gap"]]
    always = [one for one in closing if one in exact["limit first"]]
    share = float(paid / x * 100)
    if len(always) < len(closing):
        finding = Finding.REFUTED
    else:
        finding = Finding.CONDITIONAL if missed else Finding.SUPPORTED
    sentence = (
        f"with a mark at the losers' limit before the last one, all {len(always)} policies pay "
        f"exactly {share:g} of 100, to the micro-dollar; when one update jumps over the limit, "
        f"{len(closing) - len(missed)} still do and those that close at the previous mark pay "
        f"less: {', '.join(missed) or 'none'}"
    )
    change = "a price rule other than the previous mark, or a fund that pays the rest"
    whole = Verdict(
        "C7",
        Finding.SUPPORTED,
        "the table lists fractions and gains for which a statement of 20 + 60 and a payment of "
        "80 are the same money; the ledger shows that the other 20 was never payable",
        "a statement that shows the capacity price beside the mark",
    )
    return [
        Verdict("C3", finding, f"the price rule decides: {sentence}", change),
        Verdict("C6", finding, sentence, change),
        whole,
        Verdict("C8", finding, sentence, change),
    ]
