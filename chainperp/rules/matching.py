"""MAT: how an incoming order meets the book. The walk itself is `transition/matching.py`."""

from chainperp.rules.catalogue import rule


@rule("MAT-1")
def execution_price(maker_price: int) -> int:
    """Orders match best price first, then earliest arrival, at the resting order's price.

    Source: DOC[Order book], U-ORD-1.

    >>> execution_price(100)
    100
    """
    return maker_price


@rule("MAT-2")
def is_self_trade(maker: bytes, taker: bytes) -> bool:
    """An order never trades with its own account: the resting one is cancelled, the other goes on.

    Sub-accounts and vaults are other accounts. Source: DOC[Self-trade prevention].

    >>> is_self_trade(b"a", b"a"), is_self_trade(b"a", b"b")
    (True, False)
    """
    return maker == taker


@rule("MAT-3")
def is_fill_affordable(
    value_before: int, value_after: int, margin_after: int, reduces: bool, limit: int
) -> bool:
    """At each match both sides are tested again with the state after the trade, fees included.

    A fill that does not shrink the position needs the initial margin; one that shrinks it needs
    an account value that is not negative, or not lower than before: nobody can make bad debt on
    purpose. `limit` 0 switches the second half off (as if no bankruptcy price existed).
    Source: U-MAR-2, U-MAR-3, U-REL-1.

    >>> is_fill_affordable(100, 90, 95, False, 1), is_fill_affordable(100, 90, 95, True, 1)
    (False, True)
    >>> is_fill_affordable(10, -1, 0, True, 1), is_fill_affordable(-5, -5, 0, True, 1)
    (False, True)
    """
    if not reduces:
        return value_after >= margin_after
    return limit == 0 or value_after >= 0 or value_after >= value_before


@rule("MAT-4")
def rests(is_gtc_or_alo: bool, remaining: int) -> bool:
    """What is left of a GTC or post-only order rests; what is left of an IOC order is cancelled,
    and an IOC order that met nothing is refused.

    Source: DOC[Order types].

    >>> rests(True, 1), rests(False, 1), rests(True, 0)
    (True, False, False)
    """
    return is_gtc_or_alo and remaining > 0
