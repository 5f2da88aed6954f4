"""Proofs about the state at the end of a block: an account with its positions, or an absence."""

from chainperp.base import canonical
from chainperp.base.errors import InvalidProof
from chainperp.base.units import Address, address_text
from chainperp.chain.proving.pieces import StateProver, note_text, nothing, seal_piece
from chainperp.chain.proving.source import BlockAt, Source, execute_watched
from chainperp.evidence.verifier.bundle import encode_bundle
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.state.commitment import Commitment, Committed
from chainperp.state.schemas import ACCOUNT, spot_collection
from chainperp.state.store import State


class SealedState:
    """The committed state at a block's end: what a live engine has, or what was executed again."""

    def __init__(self, commitment: Commitment, committed: Committed, height: int) -> None:
        self.commitment = commitment
        self.committed = committed
        self.height = height

    def prover(self) -> StateProver:
        """A prover of this state."""
        return StateProver(self.commitment.trees, self.committed)


def sealed_state(source: Source, height: int) -> SealedState:
    """State at the end of a block, executed again from the nearest snapshot.

    Raises: NotFound when the checkpoint does not cover the block, InvalidProof when the state
    that the rules give is not the sealed one.
    """
    block = source.block(height)
    last: list[SealedState] = []

    def keep(_state: State, commitment: Commitment, committed: Committed) -> None:
        last[:] = [SealedState(commitment, committed, height)]

    execute_watched(source, height, keep)
    check_sealed(block, last[0])
    return last[0]


def check_sealed(block: BlockAt, state: SealedState) -> None:
    """The state is the one that a block's SEAL commits to. Raises InvalidProof."""
    seal = decode_payload(decode_entry(block.entries[-1]))
    if state.committed.state_root != seal["state_root"]:
        raise InvalidProof(
            f"the state at block {block.height} has root {state.committed.state_root.hex()}, "
            f"sealed was {seal['state_root'].hex()}: replay the log"
        )


def show_account(prover: StateProver, address: Address, *, with_marks: bool = True) -> list[int]:
    """Show an account and every position that it lists; returns the positions' markets.

    Raises NotFound when the account is not in the state.
    """
    value = prover.leaf("acct", address)
    if value is None:
        raise nothing(f"{address_text(address)} is not in the state at that block")
    assets = [row["asset"] for row in canonical.decode(ACCOUNT, value)["positions"]]
    for asset in assets:
        longs, shorts = f"pos/{asset:08x}/L", f"pos/{asset:08x}/S"
        prover.leaf(longs if prover.holds(longs, address) else shorts, address)
        if with_marks:
            prover.leaf("oracle", asset.to_bytes(4, "big"))
    return assets


def prove_account(source: Source, address: Address, state: SealedState) -> bytes:
    """Proof of an account's cash, spot balances, positions and marks at the end of a block."""
    block = source.block(state.height)
    check_sealed(block, state)
    prover = state.prover()
    show_account(prover, address)
    for token in range(1 + len(source.genesis.listing.tokens)):
        prover.leaf(spot_collection(token), address)
    return encode_bundle(
        "account",
        {
            "checkpoint": note_text(source),
            "seal": seal_piece(source, block),
            "genesis": source.genesis.raw.decode("utf-8"),
            "address": address_text(address),
            "state": prover.rows(),
        },
    )


def prove_absence(
    source: Source, address: Address, state: SealedState, asset: int | None = None
) -> bytes:
    """Proof that an account, or its position in a market, is not in the state of a block.

    Raises NotFound when it is.
    """
    block = source.block(state.height)
    check_sealed(block, state)
    prover = state.prover()
    names = ["acct"] if asset is None else [f"pos/{asset:08x}/L", f"pos/{asset:08x}/S"]
    for name in names:
        if prover.leaf(name, address) is not None:
            raise nothing(f"{address_text(address)} is in {name}: there is no absence to prove")
    return encode_bundle(
        "absence",
        {
            "checkpoint": note_text(source),
            "seal": seal_piece(source, block),
            "address": address_text(address),
            "asset": asset,
            "state": prover.rows(),
        },
    )
