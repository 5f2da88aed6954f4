"""JSON-RPC: what web3.py, ethers, cast and wallets ask, and what comes back, to the digit."""

import json
import re
from typing import Any

import pytest

from chainperp.evm.journal import Journal
from chainperp.evm.machine import Genesis, Machine
from chainperp.evm.rpc import DEV_METHODS, METHODS, answer, answer_body
from contracts_py.tokens import TestUSD
from tests.evm.world import ACCOUNTS, ETHER, START, USD, World

ANN, BEN = ACCOUNTS[:2]
QUANTITY = re.compile(r"0x(0|[1-9a-f][0-9a-f]*)")
FIXED = {
    "hash": 32, "parentHash": 32, "sha3Uncles": 32, "miner": 20, "stateRoot": 32,
    "transactionsRoot": 32, "receiptsRoot": 32, "logsBloom": 256, "mixHash": 32, "nonce": 8,
    "withdrawalsRoot": 32, "parentBeaconBlockRoot": 32, "blockHash": 32, "transactionHash": 32,
    "from": 20, "to": 20, "contractAddress": 20, "address": 20,
}  # fmt: skip
NUMBERS = (
    "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "size", "difficulty",
    "blockNumber", "transactionIndex", "gas", "value", "type", "cumulativeGasUsed", "status",
    "effectiveGasPrice", "logIndex", "gasPrice", "chainId", "r", "s", "v", "yParity",
    "maxFeePerGas", "maxPriorityFeePerGas", "blobGasUsed", "excessBlobGas",
)  # fmt: skip


def deployed() -> tuple[World, TestUSD]:
    """A chain with a dollar, minted once in block 2."""
    world = World()
    usd = TestUSD.deploy(world.web3, ANN, ANN.address)
    usd.mint(ANN, BEN.address, 7 * USD)
    return world, usd


def result(world: World, method: str, *params: Any) -> Any:
    """The result of a call that must succeed."""
    found = world.rpc(method, *params)
    assert "result" in found, found
    return found["result"]


def error(world: World, method: str, *params: Any) -> tuple[int, str]:
    """Code and message of a call that must fail."""
    found = world.rpc(method, *params)["error"]
    return found["code"], found["message"]


def check_forms(value: Any, *, is_transaction: bool = False) -> None:
    """Every field has the form that strict clients ask for."""
    if isinstance(value, list):
        for one in value:
            check_forms(one, is_transaction=is_transaction)
    if not isinstance(value, dict):
        return
    here = "accessList" in value or ("input" in value and "nonce" in value)
    for name, one in value.items():
        if name == "nonce" and here:
            assert QUANTITY.fullmatch(one), (name, one)
        elif name in FIXED and one is not None:
            assert re.fullmatch(rf"0x[0-9a-f]{{{2 * FIXED[name]}}}", one), (name, one)
        elif name in NUMBERS:
            assert QUANTITY.fullmatch(one), (name, one)
        check_forms(one, is_transaction=here)


def test_blocks_transactions_and_receipts_have_strict_forms() -> None:
    """Numbers without leading zeros, data of fixed length, in every answer."""
    world, usd = deployed()
    block = result(world, "eth_getBlockByNumber", "latest", True)
    check_forms(block)
    only = block["transactions"][0]
    assert result(world, "eth_getTransactionByHash", only["hash"]) == only
    receipt = result(world, "eth_getTransactionReceipt", only["hash"])
    check_forms(receipt)
    assert receipt["logs"][0]["address"] == usd.address.lower()
    assert receipt["contractAddress"] is None
    assert result(world, "eth_getBlockByHash", block["hash"], False)["transactions"] == [
        only["hash"]
    ]
    assert result(world, "eth_getBlockReceipts", "latest") == [receipt]
    first = result(world, "eth_getBlockByNumber", "0x1", False)["transactions"][0]
    made = result(world, "eth_getTransactionReceipt", first)
    assert made["contractAddress"] == usd.address.lower()
    assert made["to"] is None
    check_forms(result(world, "eth_getBlockByNumber", "earliest", True))


def test_questions_about_accounts() -> None:
    """Balance, nonce, code and storage, now and at a block."""
    world, usd = deployed()
    assert result(world, "eth_getTransactionCount", ANN.address, "pending") == "0x2"
    assert result(world, "eth_getTransactionCount", ANN.address, "0x1") == "0x1"
    assert result(world, "eth_getBalance", ANN.address, "earliest") == hex(1_000 * ETHER)
    assert result(world, "eth_getBalance", ANN.address) != hex(1_000 * ETHER)
    assert len(result(world, "eth_getCode", usd.address, "latest")) > 5_000
    assert result(world, "eth_getCode", usd.address, "0x0") == "0x"
    assert result(world, "eth_getCode", usd.address, {"blockNumber": "0x0"}) == "0x"
    head = result(world, "eth_getBlockByNumber", "latest", False)
    named = {"blockHash": head["hash"]}
    assert len(result(world, "eth_getCode", usd.address, named)) > 5_000
    # Slot 0 is the supply: the first variable of the contract.
    for slot in ("0x0", "0x" + "00" * 32):
        found = result(world, "eth_getStorageAt", usd.address, slot, "latest")
        assert int(found, 16) == 7 * USD
        assert len(found) == 66


