"""The canonical form of actions, and precise refusals of everything else."""

import time
from typing import Any

import pytest

from chainperp.base.errors import BadRequest
from chainperp.wire.action_table import MAX_ORDERS_PER_ACTION
from chainperp.wire.actions import MAX_BODY_BYTES, SHAPES, canonical_action, read_json
from tests.unit.wire.samples import SAMPLES

ADDRESS = "0x5e9ee1089755c3435139848e47e6635505d5a13a"
CLOID = "0x0000000000000000000000000000C0DE"
ORDER: dict[str, Any] = SAMPLES["order"]["orders"][0]


def order_with(**change: Any) -> dict[str, Any]:
    return {"type": "order", "orders": [ORDER, ORDER | change], "grouping": "na"}


def refusal(action: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        canonical_action(action)
    return caught.value


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


def test_every_type_of_the_table_has_a_sample() -> None:
    assert set(SAMPLES) == set(SHAPES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_canonical_form_is_a_fixed_point_whatever_the_order(name: str) -> None:
    sample = SAMPLES[name]
    again = canonical_action(reversed_keys(sample))
    assert str(again) == str(sample)
    assert str(canonical_action(again)) == str(sample)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_an_unknown_key_is_refused_and_a_missing_one_named(name: str) -> None:
    error = refusal(SAMPLES[name] | {"reduceOnly": True})
    assert error.code in ("unknown_key", "choice")
    for key in SAMPLES[name]:
        rest = {other: item for other, item in SAMPLES[name].items() if other != key}
        outcome = code_and_text(rest)
        if outcome is not None and outcome[0] != "choice":
            assert outcome[0] == "missing_key"
            assert outcome[1].startswith(f"{key}: ")


def code_and_text(action: Any) -> tuple[str, str] | None:
    try:
        canonical_action(action)
    except BadRequest as error:
        return error.code, str(error)
    return None


def test_values_take_their_one_form() -> None:
    sent = order_with(p="29300.0", s="0.0100", c=CLOID)
    sent["builder"] = {"f": 10, "b": ADDRESS.upper().replace("X", "x")}
    canonical = canonical_action(sent)
    assert canonical["orders"][1]["p"] == "29300"
    assert canonical["orders"][1]["s"] == "0.01"
    assert canonical["orders"][1]["c"] == CLOID.lower()
    assert canonical["builder"] == {"b": ADDRESS, "f": 10}
    assert list(canonical) == ["type", "orders", "grouping", "builder"]


def test_null_is_absent_except_where_the_venue_hashes_it() -> None:
    assert canonical_action({"type": "scheduleCancel", "time": None}) == {"type": "scheduleCancel"}
    assert "c" not in canonical_action(order_with(c=None))["orders"][1]
    vault = {"type": "vaultModify", "vaultAddress": ADDRESS}
    filled = vault | {"allowDeposits": None, "alwaysCloseOnWithdraw": None}
    assert canonical_action(vault) == canonical_action(filled) == filled
    twap = SAMPLES["twapOrder"] | {"details": {}}
    assert canonical_action(twap)["details"] == {"t": None, "s": None}


def test_user_signed_texts_stay_to_the_letter() -> None:
    mixed = "0x5E9EE1089755c3435139848e47e6635505d5a13A"
    action = SAMPLES["usdSend"] | {"destination": mixed, "amount": "1.00"}
    canonical = canonical_action(action)
    assert (canonical["destination"], canonical["amount"]) == (mixed, "1.00")
    assert canonical_action(action | {"signatureChainId": "0x0066EEE"}) == canonical


BAD_DECIMALS = [
    "", " ", "-1", "-0", "NaN", "nan", "inf", "Infinity", "1e3", "1E3", "1e-5", "0x10", " 1", "1 ",
    "+1", "1_000", "1,5", "１", "٣", "1.", ".5", "00.5", "01", "1.2.3", "9" * 400, "0." + "1" * 400,
    "0.123456789", "1\x00", "1\n", 1, 1.5, 0, None, True, [], {}, ["1"],
]  # fmt: skip


@pytest.mark.parametrize("key", ["p", "s"])
@pytest.mark.parametrize("value", BAD_DECIMALS)
def test_a_price_or_size_that_is_no_plain_decimal_is_refused(key: str, value: Any) -> None:
    error = refusal(order_with(**{key: value}))
    assert error.code in ("number", "wrong_type")
    assert str(error).startswith(f"orders[1].{key}: ")
    assert len(str(error)) < 200


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"a": -1}, "range", "orders[1].a: an integer from 0 to 4294967295 is wanted, was -1"),
    ({"a": 2**32}, "range", "orders[1].a"),
    ({"a": 2**70}, "range", "was an integer beyond 64 bits"),
    ({"a": "0"}, "wrong_type", "orders[1].a: an integer is wanted, was '0'"),
    ({"a": 1.0}, "wrong_type", "orders[1].a: an integer is wanted, was 1.0"),
    ({"a": True}, "wrong_type", "orders[1].a: an integer is wanted, was true"),
    ({"a": None}, "wrong_type", "orders[1].a: null is not allowed here"),
    ({"b": 1}, "wrong_type", "orders[1].b: true or false is wanted, was 1"),
    ({"b": "true"}, "wrong_type", "orders[1].b: true or false is wanted, was 'true'"),
    ({"r": 0}, "wrong_type", "orders[1].r"),
    ({"c": CLOID + "0"}, "cloid", "orders[1].c: a client id (0x and 32 hex digits) is wanted"),
    ({"c": CLOID[2:]}, "cloid", "orders[1].c"),
    ({"c": 5}, "wrong_type", "orders[1].c"),
    ({"t": {}}, "choice", "orders[1].t: exactly one of limit, trigger is wanted"),
    ({"t": {"twap": {}}}, "unknown_key", "orders[1].t: key 'twap' is not known here"),
    ({"t": {"limit": {"tif": "Fok"}}}, "choice", "orders[1].t.limit.tif: one of Gtc, Alo, Ioc"),
    ({"t": {"limit": {"tif": "Gtc"}, "trigger": {}}}, "choice", "orders[1].t: exactly one"),
    (
        {"t": {"trigger": {"isMarket": True, "triggerPx": "1e5", "tpsl": "sl"}}},
        "number",
        "orders[1].t.trigger.triggerPx",
    ),
    ({"x": 1}, "unknown_key", "orders[1]: key 'x' is not known here"),
]


