# pragma version 0.4.3
# pragma evm-version prague
"""
@title Registry
@license MIT
@notice Which rules and parameters the exchange runs, announced with a notice period before they
        count. Each version stays readable for ever.
@dev The validators are those of the Anchor. Hashes are SHA-256 as in the exchange's block seals;
     heights are block heights of the exchange, times seconds. Source: audit-log-and-consensus 1 (T22).
"""

import quorum

interface Log:
    def validator_set() -> bytes32: view
    def paused() -> bool: view


struct Version:
    rules: bytes32
    parameters: bytes32
    height: uint64
    effective: uint256


event Announced:
    version: indexed(uint64)
    rules: bytes32
    parameters: bytes32
    height: uint64
    effective: uint256


event Withdrawn:
    version: indexed(uint64)
    step: uint64


ANNOUNCEMENT: constant(bytes32) = keccak256(
    "Announcement(bytes32 chain,uint64 step,bytes32 rules,bytes32 parameters,uint64 height)"
)
WITHDRAWN: constant(bytes32) = keccak256("Withdraw(bytes32 chain,uint64 step)")

CHAIN: public(immutable(bytes32))
ANCHOR: public(immutable(address))
NOTICE_S: public(immutable(uint256))

count: public(uint64)
step: public(uint64)
versions: public(HashMap[uint64, Version])


@deploy
def __init__(
    chain_of_log: bytes32, anchor: address, notice_s: uint256, rules: bytes32, parameters: bytes32
):
    """
    @notice Start with the rules of the genesis as version 1.
    @param chain_of_log the exchange's chain id
    @param anchor whose validators announce
    @param notice_s seconds between an announcement and the moment from which it counts
    """
    CHAIN = chain_of_log
    ANCHOR = anchor
    NOTICE_S = notice_s
    self.count = 1
    self.versions[1] = Version(
        rules=rules, parameters=parameters, height=0, effective=block.timestamp
    )
    log Announced(
        version=1, rules=rules, parameters=parameters, height=0, effective=block.timestamp
    )


@external
def announce(
    rules: bytes32,
    parameters: bytes32,
    height: uint64,
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
    idx: DynArray[uint8, quorum.SIGNERS_MAX],
    sigs: DynArray[quorum.Sig, quorum.SIGNERS_MAX],
):
    """
    @notice Announce the next rules and parameters. One announcement runs at a time.
    @param rules SHA-256 over the rule sources
    @param parameters SHA-256 over the parameters
    @param height block of the exchange from which they are to count, above the last one
    @param vals the Anchor's validators
    @param powers their powers
    @param idx positions of the signers
    @param sigs their signatures over Announcement(chain, step, rules, parameters, height)
    """
    assert block.timestamp >= self.versions[self.count].effective, "registry: one runs already"
    assert height > self.versions[self.count].height, "registry: height must grow"
    digest: bytes32 = quorum._digest(
        keccak256(abi_encode(ANNOUNCEMENT, CHAIN, self.step, rules, parameters, height))
    )
    self._check(digest, vals, powers, idx, sigs)
    self.count += 1
    effective: uint256 = block.timestamp + NOTICE_S
    self.versions[self.count] = Version(
        rules=rules, parameters=parameters, height=height, effective=effective
    )
    log Announced(
        version=self.count,
        rules=rules,
        parameters=parameters,
        height=height,
        effective=effective,
    )


@external
def withdraw(
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
    idx: DynArray[uint8, quorum.SIGNERS_MAX],
    sigs: DynArray[quorum.Sig, quorum.SIGNERS_MAX],
):
    """
    @notice Take back the announcement that runs, before it counts; signed as Withdraw(chain, step).
    """
    assert block.timestamp < self.versions[self.count].effective, "registry: none runs"
    digest: bytes32 = quorum._digest(keccak256(abi_encode(WITHDRAWN, CHAIN, self.step)))
    self._check(digest, vals, powers, idx, sigs)
    log Withdrawn(version=self.count, step=self.step)
    self.versions[self.count] = empty(Version)
    self.count -= 1


@internal
def _check(
    digest: bytes32,
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
    idx: DynArray[uint8, quorum.SIGNERS_MAX],
    sigs: DynArray[quorum.Sig, quorum.SIGNERS_MAX],
):
    """
    @notice Refuse unless the Anchor's validators signed; each signature works for one step only.
    """
    assert not staticcall Log(ANCHOR).paused(), "registry: the log forked"
    known: bytes32 = staticcall Log(ANCHOR).validator_set()
    assert quorum._set_hash(vals, powers) == known, "registry: not the current set"
    quorum._check_quorum(digest, vals, powers, idx, sigs)
    self.step += 1


@view
@external
def current() -> (uint64, Version):
    """
    @notice The version that counts now, with its number.
    """
    number: uint64 = self.count
    if block.timestamp < self.versions[number].effective:
        number -= 1
    return number, self.versions[number]


@view
@external
def is_known(rules: bytes32, parameters: bytes32, height: uint64) -> bool:
    """
    @notice Whether a block of the exchange at this height may carry these hashes: they are those of
            the last version at or below the height, and that version counts.
    """
    number: uint64 = self.count
    for _step: uint256 in range(1024):
        if self.versions[number].height <= height or number == 1:
            break
        number -= 1
    found: Version = self.versions[number]
    return (
        block.timestamp >= found.effective
        and found.height <= height
        and found.rules == rules
        and found.parameters == parameters
    )
