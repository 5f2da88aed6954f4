"""The Bridge: dollars in by numbered deposits, out by withdrawals that validators signed.

Amounts are micro-USDC, times seconds, indexes entries of the exchange's log. Sets are
`ValidatorSet`s; an approval is a set with the signatures of its members.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from contracts_py.digests import Domain, Signatures, ValidatorSet, call_hash, checked, struct_hash
from contracts_py.handle import Handle, Receipt

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

BATCH_MAX: Final = 8
WIDS_MAX: Final = 32
MINIMUM: Final = 5_000_000
HOT, COLD = 1, 2
LOCKER, FINALIZER = 1, 2
WITHDRAWAL_TYPE: Final = (
    "Withdrawal(bytes32 chain,uint64 wid,address user,address destination,"
    "uint256 amount,uint64 entryIndex)"
)
SETS_TYPE: Final = "ValidatorSets(bytes32 chain,uint64 epoch,bytes32 hot,bytes32 cold)"
COMMAND_TYPE: Final = "Command(bytes32 chain,uint8 signers,uint64 nonce,bytes32 call)"


class Status(IntEnum):
    """Where a withdrawal stands."""

    UNKNOWN = 0
    PENDING = 1
    PAID = 2
    INVALID = 3


class Failure(IntEnum):
    """Why one item of a batch was left out (event `Failed`)."""

    ALREADY_REQUESTED = 0
    ALREADY_FINALIZED = 1
    NOT_REQUESTED = 2
    EARLY_BY_TIME = 3
    EARLY_BY_BLOCKS = 4
    INVALIDATED = 5
    NOT_ANCHORED = 6
    DOLLAR_REFUSED = 7

    @property
    def words(self) -> str:
        """The reason for people."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What validators sign: number, account, receiver, micro-USDC, index of its log entry."""

    wid: int
    user: str
    destination: str
    amount: int
    entry_index: int


@dataclass(frozen=True, slots=True)
class Request:
    """A withdrawal that was requested, with the second and block of the request."""

    user: str
    destination: str
    amount: int
    entry_index: int
    since: int
    since_block: int
    status: Status


@dataclass(frozen=True, slots=True)
class Settings:
    """What a bridge starts with. `block_ms` counts the dispute period a second time, in blocks."""

    dispute_s: int
    block_ms: int
    lockers: tuple[str, ...]
    locker_threshold: int


@dataclass(frozen=True, slots=True)
class Approval:
    """A set and the signatures of those of its members who approve."""

    validators: ValidatorSet
    signed: Signatures


