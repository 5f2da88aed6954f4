"""S6: three venues with the same fees and shocks and another source of refill.

(a) operating income, (b) fees after a buyback that takes most of them, (c) a treasury that sells
tokens, (d) all fees until the fund has K*, then the buyback. Daily deficits are Pareto in a share
of days; the fund pays, winners pay the rest (the ADL budget). K* = VaR at 1 - r / kappa of the
daily deficit. Many paths as arithmetic, one year of each on the engine, whose insurance account is
the fund. Source: adl-and-scenarios 9, S6, and 6.
"""

from typing import Annotated, Final

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import generator
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.scenario import PartPercent, Strict
from chainperp.lab.studies.fund_year import (
    Pool,
    Source,
    in_closed_form,
    shocks_of,
    through_engine,
)
from chainperp.lab.studies.s07_refill import ceiling

TITLE: Final = "The same fees, another refill: how often the fund is empty"
DAYS: Final = 365


class Values(Strict):
    """Millions of USD a year or at once; percent; tail index of daily deficits."""

    fees: Annotated[float, Field(gt=0)] = 874.0
    outside: Annotated[float, Field(ge=0)] = 200.0
    buyback_percent: Annotated[float, Field(ge=0, le=100)] = 99.0
    buybacks_percent: Annotated[tuple[PartPercent, ...], Field(min_length=1)] = (
        99.0, 95.0, 90.0, 75.0, 50.0, 0.0,
    )  # fmt: skip
    fund: Annotated[float, Field(ge=0)] = 10.0
    shock_days_percent: Annotated[float, Field(gt=0, le=100)] = 2.0
    shock_scale: Annotated[float, Field(gt=0)] = 4.0
    alpha: Annotated[float, Field(gt=1)] = 1.5
    carry: Annotated[float, Field(gt=0)] = 0.05
    reputation: Annotated[float, Field(gt=0)] = 10.0
    pool: Annotated[float, Field(gt=0)] = 50.0
    pool_tokens: Annotated[int, Field(gt=0)] = 1_250_000
    treasury_tokens: Annotated[int, Field(gt=0)] = 10_000_000
    years: Annotated[int, Field(ge=1, le=20)] = 3
    paths: Annotated[int, Field(ge=100, le=100_000)] = 4000


def best_fund(values: Values) -> float:
    """K*: the daily deficit that is exceeded with probability r / kappa, in millions (r by the
    day); exact for the Pareto mixture."""
    chance = values.shock_days_percent / 100
    target = values.carry / values.reputation / 1
    if target >= chance:
        return 0.0
    return values.shock_scale * float((chance / target) ** (1 / values.alpha))


def simulate(values: Values, source: Source, seed: int) -> dict[str, float]:
    """Mean over paths: share of days with an empty fund, ADL budget a year, ruin, days to refill.

    All venues see the same shocks. Ruin: an empty fund on the last day of a path.
    """
    import numpy as np

    days = values.years * DAYS
    draws = generator(seed, "S6")
    target = best_fund(values)
    fund = np.full(values.paths, values.fund)
    sold_left = np.full(
        values.paths,
        float(ceiling(int(values.pool * 1e6), values.pool_tokens, values.treasury_tokens)) / 1e6,
    )
    empty = np.zeros(values.paths)
    socialised = np.zeros(values.paths)
    at_year = 0.0
    for day in range(days):
        happens = draws.random(values.paths) < values.shock_days_percent / 100
        size = values.shock_scale * (1 - draws.random(values.paths)) ** (-1 / values.alpha)
        deficit = np.where(happens, size, 0.0)
        paid = np.minimum(fund, deficit)
        socialised += deficit - paid
        fund = fund - paid
        empty += fund <= 1e-9
        if source.sells:
            raised = np.minimum(np.maximum(0.0, target - fund), sold_left)
            sold_left = sold_left - raised
            fund = fund + raised
        more = max(source.income, source.below)
        fund = fund + np.where(fund < target, more, source.income)
        if day == DAYS - 1:
            at_year = float((empty > 0).mean())
    fastest = max(source.income, source.below)
    refill = target / fastest if fastest > 0 else float("inf")
    return {
        "empty": float(empty.mean()) / days,
        "year": at_year,
        "budget": float(socialised.mean()) / values.years,
        "ruin": float((fund < 0.1 * target).mean()),
        "refill": refill,
    }


