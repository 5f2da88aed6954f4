# pragma version 0.4.3
# pragma evm-version prague
"""
@title Anchor
@license MIT
@notice Keeps the exchange log's signed checkpoints, and proves entries against them.
@dev A checkpoint is a pair (size in entries, RFC 6962 root). Each must extend the one before, which
     is proven here, and carry the signatures of more than 2/3 of the validators' power. Nobody can
     change or remove what was anchored. Two signed roots of one size stop the contract for good.
     Times are seconds. Source: audit-log-and-consensus 13.
"""

import merkle
import quorum

ENTRY_MAX: constant(uint256) = 4096

CHECKPOINT: constant(bytes32) = keccak256("Checkpoint(bytes32 origin,uint64 size,bytes32 root)")
VALIDATOR_SET: constant(bytes32) = keccak256("ValidatorSet(bytes32 origin,uint64 epoch,bytes32 set)")


event Anchored:
    size: indexed(uint64)
    root: bytes32


event SealProven:
    size: indexed(uint64)
    seal_hash: bytes32


event ForkProven:
    size: indexed(uint64)
    a: bytes32
    b: bytes32


event ValidatorsPending:
    epoch: uint64
    validator_set: bytes32


event ValidatorsSet:
    epoch: uint64
    validator_set: bytes32


ORIGIN: public(immutable(bytes32))
DISPUTE_S: public(immutable(uint256))

validator_set: public(bytes32)
epoch: public(uint64)
pending_set: public(bytes32)
pending_epoch: public(uint64)
pending_since: public(uint256)
paused: public(bool)
size: public(uint64)
roots: public(HashMap[uint64, bytes32])
seal_of: public(HashMap[uint64, bytes32])


@deploy
def __init__(
    origin: bytes32,
    dispute_s: uint256,
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
):
    """
    @notice Start with an empty log.
    @param origin keccak256 of the log's origin line
    @param dispute_s seconds that a new validator set waits before it counts
    @param vals addresses of the first validators, ascending
    @param powers their powers
    """
    quorum._check_set(vals, powers)
    ORIGIN = origin
    DISPUTE_S = dispute_s
    self.validator_set = quorum._set_hash(vals, powers)
    self.epoch = 1


@external
def anchor(
    size: uint64,
    root: bytes32,
    proof: DynArray[bytes32, merkle.PROOF_MAX],
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
    idx: DynArray[uint8, quorum.SIGNERS_MAX],
    sigs: DynArray[quorum.Sig, quorum.SIGNERS_MAX],
):
    """
    @notice Store a checkpoint that extends the latest one and that the validators signed.
    @param size entries of the log
    @param root RFC 6962 root of those entries
    @param proof consistency proof from the latest anchored size; empty for the first checkpoint
    @param vals the current validators
    @param powers their powers
    @param idx positions of the signers in `vals`, strictly increasing
    @param sigs their signatures over Checkpoint(origin, size, root)
    """
    assert not self.paused, "anchor: paused"
    latest: uint64 = self.size
    assert size > latest, "anchor: size must grow"
    assert quorum._set_hash(vals, powers) == self.validator_set, "anchor: not the current set"
    digest: bytes32 = quorum._digest(keccak256(abi_encode(CHECKPOINT, ORIGIN, size, root)))
    quorum._check_quorum(digest, vals, powers, idx, sigs)
    assert merkle._extends(
        convert(latest, uint256), convert(size, uint256), self.roots[latest], root, proof
    ), "anchor: not an extension"
    self.size = size
    self.roots[size] = root
    log Anchored(size=size, root=root)


@view
@external
def latest() -> (uint64, bytes32):
    """
    @notice The latest checkpoint: size in entries and root; zero and empty before the first.
    """
    return self.size, self.roots[self.size]


@view
@external
def verify_entry(
    size: uint64,
    index: uint64,
    entry: Bytes[ENTRY_MAX],
    proof: DynArray[bytes32, merkle.PROOF_MAX],
) -> bool:
    """
    @notice Whether `entry` is entry `index` of the anchored log of this size.
    @param size an anchored size; others are answered false
    @param index position in the log, from 0
    @param entry the entry's bytes, at most 4,096
    @param proof inclusion proof, leaf side first
    """
    leaf: bytes32 = sha256(concat(b"\x00", entry))
    return self._verify(size, index, leaf, proof)


@view
@external
def verify_leaf(
    size: uint64, index: uint64, leaf: bytes32, proof: DynArray[bytes32, merkle.PROOF_MAX]
) -> bool:
    """
    @notice Whether a leaf hash is at `index` of the anchored log of this size.
    @dev For entries above 4,096 bytes. The caller must have computed SHA-256(00 || entry) himself:
         a hash that he was given may be that of an inner node.
    """
    return self._verify(size, index, leaf, proof)


