"""JSON-RPC for the machine: a request in, a response out.

`answer` knows the protocol (single requests, batches, notifications, error codes), `METHODS` what
each method takes and gives. Two methods change the machine: eth_sendRawTransaction, and in
development evm_mine; what they did stands in the journal before the answer leaves. The time
is handed in. Accounts are not kept: eth_accounts is empty, and tools sign for themselves.

Errors: -32700 not JSON, -32600 not a request, -32601 no such method, -32602 parameters,
-32000 refused, 3 reverted (with the revert data).
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from chainperp.base.errors import BadRequest
from chainperp.evm.filters import BLOCKS, LOGS, TRANSACTIONS, Filter, changes
from chainperp.evm.hexes import data, invalid, quantity, read_data, read_quantity, read_slot, word
from chainperp.evm.journal import Journal
from chainperp.evm.machine import GAS_LIMIT, Block, Machine, Message, Tried
from chainperp.evm.queries import LogQuery, block_by_hash, fee_history, find_block, logs_of
from chainperp.evm.views import block_view, receipt_view, transaction_view

CLIENT: Final = "chainperp/py-evm"
PRIORITY_FEE: Final = 1_000_000
"""Wei per gas suggested as a tip; blocks are never full, so any will do."""
BATCH_MAX: Final = 200
MINE_MAX: Final = 1_000
BODY_MAX: Final = 2 * 1024 * 1024
DEPTH_MAX: Final = 32
BRACKET: Final = re.compile(rb"[\[\]{}]")
PARSE, REQUEST, METHOD, PARAMS, SERVER, REVERTED = -32700, -32600, -32601, -32602, -32000, 3
MESSAGE_FIELDS: Final = frozenset(
    (
        "from", "to", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "value", "data",
        "input", "nonce", "chainId", "type", "accessList",
    )
)  # fmt: skip


class RpcError(Exception):
    """A JSON-RPC error on its way to the asker."""

    def __init__(self, code: int, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class Call:
    """One method call: what it may use."""

    __slots__ = ("journal", "machine", "now", "params")

    def __init__(self, journal: Journal, now: int, params: list[Any]) -> None:
        self.journal = journal
        self.machine: Machine = journal.machine
        self.now = now
        self.params = params

    def at(self, place: int) -> Any:
        """A parameter; None when it was left out."""
        return self.params[place] if place < len(self.params) else None

    def address(self, place: int) -> bytes:
        """A parameter that is an address."""
        return read_data(self.at(place), "address", 20)

    def block(self, place: int) -> Block:
        """The block that a parameter names; the head when it was left out."""
        found = self.block_or_none(place)
        if found is None:
            raise RpcError(SERVER, "header not found")
        return found

    def block_or_none(self, place: int) -> Block | None:
        """The block that a tag, number or EIP-1898 object names; None when there is none."""
        return find_block(self.machine, self.at(place))


def read_message(value: Any) -> Message:
    """A call object. `input` and `data` mean the same; if both are there they must agree.

    Raises: BadRequest `params` for a field that is not known or not of its form.
    """
    if not isinstance(value, dict):
        raise invalid("call must be an object", value)
    unknown = [name for name in value if name not in MESSAGE_FIELDS]
    if unknown:
        raise invalid("call has an unknown field", unknown[0])
    given = {name: one for name, one in value.items() if one is not None}
    payload = read_data(given.get("input", given.get("data", "0x")), "input")
    if "data" in given and read_data(given["data"], "data") != payload:
        raise BadRequest("params", 'both "data" and "input" are set and not equal')
    gas = read_quantity(given.get("gas", quantity(GAS_LIMIT)), "gas")
    return Message(
        sender=read_data(given.get("from", data(bytes(20))), "from", 20),
        to=read_data(given["to"], "to", 20) if "to" in given else b"",
        data=payload,
        value=read_quantity(given.get("value", "0x0"), "value"),
        gas=min(gas, GAS_LIMIT) if gas else GAS_LIMIT,
    )


def _or_raise(tried: Tried) -> Tried:
    """What was tried, unless it failed."""
    if not tried.failure:
        return tried
    if tried.failure != "execution reverted":
        raise RpcError(SERVER, tried.failure)
    reason = revert_reason(tried.output)
    raise RpcError(
        REVERTED, f"execution reverted{': ' if reason else ''}{reason}", data(tried.output)
    )


def revert_reason(output: bytes) -> str:
    """The text of an Error(string); empty for other revert data."""
    if output[:4] != bytes.fromhex("08c379a0") or len(output) < 68:
        return ""
    length = int.from_bytes(output[36:68], "big")
    return output[68 : 68 + length].decode("utf-8", "replace")


def _call(call: Call) -> str:
    message = read_message(call.at(0))
    if call.at(2):
        raise BadRequest("params", "state overrides are not supported")
    return data(_or_raise(call.machine.attempt(message, call.now, call.block(1))).output)


def _estimate(call: Call) -> str:
    gas, tried = call.machine.estimate(read_message(call.at(0)), call.now, call.block(1))
    _or_raise(tried)
    return quantity(gas)


def _send_raw(call: Call) -> str:
    raw = read_data(call.at(0), "transaction")
    if _known(call.machine, raw):
        raise RpcError(SERVER, "already known")
    block = call.journal.submit(raw, call.now)
    return data(bytes(block.transaction.hash))  # type: ignore[union-attr]


def _known(machine: Machine, raw: bytes) -> bool:
    from sha3 import keccak_256

    return keccak_256(raw).digest() in machine.places


def _mine(call: Call) -> str:
    """anvil's form: nothing, a time, or an object with a time and a number of blocks."""
    given = call.at(0)
    options = given if isinstance(given, dict) else {"timestamp": given}
    when, count = (_whole(options.get(name)) for name in ("timestamp", "blocks"))
    if count is not None and not 1 <= count <= MINE_MAX:
        raise invalid(f"blocks must be 1 to {MINE_MAX}", count)
    for _number in range(count or 1):
        call.journal.mine(call.now if when is None else when)
    return "0x0"


