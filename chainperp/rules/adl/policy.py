"""ADL: what an auto-deleveraging policy is given, what it answers, and who may be chosen.

A round has one bankrupt position and every position of the other side. A policy is a pure function
`(Round, candidates) -> Allocation`. In contract space it hands out lots, in wealth space micro-USDC
of profit. Here stand ADL-1 and ADL-5, which hold for all policies. Nothing here moves money.
Source: adl-and-scenarios 3.5 and 5; audit-log-and-consensus 9.5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Final, NamedTuple

from chainperp.base.hashing import tagged_hash
from chainperp.base.rounding import floor_div
from chainperp.model.decisions import AdlReason
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule

PPB: Final = 1_000_000_000


class ScoreMode(IntEnum):
    """Which index ranks the queue (U-ADL-1)."""

    PRODUCT = 0  # leverage times profit, the same for both sides
    DOCUMENTED = 1  # mark/entry times leverage; for shorts entry/mark
    LITERAL = 2  # mark/entry times leverage for both sides, as the page prints it


class ExemptMode(IntEnum):
    """What an entry of the public exemption list does."""

    HARD = 0  # never a candidate
    LAST_RESORT = 1  # after all others (P20)
    CAPPED = 2  # at most `cap_ppb` of its capacity in a round
    OI_CONDITIONAL = 3  # hard while the market's open interest is below a limit


class PriceRule(IntEnum):
    """At which price a round closes (ADL-2)."""

    PREVIOUS_MARK = 0
    BANKRUPTCY = 1
    MARK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Parameters of a policy, the same for all rounds until governance changes them."""

    score_mode: ScoreMode = ScoreMode.PRODUCT
    exempt_mode: ExemptMode = ExemptMode.HARD
    open_interest_limit: int = 0
    """Of the market's open interest in micro-USDC; used by `OI_CONDITIONAL`."""
    profit_only: bool = False
    """Whether contract-space policies leave losing positions alone."""
    rank_insolvent: bool = False
    """Whether accounts without value are candidates, and stand first where leverage ranks."""
    haircut_limit_ppb: int = PPB
    """P7: most of an account's profit that one round may take."""
    equity_floor: int = 0
    """P7: micro-USDC that stay with each account."""
    risk_power: int = 1
    """P8: g is leverage to this power."""
    risk_threshold_ppm: int = 0
    """P8, CVaR: g is the leverage above this."""
    severity_ppb: int = PPB
    """P10: share of the deficit that is socialised."""
    newest_first: bool = False
    """P13: the order of time."""
    offset_limit: int = 500
    """P14: most accounts that one round tries."""


def terms_of(parameters: Parameters) -> Terms:
    """The terms that a chain's parameters set; the others are as here.

    What a chain cannot set belongs to comparisons of policies, not to an exchange.
    """
    return Terms(
        score_mode=ScoreMode(parameters.adl_score_mode),
        exempt_mode=ExemptMode(parameters.exempt_mode),
        open_interest_limit=parameters.exempt_open_interest_max,
    )


