# pragma version 0.4.3
# pragma evm-version prague
"""
@title Bridge
@license MIT
@notice Holds the exchange's USDC. Deposits are numbered without gaps; a withdrawal needs more than
        2/3 of the hot validators' power, cites its entry in the exchange's log, and is paid after a
        dispute period in which anybody can cancel it by showing that the log says otherwise.
@dev Amounts are micro-USDC, times seconds, indexes count log entries from 0. The hot set signs in
     daily use; the cold set, kept offline, sets parameters, invalidates and unlocks. A locker's vote
     stops everything at once. Failure codes of items in a batch are events, so that one bad item
     does not stop the others: 0 already requested, 1 already finalised, 2 not requested, 3 too early
     by time, 4 too early by blocks, 5 invalidated, 6 its entry is not anchored, 7 the dollar refused.
     Source: audit-log-and-consensus 15; hyperliquid-protocol 12.7.
"""

import merkle
import quorum

interface Dollar:
    def balanceOf(owner: address) -> uint256: view
    def transfer(receiver: address, amount: uint256) -> bool: nonpayable
    def transferFrom(owner: address, receiver: address, amount: uint256) -> bool: nonpayable
    def permit(
        owner: address,
        spender: address,
        amount: uint256,
        deadline: uint256,
        v: uint8,
        r: bytes32,
        s: bytes32,
    ): nonpayable


interface Log:
    def paused() -> bool: view
    def latest() -> (uint64, bytes32): view
    def verify_leaf(
        size: uint64, index: uint64, leaf: bytes32, proof: DynArray[bytes32, 64]
    ) -> bool: view


struct Withdrawal:
    wid: uint64
    user: address
    destination: address
    amount: uint256
    entry_index: uint64


struct SignedWithdrawal:
    withdrawal: Withdrawal
    idx: DynArray[uint8, quorum.SIGNERS_MAX]
    sigs: DynArray[quorum.Sig, quorum.SIGNERS_MAX]


struct Members:
    vals: DynArray[address, quorum.SIGNERS_MAX]
    powers: DynArray[uint64, quorum.SIGNERS_MAX]


struct Approval:
    vals: DynArray[address, quorum.SIGNERS_MAX]
    powers: DynArray[uint64, quorum.SIGNERS_MAX]
    idx: DynArray[uint8, quorum.SIGNERS_MAX]
    sigs: DynArray[quorum.Sig, quorum.SIGNERS_MAX]


struct Request:
    user: address
    destination: address
    amount: uint256
    entry_index: uint64
    since: uint256
    since_block: uint256
    status: uint8


event Deposit:
    nonce: indexed(uint64)
    user: address
    amount: uint256
    beneficiary: address


event Requested:
    wid: indexed(uint64)
    user: address
    destination: address
    amount: uint256
    entry_index: uint64


event Finalized:
    wid: indexed(uint64)
    user: address
    destination: address
    amount: uint256


event Failed:
    wid: indexed(uint64)
    code: uint8


event Cancelled:
    wid: indexed(uint64)
    entry_index: uint64


event Invalidated:
    wid: indexed(uint64)


event Locked:
    votes: uint256


event Unlocked:
    epoch: uint64


event SetsPending:
    epoch: uint64
    hot: bytes32
    cold: bytes32


event SetsActive:
    epoch: uint64
    hot: bytes32
    cold: bytes32


event RoleSet:
    role: uint8
    account: indexed(address)
    allowed: bool


event ParametersSet:
    dispute_s: uint256
    block_ms: uint256
    locker_threshold: uint256
    open_finalize: bool


event Swept:
    destination: indexed(address)
    amount: uint256


BATCH_MAX: constant(uint256) = 8
WIDS_MAX: constant(uint256) = 32
ENTRY_MAX: constant(uint256) = 65535
MINIMUM: public(constant(uint256)) = 5_000_000

UNKNOWN: constant(uint8) = 0
PENDING: constant(uint8) = 1
PAID: constant(uint8) = 2
INVALID: constant(uint8) = 3