@pytest.mark.parametrize(("change", "code", "sentence"), REFUSED)
def test_a_bad_order_is_refused_with_its_place(
    change: dict[str, Any], code: str, sentence: str
) -> None:
    error = refusal(order_with(**change))
    assert error.code == code
    assert sentence in str(error)


def test_unknown_types_name_the_nearest_one() -> None:
    assert "unknown variant 'cancelbyCloid', did you mean cancelByCloid?" in str(
        refusal({"type": "cancelbyCloid"})
    )
    assert refusal({"type": "x" * 10**6}).code == "unknown_type"
    assert len(str(refusal({"type": "x" * 10**6}))) < 200
    assert refusal({}).code == "missing_key"
    assert refusal({"type": 5}).code == "wrong_type"
    others: list[Any] = [None, [], "order", 5]
    for wrong in others:
        assert refusal(wrong).code == "wrong_type"


def test_too_many_orders_are_refused_without_looking_at_them() -> None:
    full = {"type": "order", "orders": [ORDER] * MAX_ORDERS_PER_ACTION, "grouping": "na"}
    assert len(canonical_action(full)["orders"]) == MAX_ORDERS_PER_ACTION
    huge = full | {"orders": [ORDER] * 1_000_000}
    start = time.perf_counter()
    error = refusal(huge)
    assert time.perf_counter() - start < 0.05
    assert str(error) == "orders: at most 1000 items are wanted, was 1000000"