class Bridge(Handle):
    """Errors of every method are `Reverted` with the reason named in its docstring."""

    artifact: ClassVar[str] = "Bridge"

    @classmethod
    def deploy(
        cls,
        web3: "Web3",
        account: "LocalAccount",
        chain: bytes,
        contracts: tuple[str, str],
        sets: tuple[ValidatorSet, ValidatorSet],
        settings: Settings,
    ) -> Self:
        """Deploy for the exchange `chain` (32 bytes) with (usdc, anchor) and (hot, cold) sets.

        Raises: `bridge: nobody's address`, `bridge: threshold is zero`, `set: …`.
        """
        lockers = checked(web3, settings.lockers)
        return cls._deploy(
            web3,
            account,
            chain,
            *checked(web3, contracts),
            *(_members(web3, one) for one in sets),
            settings.dispute_s,
            settings.block_ms,
            lockers,
            settings.locker_threshold,
        )

    @property
    def domain(self) -> Domain:
        """What signatures for this contract are bound to."""
        return Domain(self.web3.eth.chain_id, self.address)

    def chain(self) -> bytes:
        """The exchange's chain id."""
        return bytes(self.call("CHAIN"))

    # Deposits

    def deposit(self, account: "LocalAccount", amount: int) -> Receipt:
        """Deposit for the sender's own account; event `Deposit` has the number.

        Raises: `bridge: paused`, `deposit: below 5 USDC`, `allowance …`, `balance …`.
        """
        return self.send(account, "deposit", amount)

    def deposit_for(self, account: "LocalAccount", beneficiary: str, amount: int) -> Receipt:
        """Deposit for another account. Raises as `deposit`, and `deposit: nobody's account`."""
        return self.send(account, "deposit_for", self.web3.to_checksum_address(beneficiary), amount)

    def deposit_with_permit(
        self,
        account: "LocalAccount",
        owner: str,
        amount: int,
        deadline: int,
        signature: tuple[int, bytes, bytes],
    ) -> Receipt:
        """Deposit by the owner's permit. Raises as `deposit`, or `deposit: the permit failed`."""
        owner = self.web3.to_checksum_address(owner)
        return self.send(account, "deposit_with_permit", owner, amount, deadline, *signature)

    def deposit_nonce(self) -> int:
        """Number of the last deposit; 0 before the first."""
        return int(self.call("deposit_nonce"))

    def deposited(self) -> int:
        """Micro-USDC of all deposits."""
        return int(self.call("deposited"))

    def paid(self) -> int:
        """Micro-USDC of all payouts."""
        return int(self.call("paid"))

    # Withdrawals

    def withdrawal_digest(self, one: Withdrawal) -> bytes:
        """What hot validators sign for a withdrawal."""
        values = (one.wid, one.user, one.destination, one.amount, one.entry_index)
        return self.domain.digest(struct_hash(WITHDRAWAL_TYPE, self.chain(), *values))

    def request_withdrawals(
        self,
        account: "LocalAccount",
        batch: Sequence[tuple[Withdrawal, Signatures]],
        hot: ValidatorSet,
    ) -> Receipt:
        """Start the dispute period of at most 8 withdrawals; faults are events `Failed`.

        Raises: `bridge: paused`, `bridge: the log forked`, `bridge: not the hot set`, `quorum: …`,
        `withdrawal: …`.
        """
        rows = [
            (
                (
                    one.wid,
                    *checked(self.web3, (one.user, one.destination)),
                    one.amount,
                    one.entry_index,
                ),
                list(signed.idx),
                list(signed.sigs),
            )
            for one, signed in batch
        ]
        return self.send(account, "request_withdrawals", rows, *_members(self.web3, hot))

    def finalize(self, account: "LocalAccount", wids: Sequence[int]) -> Receipt:
        """Pay at most 32 withdrawals whose period is over; faults are events `Failed`.

        Raises: `bridge: paused`, `bridge: the log forked`, `bridge: not a finalizer`.
        """
        return self.send(account, "finalize", list(wids))

    def request(self, wid: int) -> Request:
        """What the bridge holds about a withdrawal."""
        user, destination, amount, index, since, since_block, status = self.call("requests", wid)
        who = (user.lower(), destination.lower())
        return Request(*who, amount, index, since, since_block, Status(status))

    def dispute(
        self,
        account: "LocalAccount",
        wid: int,
        place: tuple[int, int],
        entry: bytes,
        proof: Sequence[bytes],
    ) -> Receipt:
        """Cancel a withdrawal with the entry that stands at the index it cites.

        `place` is (anchored size, index). Raises: `dispute: not waiting`, `dispute: another index`,
        `dispute: not the entry of the log`, `dispute: the log has this request`.
        """
        return self.send(account, "dispute", wid, *place, entry, list(proof))

    # Sets, roles and stopping

    def sets_digest(self, epoch: int, hot: ValidatorSet, cold: ValidatorSet) -> bytes:
        """What hot validators sign for the next sets."""
        hashed = struct_hash(SETS_TYPE, self.chain(), epoch, hot.hash, cold.hash)
        return self.domain.digest(hashed)

    def update_validators(
        self,
        account: "LocalAccount",
        epoch: int,
        sets: tuple[ValidatorSet, ValidatorSet],
        approval: Approval,
    ) -> Receipt:
        """Propose the next (hot, cold) sets. Raises `bridge: paused`, `set: …`, `quorum: …`."""
        new = (_members(self.web3, one) for one in sets)
        return self.send(account, "update_validators", epoch, *new, self._approval(approval))

    def activate_validators(self, account: "LocalAccount") -> Receipt:
        """Let the waiting sets count. Raises `set: none waits`, `set: the dispute period runs`."""
        return self.send(account, "activate_validators")

    def epoch(self) -> int:
        """Number of the current sets, from 1."""
        return int(self.call("epoch"))

    def hot_set(self) -> bytes:
        """Hash of the current hot set."""
        return bytes(self.call("hot_set"))

    def command_digest(self, signers: int, call: bytes) -> bytes:
        """What the hot (1) or cold (2) set signs for its next command; `call` from `…_call`."""
        nonce = int(self.call("hot_nonce" if signers == HOT else "cold_nonce"))
        hashed = struct_hash(COMMAND_TYPE, self.chain(), signers, nonce, call)
        return self.domain.digest(hashed)

    def vote_lock(self, account: "LocalAccount") -> Receipt:
        """A locker's vote to stop. Raises `lock: not a locker`, `lock: voted already`."""
        return self.send(account, "vote_lock")

    def unvote_lock(self, account: "LocalAccount") -> Receipt:
        """Take the vote back. Raises `bridge: paused`, `lock: has not voted`."""
        return self.send(account, "unvote_lock")

    def paused(self) -> bool:
        """Whether the lockers stopped the bridge."""
        return bool(self.call("paused"))

    @staticmethod
    def unlock_call(epoch: int, hot: ValidatorSet, cold: ValidatorSet, anchor: str) -> bytes:
        """Command hash of `emergency_unlock`."""
        return call_hash("emergency_unlock", epoch, hot.hash, cold.hash, anchor)

    def emergency_unlock(
        self,
        account: "LocalAccount",
        epoch: int,
        sets: tuple[ValidatorSet, ValidatorSet],
        anchor: str,
        approval: Approval,
    ) -> Receipt:
        """Start again after a stop, by the cold set. Raises `unlock: …`, `set: …`, `quorum: …`."""
        new = (_members(self.web3, one) for one in sets)
        anchor = self.web3.to_checksum_address(anchor)
        return self.send(account, "emergency_unlock", epoch, *new, anchor, self._approval(approval))

    @staticmethod
    def invalidate_call(wids: Sequence[int]) -> bytes:
        """Command hash of `invalidate`."""
        return call_hash("invalidate", 64, len(wids), *wids)

    def invalidate(
        self, account: "LocalAccount", wids: Sequence[int], approval: Approval
    ) -> Receipt:
        """The cold set strikes out withdrawals. Raises `invalidate: not waiting`, `quorum: …`."""
        return self.send(account, "invalidate", list(wids), self._approval(approval))

    @staticmethod
    def role_call(role: int, member: str, is_allowed: bool) -> bytes:
        """Command hash of `set_role`."""
        return call_hash("set_role", role, member, int(is_allowed))

    def set_role(
        self,
        account: "LocalAccount",
        role: int,
        member: str,
        is_allowed: bool,
        approval: Approval,
    ) -> Receipt:
        """Add a locker (1) or finalizer (2) by the hot set, remove one by the cold set."""
        member = self.web3.to_checksum_address(member)
        return self.send(account, "set_role", role, member, is_allowed, self._approval(approval))

    @staticmethod
    def parameters_call(settings: Settings, is_open: bool) -> bytes:
        """Command hash of `set_parameters`."""
        values = (settings.dispute_s, settings.block_ms, settings.locker_threshold, int(is_open))
        return call_hash("set_parameters", *values)

    def set_parameters(
        self, account: "LocalAccount", settings: Settings, is_open: bool, approval: Approval
    ) -> Receipt:
        """The cold set changes periods, threshold and who may finalise; lockers stay."""
        values = (settings.dispute_s, settings.block_ms, settings.locker_threshold, is_open)
        return self.send(account, "set_parameters", *values, self._approval(approval))

    @staticmethod
    def sweep_call(destination: str) -> bytes:
        """Command hash of `sweep_unattributed`."""
        return call_hash("sweep_unattributed", destination)

    def sweep_unattributed(
        self, account: "LocalAccount", destination: str, approval: Approval
    ) -> Receipt:
        """The cold set returns dollars that came without a deposit. Raises `sweep: nothing`."""
        destination = self.web3.to_checksum_address(destination)
        return self.send(account, "sweep_unattributed", destination, self._approval(approval))

    def _approval(self, approval: Approval) -> tuple[Any, ...]:
        signed = approval.signed
        members = _members(self.web3, approval.validators)
        return (*members, list(signed.idx), list(signed.sigs))


def _members(web3: "Web3", validators: ValidatorSet) -> tuple[list[str], list[int]]:
    return checked(web3, validators.vals), list(validators.powers)