LOCKER: constant(uint8) = 1
FINALIZER: constant(uint8) = 2

HOT: constant(uint8) = 1
COLD: constant(uint8) = 2

WITHDRAWAL: constant(bytes32) = keccak256(
    "Withdrawal(bytes32 chain,uint64 wid,address user,address destination,uint256 amount,uint64 entryIndex)"
)
SETS: constant(bytes32) = keccak256(
    "ValidatorSets(bytes32 chain,uint64 epoch,bytes32 hot,bytes32 cold)"
)
COMMAND: constant(bytes32) = keccak256(
    "Command(bytes32 chain,uint8 signers,uint64 nonce,bytes32 call)"
)

CHAIN: public(immutable(bytes32))
USDC: public(immutable(address))

log_anchor: public(address)
hot_set: public(bytes32)
cold_set: public(bytes32)
epoch: public(uint64)
pending_hot: public(bytes32)
pending_cold: public(bytes32)
pending_epoch: public(uint64)
pending_since: public(uint256)
hot_nonce: public(uint64)
cold_nonce: public(uint64)

dispute_s: public(uint256)
block_ms: public(uint256)
locker_threshold: public(uint256)
open_finalize: public(bool)
has_role: public(HashMap[uint8, HashMap[address, bool]])

paused: public(bool)
lock_round: public(uint256)
lock_votes: public(uint256)
voted_in: public(HashMap[address, uint256])

deposit_nonce: public(uint64)
deposited: public(uint256)
paid: public(uint256)
requests: public(HashMap[uint64, Request])


@deploy
def __init__(
    chain_of_log: bytes32,
    usdc: address,
    anchor: address,
    hot: Members,
    cold: Members,
    dispute_s: uint256,
    block_ms: uint256,
    lockers: DynArray[address, 32],
    locker_threshold: uint256,
):
    """
    @notice Start empty, with finalisation open to all.
    @param chain_of_log the exchange's chain id, 32 bytes
    @param usdc the dollar that is held
    @param anchor the Anchor of the exchange's log
    @param hot validators for daily use
    @param cold validators kept offline
    @param dispute_s seconds between a request and its payout
    @param block_ms milliseconds that a block takes here, by which the period is counted a second time
    @param lockers who may vote to stop
    @param locker_threshold votes that stop
    """
    assert usdc != empty(address) and anchor != empty(address), "bridge: nobody's address"
    assert locker_threshold != 0, "bridge: threshold is zero"
    quorum._check_set(hot.vals, hot.powers)
    quorum._check_set(cold.vals, cold.powers)
    CHAIN = chain_of_log
    USDC = usdc
    self.log_anchor = anchor
    self.hot_set = quorum._set_hash(hot.vals, hot.powers)
    self.cold_set = quorum._set_hash(cold.vals, cold.powers)
    self.epoch = 1
    self.lock_round = 1
    self.dispute_s = dispute_s
    self.block_ms = block_ms
    self.locker_threshold = locker_threshold
    self.open_finalize = True
    for one: address in lockers:
        self.has_role[LOCKER][one] = True


# Deposits


@external
@nonreentrant
def deposit(amount: uint256):
    """
    @notice Deposit for the caller's own account on the exchange.
    @param amount micro-USDC, at least 5,000,000; the bridge must be allowed to take it
    """
    self._deposit(msg.sender, msg.sender, amount)


@external
@nonreentrant
def deposit_for(beneficiary: address, amount: uint256):
    """
    @notice Deposit the caller's dollars for another account on the exchange.
    @param beneficiary the account that is credited
    @param amount micro-USDC, at least 5,000,000
    """
    self._deposit(msg.sender, beneficiary, amount)