def test_chain_questions() -> None:
    """What a tool asks first."""
    world, _usd = deployed()
    assert result(world, "eth_chainId") == "0x539"
    assert result(world, "net_version") == "1337"
    assert result(world, "eth_blockNumber") == "0x2"
    assert result(world, "eth_accounts") == []
    assert result(world, "eth_syncing") is False
    assert result(world, "web3_sha3", "0x") == (
        "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )
    assert int(result(world, "eth_gasPrice"), 16) > int(
        result(world, "eth_maxPriorityFeePerGas"), 16
    )
    history = result(world, "eth_feeHistory", "0x2", "latest", [10, 90])
    assert history["oldestBlock"] == "0x1"
    assert len(history["baseFeePerGas"]) == 3
    assert history["reward"] == [["0xf4240", "0xf4240"]] * 2
    assert result(world, "eth_feeHistory", 1, "0x1", None)["oldestBlock"] == "0x1"
    assert set(METHODS) >= {
        "eth_getTransactionByBlockNumberAndIndex", "eth_getBlockTransactionCountByHash",
    }  # fmt: skip
    count = "eth_getBlockTransactionCountByNumber"
    assert (result(world, count, "0x0"), result(world, count, "0x1")) == ("0x0", "0x1")
    pick = "eth_getTransactionByBlockNumberAndIndex"
    assert result(world, pick, "0x1", "0x0")["blockNumber"] == "0x1"
    assert result(world, pick, "0x1", "0x1") is None


def test_calls_take_input_and_data() -> None:
    """Both names; both at once only if they agree."""
    world, usd = deployed()
    payload = usd.contract.encode_abi("balanceOf", [BEN.address])
    expected = "0x" + (7 * USD).to_bytes(32, "big").hex()
    for fields in ({"data": payload}, {"input": payload}, {"data": payload, "input": payload}):
        assert result(world, "eth_call", {"to": usd.address, **fields}, "latest") == expected
    both = {"to": usd.address, "data": payload, "input": "0x"}
    assert error(world, "eth_call", both)[0] == -32602
    assert result(world, "eth_call", {"to": usd.address, "data": payload}, "0x1")[2:] == "00" * 32


def test_revert_carries_its_reason_and_data() -> None:
    """Code 3, the text, and the bytes that decode to it."""
    world, usd = deployed()
    payload = usd.contract.encode_abi("mint", [BEN.address, 1])
    for method in ("eth_call", "eth_estimateGas"):
        found = world.rpc(method, {"from": BEN.address, "to": usd.address, "data": payload})
        assert found["error"]["code"] == 3
        assert found["error"]["message"] == "execution reverted: only the minter"
        assert found["error"]["data"].startswith("0x08c379a0")
    gas = result(
        world, "eth_estimateGas", {"from": ANN.address, "to": usd.address, "data": payload}
    )
    assert 21_000 < int(gas, 16) < 100_000
    poor = {"from": "0x" + "77" * 20, "to": BEN.address, "value": "0x1"}
    assert error(world, "eth_estimateGas", poor)[0] == -32000


def test_logs_by_address_topic_and_range() -> None:
    """Alternatives in a list, any in null, a block by its hash."""
    world, usd = deployed()
    usd.transfer(BEN, ANN.address, USD)
    every = result(world, "eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"})
    assert [one["blockNumber"] for one in every] == ["0x2", "0x3"]
    check_forms(every)
    topic = every[0]["topics"][0]
    padded = "0x" + ANN.address[2:].lower().rjust(64, "0")
    assert result(world, "eth_getLogs", {"fromBlock": "0x0", "topics": [topic, None, padded]}) == [
        every[1]
    ]
    either = {"fromBlock": "0x0", "topics": [[topic, "0x" + "00" * 32]], "address": [usd.address]}
    assert result(world, "eth_getLogs", either) == every
    assert result(world, "eth_getLogs", {"blockHash": every[0]["blockHash"]}) == every[:1]
    assert result(world, "eth_getLogs", {"fromBlock": "0x0", "address": ANN.address}) == []
    assert result(world, "eth_getLogs", {"fromBlock": "0x0", "topics": [padded]}) == []
    both = {"blockHash": every[0]["blockHash"], "fromBlock": "0x0"}
    assert error(world, "eth_getLogs", both)[0] == -32602
    assert error(world, "eth_getLogs", {"blockHash": "0x" + "00" * 32})[0] == -32000


