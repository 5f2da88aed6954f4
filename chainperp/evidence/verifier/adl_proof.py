"""A victim's proof: why an account was, or was not, auto-deleveraged, and that none was skipped.

    adl {checkpoint, seal, genesis, address, listed, round, first, rows, end, fill}
        listed  {index, inclusion}: the round in the SEAL's `adl_root`
        first   the first round of the same bankrupt scope in the block, null when this is it
        rows    the account's own row, the one before it, and the last one
        fill    the account's trade, null when nothing was taken

Steps as audit-log-and-consensus 9.5, "victim's check". The rules are evaluated again from the
proven inputs; nothing is believed because a row says so.
"""

from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import address_text, usd_text
from chainperp.evidence.checkpoint import Checkpoint
from chainperp.evidence.merkle import verify_inclusion
from chainperp.evidence.verifier.accounts import AccountView, read_genesis, read_terms, scope_words
from chainperp.evidence.verifier.adl_checks import Case, expected_price, head_faults, seed_fault
from chainperp.evidence.verifier.adl_round import (
    RoundView,
    is_before,
    judge,
    rank_key,
    read_round,
    read_row,
    row_candidate,
    scope_of,
    state_candidate,
    target_held,
)
from chainperp.evidence.verifier.adl_words import tell_candidate, tell_round
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import Placed, check_of_block, read_entry, read_seal
from chainperp.evidence.verifier.steps import Steps
from chainperp.evidence.verifier.trust import Trust, read_note
from chainperp.model.decisions import AdlReason, Kind
from chainperp.rules.adl.policy import Candidate

ADL_ITEM_TAG: Final = b"\x61"
FLAG_ADL: Final = 16


class Victim:
    """The account, what the policy had to see of it, and its rows."""

    __slots__ = ("before", "candidate", "last", "own", "reason", "weight")

    def __init__(self, candidate: Candidate, reason: AdlReason, weight: int) -> None:
        self.candidate = candidate
        self.reason = reason
        self.weight = weight
        self.own: Record = {}
        self.before: Record | None = None
        self.last: Record = {}


def verify_adl(steps: Steps, fields: Fields, trust: Trust) -> None:
    """One account's part in one round."""
    checkpoint = read_note(steps, trust, fields.note("checkpoint"))
    seal = read_seal(steps, fields.part("seal"), checkpoint)
    terms = read_terms(steps, read_genesis(fields), seal)
    found = read_round(steps, fields.part("round"), checkpoint, terms)
    number = read_listed(steps, fields.part("listed"), found.placed, seal)
    address = fields.address("address")
    _check_head(steps, found, seal, number)
    first, first_number = found, number
    if fields.has("first"):
        first, first_number = _read_first(steps, fields.part("first"), checkpoint, seal, found)
        _check_held(steps, found)
    else:
        _check_target(steps, found)
    _check_price(steps, found, first, first_number)
    victim = _read_victim(steps, fields, found, address)
    _check_rows(steps, found, victim)
    _check_take(steps, found, victim)
    end = read_entry(steps, fields.part("end"), checkpoint, "ADL_END").expect(Kind.ADL_END)
    _check_end(steps, found, victim, end)
    has_fill = fields.has("fill")
    fill = read_entry(steps, fields.part("fill"), checkpoint, "trade") if has_fill else None
    fields.finish()
    _check_fill(steps, found, victim, fill)
    found.view.finish()
    first.view.finish()
    tell_round(steps, found)
    tell_candidate(steps, found, victim.candidate, victim.own, victim.before)


def read_listed(steps: Steps, fields: Fields, begin: Placed, seal: Placed) -> int:
    """The place of a round in its SEAL's list."""
    steps.begin("round listed in the SEAL")
    check_of_block(begin, seal)
    index, hashes = fields.count("index"), fields.hashes("inclusion")
    fields.finish()
    item = leaf_hash(ADL_ITEM_TAG + leaf_hash(begin.raw))
    verify_inclusion(item, index, seal.fields["n_adl"], hashes, seal.fields["adl_root"])
    steps.done(f"round {index + 1} of {seal.fields['n_adl']} in block {seal.height}")
    return index


def _check_head(steps: Steps, found: RoundView, seal: Placed, number: int) -> None:
    steps.begin("head of the round")
    faults = head_faults(found)
    fault = seed_fault(found, seal.fields["prev_seal"], number)
    if faults or fault:
        raise InvalidProof("; ".join([*faults, *([fault] if fault else [])]))
    steps.done(
        f"every one of the {found.begin['coll_count']} positions of {found.collection} has a row; "
        f"policy, parameters, exemptions ({found.begin['exempt_count']}) and seed as committed"
    )


