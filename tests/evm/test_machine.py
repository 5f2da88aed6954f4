"""The EVM machine and its journal: deterministic, refusing, and the same again after a crash."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from chainperp.base.errors import BadRequest, InvalidBlock, InvalidGenesis
from chainperp.evm.journal import FILE, TORN, Journal
from chainperp.evm.machine import GAS_LIMIT, Genesis, Machine, Message
from chainperp.storage.files import DamagedFile
from tests.evm.world import ACCOUNTS, ETHER, START
from tests.support.chain import ROOT

ANN, BEN = ACCOUNTS[:2]
GENESIS = Genesis(((bytes.fromhex(ANN.address[2:]), ETHER),), START)
# PUSH1 1; PUSH1 0; SSTORE; STOP: creation code that stores and leaves nothing.
STORES = "6001600055" + "00"
REVERTS = "60006000fd"


def signed(**fields: Any) -> bytes:
    """A transfer of Ann's, with fields changed."""
    base: dict[str, Any] = {
        "type": 2, "chainId": 1337, "nonce": 0, "gas": 21_000, "to": BEN.address, "value": 5,
        "maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 10**6,
    }  # fmt: skip
    merged = {name: one for name, one in (base | fields).items() if one is not None}
    return bytes(ANN.sign_transaction(merged).raw_transaction)


def creation(code: str, nonce: int = 0, gas: int = 200_000) -> bytes:
    """A transaction that runs code as a creation."""
    return signed(to=b"", data="0x" + code, value=0, gas=gas, nonce=nonce)


def test_same_input_gives_the_same_blocks() -> None:
    """Two machines, block for block; block 0 is the published one."""
    one, two = Machine(GENESIS), Machine(GENESIS)
    for machine in (one, two):
        machine.submit(signed(), START + 10)
        machine.submit(creation(STORES, nonce=1), START + 11)
        machine.mine(START + 99)
    assert [block.hash for block in one.blocks] == [block.hash for block in two.blocks]
    assert one.balance(bytes.fromhex(BEN.address[2:])) == 5
    assert [block.timestamp for block in one.blocks] == [START, START + 10, START + 11, START + 99]


def test_time_only_moves_forward() -> None:
    """A block is later than the last, whatever time is handed in."""
    machine = Machine(GENESIS)
    machine.mine(START + 50)
    assert machine.mine(START).timestamp == START + 51


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (signed(nonce=1), "nonce too high"),
        (signed(chainId=1), "invalid chain id"),
        (signed(value=2 * ETHER), "insufficient funds"),
        (signed(gas=20_000), "intrinsic gas too low"),
        (signed(gas=GAS_LIMIT + 1), "exceeds block gas limit"),
        (signed(maxFeePerGas=10, maxPriorityFeePerGas=1), "max fee per gas"),
        (
            signed(type=None, maxFeePerGas=None, maxPriorityFeePerGas=None, chainId=None,
                   gasPrice=10**10),
            "invalid chain id",
        ),
        (b"", "not a signed transaction"),
        (b"\x02\xc0", "not a signed transaction"),
        (b"\x03\xc0", "type 3 not supported"),
        (b"\x7f", "type 127 not supported"),
        (b"\xf8" * 40, "not a signed transaction"),
        (signed()[:-1], "not a signed transaction"),
        (signed() + b"\0", "not a signed transaction"),
    ],
)  # fmt: skip
def test_transaction_that_cannot_be_in_a_block_is_refused(raw: bytes, text: str) -> None:
    """With the words that wallets know; the machine stays as it was."""
    machine = Machine(GENESIS)
    with pytest.raises(BadRequest, match=text):
        machine.submit(raw, START)
    assert machine.head.number == 0
    assert machine.submit(signed(), START + 1).succeeded


def test_old_nonce_is_refused() -> None:
    """The same transaction works once."""
    machine = Machine(GENESIS)
    machine.submit(signed(), START)
    with pytest.raises(BadRequest, match="nonce too low"):
        machine.submit(signed(), START)


def test_legacy_and_access_list_transactions_are_taken() -> None:
    """Wallets still send them."""
    machine = Machine(GENESIS)
    fields: dict[str, Any] = {
        "maxFeePerGas": None,
        "maxPriorityFeePerGas": None,
        "gasPrice": 10**10,
    }
    assert machine.submit(signed(type=None, **fields), START).succeeded
    listed = [{"address": BEN.address, "storageKeys": [0]}]
    raw = signed(type=1, nonce=1, accessList=listed, gas=30_000, **fields)
    assert machine.submit(raw, START).succeeded


def test_reverted_transaction_is_in_its_block() -> None:
    """It pays its gas and raises the nonce."""
    machine = Machine(GENESIS)
    block = machine.submit(creation(REVERTS), START)
    assert not block.succeeded
    assert machine.nonce(bytes.fromhex(ANN.address[2:])) == 1
    assert machine.balance(bytes.fromhex(ANN.address[2:])) < ETHER


def test_attempts_change_nothing_and_estimates_suffice() -> None:
    """What is tried is forgotten; the estimated gas is enough, one less is not."""
    machine = Machine(GENESIS)
    root = machine.head.header.state_root
    message = Message(bytes.fromhex(ANN.address[2:]), b"", bytes.fromhex(STORES))
    gas, tried = machine.estimate(message, START)
    assert not tried.failure
    assert machine.head.header.state_root == root
    assert machine.submit(creation(STORES, gas=gas), START).succeeded
    assert not machine.submit(creation(STORES, nonce=1, gas=gas - 1), START).succeeded
    failing = Message(bytes.fromhex(ANN.address[2:]), b"", bytes.fromhex(REVERTS))
    assert machine.estimate(failing, START)[1].failure == "execution reverted"


