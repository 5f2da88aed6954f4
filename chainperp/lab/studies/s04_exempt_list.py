"""S4: an exemption list that grows until the venue cannot pay.

Two routes to the same quantities. Closed form: haircut rate h = (D - I) / (U - U_X), multiplier
U / (U - U_X), limit phi* = 1 - (D - I) / U (adl-and-scenarios 5). Simulation: the engine with a
public list, one bankrupt account, P6 in money and P1 in lots. Then the list grows by itself: the
largest non-exempt fee payer asks, and is granted with some probability.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, Verdict, verdict
from chainperp.lab.problem import Winner
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.studies.endowments import endowments
from chainperp.lab.studies.growth import Terms, grow, median_time
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.model.decisions import AdlReason

TITLE: Final = "An exemption list that grows until the venue dies"
ENTRY: Final = 100 * DOLLAR
GAP: Final = 10
EXEMPT_COUNTS: Final = (0, 1, 2, 5, 8, 10, 50, 98, 315, 491)


class Values(Strict):
    """Shares in percent where the name says so; money in USD."""

    winners: Annotated[int, Field(ge=20, le=50_000)] = 9768
    alpha: Annotated[float, Field(gt=0, le=10)] = 0.85
    budget_usd: Annotated[int, Field(ge=1)] = 30_000_000
    engine_winners: Annotated[int, Field(ge=10, le=2000)] = 200
    engine_deficit_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (10, 30, 60)
    fund_percent: Annotated[int, Field(ge=0, le=100)] = 2
    grant_percent: Annotated[int, Field(ge=0, le=100)] = 50
    fee_share_percent: Annotated[float, Field(ge=0, le=100)] = 0.5
    shock_alphas: Annotated[tuple[float, ...], Field(min_length=1)] = (1.2, 1.5, 3.0)
    ruin_percent_a_year: Annotated[float, Field(gt=0, lt=100)] = 5.0
    leave_percent: Annotated[int, Field(ge=1, le=100)] = 20
    months: Annotated[int, Field(ge=12, le=2400)] = 240
    paths: Annotated[int, Field(ge=10, le=20_000)] = 400
    data: str = ""


def concentration(winners: list[Winner], budget: int) -> Table:
    """Capacity and haircut rate left when the largest k profits are exempt; exact, then percent."""
    ranked = sorted(winners, key=lambda one: (-one.w, one.id))
    whole = sum(one.cap for one in ranked)
    rows: list[list[Cell]] = []
    for count in EXEMPT_COUNTS:
        if count >= len(ranked):
            continue
        left = whole - sum(one.cap for one in ranked[:count])
        rate = budget / left * 100 if left >= budget else None
        rows.append([count, (whole - left) / whole * 100, left / whole * 100, whole / left, rate])
    rate_name = f"haircut rate at {budget // USD:,} USD (%)"
    columns = ["exempt accounts", "capacity exempt (%)", "capacity left (%)",
               "multiplier for the others", rate_name]  # fmt: skip
    return Table("concentration", "What the first exemptions remove", columns, rows)


def fatal_count(winners: list[Winner], budget: int) -> int | None:
    """Exempt accounts at which the others cannot raise the budget any more; None: never."""
    ranked = sorted(winners, key=lambda one: (-one.w, one.id))
    left = sum(one.cap for one in ranked)
    if left < budget:
        return 0
    for count, one in enumerate(ranked, start=1):
        left -= one.cap
        if left < budget:
            return count
    return None


def halving_count(winners: list[Winner]) -> int:
    """Exempt accounts at which half of the capacity is gone."""
    whole = sum(one.cap for one in winners)
    found = fatal_count(winners, -(-whole // 2))
    return len(winners) if found is None else found


def lots_of(winners: list[Winner], count: int) -> dict[str, int]:
    """Short lots in proportion to the profits of the largest `count`, at least one each."""
    largest = sorted(winners, key=lambda one: (-one.w, one.id))[:count]
    unit = max(1, largest[-1].w)
    return {one.id: -min(10**6, max(1, one.w // unit)) for one in largest}


class Stage:
    """A venue before the shock: shorts, one thin long and one that can pay."""

    def __init__(self, lots: dict[str, int], deficit_percent: int, policy_id: int) -> None:
        self.lots = lots
        self.total = -sum(lots.values())
        self.venue = Venue(policy_id=policy_id, leverage=40)
        self.venue.mark(ENTRY)
        self.venue.join({name: -count * 2 * USD for name, count in lots.items()})
        # The thin long's margin is such that after the gap it owes so much of the winners' gain.
        margin = self.total * USD * GAP * (100 - deficit_percent) // 10_000
        self.venue.join({"thin": max(margin, self.total * USD // 40 + 1)})
        self.venue.trade("thin", lots, ENTRY)

    def fall(self, exempt: list[str]) -> dict[str, Any]:
        """The gap with a list; what each side did."""
        self.venue.exempt(exempt)
        values = {name: self.venue.value(name) for name in self.lots}
        owed = self.total * GAP * USD // 100 - self.venue.value("thin")
        told = self.venue.mark(ENTRY * (100 - GAP) // 100)
        [adl] = told.rounds
        gains = {name: -count * GAP * USD // 100 for name, count in self.lots.items()}
        paid = {name: values[name] + gains[name] - self.venue.value(name) for name in self.lots}
        spared = {name for name, why in adl.reasons.items() if why is AdlReason.EXEMPT}
        unpaid = told.owed + max(0, -self.venue.value("thin"))
        return {"owed": owed, "gains": gains, "paid": paid, "unpaid": unpaid, "spared": spared}


def agreement(winners: list[Winner], values: Values) -> tuple[Table, int, bool, dict[str, Chain]]:
    """Engine against closed form: rates, death, and the largest difference of any account."""
    lots = lots_of(winners, values.engine_winners)
    names = sorted(lots, key=lambda name: (lots[name], name))
    rows: list[list[Cell]] = []
    worst, agrees = 0, True
    chains: dict[str, Chain] = {}
    tried = {0, 1, 2, 4, 8, 16, len(names) // 4, len(names) // 2, len(names) - 1}
    counts = sorted(count for count in tried if count < len(names))
    for percent in values.engine_deficit_percent:
        for count in counts:
            stage = Stage(lots, percent, 600)
            seen = stage.fall(names[:count])
            spared = set(names[:count])
            capacity = sum(seen["gains"].values())
            exempt = sum(seen["gains"][name] for name in spared)
            owed = seen["owed"]
            dies = owed > capacity - exempt
            rate = 1.0 if dies else owed / (capacity - exempt)
            differences = [
                abs(seen["paid"][name] - (0 if name in spared else seen["gains"][name] * rate))
                for name in names
            ]
            worst = max(worst, -int(-max(differences) // 1))
            agrees = agrees and dies == (seen["unpaid"] > 0) and seen["spared"] == spared
            agrees = agrees and seen["unpaid"] == max(0, owed - (capacity - exempt))
            rows.append(
                [percent, count, exempt / capacity * 100, (1 - owed / capacity) * 100, rate * 100,
                 capacity / (capacity - exempt), float(max(differences)),
                 seen["unpaid"], "dead" if seen["unpaid"] else "alive"]
            )  # fmt: skip
            chains[f"P6 {percent}% {count}"] = stage.venue.evidence()
    columns = [
        "deficit (% of capacity)",
        "exempt accounts",
        "exempt capacity (%)",
        "limit phi* (%)",
        "haircut rate, closed form (%)",
        "multiplier",
        "largest difference to the engine (micro-USD)",
        "unpaid (micro-USD)",
        "engine",
    ]
    return Table("agreement", "Closed form and engine", columns, rows), worst, agrees, chains


def in_lots(winners: list[Winner], values: Values) -> tuple[Table, bool]:
    """P1: a bankrupt position of Q lots needs Q lots of the other side: phi*_q = 1 - Q / OI."""
    lots = lots_of(winners, values.engine_winners)
    names = sorted(lots, key=lambda name: (lots[name], name))
    total = -sum(lots.values())
    rows: list[list[Cell]] = []
    agrees = True
    for count in sorted({0, 1, 2, 4, 8, 16, len(names) // 2}):
        if count >= len(names):
            continue
        venue = Venue(policy_id=100, leverage=40)
        venue.mark(ENTRY)
        venue.join({name: -size * 2 * USD for name, size in lots.items()})
        thin = total // 2
        venue.join({"book": 3 * total * USD, "solid": 2 * total * USD})
        venue.join({"thin": thin * USD // 40 + thin})
        venue.trade("book", lots, ENTRY)
        venue.trade("book", {"thin": thin, "solid": total - thin}, ENTRY)
        venue.exempt(names[:count])
        [adl] = venue.mark(ENTRY * (100 - GAP) // 100).rounds
        open_lots = -sum(lots[name] for name in names[count:])
        missing = max(0, thin - open_lots)
        agrees = agrees and missing == adl.shortfall_lots
        share = (total - open_lots) / total * 100
        rows.append([count, share, (1 - thin / total) * 100, missing, adl.shortfall_lots])
    columns = ["exempt accounts", "exempt lots (%)", "limit phi*_q (%)",
               "lots missing, closed form", "lots missing, engine"]  # fmt: skip
    return Table("lots", "The limit in lots (P1)", columns, rows), agrees


def run(values: Values, seed: int) -> Outcome:
    """All parts."""
    winners, origin = endowments(values.data, values.winners, values.alpha, seed)
    agreed, worst, money_agrees, chains = agreement(winners, values)
    lots, lots_agree = in_lots(winners, values)
    budget = values.budget_usd * USD
    grown, figures, times = growth(winners, values, seed)
    fatal = fatal_count(winners, budget)
    half = halving_count(winners)
    outcome = Outcome(
        tables=[concentration(winners, budget), agreed, lots, grown],
        figures=[phases(winners), *figures],
        chains=chains,
        defects=bool(values.data),
    )
    outcome.notes = [
        f"Winners: {origin}.",
        f"Half of the capacity is gone once {half} of {len(winners)} accounts are exempt; "
        f"{values.budget_usd:,} USD cannot be raised once {fatal} are.",
        f"Engine and closed form differ by at most {worst} micro-USD in any account: the units of "
        "the largest-remainder split.",
        "The venue of the growth part is arithmetic on the same capacities; months are assumed.",
        "A list of which only a salted hash is published grows like a secret one until it is "
        "opened: nobody can price a multiplier that he does not know. What the hash lets an "
        "outsider refute, and when, is in S12.",
    ]
    outcome.assumed = {
        "U14": "grant probability, fee threshold and the size of the fund are assumptions",
        "U5": "the only exclusion is the public list",
    }
    outcome.verdicts = verdicts(values, worst <= 1 and money_agrees and lots_agree, half, times)
    return outcome


def verdicts(
    values: Values, agrees: bool, half: int, times: dict[str, tuple[float, float]]
) -> list[Verdict]:
    """From the comparison of routes, and from the times of death."""
    faster = [with_list < 0.5 * without for with_list, without in times.values()]
    sentence = "; ".join(
        f"shock {name}: median {a:.3g} months with grants, {b:.3g} without"
        for name, (a, b) in times.items()
    )
    routes = (
        "engine and closed form give the same rates to a micro-dollar per account, and a deficit "
        "stays unpaid exactly where it exceeds the fund and what is not exempt"
    )
    some = any(faster) and not all(faster)
    return [
        verdict("C11", agrees, f"the others' rate rises by U / (U - U_X): {routes}",
                "an exemption that the exempt pay for"),
        verdict("C12", agrees, routes, "a price rule that lets the fund pay first for longer"),
        verdict("C13", all(faster) or (some or None), sentence,
                "a cap on the list's capacity, or grants that are public and priced",
                boundary=some),
        verdict("C19", agrees, f"with {half} account(s) exempt in secret a published survivable "
                "budget is twice the true one", "a receipt for every round: then it is not secret"),
    ]  # fmt: skip


def phases(winners: list[Winner]) -> Figure:
    """The limit in the plane of exempt share and deficit."""
    ranked = sorted(winners, key=lambda one: (-one.w, one.id))
    whole = sum(one.cap for one in ranked)
    left, xs, ys = whole, [1.0], [100.0]
    step = max(1, len(ranked) // 200)
    for place, one in enumerate(ranked, start=1):
        left -= one.cap
        if left > 0 and (place <= 20 or place % step == 0):
            xs.append(float(place + 1))
            ys.append(left / whole * 100)
    return Figure(
        name="phase",
        title="Deficits that can still be raised, by the number of exempt accounts",
        x="exempt accounts + 1, largest first",
        y="largest deficit that is paid (% of all capacity)",
        series=[Series("alive below, dead above", xs, ys)],
        kind="steps",
        log="x",
    )


def growth(
    winners: list[Winner], values: Values, seed: int
) -> tuple[Table, list[Figure], dict[str, tuple[float, float]]]:
    """The list by itself, for each tail of the shocks, with and without grants and disclosure."""
    capacities = sorted((one.cap for one in winners if one.cap), reverse=True)
    rows: list[list[Cell]] = []
    times: dict[str, tuple[float, float]] = {}
    lines: list[Series] = []
    shares: list[Series] = []
    for alpha in values.shock_alphas:
        medians: dict[str, float] = {}
        for label, grant, public in (
            ("no grants", 0, False), ("secret", values.grant_percent, False),
            ("public", values.grant_percent, True),
        ):  # fmt: skip
            terms = Terms(
                grant=grant / 100,
                fee_share=values.fee_share_percent / 100,
                alpha=alpha,
                ruin=values.ruin_percent_a_year / 100,
                fund=values.fund_percent / 100,
                leave=values.leave_percent / 100,
                is_public=public,
            )
            found = grow(capacities, terms, values.months, values.paths, seed)
            medians[label] = median_time(found.survival)
            rows.append(
                [alpha, label, medians[label], found.survival[-1] * 100, found.simulated * 100,
                 found.error * 100, found.listed, found.exempt_share * 100, found.multiplier]
            )  # fmt: skip
            months = [float(month) for month in range(1, values.months + 1)]
            if alpha == values.shock_alphas[0]:
                lines.append(Series(label, months, [100 * one for one in found.survival]))
                shares.append(Series(label, months, [100 * one for one in found.shares]))
        times[f"tail {alpha:g}"] = (medians["secret"], medians["no grants"])
    columns = ["shock tail index", "list", "median life (months)", "alive at the end (%)",
               "alive at the end, simulated (%)", "standard error (%)",
               "accounts exempt at the end", "capacity exempt at the end (%)",
               "multiplier at the end"]  # fmt: skip
    first = values.shock_alphas[0]
    figures = [
        Figure(name="survival", title=f"Venues alive (shock tail {first:g})", x="month",
               y="alive (%)", series=lines),
        Figure(name="exempt_share", title="Exempt share of capacity, mean of paths", x="month",
               y="exempt capacity (%)", series=shares),
    ]  # fmt: skip
    return Table("growth", "The list by itself", columns, rows), figures, times
