"""What a signed action says about its orders that their records do not repeat.

An ORDER record has price, size and outcome; the word for its time in force, and the purpose of a
trigger, stand in the action. Whatever cannot be read here is simply not told.
"""

from typing import Any, Final, NamedTuple

import msgpack

from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.base.units import E8_DECIMALS, parse_decimal
from chainperp.model.envelope import decode_envelope
from chainperp.node.index.schema import TIF_FRONTEND_MARKET

ORDERS: Final = ("order", "modify", "batchModify")

SYSTEM_NAMES: Final = {
    1: "oracleVote", 2: "deposit", 3: "withdrawalDone", 4: "exemption", 5: "bridgeDeposit",
    6: "bridgePayout", 7: "evmBuyback", 8: "grant",
}  # fmt: skip


class Spec(NamedTuple):
    """One order of an action. `trigger` is price times 10^8, at market, a stop, of a position."""

    tif: int | None
    trigger: tuple[int, bool, bool, bool] | None


class Action(NamedTuple):
    """A transaction's action: its type, the account it names (vault), nonce, orders and how many
    requests it counts as."""

    name: str
    vault: bytes | None
    nonce: int
    specs: list[Spec]
    is_modify: bool
    requests: int


def read_action(envelope: bytes) -> Action:
    """The action in envelope bytes of the log."""
    found = decode_envelope(envelope)
    fields = msgpack.unpackb(found.action_bytes)
    if not isinstance(fields, dict):
        raise InvalidBytes("action is not a map")
    if fields.get("type") == "multiSig":
        payload = fields.get("payload")
        inner = payload.get("action") if isinstance(payload, dict) else None
        fields = inner if isinstance(inner, dict) else fields
    name = str(fields.get("type", ""))
    if name == "order":
        is_position = fields.get("grouping") == "positionTpsl"
        specs = [_spec(one, is_position=is_position) for one in fields["orders"]]
        return Action(name, found.vault, found.nonce, specs, False, len(specs))
    if name in ORDERS:
        modifies = fields["modifies"] if name == "batchModify" else [fields]
        specs = [_spec(one["order"], is_position=False) for one in modifies]
        return Action(name, found.vault, found.nonce, specs, True, len(specs))
    requests = len(fields["cancels"]) if name in ("cancel", "cancelByCloid") else 1
    return Action(name, found.vault, found.nonce, [], False, requests)


def _spec(order: dict[str, Any], *, is_position: bool) -> Spec:
    kind = order["t"]
    terms = kind.get("trigger")
    if terms is None:
        is_market = kind["limit"]["tif"] == "FrontendMarket"
        return Spec(TIF_FRONTEND_MARKET if is_market else None, None)
    try:
        price = parse_decimal(terms["triggerPx"], E8_DECIMALS, "triggerPx")
    except BadRequest:
        price = 0
    is_position = is_position or order["s"] == "0"
    return Spec(None, (price, terms["isMarket"], terms["tpsl"] == "sl", is_position))
