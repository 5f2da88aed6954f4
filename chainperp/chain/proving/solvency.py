"""Proof of one account's claim inside everything that the exchange owes."""

from chainperp.base.units import Address, address_text
from chainperp.chain.audit.leaves import Census, liabilities_of
from chainperp.chain.proving.account import SealedState, check_sealed, show_account
from chainperp.chain.proving.pieces import note_text, seal_piece
from chainperp.chain.proving.refutation import terms_of_genesis
from chainperp.chain.proving.source import Source
from chainperp.evidence.liabilities import liability_root, prove_liability
from chainperp.evidence.verifier.bundle import base64_list, base64_text, encode_bundle
from chainperp.state.schemas import SPOT_USDC


def prove_solvency(source: Source, address: Address, state: SealedState) -> bytes:
    """Proof that an account's claim is counted, and that all claims together are the custody.

    Cost: a walk over all accounts. Raises NotFound when the account is not in the state.
    """
    block = source.block(state.height)
    check_sealed(block, state)
    prover = state.prover()
    show_account(prover, address)
    prover.leaf(SPOT_USDC, address)
    trees = state.commitment.trees
    rows = liabilities_of(trees, Census(terms_of_genesis(source.genesis)).equities(trees))
    index = next(at for at, row in enumerate(rows) if row.address == address)
    return encode_bundle(
        "solvency",
        {
            "checkpoint": note_text(source),
            "seal": seal_piece(source, block),
            "genesis": source.genesis.raw.decode("utf-8"),
            "address": address_text(address),
            "descriptors": base64_list(prover.all_descriptors()),
            "state": prover.rows(),
            "root": base64_text(liability_root(rows).h),
            "index": index,
            "path": base64_list(prove_liability(rows, index)),
        },
    )
