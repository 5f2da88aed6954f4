"""The state tree's root is a function of the set, and equals the slow definition."""

import random
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base.errors import InvalidBytes, InvalidProof, InvariantBroken
from chainperp.state.proof import encode_annotation, verify_state_proof
from chainperp.state.tree import Tree
from tests.oracles import slow_tree

AMOUNT = st.integers(-(2**100), 2**100)
STEP = st.tuples(st.binary(min_size=1, max_size=1), st.none() | st.binary(max_size=3), AMOUNT)


def amounts(columns: int, amount: int) -> tuple[int, ...]:
    return tuple(amount + column for column in range(columns))


@settings(derandomize=True, deadline=None, max_examples=250)
@given(st.integers(0, 3), st.lists(STEP, max_size=60), st.integers(1, 9))
def test_any_history_of_changes_gives_the_root_of_the_set(
    columns: int, steps: list[tuple[bytes, bytes | None, int]], every: int
) -> None:
    tree = Tree("pos/00000001/L", columns)
    pairs: slow_tree.Pairs = {}
    for number, (key, value, amount) in enumerate(steps):
        if value is None:
            tree.delete(key)
            pairs.pop(key, None)
        else:
            tree.set(key, value, amounts(columns, amount))
            pairs[key] = (value, amounts(columns, amount))
        if number % every == 0:
            root = tree.commit()
            assert (root.h, root.count, root.sums) == slow_tree.root(tree.name, columns, pairs)
    root = tree.commit()
    assert (root.h, root.count, root.sums) == slow_tree.root(tree.name, columns, pairs)
    assert len(tree) == len(pairs)
    assert {key: (value, sums) for key, value, sums in tree.items()} == pairs


