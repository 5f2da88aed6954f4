"""S12: can an outsider detect a secret exemption?

Three observers of the same queue (P1, rounds drawn by seed and allocated by the engine's rule):
one who knows every candidate's inputs, one who has fills and reconstructs account values with
noise, and one who has our receipts and runs the block again. The detector is `lab forensic`'s: the
least number of positions that the published ranking does not explain. Source: adl-and-scenarios 9,
S12, and 12.
"""

from math import exp
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from pydantic import Field

from chainperp.lab.chain import Chain
from chainperp.lab.draws import Draws, generator
from chainperp.lab.forensic import BY_NAME, Position, examine
from chainperp.lab.group_test import Count, below_marginal, p_published, p_unrelated
from chainperp.lab.outcome import Cell, Figure, Outcome, Series, Table, Verdict, verdict
from chainperp.lab.scenario import Percent, Strict
from chainperp.lab.studies.commitment import commitment_table, guessing_table
from chainperp.lab.studies.queue_rounds import candidates_of, closed_in_round
from chainperp.lab.venue import DOLLAR, USD, Venue
from chainperp.rules.adl.policy import Candidate

if TYPE_CHECKING:
    import numpy as np

TITLE: Final = "Can an outsider detect a secret exemption?"
RANKING: Final = BY_NAME["hyperliquid"]
ENTRY: Final = 100 * DOLLAR
LEVEL: Final = 0.05
HONEST: Final = 300
"""Least number of simulated honest groups behind a p-value."""
WORLDS: Final = ("published order", "published order, secret exemptions", "another order")
NOTES: Final = (
    "A commitment binds, and hides: until it is opened every omission has a list that "
    "explains it, and only an order that no list explains is refuted. At the opening "
    "another list is refuted by its hash, and an account spared without being on it by "
    "running the round again. Who never opens is refuted by a deadline alone, so the "
    "rules must have one. A list written in the last block before a fall is refuted by "
    "nothing: what speaks of it is when the commitment changed, if its salt is kept.",
    "A group has a p-value when exactly one position was closed in part and another "
    "whole; an exempt account is in no fill, so honest and exempting groups look "
    "alike: p-values speak of the order, never of exemptions. Against the "
    "published order noise must be assumed, against an unrelated one nothing.",
    "Exempt accounts are drawn at random: most would not have been reached by the "
    "queue, and an exemption that changes nothing cannot be seen by anybody.",
    "The published tables of October 2025 hold only accounts that were hit, summed over "
    "the day: neither test can be run on them. Archives of fills have groups "
    "(`chainperp lab forensic`), but no account values: of them only orders by profit "
    "or size have p-values.",
)


class Values(Strict):
    """Positions of a round, rounds of each case, exempt accounts, noise in account values."""

    positions: Annotated[int, Field(ge=10, le=5000)] = 200
    rounds: Annotated[int, Field(ge=10, le=5000)] = 300
    need_percent: Annotated[int, Field(ge=1, le=90)] = 30
    exempt: Annotated[tuple[int, ...], Field(min_length=1)] = (1, 2, 5, 10)
    noise_percent: Annotated[tuple[Percent, ...], Field(min_length=1)] = (0, 1, 5, 20, 50, 100)
    engine_rounds: Annotated[int, Field(ge=1, le=200)] = 12


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


def other_rule(candidates: list[Candidate], need: int) -> list[int]:
    """Lots that a queue by profit takes, which nobody was told of."""
    takes: dict[bytes, int] = {}
    for one in sorted(candidates, key=lambda one: (-one.pnl, one.key)):
        takes[one.key] = min(one.lots, need)
        need -= takes[one.key]
    return [takes[one.key] for one in candidates]


def groups_of(values: Values, world: str, noise: float, seed: int) -> list[Count]:
    """Groups of fills as an outsider sees them, of those rounds that can be tested."""
    noisy = generator(seed, f"S12/groups/{world}/{noise}")
    found: list[Count] = []
    for number in range(values.rounds):
        draws = Draws(seed, f"S12/groups/{world}/{number}")
        rows = candidates_of(values.positions, draws)
        need = sum(one.lots for one in rows) * values.need_percent // 100
        count = max(values.exempt) if world == WORLDS[1] else 0
        spared = {rows[draws.whole(0, len(rows) - 1)].key for _ in range(count)}
        takes = closed_in_round(rows, spared, need)
        if world == WORLDS[2]:
            takes = other_rule(rows, need)
        seen = rows if noise == 0 else seen_with_noise(rows, noise, noisy)
        sides = [Position(one, take, one.lots) for one, take in zip(seen, takes, strict=True)]
        group = below_marginal(sides, RANKING)
        if isinstance(group, Count):
            found.append(group)
    return found


