"""RFC 6962 as its section 2.1 states it: recursive, slow, obvious. Shares no code with ours."""

from hashlib import sha256


def split(count: int) -> int:
    """Largest power of two below count."""
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def root(leaves: list[bytes]) -> bytes:
    """MTH over leaf hashes."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), root(leaves[k:])]
    return [*path(index - k, leaves[k:]), root(leaves[:k])]


def proof(old: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n]) for 0 < m; empty for m = 0 as checkpoints use it."""
    return subproof(old, leaves, True) if old else []


def subproof(old: int, leaves: list[bytes], known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if old == len(leaves):
        return [] if known else [root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*subproof(old, leaves[:k], known), root(leaves[k:])]
    return [*subproof(old - k, leaves[k:], False), root(leaves[:k])]
