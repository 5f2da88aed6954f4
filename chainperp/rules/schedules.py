"""ORD: the dead man's switch, which cancels the orders of an account that is not heard of again."""

from chainperp.base.units import day_of
from chainperp.model.decisions import Rejection
from chainperp.parameters.schema import Parameters
from chainperp.rules.catalogue import rule


@rule("ORD-15")
def check_schedule(
    at: int | None, time_ms: int, volume: int, fired: int, parameters: Parameters
) -> Rejection:
    """An account that has traded 1,000,000 USDC may have all its orders cancelled at a time at
    least 5 s ahead; a new time replaces the old, none at all unsets it.

    `fired` counts how often it fired on the UTC day in which `at` lies: ten times a day at most.
    `volume` is in micro-USDC. Rejects: too little volume, too early, too often.
    Source: DOC[Exchange endpoint], hyperliquid-api 4.2, U-ORD-15.
    """
    if at is None:
        return Rejection.ACCEPTED
    if volume < parameters.schedule_cancel_volume_min:
        return Rejection.SCHEDULE_VOLUME
    if at < time_ms + parameters.schedule_cancel_notice_ms:
        return Rejection.SCHEDULE_TOO_EARLY
    if fired >= parameters.schedule_cancels_per_day:
        return Rejection.SCHEDULE_TOO_OFTEN
    return Rejection.ACCEPTED


@rule("ORD-16")
def is_schedule_due(at: int, time_ms: int) -> bool:
    """A dead man's switch fires in the first block at or after its time, before triggers and users'
    actions: it cancels every live order of the account, waiting ones too, and is then unset.

    In order of time, then address; those beyond `schedule_cancels_per_block` fire in the next
    block. Source: DOC[Exchange endpoint], U-BLK-2.

    >>> is_schedule_due(100, 99), is_schedule_due(100, 100)
    (False, True)
    """
    return at <= time_ms


def fired_on_day_of(at: int, day: int, fired: int) -> int:
    """How often a switch that fired `fired` times on day `day` fired on the day of a time."""
    return fired if day_of(at) == day else 0
