"""Refutations of an auto-deleveraging round: constant size, and a yes means that it was cheated.

    adl-refutation {checkpoint, seal, genesis, fault, address, round, listed, rows}

| fault | shown by |
|---|---|
| omitted | the account's position, and two neighbours in the list (or one end of it) between |
|  | which its key falls, neither of which it is |
| false-row | the account's leaves and its row: some figure of the row is another |
| exempt | its row is spared as exempt; the public list in the state does not have it |
| misranked | two neighbours whose keys are in the wrong order |
| skipped | a row that gave less than it could, and a later one that gave something |
| head | the round's head contradicts the committed state or genesis |
| price | the block's first round closed at another price than ADL-2 and ADL-3 give |

`address` is null where no account is named; `listed` is there for `price` only.
Source: audit-log-and-consensus 9.5, "refutation of an omission".
"""

from collections.abc import Callable
from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.units import Address, address_text, usd_text
from chainperp.evidence.verifier.accounts import AccountView, read_genesis, read_terms
from chainperp.evidence.verifier.adl_checks import Case, expected_price, head_faults
from chainperp.evidence.verifier.adl_proof import read_listed, row_faults
from chainperp.evidence.verifier.adl_round import (
    RankKey,
    RoundView,
    exemption_cap,
    is_before,
    judge,
    rank_key,
    read_round,
    read_row,
    row_candidate,
    scope_of,
    state_candidate,
)
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import check_of_block, read_seal
from chainperp.evidence.verifier.steps import Steps
from chainperp.evidence.verifier.trust import Trust, read_note
from chainperp.model.decisions import AdlReason

Rows = list[Record]
Refute = Callable[[Steps, RoundView, Address | None, Rows], None]


def verify_adl_refutation(steps: Steps, fields: Fields, trust: Trust) -> None:
    """A round of a block was not what the rules give."""
    checkpoint = read_note(steps, trust, fields.note("checkpoint"))
    seal = read_seal(steps, fields.part("seal"), checkpoint)
    terms = read_terms(steps, read_genesis(fields), seal)
    found = read_round(steps, fields.part("round"), checkpoint, terms)
    check_of_block(found.placed, seal)
    fault = fields.text("fault")
    if fault not in FAULTS:
        raise InvalidProof(f"there is no fault {fault[:40]!r}")
    address = fields.address("address") if fields.has("address") else None
    has_list = fields.has("listed")
    if has_list is not (fault == "price"):
        raise InvalidProof("the round's place in the block is shown for its price, and only there")
    if has_list and read_listed(steps, fields.part("listed"), found.placed, seal):
        raise InvalidProof("the price of a later round rests on states that are not committed")
    parts = fields.parts("rows")
    fields.finish()
    rows = [read_row(steps, part, found, f"row {at + 1}") for at, part in enumerate(parts)]
    steps.begin(f"fault: {fault}")
    FAULTS[fault](steps, found, address, rows)
    found.view.finish()


def _named(address: Address | None) -> Address:
    if address is None:
        raise InvalidProof("the refutation names no account")
    return address


def _unnamed(address: Address | None) -> None:
    if address is not None:
        raise InvalidProof("the refutation names an account that it is not about")


def _row_key(found: RoundView, row: Record) -> RankKey:
    return rank_key(found, row_candidate(found, row), AdlReason(row["reason"]))


def _omitted(steps: Steps, found: RoundView, address: Address | None, rows: Rows) -> None:
    """No row can be the account's: its key falls between two neighbours, or off an end."""
    who = _named(address)
    candidate = state_candidate(found, who)
    reason, _weight = judge(found, candidate)
    key = rank_key(found, candidate, reason)
    count = found.begin["queue_count"]
    if any(row["account"] == who for row in rows):
        raise InvalidProof("one of the rows is the account's own")
    ranks = [row["rank"] for row in rows]
    keys = [_row_key(found, row) for row in rows]
    if len(rows) == 2 and ranks[0] + 1 == ranks[1]:
        is_off = is_before(keys[0], key) and is_before(key, keys[1])
    elif len(rows) == 1:
        is_off = (ranks[0] == 0 and is_before(key, keys[0])) or (
            ranks[0] == count - 1 and is_before(keys[0], key)
        )
    else:
        is_off = not rows and count == 0
    if not is_off:
        raise InvalidProof("the rows leave room for the account elsewhere in the list")
    where = " and ".join(str(rank + 1) for rank in ranks) or "nowhere"
    steps.done(f"its place is at ranks {where} of {count}, where it does not stand")
    steps.say(
        f"{address_text(who)} held {candidate.lots} lots in {found.collection} in the state before "
        f"the round of entry {found.placed.index} ({reason.name}), and the list has no row for it: "
        "a candidate was omitted", "ADL-1",
    )  # fmt: skip


