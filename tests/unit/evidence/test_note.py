"""Notes, keys, checkpoints and proof files, byte for byte against the vectors."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import leaf_hash
from chainperp.evidence.checkpoint import (
    Checkpoint,
    cosign_checkpoint,
    format_checkpoint,
    parse_checkpoint,
    read_checkpoint,
    sign_checkpoint,
)
from chainperp.evidence.merkle import CompleteNodes, prove_consistency, prove_inclusion
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    Status,
    VerifierKey,
    cosigned_message,
    encode_note,
    format_vkey,
    parse_note,
    parse_vkey,
)
from chainperp.storage.logkey import LogKey, find_verifier, verify_ed25519

VECTORS = json.loads(Path("fixtures/log/audit-log-vectors.json").read_text())
NOTE = VECTORS["note"]
LOG = VECTORS["log"]
ORIGIN: str = LOG["origin"]
KEY = LogKey(ORIGIN, bytes.fromhex(NOTE["log_seed"]))
NAMES = ["witness1.example/w", "witness2.example/w", "auditor.example/replay"]
WITNESSES = [
    LogKey(name, bytes.fromhex(seed), KIND_COSIGNATURE)
    for name, seed in zip(NAMES, NOTE["witness_seeds"], strict=True)
]
RAW: bytes = NOTE["checkpoint"].encode()
ROOT = bytes.fromhex(LOG["roots"][1])
TEXT = format_checkpoint(Checkpoint(ORIGIN, 6, ROOT))


def test_log_key_and_verifier_key_vectors() -> None:
    assert KEY.verifier.public.hex() == NOTE["log_pub"]
    assert KEY.verifier.key_id.hex() == NOTE["log_key_id"]
    assert format_vkey(KEY.verifier) == NOTE["log_vkey"]
    assert [format_vkey(key.verifier) for key in WITNESSES] == NOTE["witness_vkeys"]
    for text in (NOTE["log_vkey"], *NOTE["witness_vkeys"]):
        assert format_vkey(parse_vkey(text)) == text
    for line in NOTE["policy"].splitlines():
        for word in line.split():
            if "+" in word:
                assert format_vkey(parse_vkey(word)) == word


def test_checkpoint_vectors() -> None:
    old = Checkpoint(ORIGIN, 2, bytes.fromhex(LOG["roots"][0]))
    assert sign_checkpoint(old, KEY.verifier, KEY.sign) == NOTE["old_checkpoint"].encode()
    raw = sign_checkpoint(Checkpoint(ORIGIN, 6, ROOT), KEY.verifier, KEY.sign)
    for key in WITNESSES[:2]:
        raw = cosign_checkpoint(raw, key.verifier, 1_700_000_002, key.sign)
    assert raw == RAW
    assert len(raw) == 455
    assert len(TEXT) == 74
    assert encode_note(parse_note(raw)) == raw
    assert parse_checkpoint(TEXT) == Checkpoint(ORIGIN, 6, ROOT)


def test_cosigned_message_vector() -> None:
    assert cosigned_message(TEXT, 1_700_000_002) == NOTE["cosig_message_w1"].encode()


def test_add_checkpoint_body_vector_is_our_consistency_proof() -> None:
    hashes = [bytes.fromhex(text) for text in LOG["leaf_hashes"]]
    proof = prove_consistency(CompleteNodes(hashes).node, 2, 6)
    lines = ["old 2", *(b64encode(piece).decode() for piece in proof), "", ""]
    log_only = sign_checkpoint(Checkpoint(ORIGIN, 6, ROOT), KEY.verifier, KEY.sign)
    assert "\n".join(lines) + log_only.decode() == NOTE["add_checkpoint_body"]


def test_reading_says_who_signed_and_when() -> None:
    signed = read_checkpoint(RAW, KEY.verifier, verify_ed25519, [key.verifier for key in WITNESSES])
    assert signed.checkpoint == Checkpoint(ORIGIN, 6, ROOT)
    assert signed.verified
    assert [one.key.name for one in signed.cosignatures] == NAMES[:2]
    assert [one.time for one in signed.cosignatures] == [1_700_000_002] * 2
    assert {one.status for one in signed.cosignatures} == {Status.VERIFIED}


def test_unknown_cosigners_are_passed_over() -> None:
    assert read_checkpoint(RAW, KEY.verifier, verify_ed25519).cosignatures == ()


def test_without_a_verifier_nothing_is_called_verified() -> None:
    signed = read_checkpoint(RAW, KEY.verifier, None, [WITNESSES[0].verifier])
    assert not signed.verified
    assert signed.log_signature.status is Status.NOT_CHECKED
    assert signed.cosignatures[0].status is Status.NOT_CHECKED


def test_another_origin_is_refused_naming_both() -> None:
    other = LogKey("chainperp.example/other", bytes(32))
    with pytest.raises(InvalidProof, match=r"devnet-1.*other"):
        read_checkpoint(RAW, other.verifier, verify_ed25519)


def test_another_key_of_the_same_origin_is_refused() -> None:
    other = LogKey(ORIGIN, bytes(32))
    with pytest.raises(InvalidProof, match="has no signature of"):
        read_checkpoint(RAW, other.verifier, verify_ed25519)


def test_a_cosigner_key_cannot_stand_for_the_log() -> None:
    posing = VerifierKey(ORIGIN, KIND_COSIGNATURE, KEY.verifier.public)
    with pytest.raises(InvalidProof, match="has kind 4, expected 1"):
        read_checkpoint(RAW, posing, verify_ed25519)
    with pytest.raises(InvalidProof, match="has kind 1, expected 4"):
        read_checkpoint(RAW, KEY.verifier, verify_ed25519, [KEY.verifier])


def test_every_flipped_bit_of_a_checkpoint_is_refused_or_drops_a_signature() -> None:
    keys = [key.verifier for key in WITNESSES]
    refused = 0
    for at in range(0, 8 * len(RAW)):
        broken = bytearray(RAW)
        broken[at >> 3] ^= 1 << (at & 7)
        try:
            signed = read_checkpoint(bytes(broken), KEY.verifier, verify_ed25519, keys)
        except InvalidProof:
            refused += 1
        else:
            # Only a witness line whose name or key id was hit becomes that of an unknown key.
            assert signed.checkpoint == Checkpoint(ORIGIN, 6, ROOT)
            assert len(signed.cosignatures) == 1
            assert (at >> 3) > RAW.index(b"witness1") - 1
    assert refused > 8 * len(RAW) - 8 * 60


def test_a_cosignature_with_another_time_is_refused() -> None:
    note = parse_note(RAW)
    line = note.lines[1]
    moved = type(line)(line.name, line.key_id, (1).to_bytes(8, "big") + line.signature[8:])
    raw = encode_note(type(note)(note.text, (note.lines[0], moved)))
    with pytest.raises(InvalidProof, match=r"witness1\.example/w .* does not verify"):
        read_checkpoint(raw, KEY.verifier, verify_ed25519, [WITNESSES[0].verifier])


def test_a_known_key_with_a_short_signature_is_refused() -> None:
    note = parse_note(RAW)
    line = note.lines[0]
    raw = encode_note(type(note)(note.text, (type(line)(line.name, line.key_id, b"x" * 63),)))
    with pytest.raises(InvalidProof, match="has 63 bytes, expected 64"):
        read_checkpoint(raw, KEY.verifier, None)


def test_two_known_keys_that_cannot_be_told_apart_are_refused() -> None:
    # Found by search: key ids have 32 bits, so about 2**16 keys under one name meet.
    one, other = (
        VerifierKey(NAMES[0], KIND_COSIGNATURE, number.to_bytes(32, "big"))
        for number in (177_013, 189_745)
    )
    assert one.key_id == other.key_id
    with pytest.raises(InvalidProof, match="share the name"):
        read_checkpoint(RAW, KEY.verifier, None, [one, other])


B64 = b64encode(ROOT)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"o\n06\n" + B64 + b"\n", "leading zeros"),
        (b"o\n+6\n" + B64 + b"\n", "not a decimal"),
        (b"o\n\n" + B64 + b"\n", "not a decimal"),
        (b"o\n6 \n" + B64 + b"\n", "not a decimal"),
        (b"o\n9223372036854775808\n" + B64 + b"\n", "above"),
        (b"o\n6\n" + B64[:-1] + b"\n", "not base64"),
        (b"o\n6\n" + B64[:-2] + b"J=\n", "not padded standard"),
        (b"o\n6\n" + b64encode(ROOT[:31]) + b"\n", "has 31 bytes"),
        (b"o\n6\n" + B64.replace(b"+", b"-") + b"\n", "not base64"),
        (b"o\n6\n" + B64 + b"\nextension\n", "has 4 lines"),
        (b"o\n6\n", "has 2 lines"),
        (b"o\n6\n" + B64, "has 2 lines"),
        (b"o o\n6\n" + B64 + b"\n", "not a key name"),
        (b"o+o\n6\n" + B64 + b"\n", "not a key name"),
        (b"\n6\n" + B64 + b"\n", "not a key name"),
        (b"\xff\n6\n" + B64 + b"\n", "not UTF-8"),
        (b"o\n0\n" + B64 + b"\n", "size 0 has root"),
    ],
)
def test_a_malformed_checkpoint_text_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason):
        parse_checkpoint(text)


LINE = "— n AAAAAAA=\n".encode()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"text\n\n" + LINE * 65, "65 signature lines"),
        (b"t" * 65536 + b"\n\n" + LINE, "at most 65536"),
        (b"te\rxt\n\n" + LINE, "control character 0d at byte 2"),
        (b"text\xff\n\n" + LINE, "not UTF-8 at byte 4"),
        (b"text\n" + LINE, "blank line"),
        (b"text\n\n", "blank line"),
        (b"text\n\n" + LINE[:-1], "blank line"),
        (b"text\n\n- n AAAAAAA=\n", "does not start with a dash"),
        ("text\n\n— n\n".encode(), "not a key name and a signature"),
        ("text\n\n— n+n AAAAAAA=\n".encode(), "not a key name and a signature"),
        ("text\n\n— n AAAA\n".encode(), "has 3 bytes, at least 5"),
        ("text\n\n— n AAAAAAB=\n".encode(), "not padded standard"),
    ],
)
def test_a_malformed_note_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason):
        parse_note(raw)


def test_sixty_four_lines_are_accepted() -> None:
    assert len(parse_note(b"text\n\n" + LINE * 64).lines) == 64


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name", "not name"),
        ("name+00", "not name"),
        ("na me+00000000+AQ==", "not name"),
        ("n+00000000+!", "not base64"),
        ("n+00000000+", "has kind"),
        ("n+00000000+BgAA", "has kind 06"),
        ("n+00000000+AQAA", "has 2 bytes"),
        (NOTE["log_vkey"].replace("+434714a0+", "+434714a1+"), "computed id 434714a0"),
        (NOTE["log_vkey"].replace("+434714a0+", "+434714A0+"), "computed id 434714a0"),
        (NOTE["log_vkey"].replace("devnet-1", "devnet-2"), "computed id"),
    ],
)
def test_a_malformed_verifier_key_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason):
        parse_vkey(text)


def test_the_verifier_refuses_without_raising() -> None:
    assert find_verifier() is verify_ed25519
    good = KEY.sign(b"m")
    assert verify_ed25519(KEY.verifier.public, b"m", good)
    assert not verify_ed25519(KEY.verifier.public, b"n", good)
    assert not verify_ed25519(KEY.verifier.public, b"m", good[:-1])
    assert not verify_ed25519(b"short", b"m", good)


def test_leaf_of_the_seal_is_the_last_leaf() -> None:
    assert leaf_hash(bytes.fromhex(LOG["seals"]["1"])).hex() == LOG["leaf_hashes"][5]
    hashes = [bytes.fromhex(text) for text in LOG["leaf_hashes"]]
    assert len(prove_inclusion(CompleteNodes(hashes).node, 5, 6)) == 2
