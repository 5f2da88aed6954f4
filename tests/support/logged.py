"""What the log of a stopped (or killed) node says, read by the auditor's own code.

The log is the judge between a node and its clients: what a client was told must be in it, and what
no client sent must not be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.chain.replay import Replay, read_block
from chainperp.model.blocks import BlockInput
from chainperp.model.decisions import Kind, OrderStatus, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.envelope import decode_envelope
from chainperp.state.schemas import schema_of
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import rules_hash
from chainperp.storage.recovery import find_tip
from chainperp.storage.segments import StoredBlock, read_blocks

NONCE_FIELDS: Final = frozenset({"nonces", "nonces_digest"})
"""What a refused transaction of a known signer may change: its nonce is used up."""

COUNTER_FIELDS: Final = frozenset({"next_oid"})
"""Refused orders have ids, too."""


class LoggedTransaction(NamedTuple):
    """A user's transaction as the log has it, with its result and its orders' entries."""

    height: int
    signer: bytes
    code: Rejection
    action: dict[str, Any]
    orders: list[Record]


def stored_blocks(path: Path) -> Iterator[StoredBlock]:
    """Sealed blocks of a data directory, whatever a kill left behind them."""
    segments = path / "segments"
    height = find_tip(segments).height
    return read_blocks(segments, 0, height) if height >= 0 else iter(())


def transactions(path: Path, from_height: int = 0) -> Iterator[LoggedTransaction]:
    """Users' transactions in the order they were executed."""
    for block in stored_blocks(path):
        if block.height < from_height:
            continue
        current: LoggedTransaction | None = None
        for raw in block.entries:
            entry = decode_entry(raw)
            if entry.kind is Kind.TX_USER:
                if current is not None:
                    yield current
                fields = decode_payload(entry)
                action = msgpack.unpackb(decode_envelope(fields["envelope"]).action_bytes)
                code = Rejection(fields["code"])
                current = LoggedTransaction(block.height, fields["signer"], code, action, [])
            elif entry.kind is Kind.ORDER and current is not None:
                current.orders.append(decode_payload(entry))
        if current is not None:
            yield current


def accepted_orders(path: Path) -> dict[bytes, list[int]]:
    """Ids of accepted orders by client id: more than one id means that an order was doubled."""
    found: dict[bytes, list[int]] = {}
    for one in transactions(path):
        for order in one.orders:
            cloid = order["cloid"]
            if cloid is None or order["status"] != OrderStatus.OPEN:
                continue
            ids = found.setdefault(cloid, [])
            if order["oid"] not in ids:
                ids.append(order["oid"])
    return found


Values = dict[tuple[str, str], Record | bytes]


def committed_values(path: Path, users_until: int | None = None) -> Values:
    """Every committed value at the end of a log that is executed again.

    With `users_until`, what users sent in later blocks is left out: the state that the same chain
    would have if nobody had sent anything after that height. Nonces and the counter of order ids
    are left out, because a refused transaction may change those.
    """
    data = DataDir.open(path, write=False)
    run = Replay(data.genesis, rules_hash(), None, msgpack.unpackb)
    for stored in stored_blocks(path):
        if users_until is None or stored.height <= users_until:
            assert run.feed(stored.height, stored.entries) is None
            continue
        logged = read_block(stored.height, stored.entries, msgpack.unpackb).block
        quiet = BlockInput(logged.time_ms, logged.proposer, logged.system, [])
        run.engine.execute(quiet)
    engine = run.engine
    engine.commitment.commit(engine.state, with_books=False)
    found: Values = {}
    for name, tree in engine.commitment.trees.items():
        if name == "book":
            continue
        for key, value, _sums in tree.items():
            record = canonical.decode(schema_of(name), value)
            for left_out in NONCE_FIELDS | COUNTER_FIELDS:
                record.pop(left_out, None)
            found[name, key.hex()] = record
    for market in engine.state.markets:
        found["book", market.terms.name] = leaves.encode_book(market)
    return found


def differences(ours: Values, theirs: Values) -> list[str]:
    """Names of the values in which two states differ."""
    return [
        f"{name} {key}: {ours.get((name, key))!r} / {theirs.get((name, key))!r}"
        for name, key in sorted(ours.keys() | theirs.keys())
        if ours.get((name, key)) != theirs.get((name, key))
    ]
