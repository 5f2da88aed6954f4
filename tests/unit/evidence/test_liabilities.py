"""The liabilities tree against a slow definition, and what its paths refuse."""

from hashlib import sha256

import pytest

from chainperp.base.errors import InvalidProof, InvariantBroken
from chainperp.evidence.liabilities import (
    EMPTY,
    Liability,
    Node,
    liability_root,
    prove_liability,
    verify_liability,
)


def rows_of(count: int) -> list[Liability]:
    """Accounts with claims and deficits."""
    return [
        Liability.of(at.to_bytes(20, "big"), (at * 37 % 101 - 30) * 10**6, bytes((at % 256,)))
        for at in range(count)
    ]


def slow_root(rows: list[Liability]) -> tuple[bytes, int, int]:
    """By the definition: split at the largest power of two below the count."""
    if len(rows) == 1:
        row = rows[0]
        sums = row.claim.to_bytes(16, "big") + row.deficit.to_bytes(16, "big")
        bound = b"\x20" + row.address + sums + row.value_hash
        return sha256(bound).digest(), row.claim, row.deficit
    middle = 1
    while middle * 2 < len(rows):
        middle *= 2
    left, right = slow_root(rows[:middle]), slow_root(rows[middle:])
    packed = b"".join(
        h + claim.to_bytes(16, "big") + deficit.to_bytes(16, "big")
        for h, claim, deficit in (left, right)
    )
    return sha256(b"\x21" + packed).digest(), left[1] + right[1], left[2] + right[2]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100])
def test_root_and_every_path_are_those_of_the_definition(count: int) -> None:
    rows = rows_of(count)
    root = liability_root(rows)
    assert tuple(root) == slow_root(rows)
    for index, row in enumerate(rows):
        assert verify_liability(row, index, count, prove_liability(rows, index)) == root


def test_a_leaf_has_a_claim_or_a_deficit_never_a_sign() -> None:
    rich, poor = Liability.of(b"a" * 20, 5, b""), Liability.of(b"b" * 20, -5, b"")
    assert (rich.claim, rich.deficit) == (5, 0)
    assert (poor.claim, poor.deficit) == (0, 5)
    assert liability_root([]) == Node(EMPTY, 0, 0)


def test_a_larger_claim_or_another_place_leads_to_another_root() -> None:
    rows = rows_of(9)
    root = liability_root(rows)
    path = prove_liability(rows, 4)
    more = rows[4]._replace(claim=rows[4].claim + 1)
    assert verify_liability(more, 4, 9, path) != root
    for index in (0, 5, 7):
        assert verify_liability(rows[4], index, 9, path) != root


@pytest.mark.parametrize(
    ("index", "count", "cut", "reason"),
    [(9, 9, 0, "outside"), (4, 9, 1, "do not reach"), (8, 9, -3, "needed 1"), (4, 9, 99, "do not")],
)
def test_malformed_paths_are_refused(index: int, count: int, cut: int, reason: str) -> None:
    rows = rows_of(9)
    path = prove_liability(rows, 4)
    path = path[: max(0, len(path) - cut)]
    with pytest.raises(InvalidProof, match=reason):
        verify_liability(rows[min(index, 8)], index, count, path)


def test_a_sum_that_leaves_u128_is_refused() -> None:
    huge = Node(bytes(32), 2**128 - 1, 0).encode()
    with pytest.raises(InvalidProof, match="leaves u128"):
        verify_liability(rows_of(3)[1], 1, 3, [huge, huge])


def test_accounts_out_of_order_or_twice_are_our_own_fault() -> None:
    rows = rows_of(3)
    for wrong in (rows[::-1], [rows[0], rows[0]]):
        with pytest.raises(InvariantBroken, match="not in order"):
            liability_root(wrong)
