"""S12: can an outsider detect a secret exemption?

Three observers of the same queue (P1, rounds drawn by seed and allocated by the engine's rule):
one who knows every candidate's inputs, one who has fills and reconstructs account values with
noise, and one who has our receipts and runs the block again. The detector is `lab forensic`'s: the
least number of positions that the published ranking does not explain. Source: adl-and-scenarios 9,
S12, and 12.
"""

from math import exp
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws, generator
from chainperp.lab.forensic import BY_NAME, Position, examine
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, verdict
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.rules.adl.choose import allocate, policy_named
from chainperp.rules.adl.policy import Candidate, Round

if TYPE_CHECKING:
    import numpy as np

TITLE: Final = "Can an outsider detect a secret exemption?"
RANKING: Final = BY_NAME["hyperliquid"]
ENTRY: Final = 100 * DOLLAR


class Values(Strict):
    """Positions of a round, rounds of each case, exempt accounts, noise in account values."""

    positions: Annotated[int, Field(ge=10, le=5000)] = 200
    rounds: Annotated[int, Field(ge=10, le=5000)] = 300
    need_percent: Annotated[int, Field(ge=1, le=90)] = 30
    exempt: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 2, 5, 10)
    noise_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (0, 1, 5, 20, 50, 100)
    engine_rounds: Annotated[int, Field(ge=1, le=200)] = 12


def candidates_of(count: int, draws: Draws) -> list[Candidate]:
    """Shorts in profit, with drawn entries, sizes and account values."""
    found: list[Candidate] = []
    mark = 90 * DOLLAR
    for place in range(count):
        lots = int(draws.log_even(100, 100_000))
        entry = lots * draws.whole(91 * DOLLAR, 110 * DOLLAR)
        value = int(lots * mark / draws.log_even(0.5, 20.0))
        found.append(
            Candidate(
                f"c{place:04d}".encode(),
                lots,
                entry_notional=entry,
                notional=lots * mark,
                account_value=value,
                pnl=entry - lots * mark,
                is_long=False,
            )
        )
    return found


def closed_in_round(candidates: list[Candidate], spared: set[bytes], need: int) -> list[int]:
    """Lots that the queue takes when some are left out without a word."""
    this_round = Round(seed=bytes(32), lots=need, mark=90 * DOLLAR, price=90 * DOLLAR,
                       is_target_long=True)  # fmt: skip
    able = [one for one in candidates if one.key not in spared]
    takes = allocate(policy_named("hyperliquid"), this_round, able).takes
    by_key = {one.key: take for one, take in zip(able, takes, strict=True)}
    return [by_key.get(one.key, 0) for one in candidates]


def seen_with_noise(
    candidates: list[Candidate], noise: float, draws: "np.random.Generator"
) -> list[Candidate]:
    """The same positions as an outsider reconstructs them."""
    factors = draws.standard_normal(len(candidates))
    return [
        Candidate(
            one.key,
            one.lots,
            entry_notional=one.entry_notional,
            notional=one.notional,
            account_value=max(1, int(one.account_value * exp(noise * float(z)))),
            pnl=one.pnl,
            is_long=False,
        )
        for one, z in zip(candidates, factors, strict=True)
    ]


def out_of_order(candidates: list[Candidate], takes: list[int]) -> int:
    """What the published ranking does not explain."""
    rows = [Position(one, take, one.lots) for one, take in zip(candidates, takes, strict=True)]
    return examine(rows, RANKING).out_of_order


def counts(values: Values, exempt: int, noise: float, seed: int) -> list[int]:
    """Unexplained positions of each round of a case; the rounds are the same in every case."""
    noisy = generator(seed, f"S12/{exempt}/{noise}")
    found: list[int] = []
    for number in range(values.rounds):
        draws = Draws(seed, f"S12/{number}")
        rows = candidates_of(values.positions, draws)
        need = sum(one.lots for one in rows) * values.need_percent // 100
        spared = {rows[draws.whole(0, len(rows) - 1)].key for _ in range(exempt)}
        takes = closed_in_round(rows, spared, need)
        seen = rows if noise == 0 else seen_with_noise(rows, noise, noisy)
        found.append(out_of_order(seen, takes))
    return found


def separation(honest: list[int], other: list[int]) -> float:
    """Probability that a round with an exemption looks worse than an honest one, ties half: 0.5 is
    no information, 1 is certainty.

    >>> separation([0, 1], [1, 2])
    0.875
    """
    better = sum((b > a) + 0.5 * (a == b) for a in honest for b in other)
    return better / (len(honest) * len(other))


