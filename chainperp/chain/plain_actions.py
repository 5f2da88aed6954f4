"""The two actions of which nearly all traffic consists, read straight from their packed bytes.

`order` with limit orders that belong to no group, and `cancel` by order id: at most fifteen of
them, in canonical key order, every number in its only form. What is read here is exactly what
`unpack` and `decode_action` make of the same bytes, which a property test shows; whatever is not
of this form gives None, and they read it, or refuse it with their reasons. Bytes that give an
action here are in addition their own canonical form (`wire.signing.verify_envelope_form`).
Source: hyperliquid-api 3.2 and 4.3.
"""

import re
from typing import Final

from chainperp.base.units import E8, E8_DECIMALS
from chainperp.model.actions import Action, CancelOrders, OrderRequest, PlaceOrders, TimeInForce

ORDER_HEAD: Final = b"\x83\xa4type\xa5order\xa6orders"
ORDER_TAIL: Final = b"\xa8grouping\xa2na"
CANCEL_HEAD: Final = b"\x82\xa4type\xa6cancel\xa7cancels"

# The only form in MessagePack of an unsigned integer to 32 and to 64 bits, of a boolean, and of a
# decimal as text without a zero too many, below 10^10 (its tag, whole part and places).
U32: Final = rb"([\x00-\x7f]|\xcc[\x80-\xff]|\xcd[\x01-\xff].|\xce(?!\x00\x00).{4})"
U64: Final = U32[:-1] + rb"|\xcf(?!\x00\x00\x00\x00).{8})"
FLAG: Final = rb"([\xc2\xc3])"
DECIMAL: Final = rb"([\xa1-\xb3])(0|[1-9][0-9]{0,9})(?:\.([0-9]{0,7}[1-9]))?"
TIF: Final = rb"\x81\xa5limit\x81\xa3tif\xa3(Gtc|Ioc|Alo)"
CLOID: Final = rb"(?:\xa1c\xd9\x220x([0-9a-f]{32}))?"

ORDER: Final = re.compile(
    rb"([\x86\x87])\xa1a" + U32 + rb"\xa1b" + FLAG + rb"\xa1p" + DECIMAL + rb"\xa1s" + DECIMAL
    + rb"\xa1r" + FLAG + rb"\xa1t" + TIF + CLOID,
    re.DOTALL,
)  # fmt: skip
CANCEL: Final = re.compile(rb"\x82\xa1a" + U32 + rb"\xa1o" + U64, re.DOTALL)

TIFS: Final = {b"Gtc": TimeInForce.GTC, b"Ioc": TimeInForce.IOC, b"Alo": TimeInForce.ALO}
TRUE: Final = b"\xc3"
WITH_CLOID: Final = b"\x87"
SHORT_LIST: Final = 0x90
SHORT_COUNT_MAX: Final = 15
SHORT_TEXT: Final = 0xA0
ONE: Final = 10**E8_DECIMALS


def plain_action(raw: bytes, at: int, end: int) -> Action | None:
    """The action packed in the bytes [at, end), or None when it is not one of the two."""
    if raw.startswith(ORDER_HEAD, at):
        return _orders(raw, at + len(ORDER_HEAD), end)
    if raw.startswith(CANCEL_HEAD, at):
        return _cancels(raw, at + len(CANCEL_HEAD), end)
    return None


def _orders(raw: bytes, at: int, end: int) -> Action | None:
    """The list of orders from its tag on, and the grouping that ends the action."""
    count = short_count(raw, at, end)
    at += 1
    orders: list[OrderRequest] = []
    for _ in range(count):
        found = ORDER.match(raw, at, end)
        if found is None:
            return None
        (size, asset, is_buy, price_tag, price, price_places, size_tag, lots, lots_places,
         reduce_only, tif, cloid) = found.groups()  # fmt: skip
        if (size == WITH_CLOID) is (cloid is None):
            return None
        price_e8 = _decimal(price_tag, price, price_places)
        size_e8 = _decimal(size_tag, lots, lots_places)
        if price_e8 < 0 or size_e8 < 0:
            return None
        orders.append(
            OrderRequest(
                _integer(asset),
                is_buy == TRUE,
                E8(price_e8),
                E8(size_e8),
                reduce_only == TRUE,
                TIFS[tif],
                cloid=None if cloid is None else bytes.fromhex(cloid.decode("ascii")),
            )
        )
        at = found.end()
    return PlaceOrders(orders) if orders and raw[at:end] == ORDER_TAIL else None


def _cancels(raw: bytes, at: int, end: int) -> Action | None:
    """The list of cancelled orders from its tag on; it ends the action."""
    count = short_count(raw, at, end)
    at += 1
    targets: list[tuple[int, int | bytes]] = []
    for _ in range(count):
        found = CANCEL.match(raw, at, end)
        if found is None:
            return None
        targets.append((_integer(found[1]), _integer(found[2])))
        at = found.end()
    return CancelOrders(targets) if targets and at == end else None


def short_count(raw: bytes, at: int, end: int) -> int:
    """Items of the list whose one-byte tag is here; 0 when there is none."""
    count = raw[at] - SHORT_LIST if at < end else 0
    return count if 0 < count <= SHORT_COUNT_MAX else 0


def _integer(packed: bytes) -> int:
    """The number of an unsigned integer's bytes: itself, or what follows its tag."""
    return packed[0] if len(packed) == 1 else int.from_bytes(packed[1:], "big")


def _decimal(tag: bytes, whole: bytes, places: bytes | None) -> int:
    """The number times 10^8; negative when the text is not as long as its tag says."""
    if places is None:
        return int(whole) * ONE if tag[0] - SHORT_TEXT == len(whole) else -1
    if tag[0] - SHORT_TEXT != len(whole) + 1 + len(places):
        return -1
    return int(whole + places.ljust(E8_DECIMALS, b"0"))
