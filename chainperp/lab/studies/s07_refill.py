"""S7: a fund that is refilled by selling the venue's own token, by rule or by decision.

Closed form: in a constant-product pool of X dollars and N tokens, selling n raises X n / (N + n);
a raise of R needs n = R N / (X - R), the price falls by ((X - R) / X)^2, and whoever owns T tokens
can raise at most X T / (N + T). Dynamics: deficits come from the shock that also moves the token;
open interest, fees and depth follow its price; in closed form and through the spot book of the
engine. The speed of a spiral is calibrated to LUNA's. Source: adl-and-scenarios 9, S7.
"""

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, Verdict, verdict
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.studies.refill_paths import (
    LUNA,
    BookPath,
    Case,
    Path,
    Rules,
    Speed,
    calibrated,
    follow,
    redeemed_in_book,
)

TITLE: Final = "Refilling a fund by selling the venue's own token"
MILLION: Final = 10**6


class Values(Strict):
    """Dollars and tokens of the pool, the treasury, and how the venue follows its token."""

    pool_usd: Annotated[int, Field(ge=1)] = 50_000_000
    pool_tokens: Annotated[int, Field(ge=1)] = 1_250_000
    treasury_tokens: Annotated[int, Field(ge=0)] = 10_000_000
    raises_usd: tuple[int, ...] = (10_000_000, 25_000_000, 40_000_000, 44_000_000, 50_000_000)
    deficits_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (
        5, 10, 20, 30, 40, 50, 60, 80,
    )  # fmt: skip
    reactions: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0, 0.5, 1.0, 1.5, 2.0)
    collateral_percent: tuple[Percent, ...] = (0, 20, 40)
    days: Annotated[int, Field(ge=2, le=365)] = 30
    daily_cap_percent: Annotated[int, Field(ge=1, le=100)] = 5
    adl_percent: Annotated[int, Field(ge=0, le=1000)] = 20
    paths: Annotated[int, Field(ge=1, le=2000)] = 40


def tokens_for(raised: int, pool_usd: int, pool_tokens: int) -> Fraction | None:
    """Tokens to sell for a raise; None when no amount is enough.

    >>> tokens_for(10, 50, 1250), tokens_for(50, 50, 1250)
    (Fraction(625, 2), None)
    """
    if raised >= pool_usd:
        return None
    return Fraction(raised * pool_tokens, pool_usd - raised)


def ceiling(pool_usd: int, pool_tokens: int, treasury: int) -> Fraction:
    """The most that a treasury can raise: X T / (N + T), always below X."""
    return Fraction(pool_usd * treasury, pool_tokens + treasury)


def raises(values: Values) -> Table:
    """The reference's example, exact."""
    price = Fraction(values.pool_usd, values.pool_tokens)
    limit = ceiling(values.pool_usd, values.pool_tokens, values.treasury_tokens)
    rows: list[list[Cell]] = []
    for raised in values.raises_usd:
        sold = tokens_for(raised, values.pool_usd, values.pool_tokens)
        if sold is None or sold > values.treasury_tokens:
            rows.append([raised, None, None, None, "impossible"])
            continue
        after = price * (1 - Fraction(raised, values.pool_usd)) ** 2
        rows.append([raised, float(sold), float(after), float(1 - after / price) * 100, "possible"])
    rows.append([float(limit), float(values.treasury_tokens), None, None, "ceiling"])
    columns = ["raise (USD)", "tokens sold", "price after (USD)", "fall (%)", "verdict"]
    return Table("raises", "What a sale raises and costs", columns, rows)


def rules_of(values: Values) -> Rules:
    """The daily rules as shares of the first depth."""
    return Rules(
        values.days,
        values.daily_cap_percent / 100,
        values.adl_percent / 100,
        values.treasury_tokens / values.pool_tokens,
    )


def ends(
    values: Values, deficit: float, reaction: float, collateral: float, automatic: bool, number: int
) -> str:
    """How one cell ends in closed form."""
    rules = rules_of(values)
    case = Case(deficit, reaction, collateral, automatic, number)
    return follow(Path(rules.treasury), case, rules)