def test_texts_are_bounded_and_printable() -> None:
    for name in ("x" * 129, "a\x00b", "a\nb", "\ud800", "\x7f"):
        assert refusal({"type": "createSubAccount", "name": name}).code == "text"
    vault = SAMPLES["createVault"] | {"description": "two\nlines"}
    assert canonical_action(vault) == vault


def test_an_envelope_does_not_hold_an_envelope() -> None:
    outer = SAMPLES["multiSig"]
    nested = outer | {"payload": outer["payload"] | {"action": outer}}
    error = refusal(nested)
    assert error.code == "unknown_type"
    assert str(error).startswith("payload.action.type: unknown variant 'multiSig'")
    assert refusal(outer | {"signatures": outer["signatures"] * 6}).code == "limit"


JSON_REFUSED: list[tuple[bytes, str, str]] = [
    (b"", "json", "invalid JSON"),
    (b"{", "json", "invalid JSON"),
    (b'{"a":1}x', "json", "Extra data at 7"),
    (b"{'a':1}", "json", "invalid JSON"),
    (b'{"a":1,}', "json", "invalid JSON"),
    (b'\xef\xbb\xbf{"a":1}', "json", "invalid JSON"),
    ('{"a":1}'.encode("utf-16"), "json", "not UTF-8"),
    (b'{"a":"\xff"}', "json", "byte 6 is not UTF-8"),
    (b'{"a":"\x01"}', "json", "Invalid control character"),
    (b'{"a":"\\ud800"}', "json", "half a surrogate"),
    (b'{"\\u0000":1}', "json", "NUL"),
    (b'{"a":1,"a":1}', "duplicate_key", "duplicate key 'a'"),
    (b'[{"b":{"nonce":1,"x":2,"nonce":1}}]', "duplicate_key", "duplicate key 'nonce'"),
    (b'{"a":1.0}', "number", "was '1.0' without quotes"),
    (b'{"a":1e5}', "number", "'1e5'"),
    (b'{"a":NaN}', "number", "'NaN'"),
    (b'{"a":-Infinity}', "number", "'-Infinity'"),
    (b'{"a":-0}', "number", "-0"),
    (b'{"a":' + b"9" * 5000 + b"}", "number", "5000 digits"),
    (b"[" * 100_000, "depth", "nested deeper than 32"),
    (b"[" * 33 + b"]" * 33, "depth", "nested deeper than 32"),
    (b'{"a":' * 20_000, "depth", "nested deeper than 32"),
    (b" " * (MAX_BODY_BYTES + 1), "size", "at most 2097152"),
]


@pytest.mark.parametrize(("raw", "code", "sentence"), JSON_REFUSED)
def test_json_that_two_parsers_could_read_differently_is_refused(
    raw: bytes, code: str, sentence: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        read_json(raw)
    assert caught.value.code == code
    assert sentence in str(caught.value)


def test_json_up_to_the_limits_is_read() -> None:
    assert read_json(b"[" * 32 + b"]" * 32) is not None
    assert read_json(b"[" + b"[]," * 5000 + b"[]]") == [[]] * 5001
    brackets = b'{"a":"' + b"[" * 100 + b'\\"' + b"[" * 100 + b'"}'
    assert len(read_json(brackets)["a"]) == 201
    assert read_json(b'{"a":18446744073709551615}') == {"a": 2**64 - 1}
    assert read_json(b'"\\ud83d\\ude00 \\\\u0000"') == "\U0001f600 \\u0000"


def test_reading_hostile_bodies_stays_linear() -> None:
    for piece in (b'\\"', b'"', b"[]", b'"\\', b"{}"):
        start = time.perf_counter()
        with pytest.raises(BadRequest):
            read_json(b"[" * 40 + (piece * MAX_BODY_BYTES)[: MAX_BODY_BYTES - 100])
        with pytest.raises(BadRequest):
            read_json((piece * MAX_BODY_BYTES)[: MAX_BODY_BYTES - 100] + b"[" * 40)
        assert time.perf_counter() - start < 5
