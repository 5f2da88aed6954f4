"""S7: a fund that is refilled by selling the venue's own token, by rule or by decision.

Closed form: in a constant-product pool of X dollars and N tokens, selling n raises X n / (N + n);
a raise of R needs n = R N / (X - R), the price falls by ((X - R) / X)^2, and whoever owns T tokens
can raise at most X T / (N + T). Dynamics: deficits come from the shock that also moves the token;
open interest, fees and depth follow its price. Source: adl-and-scenarios 9, S7.
"""

from fractions import Fraction
from math import exp
from typing import Annotated, Final

from pydantic import Field

from chainperp.lab.draws import Draws
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.scenario import Strict

TITLE: Final = "Refilling a fund by selling the venue's own token"
MILLION: Final = 10**6


class Values(Strict):
    """Dollars and tokens of the pool, the treasury, and how the venue follows its token."""

    pool_usd: Annotated[int, Field(ge=1)] = 50_000_000
    pool_tokens: Annotated[int, Field(ge=1)] = 1_250_000
    treasury_tokens: Annotated[int, Field(ge=0)] = 10_000_000
    raises_usd: tuple[int, ...] = (10_000_000, 25_000_000, 40_000_000, 44_000_000, 50_000_000)
    deficits_percent: Annotated[tuple[int, ...], Field(min_length=1)] = (
        5, 10, 20, 30, 40, 50, 60, 80,
    )  # fmt: skip
    reactions: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0, 0.5, 1.0, 1.5, 2.0)
    collateral_percent: tuple[int, ...] = (0, 20, 40)
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


class Path:
    """One venue day by day. Amounts in units of the pool's first depth; price 1 at the start."""

    __slots__ = ("depth", "fund", "price", "supply", "target", "tokens", "treasury")

    def __init__(self, values: Values, target: float) -> None:
        self.depth = 1.0
        self.price = 1.0
        self.tokens = 1.0
        self.treasury = values.treasury_tokens / values.pool_tokens
        self.target = target
        self.fund = target
        self.supply = 1.0

    def sell(self, wanted: float) -> float:
        """Raise at most `wanted` from the treasury; returns what was raised."""
        most = self.depth * self.treasury / (self.tokens + self.treasury)
        raised = min(wanted, 0.999 * most)
        if raised <= 0:
            return 0.0
        sold = raised * self.tokens / (self.depth - raised)
        self.treasury -= sold
        self.supply += sold
        self.price *= ((self.depth - raised) / self.depth) ** 2
        # Others buy the pool back to its ratio at the new price: depth follows the price.
        return raised


def ends(
    values: Values, deficit: float, reaction: float, collateral: float, automatic: bool, number: int
) -> str:
    """How a shock of this size ends: recover, grey or spiral.

    The discretionary rule lets winners pay first (up to `adl_percent` of depth), sells no more than
    its daily cap, and nothing on a day after a fall of 30 %.

    Spiral: the price is below a tenth and the fund is still short. Recover: the fund is full.
    """
    draws = Draws(20251010, f"S7/{number}")
    path = Path(values, target=0.2)
    winners = 0.0 if automatic else min(deficit, values.adl_percent / 100)
    path.fund -= deficit - winners
    path.price *= exp(-deficit)
    fell = deficit > 0.3
    for _ in range(values.days):
        before = path.price
        short = max(0.0, path.target - path.fund)
        wanted = short
        if not automatic:
            wanted = 0.0 if fell else min(short, values.daily_cap_percent / 100 * path.depth)
        path.fund += path.sell(wanted)
        # Token collateral loses with the price: a new deficit of that share.
        path.fund -= collateral * max(0.0, before - path.price)
        fees = 0.01 * path.price**reaction
        path.fund += fees
        if path.price < 0.7 * before:
            path.fund -= 0.02 * path.depth  # a run after a fall of 30 % in a day
        fell = path.price < 0.7 * before
        path.price *= exp(0.04 * (draws.unit() - 0.5))
        path.depth = max(1e-6, path.price**reaction)
        path.tokens = path.depth / path.price
        if path.fund >= path.target:
            return "recover"
    return "spiral" if path.price < 0.1 else "grey"


def phase(values: Values) -> tuple[Table, dict[str, int], dict[tuple[str, float], int]]:
    """Endings over the grid, automatic rule and discretion; and the smallest deficit that spirals
    by rule and reaction."""
    rows: list[list[Cell]] = []
    totals = {"automatic": 0, "discretionary": 0}
    critical: dict[tuple[str, float], int] = {}
    for collateral in values.collateral_percent:
        for reaction in values.reactions:
            for deficit in values.deficits_percent:
                row: list[Cell] = [collateral, reaction, deficit]
                for label in ("automatic", "discretionary"):
                    found = [
                        ends(values, deficit / 100, reaction, collateral / 100,
                             label == "automatic", number)
                        for number in range(values.paths)
                    ]  # fmt: skip
                    spirals = found.count("spiral")
                    row += [found.count("recover") / len(found) * 100, spirals / len(found) * 100]
                    if spirals * 2 > len(found):
                        totals[label] += 1
                        key = (label, reaction)
                        critical[key] = min(deficit, critical.get(key, deficit))
                rows.append(row)
    columns = ["token collateral (%)", "a + b", "deficit / pool depth (%)",
               "automatic: recover (%)", "automatic: spiral (%)",
               "discretionary: recover (%)", "discretionary: spiral (%)"]  # fmt: skip
    return Table("phase", "Where it ends", columns, rows), totals, critical


def run(values: Values, seed: int) -> Outcome:
    """Closed form and phase diagram."""
    table, totals, critical = phase(values)
    limit = ceiling(values.pool_usd, values.pool_tokens, values.treasury_tokens)
    edges = "; ".join(
        f"a + b = {reaction:g}: from {deficit} % of depth"
        for (label, reaction), deficit in sorted(critical.items())
        if label == "automatic"
    )
    outcome = Outcome(
        tables=[raises(values), table],
        figures=[_figure(values), _critical(critical)],
        assumed={"U14": "how depth and fees follow the token: exponents are swept"},
        notes=["The exchange has no rule that sells tokens; this is arithmetic of what one would "
               "do.",
               "LUNA's supply grew 4.3-fold, 500-fold and 18,000-fold on three days of May 2022: "
               "the spiral's speed is not calibrated to it here."],
    )  # fmt: skip
    only = totals["automatic"] > totals["discretionary"]
    found = only or (None if totals["automatic"] else False)
    outcome.verdicts = [
        verdict("C15", limit < values.pool_usd, f"a treasury of {values.treasury_tokens:,} tokens "
                f"can raise {float(limit) / MILLION:.2f} m at most, less than the pool's "
                f"{values.pool_usd / MILLION:g} m", "income that is not in the token"),
        verdict("C16", found, f"{totals['automatic']} cells of the grid spiral under the automatic "
                f"rule, {totals['discretionary']} under discretion (winners first, then at most "
                f"{values.daily_cap_percent} % of depth a day); the automatic rule's "
                f"boundary: {edges or 'none'}",
                "a pool deeper than the largest deficit, or fees that do not follow the token",
                boundary=only),
    ]  # fmt: skip
    return outcome


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