def test_sending_gives_the_hash_and_refuses_again() -> None:
    """The same bytes are known, a broken one is refused with the wallet's words."""
    world = World()
    fields: dict[str, Any] = {
        "type": 2, "chainId": 1337, "nonce": 0, "gas": 21_000, "to": BEN.address, "value": 1,
        "maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 1,
    }  # fmt: skip
    one = ANN.sign_transaction(fields)
    raw = "0x" + bytes(one.raw_transaction).hex()
    assert result(world, "eth_sendRawTransaction", raw) == "0x" + bytes(one.hash).hex()
    assert error(world, "eth_sendRawTransaction", raw) == (-32000, "already known")
    again = ANN.sign_transaction(fields | {"value": 2})
    code, text = error(world, "eth_sendRawTransaction", "0x" + bytes(again.raw_transaction).hex())
    assert code == -32000
    assert text.startswith("nonce too low")


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_getProof", [], -32601),
        ("eth_sendTransaction", [{}], -32601),
        ("eth_getBalance", [], -32602),
        ("eth_getBalance", ["0x12", "latest"], -32602),
        ("eth_getBalance", [ANN.address, "0x0f"], -32602),
        ("eth_getBalance", [ANN.address, "newest"], -32602),
        ("eth_getBalance", [ANN.address, "0xff"], -32000),
        ("eth_call", ["0x"], -32602),
        ("eth_call", [{"to": ANN.address, "gas": "21000"}], -32602),
        ("eth_call", [{"to": ANN.address, "colour": "0x1"}], -32602),
        ("eth_call", [{"to": ANN.address}, "latest", {ANN.address: {}}], -32602),
        ("eth_getTransactionByHash", ["0x00"], -32602),
        ("eth_sendRawTransaction", ["0xzz"], -32602),
        ("eth_sendRawTransaction", ["0x"], -32000),
        ("eth_getLogs", [[]], -32602),
        ("eth_getStorageAt", [ANN.address, "0x" + "0" * 65], -32602),
        ("eth_getStorageAt", [ANN.address, 0], -32602),
    ],
)
def test_bad_questions_get_the_right_code(method: str, params: list[Any], code: int) -> None:
    """Never a traceback."""
    assert error(World(), method, *params)[0] == code


def test_unknown_things_are_null() -> None:
    """Blocks and transactions that do not exist are no errors."""
    world = World()
    for method, params in (
        ("eth_getBlockByNumber", ["0x99", False]),
        ("eth_getBlockByHash", ["0x" + "11" * 32, False]),
        ("eth_getTransactionByHash", ["0x" + "11" * 32]),
        ("eth_getTransactionReceipt", ["0x" + "11" * 32]),
        ("eth_getBlockReceipts", ["0x99"]),
    ):
        assert result(world, method, *params) is None


def fresh() -> Journal:
    """An empty chain."""
    return Journal(Machine(Genesis((), START)))


def test_batches_and_notifications() -> None:
    """A batch answers in order; a request without id is not answered; both can be wrong."""
    journal = fresh()
    chain = {"jsonrpc": "2.0", "id": 7, "method": "eth_chainId", "params": []}
    silent = {"jsonrpc": "2.0", "method": "eth_chainId"}
    found = answer(journal, [chain, silent, chain | {"id": "x", "method": "nope"}, 5], START)
    assert [one["id"] for one in found] == [7, "x", None]
    assert [one.get("error", {}).get("code") for one in found] == [None, -32601, -32600]
    assert answer(journal, silent, START) is None
    assert answer(journal, [silent], START) is None
    for bad in ([], [chain] * 201, 5, "x", None, {"id": 1}, {"id": 1, "method": 3}):
        assert answer(journal, bad, START)["error"]["code"] == -32600
    assert answer(journal, chain | {"params": {}}, START)["error"]["code"] == -32602
    for broken in (b"", b"{", b"[" * 100_000, b"\xff"):
        assert json.loads(answer_body(journal, broken, START))["error"]["code"] == -32700
    assert answer_body(journal, json.dumps(silent).encode(), START) == b""
    body = answer_body(journal, json.dumps(chain).encode(), START)
    assert body == b'{"jsonrpc":"2.0","id":7,"result":"0x539"}'


def test_blocks_are_made_on_demand_only_in_development() -> None:
    """evm_mine moves time; outside development it does not exist."""
    journal = fresh()
    mine = {"jsonrpc": "2.0", "id": 1, "method": "evm_mine", "params": []}
    assert answer(journal, mine, START)["error"]["code"] == -32601
    assert answer(journal, mine, START + 5, is_dev=True)["result"] == "0x0"
    later = mine | {"params": [{"timestamp": START + 100, "blocks": 3}]}
    answer(journal, later, START, is_dev=True)
    assert [one.timestamp - START for one in journal.machine.blocks] == [0, 5, 100, 101, 102]
    for bad in ({"blocks": 0}, {"blocks": 1_001}, {"timestamp": "soon"}):
        found = answer(journal, mine | {"params": [bad]}, START, is_dev=True)
        assert found["error"]["code"] == -32602, bad
    assert not set(DEV_METHODS) & set(METHODS)


def test_every_method_survives_nonsense() -> None:
    """Whatever the parameters are, the answer is a result or a named error."""
    world, _usd = deployed()
    odd: list[Any] = [None, True, -1, 0, 2**300, "", "0x", "latest", [], {}, [[]], "0x" + "f" * 64]
    for method in METHODS:
        for first in odd:
            for rest in ([], [first], ["latest", first]):
                request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": [first, *rest]}
                found = answer(world.journal, request, world.now)
                assert found["id"] == 1
                assert ("result" in found) != ("error" in found)
