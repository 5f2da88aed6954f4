"""The quick reader of plain requests says what the general one says, or nothing."""

import json
import random
from typing import Any

import pytest

from chainperp.base.errors import BadRequest
from chainperp.chain.plain_actions import SHORT_COUNT_MAX
from chainperp.client.wallet import development_key, sign_action
from chainperp.model.envelope import Envelope
from chainperp.wire.actions import read_json
from chainperp.wire.plain_request import plain_envelope
from chainperp.wire.signature import CURVE_ORDER
from chainperp.wire.signing import admit

ROUNDS = 4_000
KEY = development_key(0)
COMPACT, SPACED = (",", ":"), (", ", ": ")
DECIMALS = ("0", "1", "0.5", "29000", "29000.5", "0.00000001", "9999999999.99999999", "10",
            "100.0", "1.10", "01", "1.", ".5", "12345678901", "0.000000001", "-1", "1e5",
            "", "٣")  # fmt: skip
INTEGERS = (0, 1, 127, 128, 255, 256, 10_001, 65_535, 65_536, 999_999_999, 10**9, 2**32, -1)
OIDS = (*INTEGERS, 2**53, 10**18, 10**19 - 1, 2**64)
CLOIDS = ("0x" + "0a" * 16, "0x" + "0A" * 16, "0x" + "1" * 31, "", None)


def general(body: bytes) -> Envelope | tuple[str, str]:
    """What the general reader says: the envelope, or code and text of its refusal."""
    try:
        return admit(read_json(body), "Testnet")
    except BadRequest as error:
        return error.code, str(error)


def plain(body: bytes) -> Envelope | tuple[str, str] | None:
    """What the quick one says."""
    try:
        return plain_envelope(body)
    except BadRequest as error:
        return error.code, str(error)


def random_order(draw: random.Random) -> dict[str, Any]:
    """One order; most are usual, some have a value that is not plain or not valid."""
    is_usual = draw.random() < 0.8
    order: dict[str, Any] = {
        "a": draw.choice(INTEGERS[: 10 if is_usual else None]),
        "b": draw.random() < 0.5,
        "p": draw.choice(DECIMALS[: 8 if is_usual else None]),
        "s": draw.choice(DECIMALS[: 8 if is_usual else None]),
        "r": draw.random() < 0.5,
        "t": {"limit": {"tif": draw.choice(("Gtc", "Ioc", "Alo") if is_usual else ("GTC", 1))}},
    }
    if draw.random() < 0.3:
        order["c"] = draw.choice(CLOIDS[: 1 if is_usual else None])
    return order


def random_request(draw: random.Random) -> dict[str, Any]:
    """A request with orders or cancels; its signature has the right form at least."""
    count = draw.choice((1, 1, 1, 2, 3, SHORT_COUNT_MAX, SHORT_COUNT_MAX + 1, 0))
    action: dict[str, Any]
    if draw.random() < 0.6:
        orders = [random_order(draw) for _ in range(count)]
        action = {"type": "order", "orders": orders, "grouping": draw.choice(("na",) * 9 + ("x",))}
    else:
        rows = [{"a": draw.choice(INTEGERS), "o": draw.choice(OIDS)} for _ in range(count)]
        action = {"type": "cancel", "cancels": rows}
    scalars = [draw.randrange(1, CURVE_ORDER >> 1)] * 20 + [
        0,
        CURVE_ORDER - 1,
        CURVE_ORDER,
        1 << 256,
    ]
    request: dict[str, Any] = {
        "action": action,
        "nonce": draw.choice((1_700_000_000_000, 0, 10**19 - 1, 2**64)),
        "signature": {"r": hex(draw.choice(scalars)), "s": hex(draw.choice(scalars)),
                      "v": draw.choice((27, 28, 28, 27, 29, 0))},
    }  # fmt: skip
    if draw.random() < 0.7:
        request["vaultAddress"] = draw.choice((None, None, None, "0x" + "11" * 20))
    if draw.random() < 0.7:
        request["expiresAfter"] = draw.choice((None, None, None, 1_700_000_000_001))
    return request


def damaged(draw: random.Random, raw: bytes) -> bytes:
    """The bytes with a few of them changed, removed or doubled."""
    changed = bytearray(raw)
    for _ in range(draw.randrange(1, 3)):
        at = draw.randrange(len(changed))
        what = draw.randrange(3)
        if what == 0:
            changed[at] = draw.choice(b'0123456789abcdefx"{}[],: .-\\\n')
        elif what == 1:
            del changed[at]
        else:
            changed.insert(at, changed[at])
    return bytes(changed)


def test_what_is_read_quickly_is_what_the_general_reader_says() -> None:
    """Over requests of many forms, and over damaged ones."""
    draw = random.Random(9)
    taken = refused = 0
    for _ in range(ROUNDS):
        body = json.dumps(random_request(draw), separators=draw.choice((COMPACT, SPACED))).encode()
        for raw in (body, damaged(draw, body)):
            said = plain(raw)
            if said is not None:
                assert said == general(raw), raw
                taken += isinstance(said, Envelope)
                refused += isinstance(said, tuple)
    assert taken > ROUNDS // 12
    assert refused > ROUNDS // 50


@pytest.mark.parametrize("separators", [COMPACT, SPACED])
@pytest.mark.parametrize("count", [1, 2, SHORT_COUNT_MAX])
def test_the_usual_requests_are_read_quickly(count: int, separators: tuple[str, str]) -> None:
    """As PY posts them; and without the keys that other clients leave out."""
    order = {"a": 3, "b": True, "p": "29000.5", "s": "0.01", "r": False,
             "t": {"limit": {"tif": "Alo"}}}  # fmt: skip
    for action in (
        {"type": "order", "orders": [order] * count, "grouping": "na"},
        {"type": "order", "orders": [order | {"c": CLOIDS[0]}] * count, "grouping": "na"},
        {"type": "cancel", "cancels": [{"a": 10_000, "o": 77_738_308}] * count},
    ):
        request = sign_action(KEY, action, 1_700_000_000_000, "Testnet")
        short = {key: value for key, value in request.items() if value is not None}
        for document in (request, short):
            body = json.dumps(document, separators=separators).encode()
            said = plain_envelope(body)
            assert said is not None
            assert said == general(body)


@pytest.mark.parametrize("count", [0, SHORT_COUNT_MAX + 1])
def test_longer_lists_are_left_to_the_general_reader(count: int) -> None:
    """Neither the empty list nor one that needs another tag is read here."""
    action = {"type": "cancel", "cancels": [{"a": 0, "o": 5}] * count}
    request = {"action": action, "nonce": 5, "signature": {"r": "0x1", "s": "0x1", "v": 27}}
    assert plain_envelope(json.dumps(request).encode()) is None