def phase(values: Values) -> tuple[Table, Counter[str], dict[tuple[str, float], int]]:
    """Endings over the grid, automatic rule and discretion; cells that spiral in most paths by
    which rules do; and the smallest deficit that spirals by rule and reaction."""
    rows: list[list[Cell]] = []
    totals: Counter[str] = Counter()
    critical: dict[tuple[str, float], int] = {}
    for collateral in values.collateral_percent:
        for reaction in values.reactions:
            for deficit in values.deficits_percent:
                row: list[Cell] = [collateral, reaction, deficit]
                bad: list[str] = []
                for label in ("automatic", "discretionary"):
                    found = [
                        ends(values, deficit / 100, reaction, collateral / 100,
                             label == "automatic", number)
                        for number in range(values.paths)
                    ]  # fmt: skip
                    spirals = found.count("spiral")
                    row += [found.count("recover") / len(found) * 100, spirals / len(found) * 100]
                    if spirals * 2 > len(found):
                        bad.append(label)
                        key = (label, reaction)
                        critical[key] = min(deficit, critical.get(key, deficit))
                totals[" and ".join(bad)] += 1
                rows.append(row)
    columns = ["token collateral (%)", "a + b", "deficit / pool depth (%)",
               "automatic: recover (%)", "automatic: spiral (%)",
               "discretionary: recover (%)", "discretionary: spiral (%)"]  # fmt: skip
    return Table("phase", "Where it ends", columns, rows), totals, critical


class Booked(NamedTuple):
    """The grid's cells through the engine's book: endings that agree with the closed form, of how
    many; the largest growth of supply in a day under the automatic rule; the chains."""

    table: Table
    agree: int
    cells: int
    fastest: float
    chains: dict[str, Chain]


def through_the_book(values: Values) -> Booked:
    """Every reaction and deficit at the largest collateral, both rules, one path each."""
    rules = rules_of(values)
    share = max(values.collateral_percent, default=0)
    rows: list[list[Cell]] = []
    chains: dict[str, Chain] = {}
    agree, fastest = 0, 1.0
    for reaction in values.reactions:
        for deficit in values.deficits_percent:
            row: list[Cell] = [reaction, deficit]
            for label in ("automatic", "discretionary"):
                case = Case(deficit / 100, reaction, share / 100, label == "automatic", 0)
                pool = Path(rules.treasury)
                book = BookPath(rules.treasury, values.pool_usd, values.pool_tokens)
                ending = follow(book, case, rules)
                agree += ending == follow(pool, case, rules)
                row += [ending, pool.price, book.price, book.supply]
                if case.automatic:
                    fastest = max(fastest, book.growth)
                    chains[f"a+b {reaction:g}, deficit {deficit} %"] = book.venue.evidence()
            rows.append(row)
    columns = ["a + b", "deficit / pool depth (%)"]
    for label in ("automatic", "discretionary"):
        columns += [f"{label}: ending", "price at the end, pool", "price at the end, book",
                    "supply at the end (times)"]  # fmt: skip
    title = f"The same through the engine's book, {share} % token collateral"
    return Booked(Table("book", title, columns, rows), agree, 2 * len(rows), fastest, chains)


def luna() -> tuple[Table, Speed, Chain]:
    """The redemption calibrated to LUNA, in closed form and through the engine's book."""
    speed = calibrated()
    booked, chain = redeemed_in_book(speed)
    rows: list[list[Cell]] = [
        [day, times, speed.supply[day - 1], booked[day - 1]] for day, times in LUNA
    ]
    title = (
        f"Redemptions of {speed.share * 100:g} % of the first depth a day from day {speed.start}, "
        f"depth following the price with exponent {speed.reaction:g}"
    )
    columns = ["day", "LUNA's supply (times)", "calibrated, pool", "calibrated, engine's book"]
    return Table("luna", title, columns, rows), speed, chain


