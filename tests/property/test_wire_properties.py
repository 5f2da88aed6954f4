"""Properties of the decoders that outsiders reach, and of the bytes that are signed."""

import json
import string
from collections.abc import Callable
from typing import Any

import msgpack as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base import canonical
from chainperp.base.errors import BadRequest, ChainperpError, InvalidBytes
from chainperp.base.msgpack import DEPTH_MAX, pack, unpack
from chainperp.client.wallet import address_of, sign_action
from chainperp.model.envelope import SCHEMA, Envelope, decode_envelope, encode_envelope
from chainperp.wire.actions import canonical_action, read_json
from chainperp.wire.shapes import decimal
from chainperp.wire.signing import admit, recover_envelope, verify_envelope_form
from tests.unit.wire.samples import SAMPLES

KEY = bytes([1]) * 32
NONCE = 1700000000000
FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=300)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([n + d for n in (0, 2**7, 2**8, 2**16, 2**32, -32) for d in (-1, 0, 1)])
    | st.text(max_size=40)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=25,
)
envelopes = st.builds(
    Envelope,
    st.integers(1, 3),
    st.integers(0, 2**64 - 1),
    st.none() | st.binary(min_size=20, max_size=20),
    st.none() | st.integers(0, 2**64 - 1),
    st.binary(max_size=300),
    st.integers(0, 255),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)
stored_actions = st.sampled_from([pack(action) for action in SAMPLES.values()])


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    opens = bool(value) and isinstance(value, dict | list)
    return max((depth_of(item) for item in inner), default=0) + opens


@FIXED
@given(values)
def test_msgpack_is_the_reference_librarys_and_its_own_inverse(value: Any) -> None:
    if depth_of(value) > DEPTH_MAX:
        return
    raw = pack(value)
    assert raw == reference.packb(value)
    again = unpack(raw)
    assert str(again) == str(value)
    assert pack(again) == raw


def accepts_nothing_else(raw: bytes) -> None:
    try:
        value = unpack(raw)
    except InvalidBytes:
        return
    assert pack(value) == raw
    assert reference.unpackb(raw, strict_map_key=True) == value


@FIXED
@given(st.binary(max_size=64))
def test_random_bytes_are_msgpack_in_one_form_or_refused(raw: bytes) -> None:
    accepts_nothing_else(raw)


@FIXED
@given(stored_actions, st.data())
def test_damaged_actions_are_msgpack_in_one_form_or_refused(raw: bytes, data: Any) -> None:
    at = data.draw(st.integers(0, len(raw) - 1))
    patch = data.draw(st.binary(max_size=3))
    removed = data.draw(st.integers(0, 3))
    accepts_nothing_else(raw[:at] + patch + raw[at + removed :])


@FIXED
@given(envelopes)
def test_envelopes_have_the_bytes_of_their_schema(envelope: Envelope) -> None:
    raw = encode_envelope(envelope)
    record = {name: getattr(envelope, name) for name, _ in SCHEMA}
    assert raw == canonical.encode(SCHEMA, record)
    assert decode_envelope(raw) == envelope
    assert canonical.decode(SCHEMA, raw) == record


@FIXED
@given(envelopes, st.data())
def test_damaged_envelopes_decode_to_their_own_bytes_or_are_refused(
    envelope: Envelope, data: Any
) -> None:
    raw = encode_envelope(envelope)
    at = data.draw(st.integers(0, len(raw) - 1))
    damaged = raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + 1 :]
    for candidate in (damaged, damaged[at:], data.draw(st.binary(max_size=200))):
        try:
            assert encode_envelope(decode_envelope(candidate)) == candidate
        except InvalidBytes:
            continue


@FIXED
@given(st.integers(1, 3), stored_actions | st.binary(max_size=80), st.data())
def test_foreign_envelopes_are_accepted_or_refused_with_a_code(
    scheme: int, raw: bytes, data: Any
) -> None:
    at = data.draw(st.integers(0, len(raw)))
    damaged = raw[:at] + data.draw(st.binary(max_size=2)) + raw[at:]
    envelope = Envelope(scheme, NONCE, None, None, damaged, 27, bytes([1]) * 32, bytes([2]) * 32)
    for judge in (verify_envelope_form, lambda item: recover_envelope(item, "Testnet")):
        refused = refusal_of(judge, envelope)
        assert refused is None or (refused.code and len(str(refused)) < 600)


def refusal_of(call: Callable[[Any], object], value: Any) -> BadRequest | None:
    try:
        call(value)
    except BadRequest as error:
        return error
    return None


def shuffled(value: Any, data: Any) -> Any:
    if isinstance(value, dict):
        keys = data.draw(st.permutations(list(value)))
        return {key: shuffled(value[key], data) for key in keys}
    return [shuffled(item, data) for item in value] if isinstance(value, list) else value


@FIXED
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_the_order_of_json_keys_changes_nothing(name: str, data: Any) -> None:
    body = sign_action(KEY, SAMPLES[name], NONCE, "Testnet")
    sent = read_json(json.dumps(shuffled(body, data)).encode())
    envelope = admit(sent, "Testnet")
    assert envelope == admit(body, "Testnet")
    assert envelope.action_bytes == pack(SAMPLES[name])
    assert recover_envelope(envelope, "Testnet") == address_of(KEY)
    assert verify_envelope_form(envelope) == SAMPLES[name]


junk = st.recursive(
    scalars | st.floats() | st.text(string.digits + ".-eE", max_size=25),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        found.extend((item, key) for key in keys)
        waiting.extend(item[key] for key in keys if isinstance(item[key], dict | list))
    return found


@FIXED
@given(st.sampled_from(sorted(SAMPLES)), junk, st.data())
def test_junk_anywhere_in_an_action_is_normal_or_refused(name: str, value: Any, data: Any) -> None:
    action = json.loads(json.dumps(SAMPLES[name]))
    holder, key = data.draw(st.sampled_from(places(action)))
    holder[key] = value
    refused = refusal_of(canonical_action, action)
    if refused is not None:
        assert len(str(refused)) < 600
        return
    result = canonical_action(action)
    assert str(canonical_action(result)) == str(result)
    assert unpack(pack(result)) == result


@FIXED
@given(junk)
def test_admit_answers_anything_with_an_envelope_or_a_refusal(value: Any) -> None:
    for request in (value, {"action": value, "nonce": value, "signature": value}):
        try:
            admit(request, "Testnet")
        except BadRequest:
            continue


@FIXED
@given(st.binary(max_size=60) | st.text('{}[]",:\\u0dn1e-. tf', max_size=60).map(str.encode))
def test_random_bodies_are_json_or_refused(raw: bytes) -> None:
    try:
        value = read_json(raw)
    except ChainperpError:
        return
    assert value == json.loads(raw)


@FIXED
@given(st.integers(0, 10**11), st.integers(0, 10**8 - 1), st.integers(0, 8))
def test_decimals_lose_nothing_but_trailing_zeros(whole: int, fraction: int, places: int) -> None:
    digits = f"{fraction:08d}"[:places]
    text = f"{whole}.{digits}" if digits else str(whole)
    normal = decimal(text[:20])
    left, _, right = normal.partition(".")
    sent_left, _, sent_right = text[:20].partition(".")
    assert (left, right) == (sent_left, sent_right.rstrip("0"))
    assert decimal(normal) == normal
