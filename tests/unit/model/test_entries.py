"""Entries cut at fixed places say what the schema says, refusal for refusal."""

from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base import canonical
from chainperp.base.errors import InvalidBytes
from chainperp.model.decisions import Kind
from chainperp.model.entries import cut_transaction, decode_entry, decode_payload, encode_entry
from chainperp.model.records import SCHEMAS

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=300)


def by_schema(raw: bytes) -> tuple[bytes, bytes]:
    fields = canonical.decode(SCHEMAS[Kind.TX_USER], decode_entry(raw).payload)
    return fields["envelope"], fields["signer"]


def outcome(cut: object, raw: bytes) -> object:
    assert callable(cut)
    try:
        return cut(raw)
    except InvalidBytes as error:
        return str(error)


@FIXED
@given(st.binary(max_size=120), st.data())
def test_a_transaction_is_cut_as_its_schema_says(envelope: bytes, data: st.DataObject) -> None:
    """Whole, with one byte changed, and cut short."""
    payload = (3).to_bytes(2, "big") + len(envelope).to_bytes(4, "big") + envelope + b"s" * 20
    raw = bytearray(encode_entry(Kind.TX_USER, 5, 1, payload))
    assert cut_transaction(bytes(raw)) == (envelope, b"s" * 20)
    place = data.draw(st.integers(0, 30))
    if place != 2:  # another kind is not asked about
        raw[place % len(raw)] = data.draw(st.integers(0, 255))
    for short in (0, data.draw(st.integers(1, len(raw)))):
        damaged = bytes(raw[: len(raw) - short])
        assert outcome(cut_transaction, damaged) == outcome(by_schema, damaged)


@FIXED
@given(st.sampled_from(sorted(SCHEMAS)), st.binary(max_size=500))
def test_a_payload_is_refused_as_its_schema_refuses_it(kind: Kind, payload: bytes) -> None:
    """The quick reader of payloads and the plain one agree on foreign bytes."""
    entry = decode_entry(encode_entry(kind, 5, 1, payload))
    quick = outcome(lambda _raw: decode_payload(entry), payload)
    assert quick == outcome(lambda raw: canonical.decode(SCHEMAS[kind], raw), payload)
