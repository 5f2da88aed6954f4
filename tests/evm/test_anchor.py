"""The Anchor: checkpoints, proofs against them, forks, and changes of validators.

Tests here take no fixtures: tests/evm/mutants.py runs them against contracts without a guard.
"""

import json
from pathlib import Path

import pytest

from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash, node_hash
from chainperp.evidence.merkle import verify_consistency, verify_inclusion
from contracts_py.anchor import Anchor
from contracts_py.digests import ORDER, Domain, Signatures, ValidatorSet, address_of, keccak
from contracts_py.handle import Reverted
from tests.evm.world import (
    ACCOUNTS,
    IS_LONG,
    ORIGIN,
    VALIDATOR_KEYS,
    VALIDATORS,
    TestLog,
    World,
    anchor_log,
    deploy_anchor,
    plain_log,
)

ANN = ACCOUNTS[0]
SIZES = (1, 2, 3, 4, 6, 7, 8, 13, 16, 21, 33, 64, 65) if IS_LONG else (1, 2, 3, 6, 8, 13)
VECTORS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "audit-log-vectors.json"


def refused(anchor: Anchor, log: TestLog, size: int, signed: Signatures, **other: object) -> str:
    """Why an Anchor refuses a checkpoint."""
    validators = other.get("validators", VALIDATORS)
    assert isinstance(validators, ValidatorSet)
    proof = log.consistency(anchor.latest()[0], size)
    with pytest.raises(Reverted) as caught:
        anchor.anchor(ANN, (size, log.root(size)), proof, validators, signed)
    return caught.value.reason


def test_checkpoints_follow_each_other() -> None:
    """Each extends the last; all stay readable."""
    anchor, log = deploy_anchor(World()), plain_log(SIZES[-1])
    assert anchor.latest() == (0, bytes(32))
    for size in SIZES:
        made = anchor_log(anchor, log, size)
        assert made.event("Anchored") == {"size": size, "root": log.root(size)}
    assert anchor.latest() == (SIZES[-1], log.root(SIZES[-1]))
    assert [anchor.root(size) for size in SIZES] == [log.root(size) for size in SIZES]


def test_every_pair_of_sizes_agrees_with_our_verifier() -> None:
    """On chain and in Python, a consistency proof holds or fails together; also when it is bent."""
    log, most = plain_log(20), 20 if IS_LONG else 9
    for old in range(1, most):
        anchor = deploy_anchor(World())
        anchor_log(anchor, log, old)
        for new in range(old + 1, most + 1, 1 if IS_LONG else 3):
            proof = log.consistency(old, new)
            for bent in (proof, proof[:-1], [*proof, bytes(32)], proof[::-1]):
                signed = VALIDATORS.sign(
                    anchor.checkpoint_digest(new, log.root(new)), VALIDATOR_KEYS[:3]
                )
                taken = holds(anchor, (new, log.root(new)), bent, signed)
                assert taken == ours(log, old, new, bent), (old, new, bent)


def holds(
    anchor: Anchor, checkpoint: tuple[int, bytes], proof: list[bytes], signed: Signatures
) -> bool:
    """Whether the contract would take a checkpoint, without sending it."""
    vals = [anchor.web3.to_checksum_address(one) for one in VALIDATORS.vals]
    rest = (vals, list(VALIDATORS.powers), list(signed.idx), list(signed.sigs))
    try:
        anchor.call("anchor", *checkpoint, proof, *rest)
    except Reverted as error:
        if error.reason != "anchor: not an extension":
            raise
        return False
    return True


def ours(log: TestLog, old: int, new: int, proof: list[bytes]) -> bool:
    """What our own verifier says."""
    try:
        verify_consistency(old, new, log.root(old), log.root(new), proof)
    except InvalidProof:
        return False
    return True


