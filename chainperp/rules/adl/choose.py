"""ADL: every policy under its number and name, and the exemption that goes last (P20).

`allocate` is what the engine and the studies call: it applies the exemption mode of the round's
terms to whatever policy was chosen.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chainperp.base.errors import ensure
from chainperp.rules.adl.chance import (
    offset_round,
    random_profit,
    random_queue,
    random_single_lots,
    time_queue,
)
from chainperp.rules.adl.policy import (
    PPB,
    Allocation,
    Candidate,
    ExemptMode,
    Policy,
    PriceRule,
    Round,
)
from chainperp.rules.adl.proportional import (
    min_max_lots,
    pro_rata_capped,
    pro_rata_equity,
    pro_rata_lots,
    pro_rata_notional,
    pro_rata_profit,
    pro_rata_risk,
    quadratic,
)
from chainperp.rules.adl.ranked import (
    binance_queue,
    bitmex_queue,
    huobi_queue,
    hyperliquid_queue,
    okx_queue,
    profit_leverage_queue,
    profit_queue,
)
from chainperp.rules.adl.settlement import (
    clawback,
    junior_profit,
    loss_socialisation,
    market_unwind,
)
from chainperp.rules.adl.severity import severity_pro_rata
from chainperp.rules.catalogue import rule

PREVIOUS: Final = PriceRule.PREVIOUS_MARK
BANKRUPTCY: Final = PriceRule.BANKRUPTCY

# Number: 100 times P, plus the variant. P16 and P18 have no round: they are rules of settlement.
POLICIES: Final = (
    Policy(0, "market_unwind", "ADL-10", True, PREVIOUS, market_unwind),
    Policy(100, "hyperliquid", "ADL-11", True, PREVIOUS, hyperliquid_queue),
    Policy(101, "queue_profit", "ADL-11", False, PREVIOUS, profit_queue),
    Policy(102, "queue_pnl_x_leverage", "ADL-11", False, PREVIOUS, profit_leverage_queue),
    Policy(200, "bitmex", "ADL-12", True, BANKRUPTCY, bitmex_queue),
    Policy(300, "binance", "ADL-13", True, BANKRUPTCY, binance_queue),
    Policy(350, "okx", "ADL-31", True, PriceRule.MARK, okx_queue),
    Policy(400, "huobi", "ADL-14", True, BANKRUPTCY, huobi_queue),
    Policy(500, "pro_rata_lots", "ADL-15", True, PREVIOUS, pro_rata_lots),
    Policy(600, "pro_rata_pnl", "ADL-16", False, PREVIOUS, pro_rata_profit),
    Policy(601, "pro_rata_notional", "ADL-16", False, PREVIOUS, pro_rata_notional),
    Policy(700, "pro_rata_capped", "ADL-17", False, PREVIOUS, pro_rata_capped),
    Policy(800, "rap_linear", "ADL-18", False, PREVIOUS, pro_rata_risk),
    Policy(900, "quadratic", "ADL-19", False, PREVIOUS, quadratic),
    Policy(1000, "severity", "ADL-20", False, PREVIOUS, severity_pro_rata),
    Policy(1100, "pro_rata_equity", "ADL-21", False, PREVIOUS, pro_rata_equity),
    Policy(1101, "min_max_lots", "ADL-21", True, PREVIOUS, min_max_lots),
    Policy(1200, "random_lots", "ADL-22", True, PREVIOUS, random_queue),
    Policy(1201, "random", "ADL-22", False, PREVIOUS, random_profit),
    Policy(1202, "random_single_lots", "ADL-22", True, PREVIOUS, random_single_lots),
    Policy(1300, "time", "ADL-23", True, PREVIOUS, time_queue),
    Policy(1400, "dydx", "ADL-24", True, BANKRUPTCY, offset_round),
    Policy(1500, "vega", "ADL-25", False, PREVIOUS, loss_socialisation),
    Policy(1700, "clawback", "ADL-27", False, PREVIOUS, clawback),
    Policy(1900, "junior_profit", "ADL-29", False, PREVIOUS, junior_profit),
)
BY_NAME: Final = {policy.name: policy for policy in POLICIES}
BY_ID: Final = {policy.policy_id: policy for policy in POLICIES}


def policy_with_id(policy_id: int) -> Policy:
    """The policy that a number in a receipt or a parameter file stands for.

    >>> policy_with_id(100).name
    'hyperliquid'
    """
    ensure(policy_id in BY_ID, "INV-0", "no ADL policy has this number", policy=policy_id)
    return BY_ID[policy_id]


def policy_named(name: str) -> Policy:
    """The policy with a name; LookupError names those there are.

    >>> policy_named("pro_rata_pnl").rule
    'ADL-16'
    """
    if name not in BY_NAME:
        raise LookupError(f"no ADL policy {name}: there are {', '.join(BY_NAME)}")
    return BY_NAME[name]


@rule("ADL-30")
def exempt_last(policy: Policy, this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """P20: exempt accounts are reached last: only for what all others together could not cover.

    The honest form of an exemption: it is public, and it ends before the venue does.
    Formula: the policy over the others, then the same policy over the exempt for the shortfall.
    Rejects: as ADL-1, in both parts. Source: adl-and-scenarios P20 and 5.

    >>> from chainperp.rules.adl.policy import Terms
    >>> rows = [Candidate(key, 5, entry_notional=1, notional=1, account_value=1, pnl=1,
    ...     exempt=key == b"a") for key in (b"a", b"b")]
    >>> last = Round(seed=bytes(32), lots=7, terms=Terms(exempt_mode=ExemptMode.LAST_RESORT))
    >>> exempt_last(BY_NAME["random_lots"], last, rows).takes
    [2, 5]
    """
    first = [index for index, one in enumerate(candidates) if not one.exempt]
    last = [index for index, one in enumerate(candidates) if one.exempt]
    terms = replace(this_round.terms, exempt_mode=ExemptMode.LAST_RESORT)
    others = policy.apply(replace(this_round, terms=terms), [candidates[index] for index in first])
    # The shortfall is already the socialised part of the deficit (P10): it is due in full.
    rest = replace(
        this_round,
        lots=others.shortfall,
        budget=others.shortfall,
        terms=replace(terms, severity_ppb=PPB),
    )
    exempt = policy.apply(rest, [candidates[index] for index in last])
    reasons = list(others.reasons + exempt.reasons)
    takes = [0] * len(candidates)
    weights = [0] * len(candidates)
    order: list[int] = []
    for members, part in ((first, others), (last, exempt)):
        for place, index in enumerate(members):
            reasons[index] = part.reasons[place]
            takes[index] = part.takes[place]
            weights[index] = part.weights[place]
        order += [members[place] for place in part.order if not part.reasons[place]]
    refused = [index for index in range(len(candidates)) if reasons[index]]
    refused.sort(key=lambda index: (reasons[index], candidates[index].key))
    return Allocation(
        order=order + refused,
        reasons=reasons,
        takes=takes,
        weights=weights,
        in_lots=policy.in_lots,
        shortfall=exempt.shortfall,
    )


def allocate(policy: Policy, this_round: Round, candidates: Sequence[Candidate]) -> Allocation:
    """A round's answer under the exemption mode of its terms."""
    if this_round.terms.exempt_mode is ExemptMode.LAST_RESORT:
        return exempt_last(policy, this_round, candidates)
    return policy.apply(this_round, candidates)
