"""A machine with funded accounts and unmodified web3.py on it, for tests of the contracts."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from chainperp.base import canonical
from chainperp.base.hashing import leaf_hash
from chainperp.base.units import Address
from chainperp.evidence.merkle import (
    CompleteNodes,
    prove_consistency,
    prove_inclusion,
    root_at,
)
from chainperp.evm.journal import Journal
from chainperp.evm.machine import Genesis, Machine
from chainperp.evm.provider import connect
from chainperp.model.decisions import Kind
from chainperp.model.entries import encode_entry
from chainperp.model.records import SCHEMAS
from contracts_py.anchor import Anchor
from contracts_py.bridge import Approval, Bridge, Failure, Settings, Withdrawal
from contracts_py.digests import Signatures, ValidatorSet, address_of, keccak
from contracts_py.handle import Receipt
from contracts_py.pool import Pool
from contracts_py.tokens import TestUSD, Token

START = 1_700_000_000
ETHER = 10**18
USD = 10**6
CHAIN = keccak(b"chainperp/test/chain")
ORIGIN = keccak(b"chainperp.example/evm-test")
KEYS = [keccak(b"chainperp/test/account/%d" % at) for at in range(8)]
VALIDATOR_KEYS = [keccak(b"chainperp/test/validator/%d" % at) for at in range(4)]
COLD_KEYS = [keccak(b"chainperp/test/cold/%d" % at) for at in range(3)]
ACCOUNTS: list[LocalAccount] = [Account.from_key(key) for key in KEYS]
VALIDATORS = ValidatorSet.of({address_of(key): 25 for key in VALIDATOR_KEYS})
COLD = ValidatorSet.of({address_of(key): 1 for key in COLD_KEYS})


@dataclass
class World:
    """A chain whose clock the test moves, with eight funded accounts."""

    now: int = START
    journal: Journal = field(init=False)
    web3: Web3 = field(init=False)

    def __post_init__(self) -> None:
        balances = tuple((bytes.fromhex(one.address[2:]), 1_000 * ETHER) for one in ACCOUNTS)
        self.journal = Journal(Machine(Genesis(balances, START)))
        self.web3 = connect(self.journal, lambda: self.now)

    def wait(self, seconds: int, blocks: int = 1) -> None:
        """Let time and blocks pass."""
        self.now = max(self.now, self.journal.machine.head.timestamp) + seconds
        for _ in range(blocks):
            self.journal.mine(self.now)

    def rpc(self, method: str, *params: Any) -> Any:
        """A raw JSON-RPC call: the whole response."""
        return self.web3.provider.make_request(method, list(params))  # type: ignore[arg-type]


IS_LONG = os.environ.get("CHAINPERP_LONG") == "1"


def request_entry(wid: int, user: str, destination: str, amount: int) -> bytes:
    """A WITHDRAW_REQ entry as the exchange writes it, with a fee of one dollar."""
    fields = {
        "wid": wid,
        "user": Address(bytes.fromhex(user[2:])),
        "destination": Address(bytes.fromhex(destination[2:])),
        "amount": amount,
        "fee": USD,
    }
    payload = canonical.encode(SCHEMAS[Kind.WITHDRAW_REQ], fields)
    return encode_entry(Kind.WITHDRAW_REQ, 7, 3, payload)


class TestLog:
    """A log whose entries the test writes: roots and proofs of every size."""

    __test__ = False

    def __init__(self, entries: Sequence[bytes] = ()) -> None:
        self.entries: list[bytes] = []
        self.grow(entries)

    def grow(self, entries: Sequence[bytes]) -> int:
        """Append entries; the new size."""
        self.entries += entries
        self.nodes = CompleteNodes([leaf_hash(one) for one in self.entries])
        return len(self.entries)

    def root(self, size: int) -> bytes:
        """Root of the first `size` entries."""
        return root_at(self.nodes.node, size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Inclusion proof."""
        return prove_inclusion(self.nodes.node, index, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Consistency proof; empty from nothing."""
        return prove_consistency(self.nodes.node, old, new)


def plain_log(size: int, first: int = 0) -> TestLog:
    """A log of small different entries."""
    return TestLog([b"entry %d" % at for at in range(first, first + size)])


def deploy_anchor(world: World, dispute_s: int = 100) -> Anchor:
    """An empty Anchor for the four test validators."""
    return Anchor.deploy(world.web3, ACCOUNTS[0], ORIGIN, dispute_s, VALIDATORS)


def anchor_log(anchor: Anchor, log: TestLog, size: int, signers: int = 3) -> Receipt:
    """Anchor a log at a size, signed by so many of the validators."""
    latest, _root = anchor.latest()
    root = log.root(size)
    signed = VALIDATORS.sign(anchor.checkpoint_digest(size, root), VALIDATOR_KEYS[:signers])
    proof = log.consistency(latest, size)
    return anchor.anchor(ACCOUNTS[0], (size, root), proof, VALIDATORS, signed)


class Custody:
    """A Bridge over a TestUSD and an Anchor; every account has 1,000 dollars and allowed all."""

    def __init__(self, world: World, dispute_s: int = 100, block_ms: int = 10_000) -> None:
        owner = ACCOUNTS[0]
        self.world = world
        self.usd = TestUSD.deploy(world.web3, owner, owner.address)
        self.anchor = deploy_anchor(world)
        self.settings = Settings(dispute_s, block_ms, (ACCOUNTS[6].address, ACCOUNTS[7].address), 2)
        self.bridge = self.another(self.usd.address)
        self.log = plain_log(3)

    def another(self, usd: str) -> Bridge:
        """One more bridge on the same Anchor."""
        contracts = (usd, self.anchor.address)
        return Bridge.deploy(
            self.world.web3, ACCOUNTS[0], CHAIN, contracts, (VALIDATORS, COLD), self.settings
        )

    def fund(self, amount: int = 1_000 * USD, count: int = 1) -> None:
        """Give the first accounts dollars, and let the bridge take them."""
        for one in ACCOUNTS[1 : 1 + count]:
            self.usd.mint(ACCOUNTS[0], one.address, amount)
            self.usd.approve(one, self.bridge.address, 2**256 - 1)

    def write(self, wid: int, amount: int, user: str, destination: str = "") -> Withdrawal:
        """Write a withdrawal into the exchange's log; what validators then sign."""
        destination = destination or user
        index = self.log.grow([request_entry(wid, user, destination, amount)]) - 1
        return Withdrawal(wid, user, destination, amount, index)

    def anchor_all(self) -> int:
        """Anchor the whole log; its size."""
        size = len(self.log.entries)
        anchor_log(self.anchor, self.log, size)
        return size

    def signed(self, one: Withdrawal, signers: int = 3) -> tuple[Withdrawal, Signatures]:
        """A withdrawal with the signatures of so many hot validators."""
        digest = self.bridge.withdrawal_digest(one)
        return one, VALIDATORS.sign(digest, VALIDATOR_KEYS[:signers])

    def request(self, *withdrawals: Withdrawal) -> Receipt:
        """Request withdrawals with three signatures each."""
        rows = [self.signed(one) for one in withdrawals]
        return self.bridge.request_withdrawals(ACCOUNTS[0], rows, VALIDATORS)

    def cold(self, call: bytes, signers: int = 3) -> Approval:
        """The cold set's approval of a command."""
        digest = self.bridge.command_digest(2, call)
        return Approval(COLD, COLD.sign(digest, COLD_KEYS[:signers]))

    def hot(self, call: bytes, signers: int = 3) -> Approval:
        """The hot set's approval of a command."""
        digest = self.bridge.command_digest(1, call)
        return Approval(VALIDATORS, VALIDATORS.sign(digest, VALIDATOR_KEYS[:signers]))


def codes(receipt: Receipt) -> list[tuple[int, Failure]]:
    """Numbers and codes of the items that a batch left out."""
    failed = [one.fields for one in receipt.events if one.name == "Failed"]
    return [(one["wid"], Failure(one["code"])) for one in failed]


class Market:
    """A Pool of a Token and a TestUSD; the owner has provided, Ann and Ben have both coins."""

    start_usd = 50_000 * USD

    def __init__(self, world: World, token: int, usd: int) -> None:
        owner = ACCOUNTS[0]
        self.world = world
        supply = 10**9 * ETHER
        self.token = Token.deploy(world.web3, owner, ("Example", "EX"), supply, owner.address)
        self.usd = TestUSD.deploy(world.web3, owner, owner.address)
        self.pool = Pool.deploy(world.web3, owner, self.token.address, self.usd.address, 30)
        for one in ACCOUNTS[:3]:
            self.usd.mint(owner, one.address, self.start_usd)
            self.token.approve(one, self.pool.address, 2**256 - 1)
            self.usd.approve(one, self.pool.address, 2**256 - 1)
        for one in ACCOUNTS[1:3]:
            self.token.transfer(owner, one.address, 1_000 * ETHER)
        if token:
            self.pool.add_liquidity(owner, token, usd)