def test_a_rewritten_log_is_not_an_extension() -> None:
    """Another history of the same length cannot follow, whatever proof comes with it."""
    anchor, log, forged = deploy_anchor(World()), plain_log(13), plain_log(13, first=100)
    anchor_log(anchor, log, 6)
    root = forged.root(13)
    signed = VALIDATORS.sign(anchor.checkpoint_digest(13, root), VALIDATOR_KEYS)
    for proof in (forged.consistency(6, 13), log.consistency(6, 13), []):
        with pytest.raises(Reverted, match="not an extension"):
            anchor.anchor(ANN, (13, root), proof, VALIDATORS, signed)


def test_root_of_a_smaller_tree_is_no_extension() -> None:
    """Four entries claimed, with the root of two: the proof ends before the top is reached."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    anchor_log(anchor, log, 1)
    root = log.root(2)
    signed = VALIDATORS.sign(anchor.checkpoint_digest(4, root), VALIDATOR_KEYS)
    with pytest.raises(InvalidProof):
        verify_consistency(1, 4, log.root(1), root, log.consistency(1, 2))
    with pytest.raises(Reverted, match="not an extension"):
        anchor.anchor(ANN, (4, root), log.consistency(1, 2), VALIDATORS, signed)


def test_size_must_grow() -> None:
    """The same size and a smaller one are refused, even when signed."""
    anchor, log = deploy_anchor(World()), plain_log(8)
    anchor_log(anchor, log, 6)
    for size in (6, 3):
        signed = VALIDATORS.sign(anchor.checkpoint_digest(size, log.root(size)), VALIDATOR_KEYS[:3])
        with pytest.raises(Reverted, match="size must grow"):
            anchor.anchor(ANN, (size, log.root(size)), [], VALIDATORS, signed)


def test_two_of_four_are_no_quorum() -> None:
    """With powers 25 each, two signatures are half: 3 * 50 is not above 2 * 100."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    digest = anchor.checkpoint_digest(2, log.root(2))
    for count in (0, 2):
        signed = VALIDATORS.sign(digest, VALIDATOR_KEYS[:count])
        assert refused(anchor, log, 2, signed) == "quorum: not reached"


def test_exactly_two_thirds_is_no_quorum() -> None:
    """Three equal validators: two hold exactly 2/3, which is not more."""
    world, log = World(), plain_log(2)
    three = ValidatorSet.of({address_of(key): 7 for key in VALIDATOR_KEYS[:3]})
    anchor = Anchor.deploy(world.web3, ANN, ORIGIN, 100, three)
    digest = anchor.checkpoint_digest(2, log.root(2))
    signed = three.sign(digest, VALIDATOR_KEYS[:2])
    assert refused(anchor, log, 2, signed, validators=three) == "quorum: not reached"


def test_one_signer_counts_once() -> None:
    """The same position twice, and the same signer in disguise (r, -s, other v)."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    one = VALIDATORS.sign(anchor.checkpoint_digest(2, log.root(2)), VALIDATOR_KEYS[:1])
    r, s, v = one.sigs[0]
    place = one.idx[0]
    for sigs in (((r, s, v),) * 3, ((r, s, v), (r, ORDER - s, 55 - v), (r, s, v))):
        twice = Signatures((place,) * 3, sigs)
        assert refused(anchor, log, 2, twice) == "quorum: positions must ascend"


def test_malleable_signature_is_refused() -> None:
    """(r, order - s, other v) recovers the same signer, and is not taken."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    good = VALIDATORS.sign(anchor.checkpoint_digest(2, log.root(2)), VALIDATOR_KEYS[:3])
    r, s, v = good.sigs[1]
    bent = (good.sigs[0], (r, ORDER - s, 55 - v), good.sigs[2])
    assert refused(anchor, log, 2, Signatures(good.idx, bent)) == "quorum: s is high"


