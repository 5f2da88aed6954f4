"""S12's rounds of a queue: drawn positions, closed by the engine's rule.

Source: adl-and-scenarios 9, S12.
"""

from chainperp.lab.draws import Draws
from chainperp.lab.venue import DOLLAR
from chainperp.rules.adl.choose import allocate, policy_named
from chainperp.rules.adl.policy import Candidate, Round


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
