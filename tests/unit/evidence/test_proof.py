"""Proof files and the presence or absence of whole collections."""

import json
from pathlib import Path

import pytest

from chainperp.base.errors import InvalidProof
from chainperp.base.hashing import EMPTY_LOG_ROOT, leaf_hash
from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint
from chainperp.evidence.merkle import CompleteNodes, prove_inclusion
from chainperp.evidence.note import parse_vkey
from chainperp.evidence.proof import (
    ListedDescriptor,
    LogProof,
    encode_log_proof,
    parse_log_proof,
    verify_collection,
    verify_collection_absent,
    verify_entry,
)
from chainperp.state.root import decode_descriptor
from chainperp.storage.logkey import verify_ed25519

VECTORS = json.loads(Path("fixtures/log/audit-log-vectors.json").read_text())
RAW: bytes = VECTORS["note"]["tlog_proof"].encode()
ENTRY = bytes.fromhex(VECTORS["log"]["entries_hex"][4])
LISTED = [bytes.fromhex(row["descriptor_hex"]) for row in VECTORS["state"]["collections"]]
STATE_ROOT = bytes.fromhex(VECTORS["state"]["state_root"])


def listed(index: int) -> ListedDescriptor:
    nodes = CompleteNodes([leaf_hash(raw) for raw in LISTED])
    return ListedDescriptor(LISTED[index], index, tuple(prove_inclusion(nodes.node, index, 4)))


def test_log_proof_vector() -> None:
    proof = parse_log_proof(RAW)
    assert encode_log_proof(proof) == RAW
    assert proof.extra == ENTRY
    key = parse_vkey(VECTORS["note"]["log_vkey"])
    signed = read_checkpoint(proof.note, key, verify_ed25519)
    verify_entry(proof, signed.checkpoint, ENTRY)
    hashes = [bytes.fromhex(text) for text in VECTORS["log"]["leaf_hashes"]]
    assert list(proof.hashes) == prove_inclusion(CompleteNodes(hashes).node, 4, 6)
    with pytest.raises(InvalidProof, match="inclusion root"):
        verify_entry(proof, signed.checkpoint, ENTRY + b"\0")


def test_a_proof_without_entry_and_without_hashes_round_trips() -> None:
    proof = LogProof(0, (), b"note", None)
    assert parse_log_proof(encode_log_proof(proof)) == proof
    verify_entry(proof, Checkpoint("o", 1, leaf_hash(b"only")), b"only")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (RAW.replace(b"@v1", b"@v2"), "starts with"),
        (b"", "starts with"),
        (RAW.replace(b"index 4", b"index 04"), "leading zeros"),
        (RAW.replace(b"index 4\n", b""), "no index line"),
        (RAW.replace(b"extra ", b"extra  "), "not base64"),
        (RAW.replace(b"4oJd", b"4oJ"), "not base64"),
        (RAW.replace(b"4HW2", b"4HW2AAAA"), "has 35 bytes"),
        (b"x" * (256 * 1024 + 1), "at most 262144"),
        (b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"A\n" * 65 + b"\n", "65 hashes"),
    ],
)
def test_a_malformed_log_proof_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidProof, match=reason):
        parse_log_proof(raw)


def test_each_collection_is_shown_present() -> None:
    for index, raw in enumerate(LISTED):
        name, root = decode_descriptor(raw)
        verify_collection(name, root, listed(index), STATE_ROOT, 4)
        with pytest.raises(InvalidProof, match="not that of collection"):
            verify_collection(name + "x", root, listed(index), STATE_ROOT, 4)


@pytest.mark.parametrize(
    ("name", "after"), [("aaaa", 0), ("exempt", 1), ("pos/00000000/M", 3), ("vault", 4)]
)
def test_absence_between_neighbours_and_at_both_ends(name: str, after: int) -> None:
    left = listed(after - 1) if after else None
    right = listed(after) if after < 4 else None
    verify_collection_absent(name, left, right, STATE_ROOT, 4)


def test_absence_is_refused_when_the_neighbours_do_not_bracket() -> None:
    with pytest.raises(InvalidProof, match="not adjacent"):
        verify_collection_absent("exempt", listed(0), listed(2), STATE_ROOT, 4)
    with pytest.raises(InvalidProof, match="not adjacent"):
        verify_collection_absent("vault", listed(2), None, STATE_ROOT, 4)
    with pytest.raises(InvalidProof, match="before does not sort"):
        verify_collection_absent("acct", listed(0), listed(1), STATE_ROOT, 4)
    with pytest.raises(InvalidProof, match="after does not sort"):
        verify_collection_absent("param", listed(0), listed(1), STATE_ROOT, 4)
    with pytest.raises(InvalidProof, match="inclusion root"):
        verify_collection_absent("exempt", listed(0), listed(1), bytes(32), 4)
    with pytest.raises(InvalidProof, match="not adjacent"):
        verify_collection_absent("exempt", None, None, STATE_ROOT, 4)
    with pytest.raises(InvalidProof, match="without collections"):
        verify_collection_absent("exempt", None, None, STATE_ROOT, 0)
    verify_collection_absent("exempt", None, None, EMPTY_LOG_ROOT, 0)
