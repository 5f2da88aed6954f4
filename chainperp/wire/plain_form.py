"""Whether the bytes of an action are, at a look, the one canonical form of a usual action.

`order` with limit orders that belong to no group, and `cancel` by order id, at most fifteen of
them: the actions that `chain.plain_actions` reads without unpacking. Bytes that match are what
packing their canonical form gives, which a property test shows; of all others the form check of
`wire.signing` says what they are.
Source: hyperliquid-api 3.2, 3.5 and 4.3.
"""

import re
from typing import Final

from chainperp.chain.plain_actions import (
    CANCEL,
    CANCEL_HEAD,
    FLAG,
    ORDER_HEAD,
    ORDER_TAIL,
    TIF,
    U32,
    short_count,
)

# A decimal behind the tag of exactly its length: so many digits and points, then the next key.
_TAGS: Final = rb"|".join(
    re.escape(bytes((0xA0 + size,))) + rb"(?=[0-9.]{%d}\xa1)" % size for size in range(1, 20)
)
_DECIMAL: Final = rb"(?:" + _TAGS + rb")(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{0,7}[1-9])?"
# Six keys, or seven with a client id.
_ORDER: Final = re.compile(
    rb"(?:\x86|(?P<seven>\x87))\xa1a" + U32 + rb"\xa1b" + FLAG + rb"\xa1p" + _DECIMAL
    + rb"\xa1s" + _DECIMAL + rb"\xa1r" + FLAG + rb"\xa1t" + TIF
    + rb"(?(seven)\xa1c\xd9\x220x[0-9a-f]{32})",
    re.DOTALL,
)  # fmt: skip


def is_plain_form(raw: bytes, at: int, end: int) -> bool:
    """Whether raw[at:end] is such an action; False says nothing against it."""
    if raw.startswith(ORDER_HEAD, at):
        return _ends_at(
            raw, at + len(ORDER_HEAD), end - len(ORDER_TAIL), _ORDER
        ) and raw.startswith(ORDER_TAIL, end - len(ORDER_TAIL))
    return raw.startswith(CANCEL_HEAD, at) and _ends_at(raw, at + len(CANCEL_HEAD), end, CANCEL)


def _ends_at(raw: bytes, at: int, end: int, item: "re.Pattern[bytes]") -> bool:
    """Whether the list whose tag is here has items of one form only, and ends there."""
    count = short_count(raw, at, end)
    if not count:
        return False
    at += 1
    for _ in range(count):
        found = item.match(raw, at, end)
        if found is None:
            return False
        at = found.end()
    return at == end
