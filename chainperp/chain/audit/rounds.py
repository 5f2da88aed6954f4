"""The full check of one auto-deleveraging round: every position has its row, in order.

The list is compared with the whole collection of the state that was committed just before: none may
be missing, none may be foreign, and each row's figures, reason, weight, place and take must be what
the rules give for all of them together. Source: audit-log-and-consensus 9.5, "full check".
"""

from dataclasses import dataclass
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address, address_text
from chainperp.evidence.verifier.accounts import AccountView
from chainperp.evidence.verifier.adl_checks import Case, expected_price, head_faults, seed_fault
from chainperp.evidence.verifier.adl_proof import FLAG_ADL, row_faults
from chainperp.evidence.verifier.adl_round import (
    QUEUES,
    ROW_TAG,
    RoundView,
    scope_of,
    state_candidate,
)
from chainperp.model.decisions import AdlReason
from chainperp.model.records import ADL_ROW
from chainperp.rules.adl.choose import allocate, policy_with_id
from chainperp.rules.adl.policy import Allocation, Candidate
from chainperp.state.root import merkle_root
from chainperp.state.tree import Tree
from chainperp.transition.deleverage import lots_at_mark

WORST_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing in a round that is not what the rules give, and what refutes it."""

    kind: str
    """A fault of `adl-refutation`, or `sums`, `root`, `seed`, `trades`, `end`."""
    text: str
    address: Address | None = None
    ranks: tuple[int, ...] = ()


@dataclass(slots=True)
class RoundRecord:
    """A round as the log has it: rows in rank order, trades in order, end."""

    rows: list[Record]
    fills: list[Record]
    end: Record | None


def check_round(
    found: RoundView, tree: Tree, logged: RoundRecord, parent: bytes, number: int
) -> list[Fault]:
    """Everything that is wrong with a round; empty when it is complete, in order and right.

    `tree` is the candidates' collection, `parent` the hash of the block before, `number` the
    round's place in its block.
    """
    faults = [Fault("head", text) for text in head_faults(found)]
    seed = seed_fault(found, parent, number)
    if seed is not None:
        faults.append(Fault("seed", seed))
    holders = sorted(key for key, _value, _sums in tree.items())
    faults += _completeness(logged.rows, holders)
    candidates = [state_candidate(found, Address(key)) for key in holders]
    allocation = allocate(policy_with_id(found.begin["policy_id"]), found.question, candidates)
    faults += _figures(logged.rows, candidates, allocation)
    faults += _order(logged.rows, candidates, allocation)
    takes = allocation.takes
    if not allocation.in_lots:
        takes = lots_at_mark(
            candidates, allocation.reasons, found.begin["target_lots"], found.begin["seed"]
        )
    faults += _takes(logged.rows, candidates, takes)
    faults += _list(found, logged.rows)
    faults += _price(found, number)
    faults += _trades(found, logged)
    return faults[:WORST_MAX]


def _completeness(rows: list[Record], holders: list[bytes]) -> list[Fault]:
    """Every position of the other side has exactly one row."""
    listed: dict[bytes, int] = {}
    faults: list[Fault] = []
    for row in rows:
        if row["account"] in listed:
            faults.append(Fault("false-row", f"{address_text(row['account'])} has two rows"))
        listed[row["account"]] = row["rank"]
    there = dict.fromkeys(holders)
    for key in holders:
        if key not in listed:
            text = f"{address_text(key)} holds a position and has no row: omitted"
            faults.append(Fault("omitted", text, Address(key)))
    for account, rank in listed.items():
        if account not in there:
            text = f"{address_text(account)} has a row and no position"
            faults.append(Fault("false-row", text, Address(account), (rank,)))
    return faults


def _figures(rows: list[Record], candidates: list[Candidate], due: Allocation) -> list[Fault]:
    """Each row says what the state and the rules give."""
    places = {candidate.key: at for at, candidate in enumerate(candidates)}
    faults: list[Fault] = []
    for row in rows:
        at = places.get(row["account"])
        if at is None:
            continue
        wrong = row_faults(row, candidates[at], due.reasons[at], due.weights[at])
        if wrong:
            secret = row["reason"] == AdlReason.EXEMPT and due.reasons[at] != AdlReason.EXEMPT
            kind = "exempt" if secret and not candidates[at].exempt else "false-row"
            address = Address(row["account"])
            faults.append(Fault(kind, "; ".join(wrong), address, (row["rank"],)))
    return faults


def _order(rows: list[Record], candidates: list[Candidate], due: Allocation) -> list[Fault]:
    """The rows stand in the order of the policy; those that are there, if some are missing."""
    listed = dict.fromkeys(row["account"] for row in rows)
    wanted = [candidates[at].key for at in due.order if candidates[at].key in listed]
    for row, key in zip(rows, wanted, strict=False):
        if row["account"] != key:
            text = f"rank {row['rank'] + 1} is {address_text(row['account'])}, due was "
            return [Fault("misranked", text + address_text(key), None, (row["rank"],))]
    return []


def _takes(rows: list[Record], candidates: list[Candidate], takes: list[int]) -> list[Fault]:
    """Everybody gave what was due, and the running sums add up."""
    due = {candidate.key: take for candidate, take in zip(candidates, takes, strict=True)}
    faults: list[Fault] = []
    weights = 0
    taken = 0
    for at, row in enumerate(rows):
        wanted = due.get(row["account"])
        if wanted is not None and row["take_lots"] != wanted:
            kind = "skipped" if row["take_lots"] < wanted else "sums"
            text = f"{address_text(row['account'])} gave {row['take_lots']} lots, due were {wanted}"
            faults.append(Fault(kind, text, Address(row["account"]), (row["rank"],)))
        weights += row["weight"]
        taken += row["take_lots"]
        if (row["rank"], row["cum_weight"], row["cum_take"]) != (at, weights, taken):
            faults.append(Fault("sums", f"the running sums of row {at + 1} do not add up"))
            weights, taken = row["cum_weight"], row["cum_take"]
    return faults


def _list(found: RoundView, rows: list[Record]) -> list[Fault]:
    """The rows hash to the head's root, and are as many as it says."""
    begin = found.begin
    root = merkle_root([leaf_hash(ROW_TAG + canonical.encode(ADL_ROW, row)) for row in rows])
    eligible = sum(1 for row in rows if row["reason"] == AdlReason.ELIGIBLE)
    faults: list[Fault] = []
    if root != begin["queue_root"]:
        text = f"the rows hash to {root.hex()}, the head says {begin['queue_root'].hex()}"
        faults.append(Fault("root", text))
    if (len(rows), eligible) != (begin["queue_count"], begin["n_eligible"]):
        text = f"{len(rows)} rows with {eligible} candidates, the head says "
        faults.append(Fault("root", text + f"{begin['queue_count']} and {begin['n_eligible']}"))
    return faults


