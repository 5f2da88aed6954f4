"""RFC 6962 vectors and the refusals of the two verifiers."""

import json
from pathlib import Path

import pytest

from chainperp.base.errors import InvalidBytes, InvalidProof, InvariantBroken
from chainperp.base.hashing import EMPTY_LOG_ROOT, leaf_hash
from chainperp.evidence.merkle import (
    CompleteNodes,
    Frontier,
    prove_consistency,
    prove_inclusion,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = json.loads(Path("fixtures/log/audit-log-vectors.json").read_text())
RFC = VECTORS["rfc6962"]
LEAVES = [bytes.fromhex(text) for text in RFC["leaf_hashes"]]
ROOTS = [bytes.fromhex(text) for text in RFC["roots_by_size"]]
NODES = CompleteNodes(LEAVES)


def test_leaf_hashes_are_those_of_the_vectors() -> None:
    assert [leaf_hash(bytes.fromhex(text)) for text in RFC["leaves_hex"]] == LEAVES


def test_roots_of_every_size_are_those_of_the_vectors() -> None:
    frontier = Frontier()
    found = [frontier.root()]
    for leaf in LEAVES:
        frontier.append(leaf)
        found.append(frontier.root())
    assert found == ROOTS
    assert [root_of(LEAVES[:size]) for size in range(9)] == ROOTS


@pytest.mark.parametrize(
    "case", RFC["inclusion"], ids=lambda case: f"{case['index']}of{case['size']}"
)
def test_inclusion_vector(case: dict[str, int | list[str]]) -> None:
    index, size = int(str(case["index"])), int(str(case["size"]))
    proof = [bytes.fromhex(text) for text in list(case["proof"])]  # type: ignore[arg-type]
    assert prove_inclusion(NODES.node, index, size) == proof
    verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


@pytest.mark.parametrize(
    "case", RFC["consistency"], ids=lambda case: f"{case['old']}to{case['new']}"
)
def test_consistency_vector(case: dict[str, int | list[str]]) -> None:
    old, new = int(str(case["old"])), int(str(case["new"]))
    proof = [bytes.fromhex(text) for text in list(case["proof"])]  # type: ignore[arg-type]
    assert prove_consistency(NODES.node, old, new) == proof
    verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)


def test_log_roots_are_those_of_the_vectors() -> None:
    log = VECTORS["log"]
    entries = [bytes.fromhex(text) for text in log["entries_hex"]]
    hashes = [leaf_hash(entry) for entry in entries]
    assert [hashed.hex() for hashed in hashes] == log["leaf_hashes"]
    assert [root_of(hashes[:size]).hex() for size in log["sizes"]] == log["roots"]


def test_adl_queue_root_and_row_proof_are_those_of_the_vectors() -> None:
    adl = VECTORS["adl"]
    hashes = [leaf_hash(b"\x41" + bytes.fromhex(text)) for text in adl["rows_hex"]]
    assert root_of(hashes).hex() == adl["queue_root"]
    proof = prove_inclusion(CompleteNodes(hashes).node, 1, 3)
    assert [piece.hex() for piece in proof] == adl["row1_inclusion"]


def test_frontier_bytes_round_trip_and_go_on_alike() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:7]:
        frontier.append(leaf)
    again = Frontier.decode(frontier.encode())
    frozen = frontier.copy()
    frontier.append(LEAVES[7])
    again.append(LEAVES[7])
    assert again.root() == frontier.root() == ROOTS[8]
    assert (frozen.size, frozen.root()) == (7, ROOTS[7])


def test_frontier_bytes_with_a_missing_hash_are_refused() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:3]:
        frontier.append(leaf)
    raw = frontier.encode()
    short = raw[:8] + (1).to_bytes(4, "big") + raw[12:44]
    with pytest.raises(InvalidBytes, match="size 3 has 1 hashes, needed 2"):
        Frontier.decode(short)


def test_inclusion_refuses_an_index_outside_the_tree() -> None:
    with pytest.raises(InvalidProof, match="index 8 is outside a tree of size 8"):
        verify_inclusion(LEAVES[0], 8, 8, [], ROOTS[8])
    with pytest.raises(InvalidProof, match="outside"):
        prove_inclusion(NODES.node, 8, 8)


def test_inclusion_refuses_too_many_and_too_few_hashes() -> None:
    proof = prove_inclusion(NODES.node, 2, 8)
    with pytest.raises(InvalidProof, match="step 4: the root is reached"):
        verify_inclusion(LEAVES[2], 2, 8, [*proof, ROOTS[1]], ROOTS[8])
    with pytest.raises(InvalidProof, match="do not reach the root"):
        verify_inclusion(LEAVES[2], 2, 8, proof[:-1], ROOTS[8])
    with pytest.raises(InvalidProof, match="at most 64"):
        verify_inclusion(LEAVES[2], 2, 8, [ROOTS[1]] * 65, ROOTS[8])


def test_hashes_that_trade_a_byte_are_refused() -> None:
    first, second = prove_inclusion(NODES.node, 0, 4)
    with pytest.raises(InvalidProof, match="inclusion leaf step 1: hash has 33 bytes"):
        verify_inclusion(LEAVES[0] + first[:1], 0, 4, [first[1:], second], ROOTS[4])
    with pytest.raises(InvalidProof, match="inclusion step 1: hash has 33 bytes"):
        verify_inclusion(LEAVES[0], 0, 4, [first + second[:1], second[1:]], ROOTS[4])


def test_consistency_refuses_another_old_root_and_another_new_root() -> None:
    proof = prove_consistency(NODES.node, 6, 8)
    with pytest.raises(InvalidProof, match="consistency old root"):
        verify_consistency(6, 8, ROOTS[5], ROOTS[8], proof)
    with pytest.raises(InvalidProof, match="consistency new root"):
        verify_consistency(6, 8, ROOTS[6], ROOTS[7], proof)


def test_consistency_refuses_wrong_forms() -> None:
    with pytest.raises(InvalidProof, match="above new size"):
        verify_consistency(8, 6, ROOTS[8], ROOTS[6], [])
    with pytest.raises(InvalidProof, match="where none belong"):
        verify_consistency(0, 6, ROOTS[0], ROOTS[6], [ROOTS[1]])
    with pytest.raises(InvalidProof, match="the proof is empty"):
        verify_consistency(6, 8, ROOTS[6], ROOTS[8], [])
    with pytest.raises(InvalidProof, match="old root"):
        verify_consistency(0, 6, ROOTS[1], ROOTS[6], [])
    with pytest.raises(InvalidProof, match="old root"):
        verify_consistency(6, 6, ROOTS[5], ROOTS[6], [])
    with pytest.raises(InvalidProof, match="above new size"):
        prove_consistency(NODES.node, 8, 6)
    verify_consistency(0, 6, EMPTY_LOG_ROOT, ROOTS[6], [])


def test_a_subtree_that_is_not_complete_is_never_handed_out() -> None:
    with pytest.raises(InvariantBroken, match="INV-L1"):
        CompleteNodes(LEAVES[:5]).node(2, 1)
