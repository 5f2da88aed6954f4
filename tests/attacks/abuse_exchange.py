"""Malformed and refused actions, row by row as in reliability 9.3.

A row makes a request with the attacker's key and names the answers that are allowed, as patterns
for what `classify` makes of an answer:

    400, 422            refused as malformed
    err: <text>         refused as a whole
    each: <text>        every status of the batch is an error
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgpack

from chainperp.client.wallet import sign_digest
from chainperp.wire.signature import CURVE_ORDER
from chainperp.wire.signing import action_hash
from chainperp.wire.typed_data import Network, agent_digest, user_digest
from tests.support.node import Account, NodeProcess, account, limit_order

Body = dict[str, Any]
Make = Callable[["Attack"], object]

MALFORMED: Final = ("400", "422")
STRANGER: Final = (r"err: User or API Wallet 0x[0-9a-f]{40} does not exist\.",)
UNRECOVERABLE: Final = ("400", "422", "err: Unable to recover signer", *STRANGER)
FAR: Final = "90000"


def values(*items: object) -> tuple[object, ...]:
    """Values of several JSON types in one row."""
    return items


class Row(NamedTuple):
    """One request and its allowed answers."""

    name: str
    make: Make
    allowed: tuple[str, ...]


class Attack:
    """Who attacks whom."""

    def __init__(self, node: NodeProcess, victim_oid: int, other_vault: str) -> None:
        self.node = node
        self.victim = account(0)
        self.attacker = account(1)
        self.friend = account(2)
        self.victim_oid = victim_oid
        self.other_vault = other_vault

    def sign(
        self,
        action: Any,
        nonce: int | None = None,
        *,
        network: Network = "Testnet",
        vault: bytes | None = None,
        expires_after: int | None = None,
        key: bytes | None = None,
    ) -> Body:
        """An L1-signed request of any action, well-formed or not: what is sent is signed."""
        number = self.node.nonce() if nonce is None else nonce
        try:
            packed: bytes = msgpack.packb(action)
            hashed = action_hash(packed, number, vault, expires_after)
        except (OverflowError, TypeError, ValueError):
            hashed = bytes(32)
        who = self.attacker.key if key is None else key
        body: Body = {"action": action, "nonce": number}
        body["signature"] = sign_digest(who, agent_digest(hashed, network))
        if vault is not None:
            body["vaultAddress"] = "0x" + vault.hex()
        if expires_after is not None:
            body["expiresAfter"] = expires_after
        return body

    def order(self, **changes: Any) -> Body:
        """A signed order of which fields are changed; None as `drop` names one to leave out."""
        order: Body = limit_order(0, True, FAR, "0.01")["orders"][0]
        order.pop(changes.pop("drop", None), None)
        return self.sign({"type": "order", "orders": [order | changes], "grouping": "na"})

    def user_signed(self, name: str, **fields: Any) -> Body:
        """A user-signed request; `outer` is the request's nonce if it is to differ."""
        nonce = self.node.nonce()
        outer = fields.pop("outer", nonce)
        own = "time" if name in ("usdSend", "spotSend", "withdraw3") else "nonce"
        action: Body = {"type": name, "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
        action |= fields | {own: fields.get(own, nonce)}
        try:
            digest = user_digest(action)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            digest = bytes(31) + b"\x01"
        signature = sign_digest(self.attacker.key, digest)
        return {"action": action, "nonce": outer, "signature": signature}

    def send(self, amount: Any, to: str | None = None) -> Body:
        """A signed `usdSend`."""
        return self.user_signed("usdSend", destination=to or self.friend.address, amount=amount)


def changed(body: Body, **changes: Any) -> Body:
    """A request with top-level keys changed after it was signed."""
    return body | changes


def with_signature(body: Body, **changes: Any) -> Body:
    """A request with parts of its signature changed."""
    return body | {"signature": body["signature"] | changes}


def classify(status: int, document: Any) -> str:
    """What an answer is, in the words of the patterns."""
    if status != 200:
        return str(status)
    if document.get("status") == "err":
        return f"err: {document['response']}"
    data = document.get("response", {}).get("data", {})
    statuses = data.get("statuses", [data.get("status")]) if isinstance(data, dict) else [data]
    errors = [one["error"] for one in statuses if isinstance(one, dict) and "error" in one]
    if statuses and len(errors) == len(statuses):
        return "each: " + " | ".join(errors)
    return f"ok: {document}"


# --- 30 to 41: envelope, signature, nonce ------------------------------------------------------


def _missing(key: str) -> Make:
    return lambda attack: {k: v for k, v in attack.order().items() if k != key}


def _replaced(key: str, value: object) -> Make:
    return lambda attack: changed(attack.order(), **{key: value})


def _signature(**changes: Any) -> Make:
    return lambda attack: with_signature(attack.order(), **changes)


def _mirror(attack: Attack) -> Body:
    body = attack.order()
    s = CURVE_ORDER - int(body["signature"]["s"], 16)
    return with_signature(body, s=hex(s), v=55 - body["signature"]["v"])


def _stranger(attack: Attack) -> Body:
    return attack.sign(limit_order(0, True, FAR, "0.01"), key=b"\x01" * 32)


def _other_price(attack: Attack) -> Body:
    body = attack.order()
    body["action"]["orders"][0]["p"] = "90001"
    return body


def _nonce(value: object) -> Make:
    def make(attack: Attack) -> Body:
        number = value if type(value) is int and 0 <= value < 1 << 64 else 1
        body = attack.sign(limit_order(0, True, FAR, "0.01"), number)
        return changed(body, nonce=value)

    return make


def _nonce_again(attack: Attack) -> Body:
    """The nonce of a `noop` that was accepted, with another action."""
    nonce = attack.node.nonce()
    done = attack.node.post("/exchange", attack.sign({"type": "noop"}, nonce))
    assert done.document["status"] == "ok", done
    return attack.sign(limit_order(0, True, FAR, "0.01"), nonce)


def _bytes_again(attack: Attack) -> Body:
    """The same bytes a second time."""
    body = attack.sign({"type": "noop"})
    assert attack.node.post("/exchange", body).document["status"] == "ok"
    return body


HALF: Final = CURVE_ORDER >> 1
ENVELOPE_ROWS: Final = [
    *(Row(f"30-{key} missing", _missing(key), MALFORMED)
      for key in ("action", "nonce", "signature")),
    *(Row(f"30-{key} {value!r}", _replaced(key, value), MALFORMED)
      for key in ("action", "nonce", "signature") for value in values(None, "text", [], True)),
    Row("30-unknown key", _replaced("extra", 1), MALFORMED),
    *(Row(f"31-type {name!r}", _replaced("action", {"type": name}), MALFORMED)
      for name in ("ordr", "Order", 1, None, "", "__class__", "o" * 10_000)),
    Row("31-no type", _replaced("action", {"orders": []}), MALFORMED),
    *(Row(f"32-{part} {value!r}", _signature(**{part: value}), UNRECOVERABLE)
      for part in ("r", "s")
      for value in values("0x0", hex(CURVE_ORDER), hex(CURVE_ORDER + 1), "0x" + "1" * 66, "-0x1",
                    "0xzz", "", "0x", 5, None, "0X" + "1" * 64, "0x" + "1" * 63)),
    *(Row(f"33-v {value!r}", _signature(v=value), UNRECOVERABLE)
      for value in values(-1, 0, 1, 2, 26, 29, 255, 1 << 64, "27", None, True, [27])),
    Row("34-s mirrored", _mirror,
        (r"err: signature is not canonical \(s is in the upper half\)",)),
    Row("35-stranger", _stranger, STRANGER),
    Row("36-price changed", _other_price, STRANGER),
    Row("36-vault added", lambda attack: changed(attack.order(), vaultAddress="0x" + "11" * 20),
        STRANGER),
    Row("36-expiry added", lambda attack: changed(attack.order(), expiresAfter=1 << 42), STRANGER),
    Row("36-signed for mainnet",
        lambda attack: attack.sign(limit_order(0, True, FAR, "0.01"), network="Mainnet"), STRANGER),
    Row("36-another action",
        lambda attack: changed(attack.order(), action={"type": "noop"}), STRANGER),
    Row("36-trailing zero", lambda attack: attack.order(s="0.010"), STRANGER),
    *(Row(f"37-nonce {value!r}", _nonce(value), (*MALFORMED, "err: Invalid nonce: nonce too "))
      for value in values(-1, 0, 1, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 70, "1", True, None)),
    Row("38-nonce used", _nonce_again, (r"err: Invalid nonce: duplicate nonce \d+",)),
    Row("38-same bytes", _bytes_again, (r"err: Invalid nonce: duplicate nonce \d+",)),
    Row("39-inner nonce differs", lambda attack: attack.user_signed(
        "usdSend", destination=attack.friend.address, amount="1", outer=attack.node.nonce()),
        ("err: Nonce mismatch",)),
    Row("39-other network", lambda attack: attack.user_signed(
        "usdSend", destination=attack.friend.address, amount="1", hyperliquidChain="Mainnet"),
        ("err: Mainnet and testnet require different signature",)),
    *(Row(f"39-chain {value!r}", lambda attack, value=value: attack.user_signed(  # type: ignore[misc]
        "usdSend", destination=attack.friend.address, amount="1", signatureChainId=value),
        (*MALFORMED, "err: ."))
      for value in values("0x0", "0x" + "1" * 100, "421614", "66eee", 421614, None, "")),
    Row("39-expiry on user-signed",
        lambda attack: changed(attack.send("1"), expiresAfter=1 << 42), (*MALFORMED, "err: .")),
    *(Row(f"40-vault {value!r}", _replaced("vaultAddress", value), MALFORMED)
      for value in values("0x12", 17, True, [], "0x" + "g" * 40)),
    Row("40-vault unknown", lambda attack: attack.sign(
        limit_order(0, True, FAR, "0.01"), vault=b"\x77" * 20), ("err: Vault not registered: 0x",)),
    Row("40-vault of another", lambda attack: attack.sign(
        limit_order(0, True, FAR, "0.01"), vault=bytes.fromhex(attack.other_vault[2:])),
        ("err: .",)),
    Row("40-another account as vault", lambda attack: attack.sign(
        limit_order(0, True, FAR, "0.01"), vault=bytes.fromhex(attack.victim.address[2:])),
        ("err: .",)),
    Row("40-own address as vault", lambda attack: attack.sign(
        limit_order(0, True, FAR, "0.01"), vault=bytes.fromhex(attack.attacker.address[2:])),
        ("err: .",)),
    *(Row(f"41-expiry {value!r}", _replaced("expiresAfter", value), MALFORMED)
      for value in values(-1, "1", 1 << 64, True, [])),
    Row("41-expired", lambda attack: attack.sign(
        limit_order(0, True, FAR, "0.01"), expires_after=1_000), ("err: .*expired",)),
]  # fmt: skip


# --- 49, 52, 55: groups, money, multi-sig ------------------------------------------------------

NOT_OFFERED_OR_REFUSED: Final = (*MALFORMED, "err: .")
HOUR_MS: Final = 3_600_000


def _soon(attack: Attack, milliseconds: int) -> int:
    return attack.node.nonce() + milliseconds


def _l1(action: Body) -> Make:
    return lambda attack: attack.sign(action)


MONEY_ROWS: Final = [
    *(Row(f"52-send {value!r}", lambda attack, value=value: attack.send(value),  # type: ignore[misc]
          NOT_OFFERED_OR_REFUSED)
      for value in values("-1", "0", "1.0000001", "1" * 60, "", "NaN", "1e3", "1,5", 1, None,
                          "0x10", "99999999999", " 1", "+1", "0.0")),
    Row("52-send to nobody", lambda attack: attack.send("1", "0x12"), MALFORMED),
    Row("52-send to itself", lambda attack: attack.send("1", attack.attacker.address),
        NOT_OFFERED_OR_REFUSED),
    *(Row(f"52-withdraw {value!r}", lambda attack, value=value: attack.user_signed(  # type: ignore[misc]
        "withdraw3", destination=attack.friend.address, amount=value), NOT_OFFERED_OR_REFUSED)
      for value in values("-5", "0", "0.5", "1", "1.0000001", "99999999999", "1" * 30)),
    *(Row(f"53-vault transfer {usd}", _l1(
        {"type": "vaultTransfer", "vaultAddress": "0x" + "77" * 20, "isDeposit": True,
         "usd": usd}), NOT_OFFERED_OR_REFUSED)
      for usd in (-1, 0, 1, 1 << 63, 1 << 64)),
    Row("54-schedule in the past", _l1({"type": "scheduleCancel", "time": 1000}),
        NOT_OFFERED_OR_REFUSED),
    Row("54-schedule in 1 s", lambda attack: attack.sign(
        {"type": "scheduleCancel", "time": _soon(attack, 1000)}), NOT_OFFERED_OR_REFUSED),
    *(Row(f"54-twap {minutes} min {size}", _l1(
        {"type": "twapOrder",
         "twap": {"a": 0, "b": True, "s": size, "r": False, "m": minutes, "t": False}}),
        (*NOT_OFFERED_OR_REFUSED, "each: ."))
      for minutes, size in ((0, "1"), (1, "1"), (10**9, "1"), (1 << 40, "1"), (30, "0.00001"),
                            (30, "0"), (30, "-1"))),
    *(Row(f"55-signers {text[:30]}", lambda attack, text=text: attack.user_signed(  # type: ignore[misc]
        "convertToMultiSigUser", signers=text), NOT_OFFERED_OR_REFUSED)
      for text in (
          "", "{}", "[]", '{"authorizedUsers": [], "threshold": 1}',
          '{"authorizedUsers": ["0x' + "11" * 20 + '"], "threshold": 0}',
          '{"authorizedUsers": ["0x' + "11" * 20 + '"], "threshold": 2}',
          '{"authorizedUsers": "0x11", "threshold": 1}', "not json", "[" * 1000)),
    Row("55-envelope of nothing", _l1({"type": "multiSig", "signatureChainId": "0x66eee",
                                       "signatures": [], "payload": {}}), MALFORMED),
    Row("55-envelope in an envelope", _l1(
        {"type": "multiSig", "signatureChainId": "0x66eee", "signatures": [],
         "payload": {"multiSigUser": "0x" + "11" * 20, "outerSigner": "0x" + "22" * 20,
                     "action": {"type": "multiSig"}}}), MALFORMED),
    Row("55-not a multi-sig user", _l1(
        {"type": "multiSig", "signatureChainId": "0x66eee", "signatures": [],
         "payload": {"multiSigUser": "0x" + "11" * 20, "outerSigner": "0x" + "22" * 20,
                     "action": {"type": "noop"}}}), NOT_OFFERED_OR_REFUSED),
    *(Row(f"51-leverage {value!r}", _l1({"type": "updateLeverage", "asset": 0, "isCross": True,
                                         "leverage": value}), NOT_OFFERED_OR_REFUSED)
      for value in values(0, -5, 10**9, 1 << 40, "5", True, None, 101)),
    Row("51-leverage of nothing", _l1({"type": "updateLeverage", "asset": 9999, "isCross": True,
                                       "leverage": 5}), NOT_OFFERED_OR_REFUSED),
    *(Row(f"51-isolated margin {value!r}", _l1(
        {"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": value}),
        NOT_OFFERED_OR_REFUSED) for value in values(0, 1_000_000, -1_000_000, 1 << 63, "1", True)),
    Row("52-agent of everybody", lambda attack: attack.user_signed(
        "approveAgent", agentAddress=attack.victim.address, agentName=""), NOT_OFFERED_OR_REFUSED),
    Row("56-too large", lambda attack: attack.sign(
        {"type": "setDisplayName", "displayName": "x" * 100_000}), ("413", *MALFORMED)),
    Row("56-body too large", lambda attack: attack.sign(
        {"type": "setDisplayName", "displayName": "x" * 3_000_000}), ("413", "0")),
]  # fmt: skip

__all__ = ["ENVELOPE_ROWS", "MONEY_ROWS", "Account", "Attack", "Row", "classify"]