def _one(address: Address | None, rows: Rows) -> tuple[Address, Record]:
    who = _named(address)
    if len(rows) != 1 or rows[0]["account"] != who:
        raise InvalidProof("the account's own row is not shown, or not alone")
    return who, rows[0]


def _false_row(steps: Steps, found: RoundView, address: Address | None, rows: Rows) -> None:
    """The row does not say what the state and the rules give."""
    who, row = _one(address, rows)
    candidate = state_candidate(found, who)
    reason, weight = judge(found, candidate)
    faults = row_faults(row, candidate, reason, weight)
    if not faults:
        raise InvalidProof("the row is what the state and the rules give")
    steps.done("; ".join(faults))
    for fault in faults:
        steps.say(fault, "ADL-1")


def _exempt(steps: Steps, found: RoundView, address: Address | None, rows: Rows) -> None:
    """Spared as exempt without being on the public list."""
    who, row = _one(address, rows)
    if row["reason"] != AdlReason.EXEMPT:
        raise InvalidProof(f"the row's reason is {row['reason']}, not an exemption")
    if exemption_cap(found, who) is not None:
        raise InvalidProof("the account is on the public list, in force at this height")
    steps.done("the state's list has no exemption in force for it")
    steps.say(
        f"{address_text(who)} was spared as exempt in the round of entry {found.placed.index}; "
        "the public list does not have it: a secret exemption", "EXM-2",
    )  # fmt: skip


def _pair(rows: Rows) -> tuple[Record, Record]:
    if len(rows) != 2 or rows[0]["rank"] >= rows[1]["rank"]:
        raise InvalidProof("two rows are needed, the earlier one first")
    return rows[0], rows[1]


def _misranked(steps: Steps, found: RoundView, address: Address | None, rows: Rows) -> None:
    """Two neighbours stand in the wrong order by their own figures."""
    _unnamed(address)
    one, other = _pair(rows)
    if one["rank"] + 1 != other["rank"]:
        raise InvalidProof("the rows are not neighbours")
    if is_before(_row_key(found, one), _row_key(found, other)):
        raise InvalidProof("the rows stand in the policy's order")
    steps.done(f"rank {one['rank'] + 1} does not stand before rank {other['rank'] + 1}")
    steps.say(
        f"{address_text(other['account'])} ranks before {address_text(one['account'])} by the "
        f"figures of their own rows, and the list has them the other way round", found.queue.rule,
    )  # fmt: skip


def _skipped(steps: Steps, found: RoundView, address: Address | None, rows: Rows) -> None:
    """A later row gave while an earlier one had lots left."""
    _unnamed(address)
    one, other = _pair(rows)
    rule = found.queue.rule
    if not one["take_lots"] < one["weight"] or not other["take_lots"]:
        raise InvalidProof("the earlier row gave all it could, or the later one gave nothing")
    left = one["weight"] - one["take_lots"]
    steps.done(f"rank {one['rank'] + 1} kept {left} lots, rank {other['rank'] + 1} gave some")
    steps.say(
        f"{address_text(one['account'])} kept {left} lots that were due before those of "
        f"{address_text(other['account'])}: it was skipped", rule,
    )  # fmt: skip


def _head(steps: Steps, found: RoundView, address: Address | None, rows: Rows) -> None:
    """The head of the round is false."""
    _unnamed(address)
    faults = head_faults(found)
    if rows or not faults:
        raise InvalidProof("the head is what state and genesis give")
    steps.done("; ".join(faults))
    for fault in faults:
        steps.say(fault, "ADL-1")


def _price(steps: Steps, found: RoundView, address: Address | None, rows: Rows) -> None:
    """The first round of a block closed at another price than the rules give."""
    _unnamed(address)
    account = AccountView(found.view, found.begin["target"])
    case = Case(found.begin, scope_of(found, account))
    if case.value < 0:
        price, draw = expected_price(found, case)
        if rows or (price, draw) == (found.begin["adl_price"], case.draw):
            raise InvalidProof("the price is what the rules give")
        told = f"price {found.begin['adl_price']} was used, the rules give {price}"
    elif rows:
        raise InvalidProof("no row belongs to a price")
    else:
        told = f"the target was not bankrupt: its value was {usd_text(case.value)}"
    steps.done(told)
    steps.say(f"In the round of entry {found.placed.index} {told}", "ADL-2")


FAULTS: Final[dict[str, Refute]] = {
    "omitted": _omitted,
    "false-row": _false_row,
    "exempt": _exempt,
    "misranked": _misranked,
    "skipped": _skipped,
    "head": _head,
    "price": _price,
}