def test_signature_that_recovers_nobody_is_refused() -> None:
    """v out of range, r zero: ecrecover gives nobody, who is no validator."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    good = VALIDATORS.sign(anchor.checkpoint_digest(2, log.root(2)), VALIDATOR_KEYS[:3])
    r, s, _v = good.sigs[0]
    for broken in ((r, s, 29), (0, s, 27), (r, 0, 27)):
        signed = Signatures(good.idx, (broken, *good.sigs[1:]))
        assert refused(anchor, log, 2, signed) == "quorum: wrong signer"


def test_signatures_of_another_chain_contract_or_log_are_refused() -> None:
    """The digest is bound to chain id, contract address and origin."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    root = log.root(2)
    for digest in (
        Domain(1, anchor.address).checkpoint(ORIGIN, 2, root),
        Domain(1337, ANN.address).checkpoint(ORIGIN, 2, root),
        anchor.domain.checkpoint(keccak(b"another log"), 2, root),
        anchor.domain.checkpoint(ORIGIN, 3, root),
    ):
        signed = VALIDATORS.sign(digest, VALIDATOR_KEYS)
        assert refused(anchor, log, 2, signed) == "quorum: wrong signer"


def test_foreign_set_is_refused() -> None:
    """A set of the caller's own choice, and the right members with other powers."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    digest = anchor.checkpoint_digest(2, log.root(2))
    for vals in ((ACCOUNTS[1].address,), VALIDATORS.vals):
        other = ValidatorSet.of(dict.fromkeys(vals, 26))
        signed = VALIDATORS.sign(digest, VALIDATOR_KEYS)
        found = refused(anchor, log, 2, signed, validators=other)
        assert found == "anchor: not the current set"


def test_set_must_be_sound() -> None:
    """Empty, without power, twice the same member, unordered, nobody."""
    web3 = World().web3
    ann, ben = sorted(one.address.lower() for one in ACCOUNTS[:2])
    for bad, reason in (
        (ValidatorSet((), ()), "set: empty"),
        (ValidatorSet((ann,), (0,)), "set: no power"),
        (ValidatorSet((ann, ann), (1, 1)), "set: addresses must ascend"),
        (ValidatorSet((ben, ann), (1, 1)), "set: addresses must ascend"),
        (ValidatorSet(("0x" + "00" * 20, ann), (1, 1)), "set: addresses must ascend"),
        (ValidatorSet((ann, ben), (1,)), "set: lengths differ"),
    ):
        with pytest.raises(Reverted) as caught:
            Anchor.deploy(web3, ANN, ORIGIN, 100, bad)
        assert caught.value.reason == reason


def test_entries_of_an_anchored_log_verify() -> None:
    """Every entry at its index, in agreement with our own verifier."""
    anchor, log = deploy_anchor(World()), plain_log(13)
    anchor_log(anchor, log, 13)
    for index in range(0, 13, 1 if IS_LONG else 3):
        proof = log.inclusion(index, 13)
        verify_inclusion(leaf_hash(log.entries[index]), index, 13, proof, log.root(13))
        assert anchor.verify_entry(13, index, log.entries[index], proof)
        assert anchor.verify_leaf(13, index, leaf_hash(log.entries[index]), proof)


def test_proof_for_another_index_or_entry_fails() -> None:
    """The right entry at a wrong index, another entry at the right one, an index outside."""
    anchor, log = deploy_anchor(World()), plain_log(13)
    anchor_log(anchor, log, 13)
    proof = log.inclusion(5, 13)
    for index in (4, 6, 13, 5 + 16, 2**64 - 1):
        assert not anchor.verify_entry(13, index, log.entries[5], proof), index
    assert not anchor.verify_entry(13, 5, log.entries[4], proof)
    assert not anchor.verify_entry(12, 5, log.entries[5], proof), "12 was never anchored"


def test_truncated_and_padded_proofs_fail() -> None:
    """Each prefix of a proof, and each proof with more behind it."""
    anchor, log = deploy_anchor(World()), plain_log(13)
    anchor_log(anchor, log, 13)
    for index in (0, 5, 12):
        proof = log.inclusion(index, 13)
        for length in range(len(proof)):
            assert not anchor.verify_entry(13, index, log.entries[index], proof[:length])
        assert not anchor.verify_entry(13, index, log.entries[index], [*proof, bytes(32)])


def test_truncated_proof_to_a_root_fails() -> None:
    """The root itself, given as the leaf of a larger tree, has an empty proof that leads to it."""
    anchor, log = deploy_anchor(World()), plain_log(8)
    anchor_log(anchor, log, 8)
    left, right = log.nodes.node(2, 0), log.nodes.node(2, 1)
    assert log.root(8) == node_hash(left, right)
    # Correct hashes, one level too few: the node above leaves 0 to 3 is not leaf 0 of 8.
    assert not anchor.verify_leaf(8, 0, left, [right])


def test_padded_proof_after_the_root_fails() -> None:
    """A proof that goes on after the root could otherwise be bent to any length."""
    anchor, log = deploy_anchor(World()), plain_log(1)
    anchor_log(anchor, log, 1)
    assert anchor.verify_entry(1, 0, log.entries[0], [])
    assert not anchor.verify_entry(1, 0, log.entries[0], [bytes(32)])


def test_inner_node_is_not_an_entry() -> None:
    """The 64 bytes under an inner node do not pass as an entry: second preimage."""
    anchor, log = deploy_anchor(World()), plain_log(2)
    anchor_log(anchor, log, 2)
    left, right = (leaf_hash(one) for one in log.entries)
    for fake in (left + right, b"\x01" + left + right):
        assert not anchor.verify_entry(1, 0, fake, [])
        assert not anchor.verify_entry(2, 0, fake, [])


def test_second_preimage_in_an_anchored_tree() -> None:
    """A log of one entry whose root is a node hash would be a leaf/node confusion."""
    anchor = deploy_anchor(World())
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    root = node_hash(left, right)
    signed = VALIDATORS.sign(anchor.checkpoint_digest(1, root), VALIDATOR_KEYS[:3])
    anchor.anchor(ANN, (1, root), [], VALIDATORS, signed)
    # Even where validators signed a node as a one-entry log, no entry has that leaf hash.
    assert not anchor.verify_entry(1, 0, b"\x01" + left + right, [])
    assert not anchor.verify_entry(1, 0, left + right, [])


def test_seal_is_proven_from_the_last_entry() -> None:
    """A SEAL at the end, not elsewhere, and nothing else than a SEAL."""
    seal = b"\x01\x00\x02" + bytes(408)
    anchor, log = deploy_anchor(World()), TestLog([b"first", seal, seal + b"x"[:0]])
    log.grow([b"later"])
    anchor_log(anchor, log, 3)
    made = anchor.prove_seal(ANN, 3, seal, log.inclusion(2, 3))
    assert made.event("SealProven") == {"size": 3, "seal_hash": leaf_hash(seal)}
    assert anchor.seal_of(3) == leaf_hash(seal)
    with pytest.raises(Reverted, match="not the last entry"):
        anchor.prove_seal(ANN, 3, seal, log.inclusion(1, 3))
    anchor_log(anchor, log, 4)
    with pytest.raises(Reverted, match="not a SEAL"):
        anchor.prove_seal(ANN, 4, b"later", log.inclusion(3, 4))


def test_fork_stops_the_anchor_for_good() -> None:
    """Two signed roots of one size; then neither checkpoints nor new validators are taken."""
    world = World()
    anchor, log, other = deploy_anchor(world), plain_log(8), plain_log(8, first=50)
    anchor_log(anchor, log, 3)
    a, b = ((one.root(8), signed_root(anchor, one, 8)) for one in (log, other))
    assert anchor.report_fork(ANN, 8, a, b, VALIDATORS).event("ForkProven")["size"] == 8
    assert anchor.paused()
    assert refused(anchor, log, 8, a[1]) == "anchor: paused"
    signed = VALIDATORS.sign(anchor.set_digest(2, VALIDATORS), VALIDATOR_KEYS)
    with pytest.raises(Reverted, match="anchor: paused"):
        anchor.set_validators(ANN, 2, VALIDATORS, VALIDATORS, signed)
    assert anchor.verify_entry(3, 1, log.entries[1], log.inclusion(1, 3)), "reading goes on"


def signed_root(anchor: Anchor, log: TestLog, size: int, signers: int = 3) -> Signatures:
    """Signatures of some validators over a root."""
    digest = anchor.checkpoint_digest(size, log.root(size))
    return VALIDATORS.sign(digest, VALIDATOR_KEYS[:signers])


def test_fork_must_be_proven() -> None:
    """One root twice, and a second root without a quorum, stop nothing."""
    anchor, log, other = deploy_anchor(World()), plain_log(8), plain_log(8, first=50)
    good = (log.root(8), signed_root(anchor, log, 8))
    with pytest.raises(Reverted, match="fork: one root"):
        anchor.report_fork(ANN, 8, good, good, VALIDATORS)
    weak = (other.root(8), signed_root(anchor, other, 8, signers=2))
    for pair in ((good, weak), (weak, good)):
        with pytest.raises(Reverted, match="quorum: not reached"):
            anchor.report_fork(ANN, 8, *pair, VALIDATORS)
    assert not anchor.paused()


NEXT_KEYS = [keccak(b"chainperp/test/next/%d" % at) for at in range(3)]
NEXT = ValidatorSet.of({address_of(key): 10 for key in NEXT_KEYS})


def propose(anchor: Anchor, epoch: int, signers: int = 3) -> None:
    """Propose the next set."""
    signed = VALIDATORS.sign(anchor.set_digest(epoch, NEXT), VALIDATOR_KEYS[:signers])
    anchor.set_validators(ANN, epoch, NEXT, VALIDATORS, signed)


def test_validators_change_after_the_dispute_period() -> None:
    """Then the old set's signatures are stale, and the new ones count."""
    world = World()
    anchor, log = deploy_anchor(world), plain_log(4)
    propose(anchor, 2)
    with pytest.raises(Reverted, match="the dispute period runs"):
        anchor.activate_validators(ANN)
    anchor_log(anchor, log, 1)
    world.wait(200)
    anchor.activate_validators(ANN)
    assert (anchor.epoch(), anchor.validator_set()) == (2, NEXT.hash)
    assert refused(anchor, log, 4, signed_root(anchor, log, 4)) == "anchor: not the current set"
    signed = NEXT.sign(anchor.checkpoint_digest(4, log.root(4)), NEXT_KEYS)
    anchor.anchor(ANN, (4, log.root(4)), log.consistency(1, 4), NEXT, signed)
    with pytest.raises(Reverted, match="none waits"):
        anchor.activate_validators(ANN)


