"""The receipt of an ADL round: who stood on the other side, with which inputs, reason and take.

Nothing is decided here: candidates are read from the state, rows and head are written to the log.
Source: audit-log-and-consensus 9.5, adl-and-scenarios 12.
"""

import struct
from hashlib import sha256
from typing import Final

from chainperp.base.canonical import pack_i128
from chainperp.base.units import Address
from chainperp.model.accounts import Exposure
from chainperp.model.decisions import AdlReason, Kind
from chainperp.model.records import ADL_ROWS_PER_ENTRY, CROSS_SCOPE
from chainperp.rules.adl.policy import Allocation, Candidate, Policy, Round, terms_hash
from chainperp.rules.margin import maintenance_margin
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.root import merkle_root
from chainperp.state.store import Market, State
from chainperp.transition.exemptions import exemption_in_force
from chainperp.transition.liquidation import Scope
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import refresh

ROW: Final = struct.Struct(">I20sBQ16s16sBQ16s16sQ")
ROWS_HEAD: Final = struct.Struct(">QII")
ROW_PREFIX: Final = b"\x00\x41"
SCOPE_CROSS: Final = 0
SCOPE_ISOLATED: Final = 1
SCOPE_LISTED: Final = 2
"""Bit of a row's scope: the account is on the exemption list, whatever the list does here."""
WATERFALL_INSURANCE: Final = 4


class AdlCase:
    """One position to be closed: its scope, its price, and what the insurance paid towards it."""

    __slots__ = (
        "budget",
        "exposure",
        "insurance_after",
        "insurance_before",
        "price",
        "scope",
        "value",
    )

    def __init__(self, scope: Scope, exposure: Exposure, price: int, value: int) -> None:
        self.scope = scope
        self.exposure = exposure
        self.price = price
        self.value = value
        self.budget = 0
        self.insurance_before = 0
        self.insurance_after = 0


class AdlPhase:
    """What the rounds of one block share."""

    __slots__ = ("begins", "commitment", "marks_root", "parent_hash", "rounds")

    def __init__(self, commitment: Commitment, marks_root: bytes, parent_hash: bytes) -> None:
        self.commitment = commitment
        self.marks_root = marks_root
        self.parent_hash = parent_hash
        self.rounds = 0
        self.begins: list[int] = []


class Receipt:
    """One round while it is worked out: who stands on the other side, and what was decided."""

    __slots__ = ("allocation", "amounts", "begin", "candidates", "case", "holders", "policy",
                 "round", "rows", "state_index")  # fmt: skip

    def __init__(
        self, case: AdlCase, policy: Policy, holders: list[tuple[Address, Exposure]]
    ) -> None:
        self.case = case
        self.policy = policy
        self.holders = holders
        self.candidates: list[Candidate] = []
        self.round = Round(seed=b"")
        self.allocation = Allocation(
            order=[], reasons=[], takes=[], weights=[], in_lots=True, shortfall=0
        )
        self.amounts: list[int] = []
        self.rows: list[bytes] = []
        self.state_index = 0
        self.begin = 0


def candidate_of(state: State, market: Market, address: Address, exposure: Exposure) -> Candidate:
    """What the policy sees of one position of the other side."""
    account = state.accounts[address]
    refresh(state, account)
    value = exposure.value
    notional = abs(value)
    pnl = value - exposure.entry_notional if exposure.lots > 0 else exposure.entry_notional + value
    account_value = exposure.raw_isolated + value
    if exposure.is_cross:
        account_value = account.raw + account.position_value
    exemption = exemption_in_force(state, account.address)
    return Candidate(
        account.address,
        abs(exposure.lots),
        entry_notional=exposure.entry_notional,
        notional=notional,
        account_value=account_value,
        pnl=pnl,
        cash=account_value - pnl,
        maintenance=maintenance_margin(notional, market.terms),
        exempt=exemption is not None,
        cap_ppb=0 if exemption is None else exemption.cap_ppb,
        is_long=exposure.lots > 0,
        is_isolated=not exposure.is_cross,
    )


def receipt_rows(candidates: list[Candidate], allocation: Allocation) -> list[bytes]:
    """Every candidate in rank order with its inputs, reason, take and the running sums."""
    rows: list[bytes] = []
    weights = 0
    takes = 0
    for rank, index in enumerate(allocation.order):
        candidate = candidates[index]
        weight, take = allocation.weights[index], allocation.takes[index]
        scope = SCOPE_ISOLATED if candidate.is_isolated else SCOPE_CROSS
        if candidate.exempt:
            scope |= SCOPE_LISTED
        weights += weight
        takes += take
        rows.append(
            ROW.pack(
                rank,
                candidate.key,
                scope,
                candidate.lots,
                candidate.entry_notional.to_bytes(16, "big"),
                pack_i128(candidate.account_value),
                allocation.reasons[index],
                take,
                weight.to_bytes(16, "big"),
                weights.to_bytes(16, "big"),
                takes,
            )
        )
    return rows


def record_begin(
    recorder: Recorder, phase: AdlPhase, market: Market, committed: Committed, receipt: Receipt
) -> None:
    """The head of the receipt: everything that the list of candidates rests on."""
    case, this_round, rows = receipt.case, receipt.round, receipt.rows
    side = "S" if this_round.is_target_long else "L"
    collection = committed.roots[f"pos/{market.asset:08x}/{side}"]
    exempt = committed.roots["exempt"]
    policy_id = receipt.policy.policy_id
    reasons = receipt.allocation.reasons
    insurance = {
        "stage": WATERFALL_INSURANCE,
        "before": case.insurance_before,
        "after": case.insurance_after,
    }
    recorder.record(
        Kind.ADL_BEGIN,
        {
            "policy_id": policy_id,
            "asset": market.asset,
            "candidate_side": 1 if this_round.is_target_long else 0,
            "target": case.scope.account.address,
            "target_scope": SCOPE_CROSS if case.scope.asset == CROSS_SCOPE else SCOPE_ISOLATED,
            "target_value": case.value,
            "target_lots": this_round.lots,
            "adl_price": case.price,
            "state_index": receipt.state_index,
            "marks_root": phase.marks_root,
            "coll_h": collection.h,
            "coll_count": collection.count,
            "coll_lots": collection.sums[0],
            "coll_entry": collection.sums[1],
            "exempt_h": exempt.h,
            "exempt_count": exempt.count,
            "exempt_mode": this_round.terms.exempt_mode,
            "params_hash": terms_hash(policy_id, this_round.terms),
            "budget": 0 if receipt.policy.in_lots else this_round.budget,
            "previous_mark": market.mark_previous,
            "mark": market.mark,
            "waterfall": [insurance],
            "seed": this_round.seed,
            "queue_root": merkle_root([sha256(ROW_PREFIX + row).digest() for row in rows]),
            "queue_count": len(rows),
            "n_eligible": sum(1 for reason in reasons if reason == AdlReason.ELIGIBLE),
        },
    )


def record_rows(recorder: Recorder, begin: int, rows: list[bytes]) -> None:
    """The whole list, in chunks that fit an entry."""
    for first in range(0, len(rows), ADL_ROWS_PER_ENTRY):
        chunk = rows[first : first + ADL_ROWS_PER_ENTRY]
        recorder.add(Kind.ADL_ROWS, ROWS_HEAD.pack(begin, first, len(chunk)) + b"".join(chunk))
