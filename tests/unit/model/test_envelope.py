"""Envelope bytes: the layout of audit-log-and-consensus 2.3, and nothing else."""

from dataclasses import replace
from hashlib import sha256

import pytest

from chainperp.base import canonical
from chainperp.base.errors import InvalidBytes
from chainperp.model.envelope import (
    SCHEMA,
    Envelope,
    decode_envelope,
    encode_envelope,
    transaction_hash,
)

PLAIN = Envelope(1, 1700000000000, None, None, b"\x81\xa0\xc0", 27, b"r" * 32, b"s" * 32)
FULL = replace(PLAIN, scheme=3, vault=b"v" * 20, expires_after=5)
VAULT_FLAG = 9


@pytest.mark.parametrize("envelope", [PLAIN, FULL, replace(PLAIN, expires_after=0)])
def test_bytes_are_those_of_the_canonical_schema(envelope: Envelope) -> None:
    record = {name: getattr(envelope, name) for name, _ in SCHEMA}
    raw = encode_envelope(envelope)
    assert raw == canonical.encode(SCHEMA, record)
    assert decode_envelope(raw) == envelope


def test_hash_is_tagged() -> None:
    raw = encode_envelope(PLAIN)
    assert transaction_hash(raw) == sha256(b"chainperp/v1/tx\x00" + raw).digest()


def test_every_shortened_or_lengthened_form_is_refused() -> None:
    for envelope in (PLAIN, FULL):
        raw = encode_envelope(envelope)
        for length in range(len(raw)):
            with pytest.raises(InvalidBytes):
                decode_envelope(raw[:length])
        with pytest.raises(InvalidBytes, match="1 bytes follow the envelope"):
            decode_envelope(raw + b"\x00")


def test_unknown_scheme_and_flag_are_refused() -> None:
    raw = bytearray(encode_envelope(PLAIN))
    for scheme in (0, 4, 255):
        raw[0] = scheme
        with pytest.raises(InvalidBytes, match=f"scheme was {scheme}"):
            decode_envelope(bytes(raw))
        with pytest.raises(InvalidBytes, match=f"scheme was {scheme}"):
            encode_envelope(replace(PLAIN, scheme=scheme))
    raw[0] = 1
    raw[VAULT_FLAG] = 2
    with pytest.raises(InvalidBytes, match="vault has flag byte 02"):
        decode_envelope(bytes(raw))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(PLAIN, nonce=2**64),
        replace(PLAIN, nonce=-1),
        replace(PLAIN, expires_after=2**64),
        replace(PLAIN, vault=b"short"),
        replace(PLAIN, r=b"short"),
        replace(PLAIN, s=b"long" * 9),
        replace(PLAIN, v=256),
    ],
)
def test_a_field_that_does_not_fit_is_refused(wrong: Envelope) -> None:
    with pytest.raises(InvalidBytes):
        encode_envelope(wrong)