def engine_rounds(values: Values, seed: int) -> tuple[int, int, dict[str, Chain]]:
    """Rounds of the engine with an exemption, run again from what would be public without it.

    Returns in how many rounds the spared account would have been closed, and in how many of those
    the second run ends in another state root.
    """
    mattered, seen = 0, 0
    chains: dict[str, Chain] = {}
    for number in range(values.engine_rounds):
        draws = Draws(seed, f"S12/engine/{number}")
        lots = {f"short{place}": -int(draws.log_even(100, 5000)) for place in range(20)}
        multiples = {name: draws.whole(1, 8) for name in lots}
        without = _fall(lots, multiples, None)
        spared = next(name for name in lots if without.lots(name) != lots[name])
        with_list = _fall(lots, multiples, spared)
        mattered += with_list.lots(spared) == lots[spared]
        seen += with_list.root != without.root
        chains[f"round {number} with a list"] = with_list.evidence()
        chains[f"round {number} run again"] = without.evidence()
    return mattered, seen, chains


def _fall(lots: dict[str, int], multiples: dict[str, int], spared: str | None) -> Venue:
    venue = Venue(policy_id=100, leverage=20)
    venue.mark(ENTRY)
    total = -sum(lots.values())
    thin = total // 2
    venue.join({name: -count * USD * multiples[name] // 8 + USD for name, count in lots.items()})
    venue.join({"book": 3 * total * USD, "solid": total * USD, "thin": thin * USD // 16})
    venue.trade("book", lots, ENTRY)
    venue.trade("book", {"thin": thin, "solid": total - thin}, ENTRY)
    if spared is None:
        venue.block()
    else:
        venue.exempt([spared])
    venue.mark(90 * DOLLAR)
    return venue


def run(values: Values, seed: int) -> Outcome:
    """The three observers."""
    powers: list[list[Cell]] = []
    honest = counts(values, 0, 0.0, seed)
    false_alarms = sum(count > 0 for count in honest)
    for exempt in values.exempt:
        found = counts(values, exempt, 0.0, seed)
        powers.append([exempt, sum(count > 0 for count in found) / values.rounds * 100])
    most = max(values.exempt)
    noisy: list[list[Cell]] = []
    areas: dict[int, float] = {}
    for percent in values.noise_percent:
        clean = counts(values, 0, percent / 100, seed)
        dirty = counts(values, most, percent / 100, seed + 1)
        areas[percent] = separation(clean, dirty)
        limit = sorted(clean)[min(len(clean) - 1, int(0.95 * len(clean)))]
        noisy.append(
            [percent, sum(clean) / len(clean), sum(dirty) / len(dirty),
             sum(count > 0 for count in clean) / len(clean) * 100,
             sum(count > limit for count in dirty) / len(dirty) * 100, areas[percent]]
        )  # fmt: skip
    mattered, seen, chains = engine_rounds(values, seed)
    outcome = Outcome(
        tables=[
            Table("full", f"Inputs public: {false_alarms} false alarms in {values.rounds} rounds",
                  ["exempt accounts", "rounds in which it shows (%)"], powers),
            Table("noise", f"Fills only: honest rounds against {most} exempt accounts",
                  ["noise in account values (%)", "unexplained, honest rounds (mean)",
                   "unexplained, with exemptions (mean)", "honest rounds that look wrong (%)",
                   "caught at 5 % false alarms (%)", "separation (0.5 none, 1 certain)"], noisy),
            Table("receipts", "Receipts: the block run again without the secret list",
                  ["rounds in which the exemption mattered", "of them with another state root"],
                  [[mattered, seen]]),
        ],
        figures=[
            Figure(name="separation", title=f"What fills alone say about {most} exemptions",
                   x="noise in reconstructed account values (%)",
                   y="separation (0.5 none, 1 certain)",
                   series=[Series("", [float(p) for p in areas], list(areas.values()))]),
        ],
        chains=chains,
        assumed={"U-ADL-1": "the published ranking is leverage times profit ratio",
                 "U3": "noise stands for isolated margin and transfers that fills do not show"},
        notes=["Exempt accounts are drawn at random: most would not have been reached by the "
               "queue, and an exemption that changes nothing cannot be seen by anybody.",
               "The published tables of October 2025 hold only accounts that were hit, so this "
               "test cannot be run on them."],
    )  # fmt: skip
    blurred = [percent for percent, area in areas.items() if area < 0.9]
    outcome.verdicts = [
        verdict("C17", bool(blurred), "with account values known to "
                f"{min(blurred, default=0)} % or worse, fills of honest rounds look like rounds "
                "with exemptions; with all inputs public there are no false alarms",
                "public account values, or receipts", boundary=bool(blurred)),
        verdict("C19", mattered > 0 and seen == mattered, f"of {mattered} rounds in which a secret "
                f"exemption mattered, running the block again showed {seen}",
                "a list that is part of the state: then the second run agrees"),
    ]  # fmt: skip
    return outcome
