"""Runs of an allocation problem through the policies of the engine, and what each run was like.

The policies are the rules' own (`rules/adl/`). Only a cap or a leverage that is not what profit,
equity and notional say is handed to the rules' `waterfill` and `queue` directly, with the weights
of adl-and-scenarios 8.4.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from chainperp.lab.metrics import gini, largest_share_ppb
from chainperp.lab.problem import PPM, Problem, Run, Winner
from chainperp.lab.refusals import refuse
from chainperp.model.decisions import AdlReason
from chainperp.rules.adl.allocate import eligible_part, queue, ranking, tie_keys, waterfill
from chainperp.rules.adl.choose import allocate
from chainperp.rules.adl.policy import Candidate, Round

GINI_DIGITS: Final = 9
LINEAR: Final[dict[str, Callable[[Winner], int]]] = {
    "pro_rata_pnl": lambda one: one.cap,
    "pro_rata_equity": lambda one: one.e,
    "pro_rata_notional": lambda one: one.n,
    "rap_linear": lambda one: one.cap * one.lam * one.lam // PPM**2,
    "quadratic": lambda one: one.cap * one.cap,
}
SCORED: Final[dict[str, Callable[[Winner], tuple[int, int]]]] = {
    "queue_profit": lambda one: (one.w, 1),
    "queue_pnl_x_leverage": lambda one: (one.w * one.n, one.e * one.e) if one.e else (-1, 1),
    "random": lambda one: (0, 1),
}


class Answer(NamedTuple):
    """Takes by candidate, in the problem's order, and what could not be covered."""

    takes: list[int]
    shortfall: int


def exempted(winners: Sequence[Winner], count: int) -> list[Winner]:
    """The winners with the caps of the `count` largest profits set to nothing; ties by id."""
    largest = sorted(winners, key=lambda one: (-one.w, one.id))[:count]
    spared = {one.id for one in largest}
    return [one._replace(cap=0) if one.id in spared else one for one in winners]


def is_natural(one: Winner) -> bool:
    """Whether cap and leverage are what the other figures say, or the candidate is exempt."""
    leverage = one.n * PPM // one.e if one.e else 0
    return one.cap in (0, min(one.w, one.e)) and one.lam == leverage


def solve(run: Run, winners: Sequence[Winner], seed: bytes, where: str) -> Answer:
    """One run. Raises BadRequest when its policy has no use for caps of one's own."""
    candidates = [
        Candidate(
            one.id.encode(),
            1,
            entry_notional=one.n,
            notional=one.n,
            account_value=one.e,
            pnl=one.w,
            exempt=one.cap == 0,
        )
        for one in winners
    ]
    for one in winners:
        if not is_natural(one):
            return _with_own_caps(run, winners, candidates, seed, f"{where} (id {one.id})")
    answer = allocate(run.policy, Round(seed=seed, budget=run.budget), candidates)
    return Answer(answer.takes, answer.shortfall)


def _with_own_caps(
    run: Run, winners: Sequence[Winner], candidates: list[Candidate], seed: bytes, where: str
) -> Answer:
    name = run.policy.name
    ties = tie_keys(seed, candidates)
    caps = [one.cap for one in winners]
    if name in LINEAR:
        takes = waterfill(run.budget, caps, [LINEAR[name](one) for one in winners], ties)
    elif name in SCORED:
        reasons = [AdlReason.ELIGIBLE if cap else AdlReason.CAPPED for cap in caps]
        scores = [SCORED[name](one) for one in winners]
        order = ranking(candidates, reasons, scores, ties)
        takes = queue(run.budget, caps, eligible_part(order, reasons))
    else:
        refuse(where, f"cap or lam differ from what w, e and n say, which {name} does not read")
    return Answer(takes, run.budget - sum(takes))


def summary(run: Run, winners: Sequence[Winner], answer: Answer) -> dict[str, Any]:
    """A run's figures, with the hash of all its lines `id,amount`, by id."""
    takes = answer.takes
    rows = sorted(zip((one.id for one in winners), takes, strict=True))
    lines = "".join(f"{name},{take}\n" for name, take in rows)
    caps = [one.cap for one in winners]
    left = [cap - take for cap, take in zip(caps, takes, strict=True)]
    return {
        "policy": run.policy.name,
        "budget": run.budget,
        "exempt_top": run.exempt_top,
        "total": sum(takes),
        "shortfall": answer.shortfall,
        "n_hit": sum(1 for take in takes if take),
        "n_full": sum(1 for cap, take in zip(caps, takes, strict=True) if take and take == cap),
        "max_single": max(takes, default=0),
        "top10": sum(sorted(takes)[-10:]),
        "max_pct_ppb": largest_share_ppb(takes, [one.e for one in winners]),
        "survivor_max": max(left, default=0),
        "gini": round(float(gini(takes)), GINI_DIGITS),
        "sha256": sha256(lines.encode()).hexdigest(),
    }  # fmt: skip


def document(problem: Problem, require_feasible: bool = False) -> dict[str, Any]:
    """All runs of a problem. With `require_feasible` one that cannot be covered is refused."""
    runs: list[dict[str, Any]] = []
    for at, run in enumerate(problem.runs):
        winners = exempted(problem.winners, run.exempt_top)
        answer = solve(run, winners, problem.seed, f"{problem.name}: candidates")
        if require_feasible and answer.shortfall:
            refuse(
                f"{problem.name}: runs[{at}].budget",
                f"was {run.budget}, {run.policy.name} can raise {sum(answer.takes)} at most",
            )
        runs.append(summary(run, winners, answer))
    caps = [one.cap for one in problem.winners]
    return {
        "n_winners": len(caps),
        "sum_w": sum(one.w for one in problem.winners),
        "sum_cap": sum(caps),
        "n_cap_pos": sum(1 for cap in caps if cap),
        "runs": runs,
    }
