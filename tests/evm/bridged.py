"""A real ledger and a real machine on disk, with the keeper between them, for tests."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgpack
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.types import RPCEndpoint, RPCResponse

from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of
from chainperp.client.wallet import sign_action
from chainperp.evidence.merkle import root_at
from chainperp.evm.book import Book
from chainperp.evm.contract_facts import read_contracts
from chainperp.evm.deployment import LogName, deploy, endow, machine_genesis, plan, text
from chainperp.evm.facts import Done, KeeperReport, LedgerFacts, facts_of, view_of
from chainperp.evm.journal import FILE, Journal
from chainperp.evm.keeper import Keeper, Settings
from chainperp.evm.machine import Machine
from chainperp.evm.pairs import Comparison, compare
from chainperp.evm.provider import MachineProvider
from chainperp.evm.signers import development_key, development_keys
from chainperp.model.blocks import BlockInput, SystemInput, Transaction
from chainperp.model.decisions import Kind, SystemType
from chainperp.model.entries import Entry, decode_entry
from chainperp.model.envelope import encode_envelope
from chainperp.node.home import open_chain
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis, rules_hash
from chainperp.storage.tiles import open_reader
from chainperp.wire.recovery import recover_signers
from chainperp.wire.signing import admit
from contracts_py.bridge import Bridge
from contracts_py.buyback import BuybackVault
from contracts_py.tokens import TestUSD, Token

START = 1_700_000_000
USD = 10**6
ORIGIN = "chainperp.example/bridged"
KEYS = development_keys("Testnet")
CONTRACTS = plan(KEYS.operator_address)
VALIDATOR = Address(b"\xaa" * 20)
NAMES = ("ann", "ben", "cat")
PEOPLE: dict[str, LocalAccount] = {name: Account.from_key(development_key(name)) for name in NAMES}


def address_of(name: str) -> Address:
    """A person's address, the same on ledger and EVM."""
    return Address(bytes.fromhex(PEOPLE[name].address[2:]))


class Killed(BaseException):
    """The process ended here. No handler of ours may catch it."""


class DyingProvider(MachineProvider):
    """A machine whose caller dies as soon as `left` more transactions were executed."""

    def __init__(self, journal: Journal, clock: Callable[[], int]) -> None:
        super().__init__(journal, clock)
        self.left: int | None = None
        self.fault: Exception | None = None
        "Raised instead of an answer."
        self.sent = 0
        self.hidden = -1
        "Block whose logs are left out of answers, as a node does that is not in step with itself."

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """As the machine; the answer to the last transaction never arrives."""
        if self.fault is not None:
            raise self.fault
        found = super().make_request(method, params)
        if method == "eth_getLogs" and self.hidden >= 0:
            rows = [one for one in found["result"] if int(one["blockNumber"], 16) != self.hidden]
            return {**found, "result": rows}
        if method == "eth_sendRawTransaction":
            self.sent += 1
            if self.left is not None and self.sent >= self.left:
                raise Killed(f"after transaction {self.sent}")
        return found


PARAMETERS: dict[str, object] = {"price_stale_ms": 0}


@cache
def template() -> tuple[Path, Machine]:
    """A directory with a ledger and with the machine that has its contracts, and that machine."""
    raw = build_genesis(
        ORIGIN, START * 1_000, [(VALIDATOR, 1)], parameters=PARAMETERS, evm=CONTRACTS
    )
    made = Path(mkdtemp(prefix="bridged-"))
    DataDir.create(made / "ledger", raw, bytes(range(32))).close()
    chain = open_chain(made / "ledger")
    chain.store.close()
    (made / "evm").mkdir()
    journal = Journal.open(made / "evm", GENESIS)
    prepare(Web3(MachineProvider(journal, lambda: START)), chain.engine.chain_id)
    journal.close()
    return made, journal.machine


def prepare(web3: Web3, chain_id: bytes) -> None:
    """Deploy, and give everybody 1,000 test dollars that the bridge may take."""
    log = LogName(chain_id, ORIGIN, rules_hash(), bytes(32))
    assert deploy(web3, KEYS, log) == CONTRACTS
    for one in PEOPLE.values():
        endow(web3, KEYS, bytes.fromhex(one.address[2:]), 1_000 * USD, ether=0)
        TestUSD(web3, text(CONTRACTS.usd)).approve(one, text(CONTRACTS.bridge), 2**256 - 1)


def forked(machine: Machine) -> Machine:
    """The same blocks and state again, without executing anything: only tests are in such haste."""
    twin = Machine.__new__(Machine)
    stored = machine._chain.chaindb.db.wrapped_db.kv_store
    twin.genesis = machine.genesis
    # Only now: the machine has imported py-evm, and kept Python's limit of recursion.
    from eth.db.atomic import AtomicDB
    from eth.db.backends.memory import MemoryDB

    twin._chain = type(machine._chain)(AtomicDB(MemoryDB(dict(stored))))
    twin.blocks = list(machine.blocks)
    twin.by_hash, twin.places = dict(machine.by_hash), dict(machine.places)
    return twin


GENESIS = machine_genesis(KEYS, START, tuple(map(address_of, PEOPLE)))