@view
@internal
def _verify(
    size: uint64, index: uint64, leaf: bytes32, proof: DynArray[bytes32, merkle.PROOF_MAX]
) -> bool:
    root: bytes32 = self.roots[size]
    if root == empty(bytes32):
        return False
    return merkle._includes(leaf, convert(index, uint256), convert(size, uint256), proof, root)


@external
def prove_seal(
    size: uint64, entry: Bytes[ENTRY_MAX], proof: DynArray[bytes32, merkle.PROOF_MAX]
):
    """
    @notice Record the seal hash of an anchored checkpoint: the leaf hash of its last entry.
    @dev Open to all, since it is proven. The signed checkpoint does not name the seal.
    @param size an anchored size
    @param entry bytes of entry size - 1, a SEAL
    @param proof its inclusion proof
    """
    assert size != 0, "seal: nothing is anchored"
    # A SEAL is 411 bytes: format 01, kind 0002, and a payload of 392.
    assert len(entry) == 411 and slice(entry, 0, 3) == b"\x01\x00\x02", "seal: not a SEAL entry"
    leaf: bytes32 = sha256(concat(b"\x00", entry))
    assert self._verify(size, size - 1, leaf, proof), "seal: not the last entry"
    self.seal_of[size] = leaf
    log SealProven(size=size, seal_hash=leaf)


@external
def report_fork(
    size: uint64,
    root_a: bytes32,
    idx_a: DynArray[uint8, quorum.SIGNERS_MAX],
    sigs_a: DynArray[quorum.Sig, quorum.SIGNERS_MAX],
    root_b: bytes32,
    idx_b: DynArray[uint8, quorum.SIGNERS_MAX],
    sigs_b: DynArray[quorum.Sig, quorum.SIGNERS_MAX],
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
):
    """
    @notice Stop the contract by showing two roots of one size, each signed by a quorum.
    @dev There is no way back: a log with two histories has no honest continuation here.
    @param size entries of both logs
    @param root_a one root, with its signers and signatures
    @param root_b another root, with its signers and signatures
    @param vals the current validators
    @param powers their powers
    """
    assert root_a != root_b, "fork: one root"
    assert quorum._set_hash(vals, powers) == self.validator_set, "fork: not the current set"
    digest_a: bytes32 = quorum._digest(keccak256(abi_encode(CHECKPOINT, ORIGIN, size, root_a)))
    quorum._check_quorum(digest_a, vals, powers, idx_a, sigs_a)
    digest_b: bytes32 = quorum._digest(keccak256(abi_encode(CHECKPOINT, ORIGIN, size, root_b)))
    quorum._check_quorum(digest_b, vals, powers, idx_b, sigs_b)
    self.paused = True
    log ForkProven(size=size, a=root_a, b=root_b)


@external
def set_validators(
    epoch: uint64,
    new_vals: DynArray[address, quorum.SIGNERS_MAX],
    new_powers: DynArray[uint64, quorum.SIGNERS_MAX],
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
    idx: DynArray[uint8, quorum.SIGNERS_MAX],
    sigs: DynArray[quorum.Sig, quorum.SIGNERS_MAX],
):
    """
    @notice Propose the next validators; they count after the dispute period.
    @dev One proposal waits at a time: another with a larger epoch replaces it and waits anew.
    @param epoch number of the new set, larger than the current and the waiting one
    @param new_vals its addresses, ascending
    @param new_powers its powers
    @param vals the current validators, of whom more than 2/3 signed ValidatorSet(origin, epoch, set)
    @param powers their powers
    @param idx positions of the signers
    @param sigs their signatures
    """
    assert not self.paused, "anchor: paused"
    assert epoch > self.epoch and epoch > self.pending_epoch, "set: epoch must grow"
    assert quorum._set_hash(vals, powers) == self.validator_set, "set: not the current set"
    quorum._check_set(new_vals, new_powers)
    proposed: bytes32 = quorum._set_hash(new_vals, new_powers)
    digest: bytes32 = quorum._digest(keccak256(abi_encode(VALIDATOR_SET, ORIGIN, epoch, proposed)))
    quorum._check_quorum(digest, vals, powers, idx, sigs)
    self.pending_set = proposed
    self.pending_epoch = epoch
    self.pending_since = block.timestamp
    log ValidatorsPending(epoch=epoch, validator_set=proposed)


@external
def activate_validators():
    """
    @notice Let the waiting validators count, once the dispute period is over. Open to all.
    """
    assert not self.paused, "anchor: paused"
    assert self.pending_epoch > self.epoch, "set: none waits"
    assert block.timestamp > self.pending_since + DISPUTE_S, "set: the dispute period runs"
    self.validator_set = self.pending_set
    self.epoch = self.pending_epoch
    log ValidatorsSet(epoch=self.epoch, validator_set=self.validator_set)
