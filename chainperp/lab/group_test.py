"""What a group of fills says of its order: p-values where the data allow them.

Fills show who was closed, never who was left alone. So an order can be tested at one place only:
the position that was closed in part is the last of the queue, and no whole closure may rank below
it. `below_marginal` counts those that do; two p-values speak of the count.

Source: adl-and-scenarios 9, S12 (method for public fills), 6 ("queue violation").
"""

from collections.abc import Sequence
from typing import NamedTuple

from chainperp.base.rounding import order_keys
from chainperp.lab.forensic import Position, Ranking


class Count(NamedTuple):
    """Whole closures of a group; of them, how many rank below the partly closed position, and how
    many as low as it or lower."""

    whole: int
    below: int
    not_above: int


def below_marginal(positions: Sequence[Position], ranking: Ranking) -> Count | str:
    """The count, or why the group cannot be tested."""
    closed = [one for one in positions if one.taken > 0]
    part = [place for place, one in enumerate(closed) if one.taken < one.most]
    if len(part) != 1:
        return "no position closed in part" if not part else "several closed in part"
    if len(closed) == 1:
        return "no position closed whole"
    keys = order_keys([ranking.score(one.candidate) for one in closed])
    last = keys.pop(part[0])
    return Count(len(keys), sum(k < last for k in keys), sum(k <= last for k in keys))


def p_unrelated(count: Count) -> float:
    """Chance of a partly closed position as low as this, were the order unrelated to the ranking:
    its place is then any with the same chance. Exact, and no noise is assumed. Small values speak
    for the ranking; the least is one over the closures.

    >>> p_unrelated(Count(19, 0, 0)), p_unrelated(Count(3, 3, 3))
    (0.05, 1.0)
    """
    return (1 + count.not_above) / (1 + count.whole)


def p_published(below: int, honest: Sequence[int]) -> float:
    """Chance of as many closures below the partly closed position, were the published order used
    and its inputs known as badly as in the simulated honest groups. Small values speak against it.

    >>> p_published(3, [0, 1, 3])
    0.5
    """
    return (1 + sum(one >= below for one in honest)) / (1 + len(honest))