def _price(found: RoundView, number: int) -> list[Fault]:
    """The price of a block's first round follows from the state before it (ADL-2, ADL-3).

    Prices of later rounds rest on figures between commits, which only execution has.
    """
    if number or found.begin["policy_id"] not in QUEUES:
        return []
    account = AccountView(found.view, found.begin["target"])
    case = Case(found.begin, scope_of(found, account))
    if case.value >= 0:
        return [Fault("price", f"the target was not bankrupt: its value was {case.value}")]
    price, draw = expected_price(found, case)
    if (price, draw) == (found.begin["adl_price"], case.draw):
        return []
    text = f"price {found.begin['adl_price']} with {case.draw} of insurance, due were "
    return [Fault("price", text + f"{price} with {draw}")]


def _trades(found: RoundView, logged: RoundRecord) -> list[Fault]:
    """One trade for each row that gave something, in rank order, at the price; then the end."""
    begin = found.begin
    wanted = [(row["account"], row["take_lots"]) for row in logged.rows if row["take_lots"]]
    made = [(fill["maker"], fill["lots"]) for fill in logged.fills]
    faults: list[Fault] = []
    if made != wanted:
        faults.append(Fault("trades", f"{len(made)} trades for {len(wanted)} takes, or others"))
    for fill in logged.fills:
        is_right = (
            fill["price"] == begin["adl_price"]
            and fill["taker"] == begin["target"]
            and (fill["maker_fee"], fill["taker_fee"]) == (0, 0)
            and fill["flags"] & FLAG_ADL
        )
        if not is_right:
            faults.append(Fault("trades", f"trade {fill['tid']} is not the round's"))
    filled = sum(row["take_lots"] for row in logged.rows)
    expected = (filled, begin["target_lots"] - filled, len(made))
    end = logged.end
    if end is None or (end["filled_lots"], end["shortfall_lots"], end["n_fills"]) != expected:
        faults.append(Fault("end", f"the end does not say {expected}"))
    return faults
