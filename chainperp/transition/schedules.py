"""The dead man's switch: set and unset by its account, fired by the clock."""

from bisect import bisect_left, insort

from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.actions import ScheduleCancel
from chainperp.model.arrangements import Schedule
from chainperp.model.decisions import Kind, Rejection, rule_number
from chainperp.rules.schedules import check_schedule, fired_on_day_of, is_schedule_due
from chainperp.state.store import State
from chainperp.transition.recorder import Recorder
from chainperp.transition.spot_matching import end_any_order


def process_schedule(
    state: State, recorder: Recorder, account: Account, action: ScheduleCancel
) -> Rejection:
    """Set the time at which all orders of the account are cancelled, or unset it (ORD-15)."""
    address, at = account.address, action.at
    schedule = state.schedules.get(address)
    fired = 0
    if schedule is not None and at is not None:
        fired = fired_on_day_of(at, schedule.day, schedule.fired)
    volume = state.family_volume(account)
    verdict = check_schedule(at, state.time_ms, volume, fired, state.parameters)
    if verdict is not Rejection.ACCEPTED:
        return verdict
    if schedule is None:
        schedule = Schedule()
        state.schedules[address] = schedule
    _unqueue(state, address, schedule)
    if at is not None:
        schedule.at = at
        insort(state.schedule_queue, (at, address))
    _forget_if_empty(state, address, schedule)
    _record(recorder, address, schedule, 0, "ORD-15")
    return Rejection.ACCEPTED


def process_schedules(state: State, recorder: Recorder) -> None:
    """Fire what is due (ORD-16)."""
    left = state.parameters.schedule_cancels_per_block
    queue = state.schedule_queue
    while left and queue and is_schedule_due(queue[0][0], state.time_ms):
        _fire(state, recorder, queue[0][1])
        left -= 1


def _fire(state: State, recorder: Recorder, address: Address) -> None:
    """Cancel all orders of an account; the record stands before what it cancels."""
    account, schedule = state.accounts[address], state.schedules[address]
    at = schedule.at
    _unqueue(state, address, schedule)
    schedule.fired = 1 + (schedule.fired if schedule.day == state.day else 0)
    schedule.day = state.day
    state.note("cancel", address)
    orders = list(account.orders.values())
    recorder.record(
        Kind.SCHEDULE,
        {
            "account": address,
            "at": at,
            "fired": schedule.fired,
            "orders": len(orders),
            "rule": rule_number("ORD-16"),
        },
    )
    for order in orders:
        end_any_order(state, recorder, order, Rejection.SCHEDULED_CANCEL)


def prune_schedules(state: State) -> None:
    """Drop switches that are not set and did not fire today."""
    for address in sorted(state.schedules):
        _forget_if_empty(state, address, state.schedules[address])


def _forget_if_empty(state: State, address: Address, schedule: Schedule) -> None:
    if schedule.day != state.day:
        schedule.day = schedule.fired = 0
    if schedule.at == 0 and schedule.fired == 0:
        del state.schedules[address]
    state.note("cancel", address)


def _unqueue(state: State, address: Address, schedule: Schedule) -> None:
    """Unset a switch."""
    if schedule.at:
        del state.schedule_queue[bisect_left(state.schedule_queue, (schedule.at, address))]
        schedule.at = 0


def _record(
    recorder: Recorder, address: Address, schedule: Schedule, orders: int, rule: str
) -> None:
    recorder.record(
        Kind.SCHEDULE,
        {
            "account": address,
            "at": schedule.at,
            "fired": schedule.fired,
            "orders": orders,
            "rule": rule_number(rule),
        },
    )
