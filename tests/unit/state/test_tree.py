"""The state tree against its vectors, and what its verifier refuses."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.errors import InvalidBytes, InvalidProof, InvariantBroken
from chainperp.base.hashing import EMPTY_LOG_ROOT
from chainperp.state.proof import Root, path_prefix, verify_state_proof
from chainperp.state.root import (
    decode_descriptor,
    descriptors,
    encode_descriptor,
    list_root,
    merkle_root,
    state_root,
)
from chainperp.state.tree import Tree

STATE = json.loads(Path("fixtures/log/audit-log-vectors.json").read_text())["state"]
WIDTH = {row["name"]: row["m"] for row in STATE["collections"]}


def built(name: str) -> Tree:
    tree = Tree(name, WIDTH[name])
    for item in STATE["items"][name]:
        tree.set(bytes.fromhex(item["key"]), bytes.fromhex(item["value"]), tuple(item["cols"]))
    return tree


@pytest.mark.parametrize("row", STATE["collections"], ids=lambda row: str(row["name"]))
def test_collection_vector(row: dict[str, Any]) -> None:
    root = built(row["name"]).commit()
    assert (root.h.hex(), root.count, list(root.sums)) == (row["h"], row["count"], row["sums"])
    raw = encode_descriptor(row["name"], root)
    assert raw.hex() == row["descriptor_hex"]
    assert decode_descriptor(raw) == (row["name"], root)


def test_state_root_vector_ignores_order_and_empty_collections() -> None:
    roots = {name: built(name).commit() for name in sorted(WIDTH, reverse=True)}
    roots["wd"] = Tree("wd", 1).commit()
    assert state_root(roots).hex() == STATE["state_root"]
    assert len(descriptors(roots)) == STATE["n_collections"]
    assert state_root({}) == list_root([]) == merkle_root([]) == EMPTY_LOG_ROOT


@pytest.mark.parametrize("number", range(len(STATE["proofs"])))
def test_proof_vector(number: int) -> None:
    case = STATE["proofs"][number]
    name, key = case["collection"], bytes.fromhex(case["key"])
    tree = built(name)
    root = tree.commit()
    proof = tree.prove(key)
    assert proof.hex() == case["proof"]
    found = [item for item in STATE["items"][name] if item["key"] == case["key"]]
    assert bool(found) == case["present"]
    value = bytes.fromhex(found[0]["value"]) if found else None
    sums = tuple(found[0]["cols"]) if found else ()
    verify_state_proof(name, root, key, value, sums, proof)
    for at in range(8 * len(proof)):
        broken = bytearray(proof)
        broken[at >> 3] ^= 1 << (at & 7)
        with pytest.raises(InvalidProof):
            verify_state_proof(name, root, key, value, sums, bytes(broken))
    with pytest.raises(InvalidProof, match="follow the record"):
        verify_state_proof(name, root, key, value, sums, proof + b"\0")
    with pytest.raises(InvalidProof):
        verify_state_proof(name, root, key, value, sums, proof[:-1])


def test_paths_are_those_of_the_vectors() -> None:
    for name, items in STATE["items"].items():
        for item in items:
            path = sha256(path_prefix(name) + bytes.fromhex(item["key"])).hexdigest()
            assert path == item["path"]


def test_changes_are_seen_before_and_after_the_commit() -> None:
    tree = Tree("acct", 1)
    tree.set(b"a", b"1", (5,))
    assert tree.get(b"a") == b"1"
    assert len(tree) == 1
    tree.set(b"a", b"2", (6,))
    assert tree.commit().sums == (6,)
    assert tree.get(b"a") == b"2"
    tree.delete(b"a")
    tree.delete(b"never there")
    assert tree.get(b"a") is None
    assert len(tree) == 0
    assert tree.commit() == Root(bytes(32), 0, (0,))


def test_a_change_undone_before_the_commit_leaves_the_root() -> None:
    tree = built("acct")
    before = tree.commit()
    tree.set(b"new", b"x", (1,))
    tree.delete(b"new")
    assert tree.commit() == before


def test_items_come_in_path_order() -> None:
    tree = built("acct")
    listed = list(tree.items())
    expected = sorted(STATE["items"]["acct"], key=lambda item: str(item["path"]))
    assert [key.hex() for key, _value, _sums in listed] == [item["key"] for item in expected]
    assert [list(sums) for _key, _value, sums in listed] == [item["cols"] for item in expected]


def test_presence_cannot_be_shown_as_absence_nor_the_reverse() -> None:
    tree = built("acct")
    root = tree.commit()
    here, gone = bytes.fromhex("11" * 20), bytes.fromhex("44" * 20)
    with pytest.raises(InvalidProof, match="kind 0 does not show absence"):
        verify_state_proof("acct", root, here, None, (), tree.prove(here))
    with pytest.raises(InvalidProof, match="kind 1 does not show presence"):
        verify_state_proof("acct", root, gone, b"", (0,), tree.prove(gone))


def test_another_value_sum_or_collection_is_refused() -> None:
    tree = built("acct")
    root = tree.commit()
    item = STATE["items"]["acct"][0]
    key, value = bytes.fromhex(item["key"]), bytes.fromhex(item["value"])
    proof = tree.prove(key)
    with pytest.raises(InvalidProof, match=r"computed [0-9a-f]{64}, claimed"):
        verify_state_proof("acct", root, key, value + b"!", (1000000000,), proof)
    with pytest.raises(InvalidProof, match="computed count 3 sums"):
        verify_state_proof("acct", root, key, value, (1000000001,), proof)
    with pytest.raises(InvalidProof):
        verify_state_proof("vault", root, key, value, (1000000000,), proof)
    with pytest.raises(InvalidProof, match="2 sums for 1 columns"):
        verify_state_proof("acct", root, key, value, (1, 2), proof)
    with pytest.raises(InvalidProof, match="leave i128"):
        verify_state_proof("acct", root, key, value, (2**127,), proof)


def test_a_proof_deeper_than_the_path_is_refused() -> None:
    root = built("acct").commit()
    with pytest.raises(InvalidProof, match="depth 257"):
        verify_state_proof("acct", root, b"k", None, (), b"\x01" + (257).to_bytes(2, "big"))


def test_an_inner_node_over_a_single_leaf_is_refused() -> None:
    tree = Tree("acct", 0)
    tree.set(b"only", b"v", ())
    root = tree.commit()
    padded = b"\x00" + (1).to_bytes(2, "big") + b"\x00"
    with pytest.raises(InvalidProof, match="depth 0 has fewer than 2 leaves"):
        verify_state_proof("acct", root, b"only", b"v", (), padded)


def test_sums_outside_i128_stop_the_process() -> None:
    tree = Tree("acct", 1)
    with pytest.raises(InvariantBroken, match="INV-T2"):
        tree.set(b"a", b"", (2**127,))
    tree.set(b"a", b"", (2**127 - 1,))
    tree.set(b"b", b"", (1,))
    with pytest.raises(InvariantBroken, match="INV-T2"):
        tree.commit()


def test_wrong_shapes_are_refused_at_the_door() -> None:
    for name in ("", "with space", "x" * 65, "é"):
        with pytest.raises(InvariantBroken, match="INV-T1"):
            Tree(name, 0)
    with pytest.raises(InvariantBroken, match="INV-T1"):
        Tree("acct", 9)
    with pytest.raises(InvariantBroken, match="wrong number of sums"):
        Tree("acct", 1).set(b"a", b"", ())


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x5d", "starts with 5d"),
        (b"\x5c\x00\x00" + bytes(40), "outside ASCII"),
        (b"\x5c\x01 \x00" + bytes(40), "outside ASCII"),
        (b"\x5c\x01a\x09" + bytes(40), "9 columns"),
        (b"\x5c\x01a\x00" + bytes(40), "empty collection"),
        (b"\x5c\x01a\x00" + bytes(39) + b"\x01\x00", "follow the record"),
        (b"\x5c\x01a\x01" + bytes(40), "record ends"),
    ],
)
def test_a_malformed_descriptor_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidBytes, match=reason):
        decode_descriptor(raw)
