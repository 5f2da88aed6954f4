"""The victim's proof of an auto-deleveraging round: `evidence/verifier/adl_proof.py` reads it."""

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
    ask_at_commits,
    listed_piece,
    marks_text,
    round_piece,
    rounds_of,
    row_pieces,
)
from chainperp.chain.proving.source import BlockAt, Source
from chainperp.evidence.verifier.adl_round import QUEUES
from chainperp.evidence.verifier.bundle import encode_bundle
from chainperp.state.store import State


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
    policy = one.begin["policy_id"]
    row = one.row_of(address)
    if policy not in QUEUES or row is None:
        raise nothing(
            f"policy {policy} splits among all candidates: its takes are checked over the whole "
            "list, by chainperp audit"
        )
    rounds = rounds_of(block)
    first = _first_of_target(rounds, one)
    marks: list[str] = []

    def ask(prover: StateProver, state: State) -> None:
        marks[:] = [marks_text(state)]
        show_round(prover, one, address)

    def ask_first(prover: StateProver, _state: State) -> None:
        show_account(prover, one.begin["target"], with_marks=False)

    wanted: dict[int, Ask] = {one.index - 1: ask}
    if first.index != one.index:
        wanted[first.index - 1] = ask_first
    provers = ask_at_commits(source, block, wanted)
    earlier: Part | None = None
    if first.index != one.index:
        prover = provers[first.index - 1]
        earlier = {
            "round": round_piece(source, block, first, prover, marks[0]),
            "listed": listed_piece(block, rounds, first.number),
        }
    ranks = sorted(dict.fromkeys(
        rank for rank in (row["rank"] - 1, row["rank"], len(one.rows) - 1) if rank >= 0
    ))  # fmt: skip
    fill = one.fills.get(address)
    return encode_bundle(
        "adl",
        {
            "checkpoint": note_text(source),
            "seal": seal_piece(source, block),
            "genesis": source.genesis.raw.decode("utf-8"),
            "address": address_text(address),
            "listed": listed_piece(block, rounds, one.number),
            "round": round_piece(source, block, one, provers[one.index - 1], marks[0]),
            "first": earlier,
            "rows": row_pieces(one, ranks),
            "end": entry_piece(source, one.end_index),
            "fill": None if fill is None else entry_piece(source, fill),
        },
    )


def show_round(prover: StateProver, one: LoggedRound, address: Address) -> None:
    """Show what a round's head and an account's row rest on."""
    begin = one.begin
    side = "L" if begin["candidate_side"] == 0 else "S"
    prover.collection(f"pos/{begin['asset']:08x}/{side}")
    prover.leaf("exempt", address)
    show_account(prover, address, with_marks=False)
    show_account(prover, begin["target"], with_marks=False)


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