def through_the_fund(
    values: Values, sources: dict[str, Source], seed: int
) -> tuple[Table, float, dict[str, Chain]]:
    """One year of each source on the engine and in closed form; the largest difference in millions,
    the treasury's left out, whose book has steps."""
    pool = Pool(values.pool, values.pool_tokens, values.treasury_tokens)
    target = best_fund(values)
    shocks = shocks_of(
        DAYS, values.shock_days_percent / 100, values.shock_scale, values.alpha, seed
    )
    rows: list[list[Cell]] = []
    chains: dict[str, Chain] = {}
    worst = 0.0
    for name, source in sources.items():
        exact = in_closed_form(shocks, source, values.fund, target, pool)
        found = through_engine(shocks, source, values.fund, target, pool)
        if found.chain is not None:
            chains[name] = found.chain
        if not source.sells:
            pairs = zip([found.socialised, *found.funds], [exact.socialised, *exact.funds],
                        strict=True)  # fmt: skip
            worst = max(worst, *(abs(one - other) for one, other in pairs))
        rows.append([name, len(shocks), found.empty, exact.empty, found.socialised,
                     exact.socialised, found.sold, exact.sold])  # fmt: skip
    columns = ["refill", "shocks", "shocks that emptied the fund, engine", "the same, closed form",
               "paid by winners, engine (m USD)", "the same, closed form (m USD)",
               "raised by tokens, engine (m USD)", "the same, closed form (m USD)"]  # fmt: skip
    return Table("year", "One year through the engine's fund", columns, rows), worst, chains


def run(values: Values, seed: int) -> Outcome:
    """Four refills, the buyback share swept, and a year of each refill on the engine."""
    kept = values.fees * (1 - values.buyback_percent / 100)
    sources = {
        "a: fees and outside income": Source((values.fees + values.outside) / DAYS),
        "b: fees after buyback": Source(kept / DAYS),
        "c: treasury sells tokens": Source(kept / DAYS, sells=True),
        "d: fund first, then buyback": Source(kept / DAYS, values.fees / DAYS),
    }
    rows: list[list[Cell]] = []
    found: dict[str, dict[str, float]] = {}
    for name, source in sources.items():
        found[name] = simulate(values, source, seed)
        rows.append([name, source.income, *(found[name][key] * (100 if key != "budget" else 1)
                                     for key in ("empty", "year", "budget")),
                     found[name]["ruin"] * 100, found[name]["refill"]])  # fmt: skip
    swept: list[list[Cell]] = []
    shares: list[float] = []
    for percent in values.buybacks_percent:
        one = simulate(values, Source(values.fees * (1 - percent / 100) / DAYS), seed)
        shares.append(one["empty"] * 100)
        swept.append([percent, one["empty"] * 100, one["budget"], one["ruin"] * 100])
    target = best_fund(values)
    limit = max(0.0, 1 - target / values.fees) * 100
    year, off, chains = through_the_fund(values, sources, seed)
    columns = ["refill", "income a day (m USD)", "days with an empty fund (%)",
               "empty at least once in a year (%)", "paid by winners a year (m USD)",
               "nearly empty at the end (%)", "days to refill K*"]  # fmt: skip
    outcome = Outcome(
        tables=[
            Table("refills", f"Newsvendor fund K* = {target:.3g} m USD", columns, rows),
            Table("buybacks", "Fees alone, by the share that buys tokens",
                  ["buyback (%)", "days with an empty fund (%)", "paid by winners a year (m USD)",
                   "nearly empty at the end (%)"], swept),
            year,
        ],
        chains=chains,
        figures=[Figure(name="buyback", title="Empty fund by buyback share",
                        x="buyback share of fees (%)", y="days with an empty fund (%)",
                        series=[Series("fees alone", list(values.buybacks_percent), shares)],
                        marks={"1 - K* / fees": limit})],
        assumed={"U6": "liquidation profit goes to depositors, not to the fund"},
        notes=["Fund first, buyback after K*: any share up to the mark refills K* within a year.",
               f"Engine and closed form differ by at most {off:.2g} m USD in the fund and in what "
               "winners paid; the treasury's by the steps of its book.",
               "Anchors only: the shocks are made up, and no venue's probability is claimed."],
    )  # fmt: skip
    a, b = found["a: fees and outside income"], found["b: fees after buyback"]
    first = found["d: fund first, then buyback"]
    gap = shares[0] - shares[-1]
    below = [s for p, s in zip(values.buybacks_percent, shares, strict=True) if p <= limit]
    outcome.verdicts = [
        verdict("C5", b["year"] > 0, f"the fund is empty at least once a year in "
                f"{b['year'] * 100:.1f} % of paths on fees after the buyback and in "
                f"{a['year'] * 100:.1f} % with outside income",
                "deficits that are bounded"),
        verdict("C15", b["empty"] > a["empty"] and bool(below) and gap > 0 and off < 1,
                "Other income is: money for the fund that no buyback takes. So defined, days with "
                f"an empty fund: {b['empty'] * 100:.3f} % against "
                f"{a['empty'] * 100:.3f} %; below a buyback share of {limit:.1f} % the difference "
                f"shrinks to {min(below, default=0):.3f} %, and with the fund first to "
                f"{first['empty'] * 100:.3f} %; a year on the engine agrees with the closed form",
                "a rule that fills the fund before it buys", boundary=True),
    ]  # fmt: skip
    return outcome
