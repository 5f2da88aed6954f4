"""The checks of a round's head and price: what every proof about a round shares.

Each function returns sentences about what does not fit, empty when all does; a victim's proof needs
none, a refutation needs one.
"""

from collections.abc import Sequence

from chainperp.base.canonical import Record
from chainperp.base.hashing import ZERO32
from chainperp.evidence.verifier.accounts import Held, Scope
from chainperp.evidence.verifier.adl_round import RoundView
from chainperp.rules.adl.allocate import round_seed
from chainperp.rules.adl.policy import PriceRule, terms_hash
from chainperp.rules.adl.price import (
    adl_lots,
    adl_price,
    adl_price_shift,
    bankruptcy_price,
    deficit_share,
    shifted_price,
)


def head_faults(found: RoundView) -> list[str]:
    """What in the head contradicts genesis or the committed state."""
    begin, view = found.begin, found.view
    faults: list[str] = []
    root = view.root(found.collection)
    claimed = (begin["coll_h"], begin["coll_count"], begin["coll_lots"], begin["coll_entry"])
    if root is None or (root.h, root.count, *root.sums) != claimed:
        faults.append(f"the head names another {found.collection} than the state holds")
    if begin["queue_count"] != begin["coll_count"]:
        faults.append(
            f"the list has {begin['queue_count']} rows for {begin['coll_count']} positions"
        )
    exempt = view.root("exempt")
    count, h = (0, ZERO32) if exempt is None else (exempt.count, exempt.h)
    if begin["exempt_count"] != count or begin["exempt_h"] != h:
        faults.append(f"the head names {begin['exempt_count']} exemptions, the state holds {count}")
    policy = found.terms.parameters["adl_policy"]
    if begin["policy_id"] != policy:
        faults.append(f"the round was decided by policy {begin['policy_id']}, the chain's {policy}")
    if begin["params_hash"] != terms_hash(begin["policy_id"], found.policy_terms):
        faults.append("the policy's parameters are not those of genesis")
    if begin["exempt_mode"] != found.policy_terms.exempt_mode:
        faults.append(f"exemption mode {begin['exempt_mode']} is not that of genesis")
    return faults


def seed_fault(found: RoundView, parent: bytes, number: int) -> str | None:
    """Whether the seed of ties is that of the round's place after its parent block."""
    seed = round_seed(parent, found.asset, number)
    if seed != found.begin["seed"]:
        return f"the seed is {found.begin['seed'].hex()}, computed {seed.hex()}"
    return None


class Case:
    """What the price of a bankrupt scope rests on, at its first round."""

    __slots__ = ("before", "draw", "positions", "value")

    def __init__(self, begin: Record, scope: Scope) -> None:
        self.before = sum(row["before"] for row in begin["waterfall"])
        self.draw = self.before - sum(row["after"] for row in begin["waterfall"])
        self.positions: Sequence[Held] = scope.positions
        self.value = scope.value - self.draw


def expected_price(found: RoundView, case: Case) -> tuple[int, int]:
    """The round's price by ADL-2 and ADL-3, and what the insurance had to pay towards the scope.

    The scope's value is below zero without the insurance's payment.
    """
    rule: PriceRule = found.queue.price_rule
    deficit = -case.value
    worth = {one.asset: one.lots * found.marks_now[one.asset] for one in case.positions}
    total = sum(abs(value) for value in worth.values())
    missing = deficit
    price = 0
    lots = 0
    for one in case.positions:
        mark = found.marks[one.asset]
        share = deficit_share(deficit, abs(worth[one.asset]), total)
        bankrupt = bankruptcy_price(-share, abs(one.lots), mark["mark"], one.lots > 0)
        base = adl_price(rule, mark["previous_mark"], mark["mark"], bankrupt)
        missing -= one.lots * (base - mark["mark"])
        if one.asset == found.asset:
            price, lots = base, one.lots
    draw = max(0, min(missing, case.before))
    left = max(0, missing - draw)
    share = deficit_share(left, abs(worth[found.asset]), total)
    shift = adl_price_shift(share, adl_lots(lots, case.value))
    return max(1, shifted_price(price, shift, lots > 0)), draw
