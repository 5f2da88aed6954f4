"""The requests of which nearly all traffic consists, read straight from their JSON.

`order` with limit orders that belong to no group, and `cancel` by order id, at most fifteen of
them, for the signer's own account, in the layout of the public clients with every number in its
one form. What is read here is exactly what `read_json` and `admit` make of the same bytes, which a
property test shows; of whatever is not of this form they say what it is, or what is wrong with it.
Source: hyperliquid-api 3.2 and 4.3.
"""

import re
from typing import Any, Final

import msgpack

from chainperp.chain.plain_actions import (
    CANCEL_HEAD,
    ORDER_HEAD,
    ORDER_TAIL,
    SHORT_COUNT_MAX,
    SHORT_LIST,
    SHORT_TEXT,
)
from chainperp.model.envelope import L1, Envelope
from chainperp.wire.signature import check_signature


def _spaced(text: bytes) -> bytes:
    """Pattern of a piece of JSON; PY puts a space behind each colon and comma."""
    return re.escape(text).replace(b":", b": ?").replace(b",", b", ?")


U32: Final = rb"(0|[1-9][0-9]{0,8})"
U64: Final = rb"(0|[1-9][0-9]{0,18})"
FLAG: Final = rb"(true|false)"
DECIMAL: Final = rb'"((?:0|[1-9][0-9]{0,9})(?:\.[0-9]{0,7}[1-9])?)"'
SCALAR: Final = rb'"0x([0-9a-f]{1,64})"'

ORDERS: Final = re.compile(_spaced(b'{"action":{"type":"order","orders":['))
ORDER: Final = re.compile(
    _spaced(b'{"a":') + U32 + _spaced(b',"b":') + FLAG + _spaced(b',"p":') + DECIMAL
    + _spaced(b',"s":') + DECIMAL + _spaced(b',"r":') + FLAG
    + _spaced(b',"t":{"limit":{"tif":') + rb'"(Gtc|Ioc|Alo)"\}\}'
    + rb"(?:" + _spaced(b',"c":') + rb'"(0x[0-9a-f]{32})")?\}(, ?)?'
)  # fmt: skip
GROUPING: Final = re.compile(_spaced(b'],"grouping":"na"}'))
CANCELS: Final = re.compile(_spaced(b'{"action":{"type":"cancel","cancels":['))
CANCEL: Final = re.compile(_spaced(b'{"a":') + U32 + _spaced(b',"o":') + U64 + rb"\}(, ?)?")
CANCELED: Final = re.compile(_spaced(b"]}"))
SIGNED: Final = re.compile(
    _spaced(b',"nonce":') + U64
    + _spaced(b',"signature":{"r":') + SCALAR + _spaced(b',"s":') + SCALAR
    + _spaced(b',"v":') + rb"(2[78])\}"
    + rb"(?:" + _spaced(b',"vaultAddress":null') + rb")?"
    + rb"(?:" + _spaced(b',"expiresAfter":null') + rb")?\}"
)  # fmt: skip

FLAGS: Final = {b"true": b"\xc3", b"false": b"\xc2"}
SMALL_MAX: Final = 127


def plain_envelope(body: bytes) -> Envelope | None:
    """The envelope of a request of this form, None for every other.

    Raises: BadRequest for a signature that is not canonical, as `admit` does.
    """
    head = ORDERS.match(body)
    if head is not None:
        rows, at = _rows(body, head.end(), ORDER)
        action = ORDER_HEAD + bytes((SHORT_LIST + len(rows),))
        for row in rows:
            action += _packed_order(row)
        return _signed(body, GROUPING.match(body, at), action + ORDER_TAIL)
    head = CANCELS.match(body)
    if head is not None:
        rows, at = _rows(body, head.end(), CANCEL)
        action = CANCEL_HEAD + bytes((SHORT_LIST + len(rows),))
        for asset, oid in rows:
            action += b"\x82\xa1a" + _integer(asset) + b"\xa1o" + _integer(oid)
        return _signed(body, CANCELED.match(body, at), action)
    return None


def _rows(body: bytes, at: int, pattern: "re.Pattern[bytes]") -> tuple[list[tuple[Any, ...]], int]:
    """What the objects of a list say, the first of which begins at `at`; and where they end.

    No more are looked at than fit: what follows is then not the end of a list.
    """
    rows: list[tuple[Any, ...]] = []
    while len(rows) < SHORT_COUNT_MAX:
        found = pattern.match(body, at)
        if found is None:
            break
        *row, comma = found.groups()
        rows.append(tuple(row))
        at = found.end()
        if comma is None:
            return rows, at
    # A comma without a next object, or an object of another form: nothing matches from here.
    return [], len(body)


def _packed_order(row: tuple[Any, ...]) -> bytes:
    asset, is_buy, price, size, reduce_only, tif, cloid = row
    return b"".join(
        (
            b"\x86\xa1a" if cloid is None else b"\x87\xa1a", _integer(asset),
            b"\xa1b", FLAGS[is_buy],
            b"\xa1p", bytes((SHORT_TEXT + len(price),)), price,
            b"\xa1s", bytes((SHORT_TEXT + len(size),)), size,
            b"\xa1r", FLAGS[reduce_only],
            b"\xa1t\x81\xa5limit\x81\xa3tif\xa3", tif,
            b"" if cloid is None else b"\xa1c\xd9\x22" + cloid,
        )
    )  # fmt: skip


def _integer(digits: bytes) -> bytes:
    """A number as MessagePack has it; below 128 it is one byte."""
    number = int(digits)
    if number <= SMALL_MAX:
        return bytes((number,))
    packed: bytes = msgpack.packb(number)
    return packed


def _signed(body: bytes, end: "re.Match[bytes] | None", action: bytes) -> Envelope | None:
    """The envelope of a packed action, whose JSON ends there, with what follows it."""
    if end is None:
        return None
    found = SIGNED.fullmatch(body, end.end())
    if found is None:
        return None
    nonce, r_digits, s_digits, v_digits = found.groups()
    v, r, s = int(v_digits), _scalar(r_digits), _scalar(s_digits)
    check_signature(v, r, s)
    return Envelope(L1, int(nonce), None, None, action, v, r, s)


def _scalar(digits: bytes) -> bytes:
    return int(digits, 16).to_bytes(32, "big")
