"""The container of a proof: one spelling, every field read by its type."""

import json

import pytest

from chainperp.base.errors import InvalidProof
from chainperp.evidence.verifier.bundle import base64_text, encode_bundle, parse_bundle
from chainperp.evidence.verifier.trust import Trust
from chainperp.evidence.verifier.verify import verify_proof

HASH = base64_text(bytes(range(32)))
OTHER = base64_text(bytes(32))
TREE = {"index": 5, "inclusion": [HASH, OTHER, HASH], "part": {"before": [OTHER]}, "none": None}


def test_hashes_are_written_once_and_come_back_in_place() -> None:
    raw = encode_bundle("test", TREE)
    assert raw.count(HASH.encode()) == 1
    fields = parse_bundle(raw)
    assert fields.text("kind") == "test"
    assert fields.count("index") == 5
    assert fields.hashes("inclusion") == [bytes(range(32)), bytes(32), bytes(range(32))]
    part = fields.part("part")
    assert part.hashes("before") == [bytes(32)]
    part.finish()
    assert not fields.has("none")
    fields.finish()


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"\n", b"\n ", 1),
        lambda raw: raw[:-1],
        lambda raw: raw + b" ",
        lambda raw: raw.replace(b'"index": 5', b'"index": 5.0'),
        lambda raw: raw.replace(b'"index": 5', b'"index": 1e3'),
        lambda raw: raw.replace(b'"index": 5', b'"index": NaN'),
        lambda raw: raw.replace(b'"index": 5', b'"index": 5,\n"index": 5'),
        lambda raw: raw.replace(b'"hashes"', b'"hashez"'),
        lambda raw: raw.replace(b"\n0,\n1,\n0\n", b"\n0,\n1,\n-2\n"),
        lambda raw: raw.replace(b"\n0,\n1,\n0\n", b"\n0,\n1,\ntrue\n"),
        lambda raw: raw.replace(b"\n0,\n1,\n0\n", b"\n1,\n0,\n1\n"),
        lambda raw: raw.replace(b"\n0,\n1,\n0\n", b"\n0,\n1,\n7\n"),
        lambda raw: b"[" * 100_000,
        lambda raw: b"\xff" + raw,
        lambda raw: b"5\n",
        lambda raw: json.dumps(json.loads(raw)).encode(),
    ],
)
def test_every_other_spelling_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    raw = encode_bundle("test", TREE)
    changed = change(raw)
    assert changed != raw
    with pytest.raises(InvalidProof):
        parse_bundle(changed)
    verdict = verify_proof(changed, Trust())
    assert not verdict.holds
    assert verdict.failed is not None


def test_a_field_of_another_type_and_one_that_is_not_read_are_refused() -> None:
    fields = parse_bundle(encode_bundle("test", TREE))
    for read in (fields.text, fields.raw, fields.part, fields.parts, fields.hashes, fields.address):
        with pytest.raises(InvalidProof, match="index"):
            parse_bundle(encode_bundle("test", TREE)).__getattribute__(read.__name__)("index")
    with pytest.raises(InvalidProof, match="mean nothing: inclusion, index, kind"):
        fields.finish()
    with pytest.raises(InvalidProof, match="nothing is missing"):
        fields.count("nothing")


def test_unknown_kinds_are_refused_by_name() -> None:
    verdict = verify_proof(encode_bundle("test", TREE), Trust())
    assert verdict.failed is not None
    assert "no proof of kind 'test'" in verdict.failed.detail
