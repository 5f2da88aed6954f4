"""S3: damped assets: thin tails, and what damping is worth as an option.

Winners of a move x get D(x) = min(x, lambda x + (1 - lambda) P(x) + phi), where P(x) is what losers
can pay. Everything here follows from that and from standard mathematics; it is not taken from
anybody's study (U1). Relative tails are measured against the damped asset's own deviation. Two
routes to D and to the boundary: closed form and the engine. Source: adl-and-scenarios 10.
"""

from math import sqrt
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import generator
from chainperp.lab.outcome import Cell, Outcome, Table, verdict
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.studies import damping
from chainperp.lab.studies.damping import Losers
from chainperp.lab.studies.funding_bias import bias_table
from chainperp.lab.studies.tail_figures import figures, hill, moment_shape
from chainperp.lab.venue import DOLLAR, USD, Venue

if TYPE_CHECKING:
    import numpy as np

TITLE: Final = "Damped assets: thin tails, and what damping is worth"
ENTRY: Final = 1000 * DOLLAR
P6: Final = 600


class Values(Strict):
    """Percent, days, and paths of the Monte Carlo."""

    daily_percent: Annotated[float, Field(gt=0, le=50)] = 4.0
    freedom: Annotated[float, Field(gt=2, le=30)] = 3.0
    caps_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (8, 10, 20, 40, 100)
    engine_caps_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (8, 10, 20, 40)
    engine_moves: Annotated[int, Field(ge=5, le=400)] = 45
    bond_daily_percent: Annotated[float, Field(gt=0, le=10)] = 0.1
    bond_default: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    paths: Annotated[int, Field(ge=10_000, le=20_000_000)] = 1_000_000
    tail_samples: Annotated[int, Field(ge=10_000, le=5_000_000)] = 200_000
    jump_percent: Annotated[int, Field(ge=10, le=99)] = 50


