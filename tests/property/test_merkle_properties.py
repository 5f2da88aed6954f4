"""Proofs against the recursive definition, for every pair of sizes up to 130."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base.errors import InvalidProof
from chainperp.evidence.merkle import (
    CompleteNodes,
    Frontier,
    prove_consistency,
    prove_inclusion,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.oracles import slow_merkle

LIMIT = 130
LEAVES = [sha256(bytes([0, at])).digest() for at in range(LIMIT)]
ROOTS = [slow_merkle.root(LEAVES[:size]) for size in range(LIMIT + 1)]
NODES = CompleteNodes(LEAVES)


def test_roots_equal_the_definition_at_every_size() -> None:
    frontier = Frontier()
    for size in range(LIMIT + 1):
        assert frontier.root() == root_of(LEAVES[:size]) == root_at(NODES.node, size) == ROOTS[size]
        assert Frontier.decode(frontier.encode()).root() == ROOTS[size]
        if size < LIMIT:
            frontier.append(LEAVES[size])


def test_inclusion_equals_the_definition_for_every_index_and_size() -> None:
    for size in range(1, LIMIT + 1):
        for index in range(size):
            proof = prove_inclusion(NODES.node, index, size)
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
            assert proof == slow_merkle.path(index, LEAVES[:size])


def test_consistency_equals_the_definition_for_every_pair() -> None:
    for new in range(LIMIT + 1):
        for old in range(new + 1):
            proof = prove_consistency(NODES.node, old, new)
            verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)
            assert proof == slow_merkle.proof(old, LEAVES[:new])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_frontier_grows_the_same_by_ones_and_by_many(steps: list[int]) -> None:
    """Any cut of the leaves into steps gives the frontier of one leaf after the other."""
    ones, many = Frontier(), Frontier()
    at = 0
    for step in steps:
        leaves = LEAVES[at : at + step]
        at += step
        many.extend(leaves)
        for leaf in leaves:
            ones.append(leaf)
        assert (many.size, many.stack) == (ones.size, ones.stack)
        assert many.root() == slow_merkle.root(LEAVES[: many.size])


def test_no_proof_verifies_at_another_index_or_size() -> None:
    for size in (1, 2, 3, 7, 8, 21, 64, 65, 130):
        for index in range(0, size, 3):
            proof = prove_inclusion(NODES.node, index, size)
            for other in range(size):
                if other != index:
                    with pytest.raises(InvalidProof):
                        verify_inclusion(LEAVES[index], other, size, proof, ROOTS[size])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_a_flipped_bit_in_a_proof_is_refused(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, LIMIT))
    old = data.draw(st.integers(1, new - 1))
    for proof in (prove_inclusion(NODES.node, old, new), prove_consistency(NODES.node, old, new)):
        step = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        broken = list(proof)
        flipped = int.from_bytes(broken[step], "big") ^ (1 << bit)
        broken[step] = flipped.to_bytes(32, "big")
        with pytest.raises(InvalidProof):
            verify_inclusion(LEAVES[old], old, new, broken, ROOTS[new])
        with pytest.raises(InvalidProof):
            verify_consistency(old, new, ROOTS[old], ROOTS[new], broken)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.integers(0, LIMIT), st.integers(0, LIMIT), st.lists(st.binary(min_size=0, max_size=40)))
def test_foreign_proofs_raise_nothing_but_invalid_proof(
    old: int, new: int, proof: list[bytes]
) -> None:
    known = prove_consistency(NODES.node, min(old, new), max(old, new))
    if proof in (known, []):
        return
    with pytest.raises(InvalidProof):
        verify_consistency(old, new, ROOTS[old], ROOTS[new], proof)