def _read_first(
    steps: Steps, fields: Fields, checkpoint: Checkpoint, seal: Placed, found: RoundView
) -> tuple[RoundView, int]:
    """The first round of the same bankrupt scope, in the same block, before this one."""
    listed = fields.part("listed")
    first = read_round(steps, fields.part("round"), checkpoint, found.terms, "first round")
    fields.finish()
    number = read_listed(steps, listed, first.placed, seal)
    same = ("target", "target_scope", "waterfall", "policy_id", "marks_root")
    if first.placed.index >= found.placed.index or any(
        first.begin[name] != found.begin[name] for name in same
    ):
        raise InvalidProof("the first round is not of the same bankrupt scope")
    return first, number


def _check_target(steps: Steps, found: RoundView) -> None:
    steps.begin("target's value and position")
    account = AccountView(found.view, found.begin["target"])
    scope = scope_of(found, account)
    target_held(found, account)
    if scope.value != found.begin["target_value"]:
        raise InvalidProof(
            f"the target's value was {scope.value}, the round says {found.begin['target_value']}"
        )
    steps.done(f"{scope_words(found.target_scope, found.terms)}: {usd_text(scope.value)}")


def _check_held(steps: Steps, found: RoundView) -> None:
    """The position that a later round of the same scope closes is held, whole."""
    steps.begin("target's position")
    side = "S" if found.candidates_long else "L"
    name = f"pos/{found.asset:08x}/{side}"
    fields = found.view.record(name, found.begin["target"])
    lots = 0 if fields is None else fields["lots"]
    if lots != found.begin["target_lots"]:
        raise InvalidProof(f"the target holds {lots} lots in {name}, the round closes "
                           f"{found.begin['target_lots']}")  # fmt: skip
    steps.done(f"{lots} lots in {name}; its value is that before its first round")


def _check_price(steps: Steps, found: RoundView, first: RoundView, number: int) -> None:
    """The target was bankrupt before its first round, and the price follows from that.

    A scope's cash may have been moved by rounds of other scopes before its own first one; then the
    figures of that moment are not in a state that was committed, and only an audit has them.
    """
    steps.begin("target bankrupt")
    account = AccountView(first.view, first.begin["target"])
    case = Case(first.begin, scope_of(first, account))
    if case.value >= 0:
        if number == 0:
            raise InvalidProof(
                f"without insurance the target's value was {case.value}, not below 0"
            )
        steps.skip("rounds of other scopes came before; chainperp audit executes them")
        return
    steps.done(f"value without insurance {usd_text(case.value)}, below zero [ADL-4]")
    steps.begin("price of the round")
    here = Case(found.begin, scope_of(first, account))
    price, draw = _price_at(found, first, here)
    if (price, draw) == (found.begin["adl_price"], here.draw):
        steps.done(f"{found.terms.price(found.asset, price)} by ADL-2 and ADL-3")
        return
    if number == 0:
        raise InvalidProof(
            f"price was {found.begin['adl_price']} with {here.draw} of insurance, computed "
            f"{price} with {draw}"
        )
    steps.skip("rounds of other scopes came before; chainperp audit executes them")


def _price_at(found: RoundView, first: RoundView, case: Case) -> tuple[int, int]:
    """Price of this round's market from the scope as it was before the first one."""
    if found.asset not in [one.asset for one in case.positions]:
        raise InvalidProof("the target had no position in this market before its first round")
    view = RoundView(found.placed, first.marks, first.view, found.terms)
    return expected_price(view, case)


def _read_victim(steps: Steps, fields: Fields, found: RoundView, address: bytes) -> Victim:
    """The account's inputs from the state, and its rows."""
    parts = fields.parts("rows")
    rows = [read_row(steps, part, found, f"row {at + 1}") for at, part in enumerate(parts)]
    steps.begin("own row equals own state")
    own = next((row for row in rows if row["account"] == address), None)
    if own is None:
        raise InvalidProof("the account's own row is not shown")
    candidate = state_candidate(found, own["account"])
    reason, weight = judge(found, candidate)
    victim = Victim(candidate, reason, weight)
    victim.own = own
    for fault in row_faults(own, candidate, reason, weight):
        raise InvalidProof(fault)
    steps.done(
        f"{candidate.lots} lots, entry {candidate.entry_notional}, value "
        f"{candidate.account_value}, {reason.name}, weight {weight}"
    )
    steps.begin("rows that were asked for")
    by_rank = {row["rank"]: row for row in rows}
    wanted = [own["rank"], found.begin["queue_count"] - 1]
    if own["rank"]:
        wanted.insert(0, own["rank"] - 1)
        victim.before = by_rank.get(own["rank"] - 1)
    if list(by_rank) != sorted(dict.fromkeys(wanted)) or len(by_rank) != len(rows):
        raise InvalidProof(f"rows of ranks {list(by_rank)}, expected {wanted}")
    victim.last = by_rank[wanted[-1]]
    steps.done(f"own, {'' if victim.before else 'no '}predecessor, last")
    return victim