def groups_table(values: Values, seed: int) -> Table:
    """P-values of single groups in three worlds, at each noise."""
    rows: list[list[Cell]] = []
    many = values.model_copy(update={"rounds": max(values.rounds, HONEST)})
    for percent in values.noise_percent:
        honest = [one.below for one in groups_of(many, WORLDS[0], percent / 100, seed + 2)]
        for world in WORLDS:
            groups = groups_of(values, world, percent / 100, seed)
            if not groups:
                rows.append([percent, world, 0, None, None, None])
                continue
            against = sum(p_published(one.below, honest) <= LEVEL for one in groups)
            chance = sum(p_unrelated(one) <= LEVEL for one in groups)
            rows.append([percent, world, len(groups), sum(g.below for g in groups) / len(groups),
                         against / len(groups) * 100, chance / len(groups) * 100])  # fmt: skip
    columns = ["noise in account values (%)", "what happened", "groups that can be tested",
               "whole closures below the partly closed one (mean)",
               "p <= 0.05 against the published order (% of groups)",
               "p <= 0.05 against an unrelated order (% of groups)"]  # fmt: skip
    return Table("groups", "A p-value for each group of fills", columns, rows)


def separation(honest: list[int], other: list[int]) -> float:
    """Probability that a round with an exemption looks worse than an honest one, ties half: 0.5 is
    no information, 1 is certainty.

    >>> separation([0, 1], [1, 2])
    0.875
    """
    better = sum((b > a) + 0.5 * (a == b) for a in honest for b in other)
    return better / (len(honest) * len(other))


class Rerun(NamedTuple):
    """Rounds in which the spared account would have been closed; of them, how many end in another
    state root when they are run again without the list, and how many with it."""

    mattered: int
    secret: int
    public: int
    chains: dict[str, Chain]


def engine_rounds(values: Values, seed: int) -> Rerun:
    """Rounds of the engine with an exemption, run again from what is public: without a list that is
    secret, and with a public one."""
    mattered, seen, differing = 0, 0, 0
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
        differing += _fall(lots, multiples, spared).root != with_list.root
        chains[f"round {number} with a list"] = with_list.evidence()
        chains[f"round {number} run again"] = without.evidence()
    return Rerun(mattered, seen, differing, chains)


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
    rerun = engine_rounds(values, seed)
    outcome = Outcome(
        tables=[
            Table("full", f"Inputs public: {false_alarms} false alarms in {values.rounds} rounds",
                  ["exempt accounts", "rounds in which it shows (%)"], powers),
            Table("noise", f"Fills only: honest rounds against {most} exempt accounts",
                  ["noise in account values (%)", "unexplained, honest rounds (mean)",
                   "unexplained, with exemptions (mean)", "honest rounds that look wrong (%)",
                   "caught at 5 % false alarms (%)", "separation (0.5 none, 1 certain)"], noisy),
            Table("receipts", "Receipts: the block run again from what is public",
                  ["rounds in which the exemption mattered",
                   "another state root, list kept secret", "another state root, list in public"],
                  [[rerun.mattered, rerun.secret, rerun.public]]),
            groups_table(values, seed),
            commitment_table(values.rounds, values.positions, values.need_percent, seed),
            guessing_table(values.positions),
        ],
        figures=[
            Figure(name="separation", title=f"What fills alone say about {most} exemptions",
                   x="noise in reconstructed account values (%)",
                   y="separation (0.5 none, 1 certain)",
                   series=[Series("", [float(p) for p in areas], list(areas.values()))]),
        ],
        chains=rerun.chains,
        assumed={"U-ADL-1": "the published ranking is leverage times profit ratio",
                 "U3": "noise stands for isolated margin and transfers that fills do not show"},
        notes=list(NOTES),
    )  # fmt: skip
    outcome.verdicts = _verdicts(areas, rerun)
    return outcome


def _verdicts(areas: dict[int, float], rerun: Rerun) -> list[Verdict]:
    blurred = [percent for percent, area in areas.items() if area < 0.9]
    shows = rerun.secret == rerun.mattered > 0 == rerun.public
    return [
        verdict("C17", bool(blurred), "with account values known to "
                f"{min(blurred, default=0)} % or worse, fills of honest rounds look like rounds "
                "with exemptions; with all inputs public there are no false alarms",
                "public account values, or receipts", boundary=bool(blurred)),
        verdict("C19", shows, f"of {rerun.mattered} rounds in which a secret exemption mattered, "
                f"running the block again showed {rerun.secret}; with the list in public "
                f"{rerun.public} runs differ",
                "a list that is part of the state: then the second run agrees"),
    ]  # fmt: skip