def run(values: Values, seed: int) -> Outcome:
    """Closed form, phase diagram, the engine's book, LUNA."""
    table, totals, critical = phase(values)
    booked = through_the_book(values)
    calibration, speed, chain = luna()
    outcome = Outcome(
        tables=[raises(values), table, booked.table, calibration],
        figures=[_figure(values), _critical(critical), _supply(speed)],
        chains={**booked.chains, "LUNA's speed": chain},
        assumed={"U14": "how depth and fees follow the token: exponents are swept"},
        notes=["The exchange has no rule that sells tokens: the treasury is an account that sends "
               "orders. Its dollars are the fund; what the fund cannot pay stays owed.",
               f"Pool and book end alike in {booked.agree} of {booked.cells} cells.",
               f"LUNA's three days fit redemptions of {speed.share * 100:g} % of the first depth a "
               f"day (two numbers and a day for three figures; the worst is off by "
               f"{_worst(speed):.1f} times). There supply grew {_fastest(speed.supply):.0f}-fold "
               f"on the worst day; the fastest cell of the grid grows {booked.fastest:.2g}-fold, "
               "because a treasury ends and a mint does not."],
    )  # fmt: skip
    outcome.verdicts = _verdicts(values, totals, critical, booked)
    return outcome


def _verdicts(
    values: Values,
    totals: Counter[str],
    critical: dict[tuple[str, float], int],
    booked: Booked,
) -> list[Verdict]:
    limit = ceiling(values.pool_usd, values.pool_tokens, values.treasury_tokens)
    edges = "; ".join(
        f"a + b = {reaction:g}: from {deficit} % of depth"
        for (label, reaction), deficit in sorted(critical.items())
        if label == "automatic"
    )
    only = totals["automatic"] > 0
    found = only or (None if totals["automatic and discretionary"] else False)
    if booked.agree < booked.cells:
        found = None
    definitions = (
        f"A spiral is: after {values.days} days the token is below a tenth of its price and the "
        "fund still short. Automatic is: sell until the fund is full, each day. Discretion is: "
        f"winners pay up to {values.adl_percent} % of depth first, then at most "
        f"{values.daily_cap_percent} % of depth is sold a day, nothing after a fall of 30 %. So "
        f"defined, of {sum(totals.values())} cells {totals['automatic']} spiral under the "
        f"automatic rule only, {totals['discretionary']} under discretion only (it waits while "
        f"the token falls), {totals['automatic and discretionary']} under both; the automatic "
        f"rule's boundary: {edges or 'none'}; pool and engine's book agree in {booked.agree} of "
        f"{booked.cells} cells"
    )
    return [
        verdict("C15", limit < values.pool_usd, f"a treasury of {values.treasury_tokens:,} tokens "
                f"can raise {float(limit) / MILLION:.2f} m at most, less than the pool's "
                f"{values.pool_usd / MILLION:g} m", "income that is not in the token"),
        verdict("C16", found, definitions,
                "a pool deeper than the largest deficit, fees that do not follow the token, or "
                "another meaning of spiral and discretion", boundary=only),
    ]  # fmt: skip


def _fastest(supply: tuple[float, ...]) -> float:
    return max(b / a for a, b in pairwise(supply))


def _worst(speed: Speed) -> float:
    ratios = [speed.supply[day - 1] / times for day, times in LUNA]
    return max(max(one, 1 / one) for one in ratios)


def _supply(speed: Speed) -> Figure:
    days = [float(day) for day in range(1, len(speed.supply) + 1)]
    return Figure(
        name="luna",
        title="Supply over the first day's: LUNA, and the redemption calibrated to it",
        x="day",
        y="supply (times)",
        series=[
            Series("LUNA", [float(day) for day, _ in LUNA], [times for _, times in LUNA]),
            Series("calibrated", days, list(speed.supply)),
        ],
        log="y",
    )


def _figure(values: Values) -> Figure:
    shares = [k / 100 for k in range(1, 100)]
    return Figure(
        name="price",
        title="Price after a raise",
        x="raise / pool dollars",
        y="price after / before",
        series=[Series("constant product", shares, [(1 - one) ** 2 for one in shares])],
        marks={
            "treasury's ceiling": float(
                ceiling(values.pool_usd, values.pool_tokens, values.treasury_tokens)
                / values.pool_usd
            )
        },
    )


def _critical(critical: dict[tuple[str, float], int]) -> Figure:
    lines = []
    for label in ("automatic", "discretionary"):
        points = sorted((reaction, d) for (name, reaction), d in critical.items() if name == label)
        lines.append(Series(label, [r for r, _ in points], [float(d) for _, d in points]))
    return Figure(
        name="boundary",
        title="Smallest deficit that spirals",
        x="a + b (how the venue follows its token)",
        y="deficit / pool depth (%)",
        series=lines,
        kind="points",
    )
