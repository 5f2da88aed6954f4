"""Bytes that are taken for canonical at a look are so by the whole check, and so are their signers.

Seeded: actions at every border of their numbers and texts, then the same with bytes changed.
"""

import random
from dataclasses import replace
from typing import Any

import msgpack

from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.base.msgpack import pack, unpack
from chainperp.client.wallet import address_of, sign_action
from chainperp.model.envelope import decode_envelope, encode_envelope
from chainperp.wire.actions import canonical_action
from chainperp.wire.plain_form import is_plain_form
from chainperp.wire.recovery import signers_of
from chainperp.wire.signature import CURVE_ORDER
from chainperp.wire.signing import admit, recover_formed, verify_envelope_form
from tests.unit.wire.samples import SAMPLES

KEY = bytes([1]) * 32
VAULT = bytes(19) + b"\x01"
NONCE = 1_700_000_000_000
BORDERS = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
NORMAL = [
    "0", "1", "10", "0.1", "0.12345678", "1234567890", "1234567890.12345678", "9999999999.99999999",
]  # fmt: skip
DECIMALS = [
    *NORMAL, *NORMAL, *NORMAL, "0.123456789", "1.0", "1.10", "01", "0.0", ".5", "5.", "-1", "1e3",
    "12345678901", "12345678901.1234567",
]  # fmt: skip
TIFS = 4 * ["Gtc", "Ioc", "Alo"] + ["FrontendMarket"]
CLOIDS = 3 * ["0x" + 16 * "a1"] + ["0x" + 16 * "A1", "0x" + 15 * "a1"]


def some_order(draw: random.Random) -> dict[str, Any]:
    order = {
        "a": draw.choice(BORDERS[:9]), "b": draw.random() < 0.5, "p": draw.choice(DECIMALS),
        "s": draw.choice(NORMAL), "r": draw.random() < 0.5,
        "t": {"limit": {"tif": draw.choice(TIFS)}},
    }  # fmt: skip
    return order | {"c": draw.choice(CLOIDS)} if draw.random() < 0.4 else order


def some_action(draw: random.Random) -> dict[str, Any]:
    """An action of the usual two, or nearly so; not always canonical."""
    count = draw.choice([1, 1, 1, 2, 3, 15, 16, 0])
    if draw.random() < 0.3:
        cancels = [{"a": draw.choice(BORDERS), "o": draw.choice(BORDERS)} for _ in range(count)]
        return {"type": "cancel", "cancels": cancels}
    orders = [some_order(draw) for _ in range(count)]
    action: dict[str, Any] = {"type": "order", "orders": orders, "grouping": "na"}
    if draw.random() < 0.1:
        action["grouping"] = "normalTpsl"
    if draw.random() < 0.1:
        action["builder"] = {"b": "0x" + 40 * "1", "f": 1}
    return action


def is_canonical(raw: bytes) -> bool:
    """By the strict reader and our own encoder."""
    try:
        return pack(canonical_action(unpack(raw))) == raw
    except (BadRequest, InvalidBytes):
        return False


def damaged(draw: random.Random, raw: bytes) -> bytes:
    """With one to three bytes changed, left out or put in."""
    at = draw.randrange(len(raw))
    piece = draw.choice([bytes([raw[at] ^ 1 << draw.randrange(8)]), draw.randbytes(1), b"", b"0"])
    return raw[:at] + piece + raw[at + draw.randrange(3) :]


def test_what_looks_plain_is_canonical() -> None:
    draw = random.Random(5)
    plain = other = 0
    for _ in range(4_000):
        packed: bytes = msgpack.packb(some_action(draw))
        for raw in (packed, damaged(draw, packed), damaged(draw, packed)):
            if is_plain_form(b"?" + raw + b"?", 1, 1 + len(raw)):
                plain += 1
                assert is_canonical(raw), raw
            else:
                other += 1
    assert plain > 1_000
    assert other > 1_000


def test_usual_actions_look_plain() -> None:
    draw = random.Random(6)
    found = 0
    for _ in range(2_000):
        action = some_action(draw)
        raw: bytes = msgpack.packb(action)
        usual = "builder" not in action and action.get("grouping", "na") == "na"
        rows: list[Any] = action.get("orders", action.get("cancels", []))
        usual = usual and 0 < len(rows) < 16 and "FrontendMarket" not in str(action)
        # Eleven digits and more before the point are left to the whole check.
        if usual and "12345678901" not in str(action) and is_canonical(raw):
            found += 1
            assert is_plain_form(raw, 0, len(raw)), action
    assert found > 300


def by_the_whole_check(raw: bytes) -> bytes | str:
    try:
        envelope = decode_envelope(raw)
        return recover_formed(envelope, verify_envelope_form(envelope), "Testnet")
    except (BadRequest, InvalidBytes) as error:
        return f"no signer ({error})"


def test_signers_and_refusals_are_those_of_the_whole_check() -> None:
    draw = random.Random(7)
    order = {
        "a": 0,
        "b": True,
        "p": "29300",
        "s": "0.01",
        "r": False,
        "t": {"limit": {"tif": "Gtc"}},
    }
    orders = {"type": "order", "orders": [order, {**order, "c": CLOIDS[0]}], "grouping": "na"}
    cancels = {"type": "cancel", "cancels": [{"a": 300, "o": 2**40}]}
    bodies = [
        sign_action(KEY, action, NONCE, "Testnet", **beside)
        for action in (orders, cancels, SAMPLES["order"], SAMPLES["noop"])
        for beside in ({}, {"vault": VAULT}, {"expires_after": NONCE})
    ]
    bodies.append(sign_action(KEY, SAMPLES["usdSend"], NONCE, "Testnet"))
    raws = [encode_envelope(admit(body, "Testnet")) for body in bodies]
    for raw in raws:
        assert signers_of([raw], "Testnet") == [by_the_whole_check(raw)] == [address_of(KEY)]
        for _ in range(300):
            changed = damaged(draw, raw)
            assert signers_of([changed], "Testnet") == [by_the_whole_check(changed)], changed
    envelope = admit(bodies[0], "Testnet")
    for number in (0, 1, CURVE_ORDER >> 1, (CURVE_ORDER >> 1) + 1, CURVE_ORDER, 2**256 - 1):
        word = number.to_bytes(32, "big")
        for wrong in (replace(envelope, r=word), replace(envelope, s=word)):
            raw = encode_envelope(wrong)
            assert signers_of([raw], "Testnet") == [by_the_whole_check(raw)]