def row_faults(row: Record, candidate: Candidate, reason: AdlReason, weight: int) -> list[str]:
    """Fields of a row that are not what the state and the rules give."""
    scope = (1 if candidate.is_isolated else 0) | (2 if candidate.exempt else 0)
    pairs = (
        ("lots", candidate.lots),
        ("entry_notional", candidate.entry_notional),
        ("account_value", candidate.account_value),
        ("scope", scope),
        ("reason", int(reason)),
        ("weight", weight),
    )
    return [
        f"the row of {address_text(row['account'])} says {name} {row[name]}, computed {value}"
        for name, value in pairs
        if row[name] != value
    ]


def _check_rows(steps: Steps, found: RoundView, victim: Victim) -> None:
    steps.begin("running sums and order")
    own, before = victim.own, victim.before
    weight = 0 if before is None else before["cum_weight"]
    take = 0 if before is None else before["cum_take"]
    if own["cum_weight"] != weight + own["weight"] or own["cum_take"] != take + own["take_lots"]:
        raise InvalidProof(f"the running sums do not step by the row's own at rank {own['rank']}")
    if before is not None:
        key = rank_key(found, victim.candidate, victim.reason)
        other = rank_key(found, row_candidate(found, before), AdlReason(before["reason"]))
        if not is_before(other, key):
            raise InvalidProof(f"rank {before['rank']} does not stand before rank {own['rank']}")
    if (victim.reason is AdlReason.ELIGIBLE) is not (own["rank"] < found.begin["n_eligible"]):
        raise InvalidProof(f"rank {own['rank']} is on the wrong side of the last candidate")
    steps.done("the row before ranks higher, the sums step by this row")


def _check_take(steps: Steps, found: RoundView, victim: Victim) -> None:
    """ADL by queue: whoever stands before gave all it could, then this account, then nobody."""
    steps.begin("take by the policy")
    own, before, last = victim.own, victim.before, victim.last
    total = found.begin["target_lots"]
    taken = 0 if before is None else before["cum_take"]
    weighed = 0 if before is None else before["cum_weight"]
    if taken != min(total, weighed):
        raise InvalidProof(f"{taken} lots were taken before rank {own['rank']}, due were "
                           f"{min(total, weighed)}: somebody was skipped")  # fmt: skip
    due = min(victim.weight, total - taken)
    if own["take_lots"] != due:
        raise InvalidProof(f"{own['take_lots']} lots were taken, due were {due}")
    if last["cum_take"] != min(total, last["cum_weight"]):
        raise InvalidProof(f"{last['cum_take']} lots were taken in all, due were "
                           f"{min(total, last['cum_weight'])}")  # fmt: skip
    steps.done(f"{due} lots after {taken} of {total} [{found.queue.rule}]")


def _check_end(steps: Steps, found: RoundView, victim: Victim, end: Placed) -> None:
    steps.begin("end of the round")
    filled = victim.last["cum_take"]
    expected = (found.placed.index, filled, found.begin["target_lots"] - filled)
    fields = end.fields
    if (fields["begin_index"], fields["filled_lots"], fields["shortfall_lots"]) != expected:
        raise InvalidProof(f"the end does not fit: expected begin, filled, shortfall {expected}")
    steps.done(f"{filled} lots closed, {expected[2]} not")


def _check_fill(steps: Steps, found: RoundView, victim: Victim, fill: Placed | None) -> None:
    steps.begin("trade equals take and price")
    take = victim.own["take_lots"]
    if fill is None:
        if take:
            raise InvalidProof(f"{take} lots were taken, the trade is not shown")
        steps.done("nothing was taken, no trade")
        return
    fields = fill.expect(Kind.FILL).fields
    named = {
        "asset": found.asset,
        "maker": victim.own["account"],
        "taker": found.begin["target"],
        "lots": take,
        "price": found.begin["adl_price"],
        "maker_fee": 0,
        "cause_index": found.placed.index,
    }
    for name, value in named.items():
        if fields[name] != value:
            raise InvalidProof(f"the trade has {name} {fields[name]}, expected {value}")
    if not fields["flags"] & FLAG_ADL or not take:
        raise InvalidProof("the trade is not one of auto-deleveraging")
    steps.done(f"trade {fields['tid']}, {take} lots at {fields['price']}, no fee")
