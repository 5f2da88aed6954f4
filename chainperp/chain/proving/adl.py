"""The victim's proof of an auto-deleveraging round: `evidence/verifier/adl_proof.py` reads it."""

from collections.abc import Sequence

from chainperp.base.units import Address, address_text
from chainperp.chain.proving.account import show_account
from chainperp.chain.proving.pieces import (
    Part,
    StateProver,
    entry_piece,
    note_text,
    nothing,
    seal_piece,
)
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
from chainperp.evidence.verifier.adl_round import QUEUES
from chainperp.evidence.verifier.bundle import encode_bundle


def choose_round(block: BlockAt, address: Address, market: int | None) -> LoggedRound:
    """The round to prove: the first that took from the account, else the first that lists it."""
    rounds = [one for one in rounds_of(block) if market is None or one.begin["asset"] == market]
    listed = [(one, row) for one in rounds if (row := one.row_of(address)) is not None]
    if not listed:
        raise nothing(
            f"{address_text(address)} is in none of the {len(rounds)} ADL rounds of block "
            f"{block.height}"
        )
    taken = [one for one, row in listed if row["take_lots"]]
    return taken[0] if taken else listed[0][0]


def prove_adl(source: Source, address: Address, height: int, market: int | None = None) -> bytes:
    """Proof of an account's part in a round of a block.

    Raises: NotFound when it had none, or under a policy whose takes need the whole list.
    """
    block = source.block(height)
    return prove_adl_round(source, block, choose_round(block, address, market), address)


def prove_adl_round(source: Source, block: BlockAt, one: LoggedRound, address: Address) -> bytes:
    """Proof of an account's part in a given round."""
    return prove_adl_rows(source, block, one, [address])[0]


def prove_adl_rows(
    source: Source, block: BlockAt, one: LoggedRound, addresses: Sequence[Address]
) -> list[bytes]:
    """Proofs of some accounts' parts in a given round; the block is executed once."""
    policy = one.begin["policy_id"]
    if policy not in QUEUES:
        raise nothing(
            f"policy {policy} splits among all candidates: its takes are checked over the whole "
            "list, by chainperp audit"
        )
    rounds = rounds_of(block)
    first = _first_of_target(rounds, one)
    is_first = first.index == one.index
    provers: list[StateProver] = []
    marks: list[str] = []
    earlier: list[Part] = []

    def ask(moment: Moment) -> None:
        marks.append(moment.marks_text())
        for address in addresses:
            provers.append(moment.prover())
            show_round(provers[-1], one, address, is_first)

    def ask_first(moment: Moment) -> None:
        prover = moment.prover()
        show_account(prover, one.begin["target"], with_marks=False)
        piece = round_piece(source, block, first, prover, moment.marks_text())
        earlier.append({"round": piece, "listed": listed_piece(block, rounds, first.number)})

    wanted: dict[int, Ask] = {one.index - 1: ask}
    if not is_first:
        wanted[first.index - 1] = ask_first
    ask_at_commits(source, block, wanted)
    shared = {
        "checkpoint": note_text(source),
        "seal": seal_piece(source, block),
        "genesis": source.genesis.raw.decode("utf-8"),
        "listed": listed_piece(block, rounds, one.number),
        "first": earlier[0] if earlier else None,
        "end": entry_piece(source, one.end_index),
    }
    return [
        encode_bundle(
            "adl",
            {
                **shared,
                "address": address_text(address),
                "round": round_piece(source, block, one, prover, marks[0]),
                **_row_parts(source, one, address),
            },
        )
        for address, prover in zip(addresses, provers, strict=True)
    ]


def _row_parts(source: Source, one: LoggedRound, address: Address) -> Part:
    """The account's row, the one before it and the last one; and its trade."""
    row = one.row_of(address)
    if row is None:
        raise nothing(f"{address_text(address)} has no row in that round")
    wanted = dict.fromkeys((row["rank"] - 1, row["rank"], len(one.rows) - 1))
    fill = one.fills.get(address)
    return {
        "rows": row_pieces(one, sorted(rank for rank in wanted if rank >= 0)),
        "fill": None if fill is None else entry_piece(source, fill),
    }


def show_round(prover: StateProver, one: LoggedRound, address: Address, with_target: bool) -> None:
    """Show what a round's head and an account's row rest on.

    Of a target whose figures are shown at its first round, only the position is shown here.
    """
    begin = one.begin
    own, other = ("L", "S") if begin["candidate_side"] == 0 else ("S", "L")
    prover.collection(f"pos/{begin['asset']:08x}/{own}")
    prover.leaf("exempt", address)
    show_account(prover, address, with_marks=False)
    if with_target:
        show_account(prover, begin["target"], with_marks=False)
    else:
        prover.leaf(f"pos/{begin['asset']:08x}/{other}", begin["target"])


def _first_of_target(rounds: list[LoggedRound], one: LoggedRound) -> LoggedRound:
    """The block's first round of the same bankrupt scope."""
    same = ("target", "target_scope")
    for other in rounds:
        is_isolated = other.begin["target_scope"] != 0
        if all(other.begin[name] == one.begin[name] for name in same) and (
            not is_isolated or other.begin["asset"] == one.begin["asset"]
        ):
            return other
    return one