class Bridged:
    """Ledger, machine and keeper in a directory. `tick` is one second of a node's life."""

    def __init__(self, path: Path, settings: Settings | None = None) -> None:
        made, machine = template()
        shutil.copytree(made, path, dirs_exist_ok=True)
        self.path = path
        self.settings = settings or Settings()
        self.now = START + 100
        self.nonce = START * 1_000
        self.deaths = 0
        journal = Journal(forked(machine))
        journal._handle = journal._files.open_append(path / "evm" / FILE)
        self._start(journal)

    def open(self) -> None:
        """Open both from disk, as a node does after it was killed."""
        self._start(Journal.open(self.path / "evm", GENESIS))

    def _start(self, journal: Journal) -> None:
        chain = open_chain(self.path / "ledger")
        self.engine, self.store = chain.engine, chain.store
        self.store.checkpoint_interval_ms = 0
        self.journal = journal
        self.provider = DyingProvider(self.journal, lambda: self.now)
        self.attach(Web3(self.provider))

    def attach(self, web3: Web3) -> None:
        """Use the contracts behind a web3."""
        self.web3 = web3
        self.keeper = Keeper(self.web3, CONTRACTS, KEYS, lambda: self.now, self.settings)
        self.last: KeeperReport | None = None
        self.usd = TestUSD(self.web3, text(CONTRACTS.usd))
        self.token = Token(self.web3, text(CONTRACTS.token))
        self.bridge = Bridge(self.web3, text(CONTRACTS.bridge))
        self.vault = BuybackVault(self.web3, text(CONTRACTS.vault))

    def close(self) -> None:
        """Let go of both without saying goodbye."""
        self.store.abandon()
        self.journal.close()

    def reopen(self) -> None:
        """Die and come back."""
        self.deaths += 1
        self.close()
        self.open()

    # The ledger

    def block(
        self, *system: SystemInput, transactions: list[Transaction] | None = None
    ) -> list[Entry]:
        """One block of the ledger, a second after the last; its entries."""
        self.now += 1
        given = BlockInput(self.now * 1_000, VALIDATOR, list(system), transactions or [])
        sealed = self.engine.execute(given)
        self.store.commit(sealed)
        return [decode_entry(raw) for raw in sealed.entries]

    def act(self, name: str, action: dict[str, Any]) -> list[Entry]:
        """A signed action of a person in a block of its own."""
        self.nonce = max(self.nonce + 1, self.now * 1_000)
        request = sign_action(development_key(name), action, self.nonce, "Testnet")
        envelope = admit(request, "Testnet")
        raw, signers = encode_envelope(envelope), recover_signers(envelope, "Testnet")
        return self.block(transactions=[transaction_of(raw, signers, msgpack.unpackb)])

    def withdraw(self, name: str, usd: int, destination: Address | None = None) -> int:
        """A withdrawal on the ledger of whole dollars, one of which is the fee; its number."""
        wid = self.engine.state.next_wid
        receiver = text(destination or address_of(name))
        made = self.act(name, {"type": "withdraw3", "destination": receiver, "amount": str(usd)})
        assert any(one.kind is Kind.WITHDRAW_REQ for one in made)
        return wid

    def grant(self, address: Address, usd: int) -> None:
        """Money that nothing stands behind."""
        body = address + (usd * USD).to_bytes(16, "big")
        self.block(SystemInput(SystemType.GRANT, body))

    def cash(self, name: str) -> int:
        """Micro-dollars of a person on the ledger."""
        account = self.engine.state.accounts.get(address_of(name))
        return 0 if account is None else account.raw

    # The keeper

    def facts(self) -> LedgerFacts:
        """What the keeper is told."""
        return facts_of(self.engine, view_of(self.store), self.last)

    def step(self) -> KeeperReport:
        """One step of the keeper; nothing is recorded."""
        self.last = self.keeper.step(self.facts())
        return self.last

    def record(self, report: KeeperReport) -> list[Entry]:
        """Take what a report says into the ledger."""
        inputs = [SystemInput(SystemType(kind), body) for kind, body in report.inputs]
        return self.block(*inputs) if inputs else []

    def tick(self) -> KeeperReport:
        """A step, and its record."""
        report = self.step()
        self.record(report)
        self.now += 1
        return report

    def settle(self, most: int = 20) -> list[KeeperReport]:
        """Ticks until nothing is left to do; the reports."""
        made: list[KeeperReport] = []
        for _ in range(most):
            made.append(self.tick())
            # What a step did is read by the next.
            is_idle = not made[-1].inputs and made[-1].done == Done()
            if is_idle and not self.engine.state.withdrawals:
                return made
        raise AssertionError(f"not settled: {made[-1]}")

    # Both sides

    def book(self) -> Book:
        """The log's side of every pair."""
        book = Book()
        for block in self.store.read_blocks():
            for entry in block.entries:
                book.add(entry)
        return book

    def compare(self) -> Comparison:
        """Every pair of the log and the contracts."""
        node = open_reader(self.store.data.log, self.store.signed_size).node
        facts = read_contracts(self.web3, CONTRACTS)
        return compare(self.book(), facts, lambda size: root_at(node, size))

    def ending(self) -> dict[str, Any]:
        """Everything that must be the same however often the process was killed."""
        state, fund = self.engine.state, self.engine.state.fund
        return {
            "cash": [self.cash(name) for name in NAMES],
            "usd": [self.usd.balance_of(PEOPLE[name].address) for name in NAMES],
            "custody": state.custody,
            "waiting": sorted(state.withdrawals),
            "deposits": (state.deposits, self.bridge.deposit_nonce(), self.bridge.deposited()),
            "paid": (state.paid_out, self.bridge.paid()),
            "sent": (fund.sent, fund.evm_spent, fund.evm_gifts, self.vault.spent()),
            "burned": (fund.evm_burned, self.vault.burned(), self.token.burned()),
            "purchases": (fund.evm_purchases, int(self.vault.call("count"))),
            "held": (
                self.usd.balance_of(self.bridge.address),
                self.usd.balance_of(self.vault.address),
                self.token.balance_of(self.vault.address),
            ),
        }


def account(name: str) -> LocalAccount:
    """A person's account on the EVM."""
    return PEOPLE[name]