def engine_gain(losers: Losers, moves: list[int]) -> tuple[list[float], Chain]:
    """D(x) through the engine for moves in tenths of a percent: the shorts' gain per notional when
    the price falls by x at once and the longs have these margins. No fund, no book, P6."""
    found: list[float] = []
    unit = 10_000
    for move in moves:
        venue = Venue(policy_id=P6, leverage=50, vault=0)
        venue.mark(ENTRY)
        price = ENTRY // DOLLAR
        longs = {f"long{place}": int(share * unit) for place, (share, _) in enumerate(losers)}
        venue.join({"short": 3 * unit * price * USD // 100})
        deposits = {
            f"long{place}": int(longs[f"long{place}"] * price * USD // 100 * margin)
            for place, (_, margin) in enumerate(losers)
        }
        venue.join(deposits)
        venue.trade("short", longs, ENTRY)
        before = venue.value("short")
        venue.mark(_on_grid(ENTRY * (1000 - move) // 1000))
        found.append((venue.value("short") - before) / (unit * price * USD / 100))
    return found, venue.evidence()


def _on_grid(price: int) -> int:
    """A price with five figures."""
    step = 1
    while price // step >= 100_000:
        step *= 10
    return price // step * step


def caps_table(values: Values) -> tuple[Table, list[list[float]]]:
    """Relative tail ratio under hard caps: closed form."""
    rows: list[list[Cell]] = []
    plain: list[list[float]] = []
    scale = values.daily_percent / 100 / sqrt(values.freedom / (values.freedom - 2))
    for cap in values.caps_percent:
        deviation = damping.capped_deviation(values.freedom, scale, cap / 100)
        ratio = damping.capped_ratio(values.freedom, scale, cap / 100)
        limit = 10 * deviation
        rows.append([cap, deviation * 100, ratio, limit * 100, "yes" if ratio == 0 else "no"])
        plain.append([cap / 100, deviation, ratio])
    columns = ["cap (%)", "deviation after damping (%)", "P(>10σ) / P(>2σ)", "10σ (%)",
               "thinner than a bond"]  # fmt: skip
    return Table("caps", f"Student t({values.freedom:g}), {values.daily_percent:g} % a day, capped",
                 columns, rows), plain  # fmt: skip


def reference_ratios(values: Values) -> Table:
    """Undamped: normal, two Student laws, and a bond that may default."""
    rows: list[list[Cell]] = [["normal", damping.normal_ratio()]]
    rows += [[f"Student t({nu:g})", damping.student_ratio(nu)] for nu in (3.0, 4.0)]
    bond = damping.bond_ratio(values.bond_daily_percent / 100, values.bond_default)
    rows.append(["government bond, lower tail", bond])
    columns = ["law, deviation one", "P(>10σ) / P(>2σ)"]
    return Table("ratios", "Relative tails without damping", columns, rows)


def engine_boundary(values: Values) -> tuple[Table, float, dict[str, Chain]]:
    """Each cap again through the engine: D at a grid of moves, and the tail ratio that follows from
    the measured D by linear interpolation. Returns the largest difference of D."""
    scale = values.daily_percent / 100 / sqrt(values.freedom / (values.freedom - 2))
    rows: list[list[Cell]] = []
    worst = 0.0
    chains: dict[str, Chain] = {}
    for cap in values.engine_caps_percent:
        top = 500
        moves = sorted({cap * 10, *(1 + top * k // values.engine_moves
                                    for k in range(values.engine_moves))})  # fmt: skip
        gains, evidence = engine_gain([(1.0, cap / 100)], moves)
        exact = [min(move / 1000, cap / 100) for move in moves]
        worst = max(worst, *(abs(a - b) for a, b in zip(gains, exact, strict=True)))
        points = [(0.0, 0.0), *((m / 1000, g) for m, g in zip(moves, gains, strict=True))]
        deviation, ratio = damping.measured_ratio(values.freedom, scale, points)
        closed = damping.capped_ratio(values.freedom, scale, cap / 100)
        same = (ratio == 0) == (closed == 0)
        rows.append([cap, deviation * 100, ratio, closed, "yes" if same else "no"])
        chains[f"cap {cap} %"] = evidence
    columns = ["losers' margin (%)", "deviation, engine (%)", "ratio, engine",
               "ratio, closed form", "same side of the boundary"]  # fmt: skip
    return Table("engine", "The boundary through the engine", columns, rows), worst, chains


def options_table(values: Values, seed: int) -> tuple[Table, float]:
    """Calls on the damped asset: closed form and Monte Carlo with whole micro-dollar payoffs."""
    import numpy as np

    rows: list[list[Cell]] = []
    worst = 0.0
    for volatility, days, strike in (
        (0.8, 1, 100.0), (0.8, 1, 105.0), (0.8, 7, 100.0), (2.0, 1, 100.0), (2.0, 1, 108.0),
    ):  # fmt: skip
        years = days / 365
        call = damping.black_scholes_call(100.0, strike, volatility, years)
        damped = call - damping.black_scholes_call(100.0, 110.0, volatility, years)
        forward = damping.damped_forward(100.0, 0.1, volatility, years)
        draws = generator(seed, f"S3/{volatility}/{days}").standard_normal(values.paths)
        ends = 100 * np.exp(volatility * sqrt(years) * draws - volatility**2 * years / 2)
        payoff = np.rint(np.maximum(np.clip(ends, 90, 110) - strike, 0) * USD) / USD
        mean, error = float(payoff.mean()), float(payoff.std() / sqrt(values.paths))
        worst = max(worst, abs(mean - damped) / error)
        # Limits that forbid moves (truncation) put no mass on the limit; ADL does (censoring).
        inside = ends[(ends >= 90) & (ends <= 110)]
        truncated = float(np.maximum(inside - strike, 0).mean()) if inside.size else 0.0
        rows.append([volatility * 100, days, strike, call, damped, (1 - damped / call) * 100,
                     forward, mean, error, truncated])  # fmt: skip
    columns = ["volatility (%)", "days", "strike", "call", "damped call", "discount (%)",
               "damped forward", "simulated", "standard error",
               "if moves were truncated instead"]  # fmt: skip
    return Table("options", "Calls on an asset damped at ±10 %", columns, rows), worst


def discounts_table() -> Table:
    """What a winner gives up per 100 of notional: the strip of calls at losers' bankruptcy."""
    rows: list[list[Cell]] = []
    classes: Losers = [(0.5, 0.05), (0.5, 0.2)]
    for volatility, hours in ((0.8, 24.0), (2.0, 24.0), (0.8, 8.0)):
        worth = damping.adl_discount(100.0, classes, volatility, hours / 24 / 365)
        rows.append([volatility * 100, hours, worth])
    columns = ["volatility (%)", "hours between checks", "discount per 100 of notional"]
    return Table("discounts", "Half of the losers with 5 %, half with 20 % of margin",
                 columns, rows)  # fmt: skip


def tail_sample(values: Values, seed: int) -> "np.ndarray[Any, Any]":
    """An exact Pareto of index 3."""
    draws = generator(seed, "S3/tails").random(values.tail_samples)
    found: np.ndarray[Any, Any] = (1 - draws) ** (-1 / 3)
    return found


def tails_table(values: Values, seed: int) -> tuple[Table, bool]:
    """Hill on an exact Pareto and its powers, where the answer is known: 3 / (1 - beta)."""
    raw = tail_sample(values, seed)
    rows: list[list[Cell]] = []
    holds = True
    for beta in (0.0, 0.3, 0.5):
        sample = raw ** (1 - beta)
        for share in (0.005, 0.01, 0.02):
            index, error = hill(sample, int(share * len(sample)))
            expected = 3 / (1 - beta)
            holds = holds and abs(index - expected) <= 3 * error
            rows.append([beta, share * 100, expected, index, error,
                         moment_shape(sample, int(share * len(sample)))])  # fmt: skip
    columns = ["β of the losers' margins", "k (% of the sample)", "expected index", "Hill",
               "standard error", "moment shape"]  # fmt: skip
    return Table("tails", "Tail index of a damped Pareto", columns, rows), holds


def solvency_table(values: Values) -> Table:
    """The same venue with a calm source, a fat one, and one jump: where the loss goes."""
    rows: list[list[Cell]] = []
    margin = 0.08
    jump = values.jump_percent / 100
    for name, freedom in (("t(8)", 8.0), ("t(3)", 3.0), ("t(2.2)", 2.2)):
        scale = values.daily_percent / 100 / sqrt(freedom / (freedom - 2))
        binding = damping.student_tail(margin / scale, freedom)
        unpaid = damping.expected_excess(freedom, scale, margin)
        rows.append([name, binding * 100, unpaid * 1e4, 1 / binding, unpaid / binding * 100])
    gap = (jump - margin) * 100
    rows.append([f"one gap of {values.jump_percent} %", 100.0, gap * 100, None, gap])
    columns = ["daily moves", "days on which the cap binds (%)",
               "unpaid a day (basis points of notional)", "days between such days",
               "unpaid on such a day (% of notional)"]  # fmt: skip
    return Table("solvency", "Margin of 8 %: what the thin tail moves into solvency",
                 columns, rows)  # fmt: skip


def run(values: Values, seed: int) -> Outcome:
    """All parts."""
    caps, plain = caps_table(values)
    engine, worst, chains = engine_boundary(values)
    options, off = options_table(values, seed)
    tails, hill_holds = tails_table(values, seed)
    solvency = solvency_table(values)
    funding, biased, chains["funding, last move"] = bias_table()
    outcome = Outcome(
        tables=[caps, reference_ratios(values), engine, options, discounts_table(), funding, tails,
                solvency],
        figures=figures(values.freedom, values.daily_percent, tail_sample(values, seed)),
        chains=chains,
        assumed={"U1": "our own derivation, attributed to nobody"},
    )  # fmt: skip
    outcome.notes = [
        f"D through the engine and in closed form differ by at most {worst:.2g} of notional.",
        f"Monte Carlo and closed form differ by at most {off:.2f} standard errors.",
        "Even the raw t(3) has thinner relative tails than a bond that may default: the comparison "
        "needs relativity more than it needs damping.",
        "Damped forwards lie below 100: funding must pay the difference. Prediction and engine "
        f"differ by at most {biased:.2g} basis points.",
        "Hill's estimator cannot see an end-point; the moment estimator can.",
    ]
    outcome.verdicts = _verdicts(values, plain, engine, (worst, off, hill_holds), solvency)
    return outcome


def _verdicts(
    values: Values,
    plain: list[list[float]],
    engine: Table,
    checks: tuple[float, float, bool],
    solvency: Table,
) -> list[Any]:
    worst, off, hill_holds = checks
    thin = [cap for cap, _, ratio in plain if ratio == 0]
    fat = [cap for cap, _, ratio in plain if ratio > 0]
    exact = all((cap < 10 * deviation) == (ratio == 0) for cap, deviation, ratio in plain)
    agreed = all(row[-1] == "yes" for row in engine.rows)
    scale = values.daily_percent / 100 / sqrt(values.freedom / (values.freedom - 2))
    boundary = damping.boundary(values.freedom, scale)
    both = exact and agreed and hill_holds and off < 4
    return [
        verdict("C6", worst < 1e-6, "the engine pays min(move, losers' margin) at every move tried",
                "a fund, or a book that takes part of the position"),
        verdict("C8", worst < 1e-6, f"a move of 10 % pays 8 % against margins of 8 %; the daily "
                f"deviation falls from {values.daily_percent:g} % to {plain[0][1] * 100:.3f} %",
                "margins that are topped up within the move"),
        verdict("C9", both and bool(thin), f"the ratio is 0 if and only if the cap is below 10 "
                f"deviations of the damped asset, here below {boundary * 100:.1f} %: caps of "
                f"{', '.join(f'{c * 100:g} %' for c in thin)} give 0, "
                f"{', '.join(f'{c * 100:g} %' for c in fat) or 'none'} do not; engine and closed "
                "form are on the same side for each cap",
                "losers with margins above ten deviations", boundary=bool(fat)),
        verdict("C10", float(solvency.rows[2][4] or 0) > 2 * float(solvency.rows[0][4] or 0),
                "with the same deviation a breach comes "
                f"{float(solvency.rows[2][3] or 0) / float(solvency.rows[0][3] or 1):.1f} times "
                f"less often under t(2.2) than under t(8), and leaves {solvency.rows[2][4]:.3g} % "
                f"of notional unpaid instead of {solvency.rows[0][4]:.3g} %: calm, then a gap",
                "checks so frequent that gaps do not happen"),
    ]  # fmt: skip
