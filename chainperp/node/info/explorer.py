"""`POST /explorer`: blocks and transactions, from the index and the segments.

The functions take what the request names and give its answer's document.
Source: hyperliquid-api 7.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgpack

from chainperp.base.errors import BadRequest, InvalidBytes, NotFound
from chainperp.model.decisions import REASONS, Rejection
from chainperp.model.envelope import decode_envelope
from chainperp.node.documents.texts import Document, hex_text
from chainperp.node.effects import TX_SYSTEM
from chainperp.node.index.schema import EXCHANGE
from chainperp.node.info.registry import Context, Past
from chainperp.storage.segments import StoredBlock
from chainperp.wire.shapes import Misfit, address, field, shape, shown, text, u64

BLOCK: Final = shape(field("height", u64))
TRANSACTION: Final = shape(field("hash", text(66)))
ACCOUNT: Final = shape(field("user", address))

ReadBlock = Callable[[int], StoredBlock]
TRANSACTIONS_MAX: Final = 500
COLUMNS: Final = "t.idx, t.hash, t.height, b.time_ms, b.first_index, t.name, t.code, u.address"


async def ask(context: Context, request: object) -> Document:
    """Answer one request. Raises BadRequest, IndexUnavailable."""
    if not isinstance(request, dict):
        raise Misfit("wrong_type", f"an object is wanted, was {shown(request)}", "request")
    name = request.get("type")
    given = {key: value for key, value in request.items() if key in ("height", "hash", "user")}
    await context.settled()
    index, state = context.index(), context.state()
    if name == "blockDetails":
        height = min(BLOCK({"height": given.get("height")})["height"], state.height + 1)
        question = partial(block_details, read_block=index.read_block, height=height)
    elif name == "txDetails":
        hash_text = TRANSACTION({"hash": given.get("hash")})["hash"]
        question = partial(tx_details, read_block=index.read_block, hash_text=hash_text)
    elif name == "userDetails":
        user = ACCOUNT({"user": given.get("user")})["user"]
        question = partial(user_details, read_block=index.read_block, user=user)
    else:
        raise Misfit("unknown_type", f"unknown variant {shown(name)}", "type")
    await index.reached(state.height)
    terms, now_ms = index.coins, state.time_ms
    try:
        return await index.read(lambda connection: question(Past(connection, terms, now_ms)))
    except NotFound as error:
        raise BadRequest("not_found", str(error)) from error


def block_details(past: Past, read_block: ReadBlock, height: int) -> Document:
    """A block with its transactions. Raises NotFound."""
    row = past.connection.execute(
        "SELECT time_ms, hash, transactions, proposer FROM blocks WHERE height = ?", (height,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no block {height}")
    time_ms, hash_, count, proposer = row
    return {
        "type": "blockDetails",
        "blockDetails": {
            "blockTime": time_ms,
            "hash": hex_text(hash_),
            "height": height,
            "numTxs": count,
            "proposer": hex_text(proposer),
            "txs": _transactions(past, read_block, "t.height = ? ORDER BY t.idx", height),
        },
    }


def tx_details(past: Past, read_block: ReadBlock, hash_text: str) -> Document:
    """A transaction by its hash. Raises BadRequest, NotFound."""
    try:
        raw = bytes.fromhex(hash_text.removeprefix("0x"))
    except ValueError as error:
        raise BadRequest("hash", "hash is not hex") from error
    if len(raw) != 32:
        raise BadRequest("hash", "hash has 64 hex digits")
    short = int.from_bytes(raw[:8], "big", signed=True)
    found = _transactions(past, read_block, "t.short = ? AND t.hash = ?", short, raw)
    if not found:
        raise NotFound(f"there is no transaction {hash_text}")
    return {"type": "txDetails", "tx": found[0]}


def user_details(past: Past, read_block: ReadBlock, user: str) -> Document:
    """The latest transactions of an account, newest first; empty when it was never seen."""
    where = f"t.user = ? AND t.user != {EXCHANGE} ORDER BY t.idx DESC LIMIT {TRANSACTIONS_MAX}"
    found = _transactions(past, read_block, where, past.user(user))
    return {"type": "userDetails", "txs": found}


def _transactions(past: Past, read_block: ReadBlock, where: str, *values: Any) -> list[Document]:
    rows = past.connection.execute(
        f"""SELECT {COLUMNS} FROM transactions t JOIN blocks b ON b.height = t.height
            JOIN users u ON u.id = t.user WHERE {where}""",  # noqa: S608
        values,
    )
    entries: dict[int, list[bytes]] = {}
    found: list[Document] = []
    for idx, hash_, height, time_ms, first_index, name, code, owner in rows:
        if height not in entries:
            entries[height] = read_block(height).entries
        raw = entries[height][idx - first_index]
        found.append(
            {
                "action": _action(raw, name),
                "block": height,
                "error": REASONS[Rejection(code)].text or None,
                "hash": hex_text(hash_),
                "time": time_ms,
                "user": hex_text(owner or bytes(20)),
            }
        )
    return found


def _action(raw: bytes, name: str) -> Any:
    """The action as it was signed; of a system transaction, its name alone."""
    if raw[1:3] == TX_SYSTEM:
        return {"type": name}
    size = int.from_bytes(raw[21:25], "big")
    try:
        return msgpack.unpackb(decode_envelope(raw[25 : 25 + size]).action_bytes)
    except (InvalidBytes, ValueError):
        return {"type": name}