class Candidate:
    """One position of the side that may be closed, with what the policies read. Never changed."""

    __slots__ = (
        "account_value", "cap_ppb", "cash", "entry_notional", "exempt", "is_isolated", "is_long",
        "key", "lots", "maintenance", "notional", "opened_at", "pnl",
    )  # fmt: skip

    def __init__(
        self,
        key: bytes,
        lots: int,
        *,
        entry_notional: int,
        notional: int,
        account_value: int,
        pnl: int,
        cash: int = 0,
        maintenance: int = 0,
        opened_at: int = 0,
        exempt: bool = False,
        cap_ppb: int = 0,
        is_long: bool = True,
        is_isolated: bool = False,
    ) -> None:
        self.key = key  # account id: 20-byte address in the engine, text in vectors
        self.lots = lots
        self.entry_notional = entry_notional  # micro-USDC, never negative
        self.notional = notional  # micro-USDC at the current mark
        self.account_value = account_value  # of the scope: whole cross account, or the position
        self.pnl = pnl  # unrealised, of the position at the current mark
        self.cash = cash  # account value without unrealised profit
        self.maintenance = maintenance
        self.opened_at = opened_at  # any number that grows with the time of entry
        self.exempt = exempt  # on the public list, valid at this height
        self.cap_ppb = cap_ppb
        self.is_long = is_long
        self.is_isolated = is_isolated


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round is about: the bankrupt position, its price, and how much is needed."""

    seed: bytes
    asset: int = 0
    is_target_long: bool = False
    """Side of the bankrupt position; candidates stand on the other one."""
    lots: int = 0
    """Lots to close: what contract-space policies hand out."""
    budget: int = 0
    """Micro-USDC to collect: what wealth-space policies hand out."""
    mark: int = 0
    previous_mark: int = 0
    price: int = 0
    """At which the lots close (ADL-2)."""
    open_interest: int = 0
    """Of one side at the mark, in micro-USDC."""
    terms: Terms = Terms()


@dataclass(slots=True, kw_only=True)
class Allocation:
    """A policy's answer; every list but `order` is by the candidates' own index."""

    order: list[int]
    """Candidate indexes by rank: eligible ones by score, then the others by (reason, key)."""
    reasons: list[AdlReason]
    takes: list[int]
    """Lots, or micro-USDC when not `in_lots`."""
    weights: list[int]
    """The capacity that the receipt shows: lots or capped wealth, 0 when not eligible."""
    in_lots: bool
    shortfall: int
    """What the candidates together could not cover, in the same unit as `takes`."""


PolicyFunction = Callable[[Round, Sequence[Candidate]], Allocation]


class Policy(NamedTuple):
    """A policy under its number and name, with the rule that defines it."""

    policy_id: int
    """u16: 100 times the P number, plus the variant."""
    name: str
    rule: str
    in_lots: bool
    price_rule: PriceRule
    apply: PolicyFunction


@rule("ADL-1")
def candidate_reason(
    candidate: Candidate, terms: Terms, in_lots: bool, is_exemption_in_force: bool
) -> AdlReason:
    """Every position of the other side is a candidate unless one of the public reasons says no:
    underwater itself, no account value, on the exemption list, without profit, capped to nothing.

    There is no secret reason. Losing positions stand in a queue too, behind the winners, unless
    the policy closes winners only; profit policies take from nobody else.
    Rejects: UNDERWATER (value below zero), VALUE_NOT_POSITIVE (exactly zero), EXEMPT,
    NOT_IN_PROFIT, CAPPED; in this order.
    Source: audit-log-and-consensus 9.5, U-ADL-3, U-ADL-11, U-ADL-12.

    >>> winner = Candidate(b"a", 5, entry_notional=90, notional=100, account_value=50, pnl=10)
    >>> candidate_reason(winner, Terms(), in_lots=True, is_exemption_in_force=True).name
    'ELIGIBLE'
    """
    if candidate.account_value <= 0 and not (terms.rank_insolvent and in_lots):
        if candidate.account_value < 0:
            return AdlReason.UNDERWATER
        return AdlReason.VALUE_NOT_POSITIVE
    if candidate.exempt and is_exemption_in_force:
        return AdlReason.EXEMPT
    if candidate.pnl <= 0 and (terms.profit_only or not in_lots):
        return AdlReason.NOT_IN_PROFIT
    if candidate.exempt and capacity(candidate, terms, in_lots) == 0:
        return AdlReason.CAPPED
    return AdlReason.ELIGIBLE


def capacity(candidate: Candidate, terms: Terms, in_lots: bool) -> int:
    """Most that a round may take: all lots, or the profit that the account value still covers.

    >>> hedged = Candidate(b"a", 5, entry_notional=90, notional=100, account_value=7, pnl=10)
    >>> capacity(hedged, Terms(), in_lots=True), capacity(hedged, Terms(), in_lots=False)
    (5, 7)
    """
    most = candidate.lots if in_lots else max(0, min(candidate.pnl, candidate.account_value))
    if candidate.exempt and terms.exempt_mode is ExemptMode.CAPPED:
        return floor_div(most * candidate.cap_ppb, PPB)
    return most


@rule("ADL-5")
def is_exemption_in_force(terms: Terms, open_interest: int) -> bool:
    """An exemption excludes its account while it is hard, or while the market's open interest is
    below the limit that it was granted for; the other modes only delay or limit.

    Source: adl-and-scenarios 5, 3P[Binance 2021]; OURS: the list is public, part of the state.

    >>> growing = Terms(exempt_mode=ExemptMode.OI_CONDITIONAL, open_interest_limit=100)
    >>> is_exemption_in_force(growing, 99), is_exemption_in_force(growing, 100)
    (True, False)
    """
    if terms.exempt_mode is ExemptMode.OI_CONDITIONAL:
        return open_interest < terms.open_interest_limit
    return terms.exempt_mode is ExemptMode.HARD


@rule("ADL-6")
def payable_lots(candidate: Candidate, price: int, mark: int) -> int:
    """A candidate gives no more lots than its account value pays for at the round's price: closing
    makes no new debt. One that can pay for none is CAPPED.

    An isolated position, whose margin leaves lot by lot, gives all or none.
    Formula: floor(value / loss per lot), where a long loses mark - price and a short price - mark.
    Rounding: down. Source: reliability INV-L9, INV-R9; OURS.

    >>> short = Candidate(b"a", 5, entry_notional=90, notional=100, account_value=7, pnl=0,
    ...     is_long=False)
    >>> [payable_lots(short, price, 20) for price in (19, 20, 22, 28)]
    [5, 5, 3, 0]
    """
    loss = mark - price if candidate.is_long else price - mark
    if loss <= 0 or loss * candidate.lots <= candidate.account_value:
        return candidate.lots
    return 0 if candidate.is_isolated else max(0, floor_div(candidate.account_value, loss))


def survey(
    this_round: Round, candidates: Sequence[Candidate], in_lots: bool, *, asks_itself: bool = False
) -> tuple[list[AdlReason], list[int]]:
    """Reason and capacity of every candidate; the capacity of an ineligible one is 0.

    `asks_itself`: the policy has a stricter test than ADL-6 of who can pay, and does without it.
    """
    terms = this_round.terms
    in_force = is_exemption_in_force(terms, this_round.open_interest)
    reasons: list[AdlReason] = []
    capacities: list[int] = []
    for one in candidates:
        reason = candidate_reason(one, terms, in_lots, in_force)
        most = 0
        if reason is AdlReason.ELIGIBLE:
            most = capacity(one, terms, in_lots)
            if in_lots and not asks_itself:
                most = min(most, payable_lots(one, this_round.price, this_round.mark))
            if most == 0:
                reason = AdlReason.CAPPED
        reasons.append(reason)
        capacities.append(most)
    return reasons, capacities


def terms_hash(policy_id: int, terms: Terms) -> bytes:
    """What a receipt commits to as the policy's parameters: number, then fields in order."""
    values = [policy_id, *(int(getattr(terms, field.name)) for field in fields(terms))]
    return tagged_hash("adl-terms", b"".join(value.to_bytes(16, "big") for value in values))
