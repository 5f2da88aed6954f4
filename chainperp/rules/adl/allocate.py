"""ADL: the three ways to hand something out, exact to the unit, and the order among equals.

`split` is proportional, `waterfill` proportional with caps, `queue` greedy. Everything else that a
policy decides is its weights, caps and order. Source: adl-and-scenarios 3.4 and 4.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from chainperp.base.hashing import tagged_hash
from chainperp.base.rounding import largest_remainder, order_keys
from chainperp.model.decisions import AdlReason
from chainperp.rules.adl.policy import Candidate


def round_seed(parent_hash: bytes, asset: int, number: int) -> bytes:
    """Seed of a block's round: fixed before the block's transactions are known.

    Nobody can choose an address that ranks well, since the parent hash comes later. A proposer
    that may choose its parent has one bit per skipped block.
    """
    payload = parent_hash + asset.to_bytes(4, "little") + number.to_bytes(4, "little")
    return tagged_hash("adl-seed", payload)


def tie_key(seed: bytes, key: bytes) -> bytes:
    """Order among equals, ascending: SHA-256 of seed and account id.

    >>> sorted([b"a", b"b", b"c", b"d", b"e"], key=lambda key: tie_key(bytes(32), key))
    [b'a', b'd', b'e', b'c', b'b']
    """
    return sha256(seed + key).digest()


def tie_keys(seed: bytes, candidates: Sequence[Candidate]) -> list[bytes]:
    """Tie key of each candidate, with the account id behind it."""
    # One hash per candidate is most of a large round's time, so no call to `tie_key` here.
    return [sha256(seed + one.key).digest() + one.key for one in candidates]


def split(total: int, weights: Sequence[int], ties: Sequence[bytes]) -> list[int]:
    """LR: split `total` by weights; units left over go to the largest remainders, then tie key.

    >>> split(10, [1, 1, 1], [b"c", b"a", b"b"])
    [3, 4, 3]
    """
    return largest_remainder(total, weights, ties)


class Level(NamedTuple):
    """Where the water stands: who is full, who is not, and what the latter share by weight."""

    full: list[int]
    rest: list[int]
    left: int
    weight_left: int


def water_level(total: int, caps: Sequence[int], weights: Sequence[int]) -> Level:
    """Who gives all he can when everybody gives the same multiple of his weight.

    The multiple only rises while full ones leave, so one walk in the order of cap per weight
    finds what the reference's repeated passes find.
    """
    active = [
        index
        for index, (cap, weight) in enumerate(zip(caps, weights, strict=True))
        if cap > 0 and weight > 0
    ]
    left = min(total, sum(caps[index] for index in active))
    weight_left = sum(weights[index] for index in active)
    keys = order_keys([(caps[index], weights[index]) for index in active])
    by_level = [index for _, index in sorted(zip(keys, active, strict=True))]
    full = 0
    for index in by_level:
        if left * weights[index] < caps[index] * weight_left:
            break
        left -= caps[index]
        weight_left -= weights[index]
        full += 1
    return Level(by_level[:full], by_level[full:], left, weight_left)


def waterfill(
    total: int, caps: Sequence[int], weights: Sequence[int], ties: Sequence[bytes]
) -> list[int]:
    """WATERFILL: everybody gives the same multiple of his weight, but nobody more than his cap.

    The multiple is such that the sum is `total`, or all caps when they are less. Those below
    their cap split the rest to the unit.

    >>> waterfill(70, [50, 30, 12, 6, 2], [400, 40, 30, 8, 10], [b"a", b"e", b"d", b"b", b"c"])
    [50, 9, 7, 2, 2]
    """
    level = water_level(total, caps, weights)
    takes = [0] * len(caps)
    for index in level.full:
        takes[index] = caps[index]
    if level.rest:
        shares = split(
            level.left,
            [weights[index] for index in level.rest],
            [ties[index] for index in level.rest],
        )
        for index, share in zip(level.rest, shares, strict=True):
            takes[index] = share
    return takes


def queue(total: int, caps: Sequence[int], order: Sequence[int]) -> list[int]:
    """QUEUE: each in turn gives all it can until nothing is left to take.

    >>> queue(30, [10, 10, 20, 30, 20, 10], [1, 4, 3, 0, 5, 2])
    [0, 10, 0, 0, 20, 0]
    """
    takes = [0] * len(caps)
    left = total
    for index in order:
        if left <= 0:
            break
        take = min(left, caps[index])
        takes[index] = take
        left -= take
    return takes


def ranking(
    candidates: Sequence[Candidate],
    reasons: Sequence[AdlReason],
    scores: Sequence[tuple[int, int]] | None,
    ties: Sequence[bytes],
) -> list[int]:
    """Rank of all: eligible ones by exact score downward, then tie key; others by (reason, key).

    Scores are fractions by candidate, read for eligible ones only; None leaves the tie key alone.
    """
    eligible = [index for index, reason in enumerate(reasons) if not reason]
    eligible.sort(key=ties.__getitem__)
    if scores is not None:
        keys = order_keys([scores[index] for index in eligible])
        # A stable sort keeps the tie order among equal scores, also when reversed.
        places = sorted(range(len(eligible)), key=keys.__getitem__, reverse=True)
        eligible = [eligible[place] for place in places]
    others = [index for index, reason in enumerate(reasons) if reason]
    others.sort(key=lambda index: (reasons[index], candidates[index].key))
    return eligible + others


def eligible_part(order: Sequence[int], reasons: Sequence[AdlReason]) -> list[int]:
    """The ranks that a queue walks."""
    return [index for index in order if not reasons[index]]