def test_estimate_finds_the_gas_that_a_call_keeps_back() -> None:
    """A contract that insists on gas left over needs more than it uses."""
    machine = Machine(GENESIS)
    # GAS, PUSH2 50000, LT, PUSH1 9, JUMPI, INVALID, JUMPDEST, STOP
    insists = "5a61c35010600957fe5b00"
    message = Message(bytes.fromhex(ANN.address[2:]), b"", bytes.fromhex(insists))
    gas, tried = machine.estimate(message, START)
    assert not tried.failure, tried
    assert gas > tried.gas_used + 40_000
    assert not machine.attempt(Message(message.sender, b"", message.data, 0, gas), START).failure
    least = gas - gas // 50
    assert machine.attempt(Message(message.sender, b"", message.data, 0, least), START).failure


def test_deep_calls_run_and_the_recursion_limit_stays() -> None:
    """A contract that calls itself until the gas is gone; Python's own limit is as before."""
    before = sys.getrecursionlimit()
    machine = Machine(GENESIS)
    # PUSH1 0 five times, ADDRESS, GAS, CALL, STOP; the creation code returns these 14 bytes.
    runtime = "6000" * 5 + "305af100"
    made = machine.submit(creation("6d" + runtime + "600052600e6012f3"), START)
    tried = machine.attempt(Message(bytes.fromhex(ANN.address[2:]), made.created), START)
    assert not tried.failure
    assert tried.gas_used > 21_000 + 400 * 120, "some 400 calls deep"
    again = signed(to=made.created, gas=GAS_LIMIT, nonce=1, maxFeePerGas=10**9)
    assert machine.submit(again, START).succeeded
    assert sys.getrecursionlimit() == before


def run(directory: Path) -> Journal:
    """A journal with three blocks."""
    journal = Journal.open(directory, GENESIS)
    journal.submit(signed(), START + 10)
    journal.submit(creation(REVERTS, nonce=1), START + 20)
    journal.mine(START + 30)
    return journal


def test_journal_makes_the_same_machine_again(tmp_path: Path) -> None:
    """Closed and opened: the same blocks, receipts and balances; and it goes on."""
    first = run(tmp_path)
    first.close()
    again = Journal.open(tmp_path, GENESIS)
    assert [one.hash for one in again.machine.blocks] == [one.hash for one in first.machine.blocks]
    assert again.machine.places == first.machine.places
    again.submit(signed(nonce=2), START + 40)
    again.close()
    third = Journal.open(tmp_path, GENESIS)
    assert third.machine.head.number == 4
    third.close()


def test_half_a_line_is_put_aside(tmp_path: Path) -> None:
    """A crash in the middle of a write: nobody heard of that block, the rest stands."""
    run(tmp_path).close()
    raw = (tmp_path / FILE).read_bytes()
    last = raw[:-1].rfind(b"\n") + 1
    for cut in (last + 1, last + 20, len(raw) - 1):
        (tmp_path / FILE).write_bytes(raw[:cut])
        journal = Journal.open(tmp_path, GENESIS)
        assert journal.machine.head.number == 2
        assert journal.cut == cut - last
        assert (tmp_path / TORN).read_bytes() == raw[last:cut]
        journal.close()
        assert (tmp_path / FILE).read_bytes() == raw[:last]


@pytest.mark.parametrize("name", ["hash", "state_root", "gas_used", "status", "number"])
def test_journal_that_says_otherwise_is_named(tmp_path: Path, name: str) -> None:
    """Each field that a line claims is compared with what comes out."""
    run(tmp_path).close()
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    document = json.loads(lines[1])
    document[name] = "00" if isinstance(document[name], str) else document[name] + 1
    lines[1] = json.dumps(document).encode() + b"\n"
    (tmp_path / FILE).write_bytes(b"".join(lines))
    with pytest.raises(InvalidBlock, match=name):
        Journal.open(tmp_path, GENESIS)


def test_damaged_or_foreign_journal_is_refused(tmp_path: Path) -> None:
    """Not JSON, no block, a transaction that cannot be, another genesis."""
    run(tmp_path).close()
    raw = (tmp_path / FILE).read_bytes()
    lines = raw.splitlines(keepends=True)
    for bad, error in (
        (b"{]\n", DamagedFile),
        (b"{}\n", DamagedFile),
        (b'{"transaction":"02c0","timestamp":1}\n', InvalidBlock),
    ):
        (tmp_path / FILE).write_bytes(lines[0] + bad)
        with pytest.raises(error):
            Journal.open(tmp_path, GENESIS)
    (tmp_path / FILE).write_bytes(raw)
    with pytest.raises(InvalidGenesis, match="timestamp"):
        Journal.open(tmp_path, Genesis(GENESIS.balances, START + 1))


def test_account_of_a_signature_is_the_sender() -> None:
    """What eth_account recovers is whom the machine debits."""
    raw = signed()
    assert Account.recover_transaction(raw) == ANN.address
    block = Machine(GENESIS).submit(raw, START)
    assert bytes(block.transaction.sender).hex() == ANN.address[2:].lower()  # type: ignore[union-attr]


def test_a_first_machine_leaves_the_recursion_limit_as_it_was() -> None:
    """In a process that never imported py-evm: deep JSON there must not overrun the C stack."""
    code = (
        "import sys; before = sys.getrecursionlimit();"
        "from chainperp.evm.machine import Genesis, Machine; Machine(Genesis());"
        "assert sys.getrecursionlimit() == before, sys.getrecursionlimit()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
