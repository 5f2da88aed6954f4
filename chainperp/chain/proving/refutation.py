"""Finds what is wrong with a block's rounds and liquidations, and makes the refutation of it.

The finder executes the chain honestly up to the state that the log committed to, so it needs no
help from who forged the block; what it hands out is checked by `evidence/verifier/`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidProof
from chainperp.base.units import Address, address_text
from chainperp.chain.audit.leaves import TreeLeaves
from chainperp.chain.audit.rounds import Fault, RoundRecord, check_round
from chainperp.chain.genesis import Genesis
from chainperp.chain.proving.account import show_account
from chainperp.chain.proving.pieces import note_text, nothing, seal_piece
from chainperp.chain.proving.rounds import (
    Ask,
    LoggedRound,
    Moment,
    ask_at_commits,
    listed_piece,
    round_piece,
    rounds_of,
    row_pieces,
)
from chainperp.chain.proving.source import BlockAt, Source
from chainperp.evidence.verifier.accounts import Terms
from chainperp.evidence.verifier.adl_round import (
    RankKey,
    RoundView,
    is_before,
    judge,
    rank_key,
    row_candidate,
    state_candidate,
)
from chainperp.evidence.verifier.bundle import encode_bundle
from chainperp.evidence.verifier.pieces import Placed
from chainperp.model.decisions import AdlReason
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.parameters.schema import parameter_values

# A fault that names an account says more than one that only shows a false head.
PREFERRED: Final = ("omitted", "exempt", "false-row", "misranked", "skipped", "price", "head")


def terms_of_genesis(genesis: Genesis) -> Terms:
    """The terms that proofs of a chain read."""
    values = parameter_values(genesis.parameters)
    numbers = {name: value for name, value in values.items() if type(value) is int}
    return Terms(genesis.terms, numbers)


def refute_rounds(source: Source, height: int) -> bytes:
    """A refutation of the first fault in a block's rounds. Raises NotFound when there is none.

    Faults that need no proof of their own (a root, a running sum, a trade) are found by replay.
    """
    block = source.block(height)
    rounds = rounds_of(block)
    parent = decode_payload(decode_entry(block.entries[-1]))["prev_seal"]
    terms = terms_of_genesis(source.genesis)
    made: list[bytes] = []

    def watch(one: LoggedRound) -> Ask:
        def ask(moment: Moment) -> None:
            if made:
                return
            view = _view(block, one, moment, terms)
            tree = moment.commitment.trees[view.collection]
            logged = RoundRecord(one.rows, [], None)
            faults = check_round(view, tree, logged, parent, one.number)
            provable = [fault for fault in faults if fault.kind in PREFERRED]
            fault = min(provable, key=_preference, default=None)
            if fault is not None:
                made.append(_refute(source, block, one, fault, (moment, view)))

        return ask

    if rounds:
        ask_at_commits(source, block, {one.index - 1: watch(one) for one in rounds})
    if not made:
        raise nothing(f"nothing to refute in the {len(rounds)} ADL rounds of block {height}")
    return made[0]


def _preference(fault: Fault) -> int:
    return PREFERRED.index(fault.kind)


def _view(block: BlockAt, one: LoggedRound, moment: Moment, terms: Terms) -> RoundView:
    marks: dict[int, Record] = {
        market.asset: {"mark": market.mark, "previous_mark": market.mark_previous}
        for market in moment.state.markets
    }
    leaves = TreeLeaves(moment.commitment.trees, moment.committed)
    placed = Placed(block.entries[one.index - block.first], one.index)
    return RoundView(placed, marks, leaves, terms)


def _refute(
    source: Source, block: BlockAt, one: LoggedRound, fault: Fault, where: tuple[Moment, RoundView]
) -> bytes:
    """The file that shows one fault."""
    moment, view = where
    prover = moment.prover()
    kind, address, ranks = _evidence(view, one, fault)
    if kind == "head":
        prover.collection(view.collection)
        prover.collection("exempt")
    if kind == "price":
        show_account(prover, view.begin["target"], with_marks=False)
    if address is not None and kind != "exempt":
        show_account(prover, address, with_marks=False)
    if address is not None:
        prover.leaf("exempt", address)
    listed = listed_piece(block, rounds_of(block), one.number) if kind == "price" else None
    return encode_bundle(
        "adl-refutation",
        {
            "checkpoint": note_text(source),
            "seal": seal_piece(source, block),
            "genesis": source.genesis.raw.decode("utf-8"),
            "fault": kind,
            "address": None if address is None else address_text(address),
            "round": round_piece(source, block, one, prover, moment.marks_text()),
            "listed": listed,
            "rows": row_pieces(one, ranks),
        },
    )


def _evidence(
    view: RoundView, one: LoggedRound, fault: Fault
) -> tuple[str, Address | None, list[int]]:
    """Fault, account and rows that show it to who has nothing but the roots."""
    if fault.kind == "omitted" and fault.address is not None:
        return "omitted", fault.address, _bracket(view, one.rows, fault.address)
    if fault.kind == "misranked":
        return "misranked", None, _disorder(view, one.rows)
    if fault.kind == "skipped":
        early = fault.ranks[0]
        late = next((row["rank"] for row in one.rows[early + 1 :] if row["take_lots"]), None)
        if late is None:
            raise InvalidProof(f"{fault.text}; nobody after it gave lots, so replay shows it")
        return "skipped", None, [early, late]
    return fault.kind, fault.address, list(fault.ranks)


def _key(view: RoundView, row: Record) -> RankKey:
    return rank_key(view, row_candidate(view, row), AdlReason(row["reason"]))


def _bracket(view: RoundView, rows: Sequence[Record], address: Address) -> list[int]:
    """Two neighbours between which a candidate would stand, or one end of the list.

    There is always such a pair, sorted or not: somewhere the list goes from before it to after it.
    """
    candidate = state_candidate(view, address)
    key = rank_key(view, candidate, judge(view, candidate)[0])
    for row in rows:
        if is_before(key, _key(view, row)):
            rank: int = row["rank"]
            return [rank - 1, rank] if rank else [0]
    return [len(rows) - 1] if rows else []


def _disorder(view: RoundView, rows: Sequence[Record]) -> list[int]:
    """Two neighbours in the wrong order."""
    for one, other in pairwise(rows):
        if not is_before(_key(view, one), _key(view, other)):
            return [one["rank"], other["rank"]]
    raise InvalidProof("the list is in the order of its own figures; replay shows the difference")
