"""What a shock can be run under: every policy of the engine, and three that are no round of it.

`P16` and `P18` are settlements: positions stay, and what is missing at the end of the path is taken
from those who withdraw (all in the same proportion of their balance), or from the profits of the
period. `P20`, or `+last` behind any policy, reaches exempt accounts after all others.
"""

from typing import Final, NamedTuple

from chainperp.lab.problem import code_of, find_policy
from chainperp.rules.adl.choose import policy_named
from chainperp.rules.adl.policy import Policy

WITHDRAWALS: Final = "withdrawals"
PERIOD: Final = "period"
LAST: Final = "+last"
NOBODY: Final = "market_unwind"
BASE: Final = "pro_rata_pnl"


class Case(NamedTuple):
    """A policy of the engine, who pays at the end, and whether exempt accounts only come last."""

    label: str
    policy_id: int
    settlement: str = ""
    is_last: bool = False


SETTLED: Final = {
    "P16": ("withdrawal_haircut", WITHDRAWALS),
    "P18": ("period_profits", PERIOD),
}


def label_of(policy: Policy) -> str:
    """Code and name, as tables have it."""
    return f"{code_of(policy)} {policy.name}"


def find_case(where: str, text: str) -> Case:
    """A case by code or name. Raises BadRequest with the policies that there are."""
    for code, (name, settlement) in SETTLED.items():
        if text in (code, name):
            return Case(f"{code} {name}", policy_named(NOBODY).policy_id, settlement)
    if text in ("P20", "exempt_last"):
        return Case("P20 exempt_last", policy_named(BASE).policy_id, is_last=True)
    policy = find_policy(where, text.removesuffix(LAST))
    is_last = text.endswith(LAST)
    label = label_of(policy) + (LAST if is_last else "")
    return Case(label, policy.policy_id, is_last=is_last)
