"""The log of a real chain on chain: anchored at real checkpoints, its entries and SEAL proven."""

from chainperp.base.hashing import leaf_hash
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry
from chainperp.storage.tiles import read_bundles
from tests.evm.world import ACCOUNTS, TestLog, World, anchor_log, deploy_anchor
from tests.support.chain import DemoChain

ANN = ACCOUNTS[0]


def test_log_of_a_real_chain_is_anchored_and_proven(demo_chain: DemoChain) -> None:
    """Three checkpoints after SEALs, the last one the chain's own; entries of all sizes."""
    log = TestLog(list(read_bundles(demo_chain.path / "log")))
    size = len(log.entries)
    assert (size, log.root(size).hex()) == (demo_chain.log_size, demo_chain.log_root)
    seals = [at + 1 for at, one in enumerate(log.entries) if decode_entry(one).kind is Kind.SEAL]
    chosen = [seals[0], seals[len(seals) // 2], seals[-1]]
    assert chosen[-1] == size
    anchor = deploy_anchor(World())
    for one in chosen:
        anchor_log(anchor, log, one)
        last = log.entries[one - 1]
        anchor.prove_seal(ANN, one, last, log.inclusion(one - 1, one))
        assert anchor.seal_of(one) == leaf_hash(last)
    longest = max(range(size), key=lambda at: len(log.entries[at]))
    for index in sorted({1, size // 3, size // 2, size - 1}):
        entry, proof = log.entries[index], log.inclusion(index, size)
        assert len(entry) < 4_096
        assert anchor.verify_entry(size, index, entry, proof)
        assert not anchor.verify_entry(size, index, entry + b"\0", proof)
    entry = log.entries[longest]
    assert len(entry) > 4_096, "the genesis, which only verify_leaf can take"
    assert anchor.verify_leaf(size, longest, leaf_hash(entry), log.inclusion(longest, size))