def _whole(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return read_quantity(value, "number")


def _placed(call: Call) -> Block | None:
    number = call.machine.places.get(read_data(call.at(0), "transaction hash", 32))
    return None if number is None else call.machine.blocks[number]


def _transaction(call: Call) -> Any:
    block = _placed(call)
    return None if block is None else transaction_view(block)


def _receipt(call: Call) -> Any:
    block = _placed(call)
    return None if block is None else receipt_view(block)


def _block_by_number(call: Call) -> Any:
    block = call.block_or_none(0)
    return None if block is None else block_view(block, is_full=call.at(1) is True)


def _block_by_hash(call: Call) -> Any:
    block = block_by_hash(call.machine, read_data(call.at(0), "block hash", 32))
    return None if block is None else block_view(block, is_full=call.at(1) is True)


def _block_receipts(call: Call) -> Any:
    block = call.block_or_none(0)
    if block is None:
        return None
    return [] if block.transaction is None else [receipt_view(block)]


def _count(block: Block | None) -> Any:
    return None if block is None else quantity(0 if block.transaction is None else 1)


def _in_block(block: Block | None, index: Any) -> Any:
    place = read_quantity(index, "index")
    return None if block is None or block.transaction is None or place else transaction_view(block)


def _logs(call: Call) -> Any:
    return logs_of(call.machine, LogQuery.read(call.at(0)))


def _new_filter(call: Call, kind: str) -> str:
    query = LogQuery.read(call.at(0)) if kind == LOGS else None
    if query is not None:
        query.names(call.machine.head)  # refuses bounds that are no blocks
    return call.journal.filters.add(call.machine, call.now, kind, query)


def _filter(call: Call) -> Filter:
    found = call.journal.filters.find(str(call.at(0)), call.now)
    if found is None:
        raise RpcError(SERVER, "filter not found")
    return found


def _filter_logs(call: Call) -> Any:
    query = _filter(call).query
    if query is None:
        raise RpcError(SERVER, "not a filter of logs")
    return logs_of(call.machine, query)


def _code(call: Call) -> str:
    return data(call.machine.code(call.address(0), call.block(1)))


def _balance(call: Call) -> str:
    return quantity(call.machine.balance(call.address(0), call.block(1)))


def _nonce(call: Call) -> str:
    return quantity(call.machine.nonce(call.address(0), call.block(1)))


def _storage(call: Call) -> str:
    slot = read_slot(call.at(1))
    return word(call.machine.storage(call.address(0), slot, call.block(2)))


def _fee_history(call: Call) -> Any:
    newest = call.block(1)
    return fee_history(call.machine, newest, call.at(0), call.at(2))


def _hash_of_text(call: Call) -> str:
    from sha3 import keccak_256

    return data(keccak_256(read_data(call.at(0), "data")).digest())


Method = Callable[[Call], Any]
METHODS: Final[dict[str, Method]] = {
    "web3_clientVersion": lambda _call: CLIENT,
    "web3_sha3": _hash_of_text,
    "net_version": lambda call: str(call.machine.genesis.chain_id),
    "net_listening": lambda _call: True,
    "net_peerCount": lambda _call: "0x0",
    "eth_chainId": lambda call: quantity(call.machine.genesis.chain_id),
    "eth_syncing": lambda _call: False,
    "eth_accounts": lambda _call: [],
    "eth_blockNumber": lambda call: quantity(call.machine.head.number),
    "eth_gasPrice": lambda call: quantity(call.machine.base_fee() + PRIORITY_FEE),
    "eth_maxPriorityFeePerGas": lambda _call: quantity(PRIORITY_FEE),
    "eth_feeHistory": _fee_history,
    "eth_getBalance": _balance,
    "eth_getCode": _code,
    "eth_getStorageAt": _storage,
    "eth_getTransactionCount": _nonce,
    "eth_call": _call,
    "eth_estimateGas": _estimate,
    "eth_sendRawTransaction": _send_raw,
    "eth_getTransactionByHash": _transaction,
    "eth_getTransactionReceipt": _receipt,
    "eth_getBlockByNumber": _block_by_number,
    "eth_getBlockByHash": _block_by_hash,
    "eth_getBlockReceipts": _block_receipts,
    "eth_getBlockTransactionCountByNumber": lambda call: _count(call.block_or_none(0)),
    "eth_getBlockTransactionCountByHash": lambda call: _count(
        block_by_hash(call.machine, read_data(call.at(0), "block hash", 32))
    ),
    "eth_getTransactionByBlockNumberAndIndex": lambda call: _in_block(
        call.block_or_none(0), call.at(1)
    ),
    "eth_getTransactionByBlockHashAndIndex": lambda call: _in_block(
        block_by_hash(call.machine, read_data(call.at(0), "block hash", 32)), call.at(1)
    ),
    "eth_getLogs": _logs,
    "eth_newFilter": lambda call: _new_filter(call, LOGS),
    "eth_newBlockFilter": lambda call: _new_filter(call, BLOCKS),
    "eth_newPendingTransactionFilter": lambda call: _new_filter(call, TRANSACTIONS),
    "eth_getFilterChanges": lambda call: changes(call.machine, _filter(call)),
    "eth_getFilterLogs": _filter_logs,
    "eth_uninstallFilter": lambda call: call.journal.filters.remove(str(call.at(0))),
}
DEV_METHODS: Final[dict[str, Method]] = {"evm_mine": _mine}


def answer(journal: Journal, request: Any, now: int, *, is_dev: bool = False) -> Any:
    """The response to a parsed JSON-RPC request or batch; None when none is due.

    `now` is the present second; it becomes the time of blocks that the request makes.
    """
    if isinstance(request, list):
        if not request or len(request) > BATCH_MAX:
            return _failed(None, RpcError(REQUEST, f"a batch holds 1 to {BATCH_MAX} requests"))
        found = [_single(journal, one, now, is_dev=is_dev) for one in request]
        return [one for one in found if one is not None] or None
    return _single(journal, request, now, is_dev=is_dev)


def _is_deep(body: bytes) -> bool:
    """Whether brackets nest deeply: the parser would recurse. Brackets in texts count as well."""
    depth = 0
    for match in BRACKET.finditer(body):
        depth += 1 if match[0] in b"[{" else -1
        if depth > DEPTH_MAX:
            return True
    return False


def answer_body(journal: Journal, body: bytes, now: int, *, is_dev: bool = False) -> bytes:
    """The HTTP body that answers a body; empty when none is due (all were notifications).

    Arguments as in `answer`. Bodies above 2 MiB or nested beyond 32 are not read; fractions are,
    since tools write percentiles that way. A fault of ours is not caught.
    """
    try:
        if len(body) > BODY_MAX or _is_deep(body):
            raise ValueError(f"more than {BODY_MAX} bytes, or nested beyond {DEPTH_MAX}")
        request = json.loads(body)
    except ValueError as error:
        found = _failed(None, RpcError(PARSE, f"parse error: {error}"))
    else:
        found = answer(journal, request, now, is_dev=is_dev)
    return b"" if found is None else json.dumps(found, separators=(",", ":")).encode("ascii")


def _single(journal: Journal, request: Any, now: int, *, is_dev: bool) -> Any:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _failed(None, RpcError(REQUEST, "invalid request"))
    name, identity = request["method"], request.get("id")
    params = request.get("params")
    try:
        method = METHODS.get(name) or (DEV_METHODS.get(name) if is_dev else None)
        if method is None:
            raise RpcError(METHOD, f"the method {name:.60} does not exist/is not available")
        if not isinstance(params, list | None):
            raise invalid("params must be a list", params)
        result = method(Call(journal, now, params or []))
    except RpcError as error:
        return _failed(identity, error)
    except BadRequest as error:
        code = PARAMS if error.code == "params" else SERVER
        return _failed(identity, RpcError(code, str(error)))
    if "id" not in request:
        return None
    return {"jsonrpc": "2.0", "id": identity, "result": result}


def _failed(identity: Any, error: RpcError) -> Any:
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.detail is not None:
        body["data"] = error.detail
    return {"jsonrpc": "2.0", "id": identity, "error": body}
