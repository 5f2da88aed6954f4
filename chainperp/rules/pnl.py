"""PNL: entry notional and realised profit. Both are for people and for ranking; cash never
depends on them, because a fill moves raw USD by price times size (decision 4).
"""

from chainperp.base.rounding import floor_div
from chainperp.rules.catalogue import rule


@rule("PNL-1")
def entry_after_close(entry_notional: int, lots_before: int, lots_after: int) -> int:
    """Closing part of a position keeps the same share of its entry notional.

    Formula: floor(entry * after / before); lots without sign, after < before.
    Rounding: down; the last lot takes all. Source: DOC[Entry price and pnl].

    >>> entry_after_close(1000, 3, 2)
    666
    """
    return floor_div(entry_notional * lots_after, lots_before)


@rule("PNL-2")
def realised_pnl(released_entry: int, closed_notional: int, is_long: bool) -> int:
    """Closing realises the difference between what the lots are sold for and their entry.

    Formula: closed notional - released entry for a long, the opposite for a short; fees apart.
    Source: OBS (closedPnl of public fills), U-ORD-10.

    Example: a short of 28.53 entered at 28.8845 and closed at 22.075 realises 194.275035.

    >>> realised_pnl(824_074_785, 629_799_750, is_long=False)
    194275035
    """
    gain = closed_notional - released_entry
    return gain if is_long else -gain