@external
@nonreentrant
def deposit_with_permit(
    owner: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    """
    @notice Deposit for `owner`, who signed a permit; anybody may bring it.
    @dev Whoever sees the permit can use it first. Then it fails here, and only the owner himself may
         go on: a stranger with a broken permit must not spend an allowance that stood before.
    @param owner who pays and is credited
    @param amount micro-USDC that the permit allows and that is deposited
    @param deadline last second of the permit
    """
    is_permitted: bool = raw_call(
        USDC,
        abi_encode(
            owner,
            self,
            amount,
            deadline,
            v,
            r,
            s,
            method_id=method_id("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
        ),
        revert_on_failure=False,
    )
    assert is_permitted or msg.sender == owner, "deposit: the permit failed"
    self._deposit(owner, owner, amount)


@internal
def _deposit(payer: address, beneficiary: address, amount: uint256):
    """
    @notice Take dollars and number the deposit: the exchange credits numbers in order, so none can
            be left out unseen.
    """
    assert not self.paused, "bridge: paused"
    assert amount >= MINIMUM, "deposit: below 5 USDC"
    assert beneficiary != empty(address), "deposit: nobody's account"
    before: uint256 = staticcall Dollar(USDC).balanceOf(self)
    assert extcall Dollar(USDC).transferFrom(
        payer, self, amount, default_return_value=True
    ), "deposit: the dollar refused"
    # What arrived is what counts: a dollar that keeps a fee must not be credited in full.
    assert staticcall Dollar(USDC).balanceOf(self) == before + amount, "deposit: amount differs"
    self.deposit_nonce += 1
    self.deposited += amount
    log Deposit(
        nonce=self.deposit_nonce, user=payer, amount=amount, beneficiary=beneficiary
    )


# Withdrawals


@external
@nonreentrant
def request_withdrawals(
    batch: DynArray[SignedWithdrawal, BATCH_MAX],
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
):
    """
    @notice Start the dispute period of withdrawals that the hot validators signed. Open to all.
    @dev A signature that does not hold reverts the whole batch; other faults are events.
    @param batch each withdrawal with the positions of its signers and their signatures
    @param vals the current hot validators
    @param powers their powers
    """
    assert not self.paused, "bridge: paused"
    assert not staticcall Log(self.log_anchor).paused(), "bridge: the log forked"
    assert quorum._set_hash(vals, powers) == self.hot_set, "bridge: not the hot set"
    anchored: uint64 = 0
    root: bytes32 = empty(bytes32)
    anchored, root = staticcall Log(self.log_anchor).latest()
    for one: SignedWithdrawal in batch:
        self._request(one, vals, powers, anchored)


@internal
def _request(
    one: SignedWithdrawal,
    vals: DynArray[address, quorum.SIGNERS_MAX],
    powers: DynArray[uint64, quorum.SIGNERS_MAX],
    anchored: uint64,
):
    wid: uint64 = one.withdrawal.wid
    user: address = one.withdrawal.user
    destination: address = one.withdrawal.destination
    amount: uint256 = one.withdrawal.amount
    entry_index: uint64 = one.withdrawal.entry_index
    status: uint8 = self.requests[wid].status
    if status != UNKNOWN:
        log Failed(wid=wid, code=self._code_of(status))
        return
    digest: bytes32 = quorum._digest(
        keccak256(abi_encode(WITHDRAWAL, CHAIN, wid, user, destination, amount, entry_index))
    )
    quorum._check_quorum(digest, vals, powers, one.idx, one.sigs)
    assert destination != empty(address) and destination != self, "withdrawal: nobody's address"
    assert amount <= convert(max_value(uint128), uint256), "withdrawal: amount too large"
    # An entry that is not anchored could not be disputed, so its period must not run yet.
    if entry_index >= anchored:
        log Failed(wid=wid, code=6)
        return
    self.requests[wid] = Request(
        user=user,
        destination=destination,
        amount=amount,
        entry_index=entry_index,
        since=block.timestamp,
        since_block=block.number,
        status=PENDING,
    )
    log Requested(
        wid=wid, user=user, destination=destination, amount=amount, entry_index=entry_index
    )


@pure
@internal
def _code_of(status: uint8) -> uint8:
    """
    @notice Why a withdrawal of this status cannot be requested again.
    """
    if status == PAID:
        return 1
    if status == INVALID:
        return 5
    return 0


@external
@nonreentrant
def finalize(wids: DynArray[uint64, WIDS_MAX]):
    """
    @notice Pay withdrawals whose dispute period is over, by time and by blocks.
    @param wids their numbers
    """
    assert not self.paused, "bridge: paused"
    assert not staticcall Log(self.log_anchor).paused(), "bridge: the log forked"
    assert self.open_finalize or self.has_role[FINALIZER][msg.sender], "bridge: not a finalizer"
    for wid: uint64 in wids:
        code: uint8 = self._why_not_payable(wid)
        if code == 255:
            self._pay(wid)
        else:
            log Failed(wid=wid, code=code)


@view
@internal
def _why_not_payable(wid: uint64) -> uint8:
    """
    @notice The failure code of a withdrawal, or 255 when it can be paid.
    """
    status: uint8 = self.requests[wid].status
    if status == UNKNOWN:
        return 2
    if status == PAID:
        return 1
    if status == INVALID:
        return 5
    if block.timestamp <= self.requests[wid].since + self.dispute_s:
        return 3
    passed: uint256 = block.number - self.requests[wid].since_block
    if passed * self.block_ms <= 1000 * self.dispute_s:
        return 4
    return 255


@internal
def _pay(wid: uint64):
    """
    @notice Send the dollars. A dollar that refuses (a blocked address, say) leaves the request as it
            was and does not stop the others.
    """
    destination: address = self.requests[wid].destination
    amount: uint256 = self.requests[wid].amount
    # First the book, then the dollars: whoever is called meanwhile finds the withdrawal paid.
    self.requests[wid].status = PAID
    self.paid += amount
    is_sent: bool = False
    answer: Bytes[32] = b""
    is_sent, answer = raw_call(
        USDC,
        abi_encode(destination, amount, method_id=method_id("transfer(address,uint256)")),
        max_outsize=32,
        revert_on_failure=False,
    )
    if is_sent and len(answer) == 32:
        is_sent = convert(answer, uint256) == 1
    if is_sent:
        log Finalized(
            wid=wid, user=self.requests[wid].user, destination=destination, amount=amount
        )
    else:
        self.requests[wid].status = PENDING
        self.paid -= amount
        log Failed(wid=wid, code=7)


@external
def dispute(
    wid: uint64,
    size: uint64,
    index: uint64,
    entry: Bytes[ENTRY_MAX],
    proof: DynArray[bytes32, merkle.PROOF_MAX],
):
    """
    @notice Cancel a withdrawal by proving that the entry which it cites says something else.
    @dev Open to all, also while paused. The same withdrawal can then never be requested again.
    @param wid number of the waiting withdrawal
    @param size an anchored size of the log
    @param index the entry index that the withdrawal cites
    @param entry the bytes of that entry
    @param proof its inclusion proof
    """
    assert self.requests[wid].status == PENDING, "dispute: not waiting"
    assert index == self.requests[wid].entry_index, "dispute: another index"
    leaf: bytes32 = sha256(concat(b"\x00", entry))
    assert staticcall Log(self.log_anchor).verify_leaf(
        size, index, leaf, proof
    ), "dispute: not the entry of the log"
    assert not self._is_request(wid, entry), "dispute: the log has this request"
    self.requests[wid].status = INVALID
    log Cancelled(wid=wid, entry_index=index)


@view
@internal
def _is_request(wid: uint64, entry: Bytes[ENTRY_MAX]) -> bool:
    """
    @notice Whether an entry is the WITHDRAW_REQ of this withdrawal.
    @dev Format 01, kind 0071, then at byte 19: wid, user, destination, amount, fee.
    """
    if len(entry) != 99:
        return False
    if slice(entry, 0, 3) != b"\x01\x00\x71":
        return False
    amount: uint128 = convert(self.requests[wid].amount, uint128)
    expected: Bytes[64] = concat(
        convert(wid, bytes8),
        convert(self.requests[wid].user, bytes20),
        convert(self.requests[wid].destination, bytes20),
        convert(amount, bytes16),
    )
    return slice(entry, 19, 64) == expected


# Validators


@external
def update_validators(epoch: uint64, hot: Members, cold: Members, approval: Approval):
    """
    @notice Propose the next hot and cold sets, approved by the hot set. One proposal waits at a
            time: another with a larger epoch replaces it, and the period starts again.
    @param epoch number of the new sets, larger than the current and the waiting one
    @param hot the new hot set
    @param cold the new cold set
    @param approval hot signatures over ValidatorSets(chain, epoch, hot, cold)
    """
    assert not self.paused, "bridge: paused"
    assert epoch > self.epoch and epoch > self.pending_epoch, "set: epoch must grow"
    quorum._check_set(hot.vals, hot.powers)
    quorum._check_set(cold.vals, cold.powers)
    hot_set: bytes32 = quorum._set_hash(hot.vals, hot.powers)
    cold_set: bytes32 = quorum._set_hash(cold.vals, cold.powers)
    self._check(
        self.hot_set, keccak256(abi_encode(SETS, CHAIN, epoch, hot_set, cold_set)), approval
    )
    self.pending_hot = hot_set
    self.pending_cold = cold_set
    self.pending_epoch = epoch
    self.pending_since = block.timestamp
    log SetsPending(epoch=epoch, hot=hot_set, cold=cold_set)


@external
def activate_validators():
    """
    @notice Let the waiting sets count, once the dispute period is over. Open to all.
    """
    assert not self.paused, "bridge: paused"
    assert self.pending_epoch > self.epoch, "set: none waits"
    assert block.timestamp > self.pending_since + self.dispute_s, "set: the dispute period runs"
    self._activate(self.pending_epoch, self.pending_hot, self.pending_cold)


@internal
def _activate(epoch: uint64, hot_set: bytes32, cold_set: bytes32):
    self.epoch = epoch
    self.hot_set = hot_set
    self.cold_set = cold_set
    self.pending_epoch = 0
    log SetsActive(epoch=epoch, hot=hot_set, cold=cold_set)


@view
@internal
def _check(expected_set: bytes32, struct_hash: bytes32, approval: Approval):
    """
    @notice Refuse unless a quorum of the expected set signed this struct for this contract.
    """
    assert quorum._set_hash(approval.vals, approval.powers) == expected_set, "set: another set"
    digest: bytes32 = quorum._digest(struct_hash)
    quorum._check_quorum(digest, approval.vals, approval.powers, approval.idx, approval.sigs)


@internal
def _command(signers: uint8, call: bytes32, approval: Approval):
    """
    @notice Refuse unless the set approved this call, under the next number of its commands.
    """
    nonce: uint64 = self.hot_nonce if signers == HOT else self.cold_nonce
    expected_set: bytes32 = self.hot_set if signers == HOT else self.cold_set
    self._check(
        expected_set, keccak256(abi_encode(COMMAND, CHAIN, signers, nonce, call)), approval
    )
    if signers == HOT:
        self.hot_nonce = nonce + 1
    else:
        self.cold_nonce = nonce + 1


# Stopping, and the way back


@external
def vote_lock():
    """
    @notice A locker votes to stop the bridge; at the threshold it stops.
    """
    assert self.has_role[LOCKER][msg.sender], "lock: not a locker"
    assert self.voted_in[msg.sender] != self.lock_round, "lock: voted already"
    self.voted_in[msg.sender] = self.lock_round
    self.lock_votes += 1
    if self.lock_votes >= self.locker_threshold:
        self.paused = True
    log Locked(votes=self.lock_votes)


@external
def unvote_lock():
    """
    @notice A locker takes his vote back, as long as the bridge runs.
    """
    assert not self.paused, "bridge: paused"
    assert self.voted_in[msg.sender] == self.lock_round, "lock: has not voted"
    self.voted_in[msg.sender] = 0
    self.lock_votes -= 1
    log Locked(votes=self.lock_votes)


@external
def emergency_unlock(
    epoch: uint64, hot: Members, cold: Members, anchor: address, approval: Approval
):
    """
    @notice Start again after a stop, with new sets and an Anchor, approved by the cold set.
    @dev What waited as a proposal is cleared; the lockers' votes start anew. A false withdrawal must
         be invalidated before.
    @param epoch number of the new sets, larger than the current one
    @param anchor the Anchor to use from now on
    @param approval cold signatures over the command
    """
    assert self.paused, "unlock: not paused"
    assert epoch > self.epoch, "set: epoch must grow"
    assert anchor != empty(address), "unlock: nobody's address"
    quorum._check_set(hot.vals, hot.powers)
    quorum._check_set(cold.vals, cold.powers)
    hot_set: bytes32 = quorum._set_hash(hot.vals, hot.powers)
    cold_set: bytes32 = quorum._set_hash(cold.vals, cold.powers)
    call: bytes32 = keccak256(
        abi_encode(keccak256("emergency_unlock"), epoch, hot_set, cold_set, anchor)
    )
    self._command(COLD, call, approval)
    self._activate(epoch, hot_set, cold_set)
    self.log_anchor = anchor
    self.paused = False
    self.lock_votes = 0
    self.lock_round += 1
    log Unlocked(epoch=epoch)


@external
def invalidate(wids: DynArray[uint64, WIDS_MAX], approval: Approval):
    """
    @notice The cold set strikes out waiting withdrawals for ever.
    """
    self._command(COLD, keccak256(abi_encode(keccak256("invalidate"), wids)), approval)
    for wid: uint64 in wids:
        assert self.requests[wid].status == PENDING, "invalidate: not waiting"
        self.requests[wid].status = INVALID
        log Invalidated(wid=wid)


@external
def set_role(role: uint8, account: address, allowed: bool, approval: Approval):
    """
    @notice The hot set adds a locker (1) or finalizer (2); only the cold set removes one.
    """
    assert role == LOCKER or role == FINALIZER, "role: unknown"
    call: bytes32 = keccak256(abi_encode(keccak256("set_role"), role, account, allowed))
    self._command(HOT if allowed else COLD, call, approval)
    self.has_role[role][account] = allowed
    log RoleSet(role=role, account=account, allowed=allowed)


@external
def set_parameters(
    dispute_s: uint256,
    block_ms: uint256,
    locker_threshold: uint256,
    open_finalize: bool,
    approval: Approval,
):
    """
    @notice The cold set changes the dispute period, the block duration by which it is counted a
            second time, the votes that stop, and who may finalise.
    """
    assert locker_threshold != 0, "bridge: threshold is zero"
    call: bytes32 = keccak256(
        abi_encode(
            keccak256("set_parameters"), dispute_s, block_ms, locker_threshold, open_finalize
        )
    )
    self._command(COLD, call, approval)
    self.dispute_s = dispute_s
    self.block_ms = block_ms
    self.locker_threshold = locker_threshold
    self.open_finalize = open_finalize
    log ParametersSet(
        dispute_s=dispute_s,
        block_ms=block_ms,
        locker_threshold=locker_threshold,
        open_finalize=open_finalize,
    )


@external
@nonreentrant
def sweep_unattributed(destination: address, approval: Approval):
    """
    @notice The cold set returns dollars that were sent here without a deposit.
    @dev Only the excess over deposits less payouts can leave this way.
    """
    self._command(
        COLD, keccak256(abi_encode(keccak256("sweep_unattributed"), destination)), approval
    )
    excess: uint256 = staticcall Dollar(USDC).balanceOf(self) - (self.deposited - self.paid)
    assert excess != 0, "sweep: nothing"
    assert extcall Dollar(USDC).transfer(
        destination, excess, default_return_value=True
    ), "sweep: the dollar refused"
    log Swept(destination=destination, amount=excess)
