"""The reference's pseudo-code as it stands, with fractions and repeated passes: slow, obvious."""

from collections.abc import Sequence
from fractions import Fraction


def split(total: int, weights: Sequence[int], ties: Sequence[bytes]) -> list[int]:
    """LR of adl-and-scenarios 4."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), ties[i]))
    for index in order[: total - sum(shares)]:
        shares[index] += 1
    return shares


def waterfill(
    budget: int, caps: Sequence[int], weights: Sequence[int], ties: Sequence[bytes]
) -> list[int]:
    """WATERFILL of adl-and-scenarios 4, pass by pass."""
    active = [i for i in range(len(caps)) if caps[i] > 0 and weights[i] > 0]
    left = min(budget, sum(caps[i] for i in active))
    takes = [0] * len(caps)
    while active:
        whole = sum(weights[i] for i in active)
        full = [i for i in active if left * weights[i] >= caps[i] * whole]
        if not full:
            shares = split(left, [weights[i] for i in active], [ties[i] for i in active])
            for index, share in zip(active, shares, strict=True):
                takes[index] = share
            break
        for index in full:
            takes[index] = caps[index]
            left -= caps[index]
        active = [i for i in active if i not in full]
    return takes


def level(budget: int, caps: Sequence[int], weights: Sequence[int]) -> list[Fraction]:
    """The exact amounts min(cap, tau * weight) that the integers approach."""
    active = [i for i in range(len(caps)) if caps[i] > 0 and weights[i] > 0]
    takes = [Fraction(0)] * len(caps)
    left = Fraction(min(budget, sum(caps[i] for i in active)))
    while active:
        tau = left / sum(weights[i] for i in active)
        full = [i for i in active if tau * weights[i] >= caps[i]]
        if not full:
            for index in active:
                takes[index] = tau * weights[index]
            break
        for index in full:
            takes[index] = Fraction(caps[index])
            left -= caps[index]
        active = [i for i in active if i not in full]
    return takes


def lots_one_by_one(
    lots: int, caps: Sequence[int], values: Sequence[int], ties: Sequence[bytes]
) -> list[int]:
    """P11 in lots: each lot to whoever's loss is then the smallest share of his value."""
    takes = [0] * len(caps)
    for _ in range(lots):
        able = [i for i in range(len(caps)) if takes[i] < caps[i] and values[i] > 0]
        if not able:
            break
        takes[min(able, key=lambda i: (Fraction(takes[i] + 1, values[i]), ties[i]))] += 1
    return takes
