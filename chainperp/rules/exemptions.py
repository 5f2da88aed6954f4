"""EXM: the public list of accounts that auto-deleveraging spares, and how it may change.

The list is part of the state; there is no other way to spare an account. It is empty by default.
"""

from chainperp.model.decisions import Rejection
from chainperp.rules.catalogue import rule


@rule("EXM-1")
def check_exemption(
    from_height: int, height: int, notice: int, is_new: bool, listed: int, listed_max: int
) -> Rejection:
    """An exemption is granted, changed or ended only from a height that is announced well ahead,
    and the list never holds more accounts than its cap.

    Rejects: too little notice, list full. OURS: adl-and-scenarios 5 asks that exemptions be public;
    notice and cap are parameters. Source: audit-log-and-consensus 9.5, T22.

    >>> check_exemption(110, 10, 100, True, 0, 16).name
    'ACCEPTED'
    >>> check_exemption(109, 10, 100, True, 0, 16).name
    'EXEMPTION_NOTICE'
    >>> check_exemption(110, 10, 100, True, 16, 16).name
    'EXEMPTION_LIST_FULL'
    """
    if from_height < height + notice:
        return Rejection.EXEMPTION_NOTICE
    if is_new and listed >= listed_max:
        return Rejection.EXEMPTION_LIST_FULL
    return Rejection.ACCEPTED


@rule("EXM-2")
def is_exempt(from_height: int, to_height: int, height: int) -> bool:
    """An entry holds from its first height up to, and not including, its last.

    Source: adl-and-scenarios 5.

    >>> [is_exempt(10, 12, height) for height in (9, 10, 11, 12)]
    [False, True, True, False]
    """
    return from_height <= height < to_height