def test_insertion_order_deletions_and_commit_rhythm_leave_no_trace() -> None:
    draw = random.Random(7)
    keys = [number.to_bytes(20, "big") for number in range(1500)]
    keep: slow_tree.Pairs = {key: (key[-3:], (key[-1],)) for key in keys[:700]}
    expected = slow_tree.root("acct", 1, keep)
    for rhythm in (1, 13, 10_000):
        tree = Tree("acct", 1)
        draw.shuffle(keys)
        for number, key in enumerate(keys):
            tree.set(key, key[-3:], (key[-1],))
            if number % rhythm == 0:
                tree.commit()
        draw.shuffle(keys)
        for number, key in enumerate(keys):
            if key not in keep:
                tree.delete(key)
            if number % rhythm == 0:
                tree.commit()
        root = tree.commit()
        assert (root.h, root.count, root.sums) == expected


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 2), st.sets(st.integers(0, 255), max_size=40), st.data())
def test_every_proof_equals_the_definition_and_no_flipped_bit_passes(
    columns: int, chosen: set[int], data: st.DataObject
) -> None:
    pairs: slow_tree.Pairs = {
        bytes([at]): (bytes([at, at]), amounts(columns, -at)) for at in sorted(chosen)
    }
    tree = Tree("acct", columns)
    for key, pair in pairs.items():
        tree.set(key, pair[0], pair[1])
    root = tree.commit()
    for at in range(0, 256, 5):
        key = bytes([at])
        value = pairs[key][0] if key in pairs else None
        sums = pairs[key][1] if key in pairs else ()
        proof = tree.prove(key)
        assert proof == slow_tree.proof("acct", columns, pairs, key)
        verify_state_proof("acct", root, key, value, sums, proof)
        bit = data.draw(st.integers(0, 8 * len(proof) - 1))
        broken = bytearray(proof)
        broken[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(InvalidProof):
            verify_state_proof("acct", root, key, value, sums, bytes(broken))
        opposite = None if value is not None else b""
        zeros = () if value is not None else (0,) * columns
        with pytest.raises(InvalidProof):
            verify_state_proof("acct", root, key, opposite, zeros, proof)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_foreign_bytes_raise_nothing_but_invalid_proof(raw: bytes) -> None:
    tree = Tree("acct", 1)
    for at in range(20):
        tree.set(bytes([at]), b"", (at,))
    with pytest.raises(InvalidProof):
        verify_state_proof("acct", tree.commit(), b"\x63", None, (), raw)


def loaded(name: str, columns: int, pairs: slow_tree.Pairs) -> Tree:
    """A tree that was filled at once with these pairs."""
    source = Tree(name, columns)
    for key, (value, sums) in pairs.items():
        source.set(key, value, sums)
    annotations = [encode_annotation(1, sums) for _key, _value, sums in source.items()]
    tree = Tree(name, columns)
    tree.load(source.rows(), annotations)
    return tree


@settings(derandomize=True, deadline=None, max_examples=120)
@given(st.integers(0, 3), st.sets(st.integers(0, 255), max_size=40), st.lists(STEP, max_size=25))
def test_a_tree_that_was_loaded_is_the_one_that_grew_and_grows_on(
    columns: int, chosen: set[int], steps: list[tuple[bytes, bytes | None, int]]
) -> None:
    pairs: slow_tree.Pairs = {
        bytes([at]): (bytes([at, at]), amounts(columns, at - 99)) for at in sorted(chosen)
    }
    tree = loaded("pos/00000001/S", columns, pairs)
    assert len(tree) == len(pairs)
    root = tree.commit()
    assert (root.h, root.count, root.sums) == slow_tree.root(tree.name, columns, pairs)
    for key, value, amount in steps:
        if value is None:
            tree.delete(key)
            pairs.pop(key, None)
        else:
            tree.set(key, value, amounts(columns, amount))
            pairs[key] = (value, amounts(columns, amount))
    root = tree.commit()
    assert (root.h, root.count, root.sums) == slow_tree.root(tree.name, columns, pairs)
    for at in range(0, 256, 17):
        proof = slow_tree.proof(tree.name, columns, pairs, bytes([at]))
        assert tree.prove(bytes([at])) == proof


def test_rows_out_of_path_order_or_twice_are_not_loaded() -> None:
    pairs: slow_tree.Pairs = {bytes([at]): (b"v", (at,)) for at in range(30)}
    source = loaded("acct", 1, pairs)
    rows = source.rows()
    annotations = [encode_annotation(1, sums) for _key, _value, sums in source.items()]
    for at in range(29):
        swapped = [*rows[:at], rows[at + 1], rows[at], *rows[at + 2 :]]
        with pytest.raises(InvalidBytes, match=f"leaf {at + 1} of acct is out of order"):
            Tree("acct", 1).load(swapped, annotations)
        twice = [*rows[: at + 1], rows[at], *rows[at + 1 :]]
        with pytest.raises(InvalidBytes, match=f"leaf {at + 1} of acct is out of order"):
            Tree("acct", 1).load(twice, [*annotations, annotations[0]])
    with pytest.raises(InvariantBroken, match="INV-T1"):
        source.load(rows, annotations)
    highest = [encode_annotation(1, (2**127 - 1,))] * 30
    with pytest.raises(InvariantBroken, match="INV-T2"):
        Tree("acct", 1).load(rows, highest)


def test_paths_that_part_late_are_hashed_through_the_nodes_that_are_left_out() -> None:
    """Of 4,000 paths some share 20 bits and more: nothing parts them but the last one."""
    numbers = random.Random(3).sample(range(2**32), 4_000)
    paths = sorted((slow_tree_path(number), number) for number in numbers)
    shared = [256 - (one[0] ^ two[0]).bit_length() for one, two in pairwise(paths)]
    deepest = max(range(len(shared)), key=shared.__getitem__)
    assert shared[deepest] >= 20
    chosen = [paths[deepest][1], paths[deepest + 1][1], paths[0][1]]
    pairs: slow_tree.Pairs = {}
    tree = Tree("acct", 1)
    for number in chosen:
        key = number.to_bytes(4, "big")
        pairs[key] = (b"value", (number,))
        tree.set(key, b"value", (number,))
        root = tree.commit()
        assert (root.h, root.count, root.sums) == slow_tree.root("acct", 1, pairs)
        assert loaded("acct", 1, pairs).commit() == root
    for number in numbers[:300]:
        key = number.to_bytes(4, "big")
        assert tree.prove(key) == slow_tree.proof("acct", 1, pairs, key)
    for number in chosen:
        key = number.to_bytes(4, "big")
        del pairs[key]
        tree.delete(key)
        root = tree.commit()
        assert (root.h, root.count, root.sums) == slow_tree.root("acct", 1, pairs)


def slow_tree_path(number: int) -> int:
    """Path of a key of four bytes in `acct`, as a number."""
    return int.from_bytes(sha256(b"\x12\x04acct" + number.to_bytes(4, "big")).digest(), "big")
