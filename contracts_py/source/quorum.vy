# pragma version 0.4.3
# pragma evm-version prague
"""
@title Validator quorum
@license MIT
@notice Whether more than two thirds of a validator set's power signed a digest (EIP-712).
@dev A set is known by one hash, keccak256(abi.encode(validators, powers)); the caller hands in the
     set, which is hashed and compared. Signers are given by strictly increasing positions, so a
     signer counts once whatever his signature looks like. Powers are plain numbers without unit.
"""

SIGNERS_MAX: constant(uint256) = 32
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
DOMAIN: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME: constant(bytes32) = keccak256("chainperp")
VERSION: constant(bytes32) = keccak256("1")


struct Sig:
    r: uint256
    s: uint256
    v: uint8


@pure
@internal
def _set_hash(
    validators: DynArray[address, SIGNERS_MAX], powers: DynArray[uint64, SIGNERS_MAX]
) -> bytes32:
    """
    @notice The hash by which a set is known.
    """
    return keccak256(abi_encode(validators, powers))


@pure
@internal
def _check_set(
    validators: DynArray[address, SIGNERS_MAX], powers: DynArray[uint64, SIGNERS_MAX]
):
    """
    @notice Refuse a set that is empty, has no power, or lists somebody twice.
    @dev Addresses ascend strictly: that makes them unique and non-zero, and the hash canonical.
    """
    assert len(validators) != 0, "set: empty"
    assert len(validators) == len(powers), "set: lengths differ"
    total: uint256 = 0
    last: uint256 = 0
    for at: uint256 in range(len(validators), bound=SIGNERS_MAX):
        one: uint256 = convert(validators[at], uint256)
        assert one > last, "set: addresses must ascend"
        last = one
        total += convert(powers[at], uint256)
    assert total != 0, "set: no power"


@view
@internal
def _digest(struct_hash: bytes32) -> bytes32:
    """
    @notice EIP-712 digest for this contract on this chain: a signature is of no use elsewhere.
    """
    domain: bytes32 = keccak256(abi_encode(DOMAIN, NAME, VERSION, chain.id, self))
    return keccak256(concat(b"\x19\x01", domain, struct_hash))


@pure
@internal
def _check_quorum(
    digest: bytes32,
    validators: DynArray[address, SIGNERS_MAX],
    powers: DynArray[uint64, SIGNERS_MAX],
    idx: DynArray[uint8, SIGNERS_MAX],
    sigs: DynArray[Sig, SIGNERS_MAX],
):
    """
    @notice Refuse unless the signers at positions `idx` hold more than 2/3 of the set's power.
    @dev The set must have been compared with its stored hash before.
    """
    assert len(idx) == len(sigs), "quorum: lengths differ"
    total: uint256 = 0
    for power: uint64 in powers:
        total += convert(power, uint256)
    signed: uint256 = 0
    least: uint256 = 0
    for at: uint256 in range(len(idx), bound=SIGNERS_MAX):
        place: uint256 = convert(idx[at], uint256)
        assert place >= least, "quorum: positions must ascend"
        least = place + 1
        sig: Sig = sigs[at]
        assert sig.s <= HALF_ORDER, "quorum: s is high"
        signer: address = ecrecover(digest, sig.v, sig.r, sig.s)
        assert signer != empty(address) and signer == validators[place], "quorum: wrong signer"
        signed += convert(powers[place], uint256)
    assert 3 * signed > 2 * total, "quorum: not reached"