def test_proposals_need_a_quorum_and_a_growing_epoch() -> None:
    """A later proposal replaces the waiting one and waits anew."""
    world = World()
    anchor = deploy_anchor(world)
    with pytest.raises(Reverted, match="quorum: not reached"):
        propose(anchor, 2, signers=2)
    with pytest.raises(Reverted, match="epoch must grow"):
        propose(anchor, 1)
    propose(anchor, 5)
    with pytest.raises(Reverted, match="epoch must grow"):
        propose(anchor, 5)
    world.wait(90)
    propose(anchor, 6)
    world.wait(50)
    with pytest.raises(Reverted, match="the dispute period runs"):
        anchor.activate_validators(ANN)
    world.wait(60)
    anchor.activate_validators(ANN)
    assert anchor.epoch() == 6


def test_reference_vectors_verify_on_chain() -> None:
    """The published vectors' log: both checkpoints, and every entry of the larger one."""
    if not VECTORS.exists():
        pytest.skip("the reference vectors are not here")
    found = json.loads(VECTORS.read_text(encoding="utf-8"))["log"]
    log = TestLog([bytes.fromhex(one) for one in found["entries_hex"]])
    anchor = deploy_anchor(World())
    for size, root in zip(found["sizes"], found["roots"], strict=True):
        assert log.root(size).hex() == root
        anchor_log(anchor, log, size)
    size = found["sizes"][-1]
    for index, entry in enumerate(log.entries[:size]):
        assert anchor.verify_entry(size, index, entry, log.inclusion(index, size))
    assert anchor.prove_seal(ANN, size, log.entries[size - 1], log.inclusion(size - 1, size))
