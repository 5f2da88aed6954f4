"""What an account pays today, and the volumes that decide it.

Rates follow from closed days only, so working them out at an account's first trade of a day is the
same as doing it for everybody at midnight (U-FEE-3).
"""

from chainperp.model.accounts import Account, Rates
from chainperp.rules.fees import fee_rates, maker_rate, volume_of_window
from chainperp.rules.referrals import referral_terms
from chainperp.rules.spot import counted_volume
from chainperp.state.store import State


def rates_today(state: State, account: Account) -> Rates:
    """The rates of an account today (FEE-2, FEE-8, REF-3), without changing it. A master and its
    sub-accounts have the rates of their common volume, the discount is the master's alone."""
    rates = account.rates
    return rates if rates.day == state.day else _rates_of_day(state, account)


def _rates_of_day(state: State, account: Account) -> Rates:
    volumes: list[tuple[int, int]] = []
    made: list[tuple[int, int]] = []
    for one in state.family(account):
        for day, volume, maker in one.days:
            volumes.append((day, volume))
            made.append((day, maker))
        if one.volume_day:
            volumes.append((one.rates.day, one.volume_day))
            made.append((one.rates.day, one.maker_day))
    if volumes:
        rates = _rates_for(state, volumes, made)
    else:
        first = state.first_rates
        if first.day != state.day:
            state.first_rates = first = _rates_for(state, [], [])
        rates = Rates(first.day, first.taker, first.maker, first.spot_taker, first.spot_maker)
    set_terms(state, account, rates)
    return rates


def _rates_for(state: State, volumes: list[tuple[int, int]], made: list[tuple[int, int]]) -> Rates:
    """Today's rates for these volumes by day, all and as maker, without any discount."""
    today, parameters = state.day, state.parameters
    window = parameters.volume_window_days
    volume = volume_of_window(volumes, today, window)
    taker, maker = fee_rates(volume, parameters.fee_tiers)
    exchange = volume_of_window(state.volume_days, today, window)
    share = volume_of_window(made, today, window)
    maker = maker_rate(maker, share, exchange, parameters.maker_rebate_tiers)
    return Rates(today, taker, maker, *fee_rates(volume, parameters.spot_fee_tiers))


def set_terms(state: State, account: Account, rates: Rates) -> None:
    """Write the account's discount and its referrer's reward into its rates (REF-3)."""
    referral = state.referrals.get(account.address)
    if referral is not None:
        has_referrer = referral.referrer is not None
        traded = account.volume_total
        rates.discount, rates.reward = referral_terms(has_referrer, traded, state.parameters)


def count_trade(
    state: State, maker: Account, taker: Account, notional: int, is_spot: bool = False
) -> None:
    """Add a trade to the volumes of both sides, whose day has begun (`begin_day`), and of the
    exchange. Forced closures are not counted (U-ADL-15)."""
    counted = notional
    if is_spot:
        counted = counted_volume(notional, state.parameters.spot_volume_weight)
    maker.volume_day += counted
    maker.maker_day += counted
    maker.volume_total += notional
    taker.volume_day += counted
    taker.volume_total += notional
    state.volume_day += counted


def begin_day(state: State, account: Account, rates: Rates) -> None:
    """Keep today's rates with an account that trades. At its first trade of a day they are new: its
    day of volume is closed then."""
    if account.rates is rates:
        return
    if account.volume_day:
        account.days += ((account.rates.day, account.volume_day, account.maker_day),)
        account.volume_day = account.maker_day = 0
    oldest = state.day - state.parameters.volume_window_days
    account.days = tuple([one for one in account.days if one[0] >= oldest])
    account.rates = rates


def close_exchange_day(state: State, day: int) -> None:
    """At the first block of a UTC day: `day`, the one of the block before, is closed."""
    if state.volume_day:
        state.volume_days.append((day, state.volume_day))
        state.volume_day = 0
    oldest = state.day - state.parameters.volume_window_days
    state.volume_days = [one for one in state.volume_days if one[0] >= oldest]
