"""Signed bytes become an action, or are refused with the key that is wrong."""

from typing import Any

import pytest

from chainperp.base import msgpack
from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.chain.decode import decode_action, transaction_of
from chainperp.model.actions import NotOffered, PlaceOrders, UsdSend
from chainperp.model.envelope import Envelope, encode_envelope
from chainperp.wire.action_table import MAX_ORDERS_PER_ACTION
from chainperp.wire.actions import canonical_action, read_json

ORDER: dict[str, Any] = {"a": 0, "b": True, "p": "29300", "s": "0.01", "r": False,
                         "t": {"limit": {"tif": "Gtc"}}}  # fmt: skip


def placed(**changes: Any) -> dict[str, Any]:
    """An order action with one order changed."""
    return {"type": "order", "orders": [{**ORDER, **changes}], "grouping": "na"}


def test_an_order_is_read_with_its_decimals_times_ten_to_the_eighth() -> None:
    """Prices and sizes keep all that was signed."""
    action = decode_action(placed(), 1)
    assert isinstance(action, PlaceOrders)
    assert (action.orders[0].price, action.orders[0].size) == (29_300 * 10**8, 10**6)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (placed(p=29300), "p is not a decimal string"),
        (placed(p="-1"), "p is out of range"),
        (placed(s="1e-5"), "s is not a plain decimal"),
        (placed(s="9" * 29), "s is out of range"),
        (placed(a=-1), "a is not a whole number"),
        (placed(a=True), "a is not a whole number"),
        (placed(b=1), "b is not a boolean"),
        (placed(c="0x12"), "c is not a client order id"),
        (placed(t={"limit": {"tif": "Day"}}), "'Day'"),
        ({"type": "cancel", "cancels": [{"a": 0}]}, "'o'"),
        ({"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": 2**63}, "ntli"),
        ({"type": "order", "orders": 5, "grouping": "na"}, "order is malformed"),
        ({**placed(), "builder": {"b": "0x" + "11" * 20}}, "'f'"),
        ({**placed(), "builder": {"b": "0x12", "f": 1}}, "b is not an address"),
        ({**placed(), "builder": {"b": "0x" + "11" * 20, "f": -1}}, "f is not a whole number"),
        ({**placed(), "builder": 5}, "order is malformed"),
        ({"type": "scheduleCancel", "time": -1}, "time is not a whole number"),
        ({"type": "scheduleCancel", "time": "5"}, "time is not a whole number"),
        ({"type": "createSubAccount", "name": 5}, "name is not text"),
        ({"type": "subAccountModify", "subAccountUser": "0x12", "name": "x"}, "subAccountUser"),
        (
            {
                "type": "subAccountTransfer",
                "subAccountUser": "0x" + "11" * 20,
                "isDeposit": True,
                "usd": 2**64,
            },
            "usd is not a whole number",
        ),
        ({"type": "twapOrder", "twap": {"a": 0, "b": True, "s": "1", "r": False, "m": 5}}, "'t'"),
        ({"type": "twapOrder", "twap": 5}, "twapOrder is malformed"),
        (
            {
                "type": "twapOrder",
                "details": 5,
                "twap": {"a": 0, "b": True, "s": "1", "r": False, "m": 5, "t": False},
            },
            "twapOrder is malformed",
        ),
        ({"type": "twapCancel", "a": 0, "t": True}, "t is not a whole number"),
        ({"type": "setDisplayName", "displayName": None}, "displayName is not text"),
        ({"type": 5}, "not a map with a type"),
        ([1], "not a map with a type"),
    ],
)
def test_malformed_actions_are_refused_with_the_key(action: Any, message: str) -> None:
    """InvalidBytes, and nothing else, for what is not an action."""
    with pytest.raises(InvalidBytes) as caught:
        decode_action(action, 1)
    assert message in str(caught.value)


def test_a_user_signed_action_is_none_under_another_scheme() -> None:
    """Moving money needs the scheme in which the fields themselves are signed."""
    send = {"type": "usdSend", "destination": "0x" + "11" * 20, "amount": "1", "time": 1}
    assert isinstance(decode_action(send, 2), UsdSend)
    assert isinstance(decode_action(send, 1), NotOffered)


def test_a_transaction_keeps_its_exact_bytes() -> None:
    """What was signed is what the log stores."""
    raw = encode_envelope(
        Envelope(1, 5, b"\x01" * 20, 7, msgpack.pack({"type": "noop"}), 27, bytes(32), bytes(32))
    )
    transaction = transaction_of(raw, b"\x02" * 20)
    assert transaction.envelope == raw
    assert (transaction.nonce, transaction.vault, transaction.expires_after) == (
        5, b"\x01" * 20, 7,
    )  # fmt: skip


def test_a_million_orders_in_one_action_are_refused_at_once() -> None:
    """The body is too large to read; a list that fits is cut off at the limit."""
    body = b'{"type":"order","orders":[' + b"{}," * 10**6 + b"{}]}"
    with pytest.raises(BadRequest) as caught:
        read_json(body)
    assert "body has" in str(caught.value)
    many = {"type": "order", "orders": [ORDER] * (MAX_ORDERS_PER_ACTION + 1), "grouping": "na"}
    with pytest.raises(BadRequest) as caught:
        canonical_action(many)
    assert str(MAX_ORDERS_PER_ACTION) in str(caught.value)


SIGNED: dict[str, Any] = {"type": "multiSig", "signatures": [{}], "payload": {
    "multiSigUser": "0x" + "11" * 20, "outerSigner": "0x" + "22" * 20, "action": {"type": "noop"},
}}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "noop"}, "malformed"),
        ({"signatures": 1}, "malformed"),
        ({"payload": None}, "malformed"),
        ({"payload": {**SIGNED["payload"], "outerSigner": "0x22"}}, "outerSigner"),
        ({"payload": {**SIGNED["payload"], "multiSigUser": 5}}, "malformed"),
        ({"payload": {**SIGNED["payload"], "action": []}}, "malformed"),
        ({"payload": {**SIGNED["payload"], "action": {"type": "cancel"}}}, "cancel"),
        ({"signatures": []}, "0 signatures"),
    ],
)
def test_malformed_envelopes_are_refused(change: dict[str, Any], message: str) -> None:
    """Whatever is no envelope of one signature raises InvalidBytes and nothing else."""
    packed = msgpack.pack({**SIGNED, **change})
    raw = encode_envelope(Envelope(3, 5, None, None, packed, 27, bytes(32), bytes(32)))
    with pytest.raises(InvalidBytes, match=message):
        transaction_of(raw, bytes(40))


def test_an_envelope_inside_an_envelope_is_no_action() -> None:
    """Nothing nested is carried out."""
    inner = {"payload": {**SIGNED["payload"], "action": SIGNED}}
    packed = msgpack.pack({**SIGNED, **inner})
    raw = encode_envelope(Envelope(3, 5, None, None, packed, 27, bytes(32), bytes(32)))
    assert isinstance(transaction_of(raw, bytes(40)).action, NotOffered)
