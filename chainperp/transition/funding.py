"""Samples the premium and settles funding, at the instants the rules name.

Samples are taken at the first block at or after each multiple of five seconds; settlement at the
first block at or after each hour, on the positions that stand at its start, at the oracle price in
force. Hours without any sample between two blocks settle at rate 0 in the same entry (U-FUN-7).
"""

from chainperp.base.canonical import Record
from chainperp.base.units import HOUR_MS
from chainperp.model.decisions import Kind, LedgerType, rule_number
from chainperp.model.records import FUNDING_ROWS_PER_ENTRY
from chainperp.rules.funding import funding_payment, funding_rate, impact_price, premium_sample
from chainperp.rules.ordering import periods_due
from chainperp.state.book import BookSide
from chainperp.state.store import ROUNDING, Market, State
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import refresh, revalue

PPB_PER_RATE = 10


def process_funding(state: State, recorder: Recorder, time_before: int) -> None:
    """Sample and settle every market whose instant has come. Genesis time starts the clock."""
    if time_before == 0:
        return
    hour, hours = periods_due(time_before, state.time_ms, HOUR_MS)
    if hours:
        for market in state.markets:
            if market.oracle:
                _settle(state, recorder, market, hour, hours)
    _, samples = periods_due(time_before, state.time_ms, state.parameters.premium_sample_ms)
    if samples:
        for market in state.markets:
            if market.oracle:
                _sample(recorder, market)


def _sample(recorder: Recorder, market: Market) -> None:
    """Add one premium sample of the book as it stands."""
    premium = premium_sample(
        _impact(market.book.bids, market.terms.impact_notional),
        _impact(market.book.asks, market.terms.impact_notional),
        market.oracle,
    )
    if premium is None:
        return
    market.premium_sum += premium
    market.premium_samples += 1
    market.is_dirty = True
    recorder.record(
        Kind.PREMIUM,
        {
            "asset": market.asset,
            "rule": rule_number("FND-1"),
            "oracle": market.oracle,
            "premium": premium,
            "n_samples": market.premium_samples,
        },
    )


def _impact(side: BookSide, notional: int) -> tuple[int, int] | None:
    """Average price of trading the impact notional into a side, or None when it is too thin."""
    lots = 0
    filled = 0
    for key in reversed(side.keys):
        level = side.levels[side.sign * key]
        if filled + level.lots * level.price >= notional:
            return impact_price(notional, lots, filled, level.price)
        lots += level.lots
        filled += level.lots * level.price
    return None


def _settle(state: State, recorder: Recorder, market: Market, hour: int, hours: int) -> None:
    """Pay one market's funding, in address order, and log every payment."""
    parameters = state.parameters
    rate = funding_rate(
        market.premium_sum,
        market.premium_samples,
        parameters.funding_interest,
        parameters.funding_clamp,
        parameters.funding_cap,
        parameters.funding_hours_per_rate,
    )
    rows: list[Record] = []
    residue = 0
    for address in sorted(market.holders):
        exposure = market.holders[address]
        account = state.accounts[address]
        payment = funding_payment(exposure.lots, market.oracle, rate)
        rows.append({"account": address, "lots": exposure.lots, "payment": payment})
        residue += payment
        if payment == 0:
            continue
        refresh(state, account)
        if exposure.is_cross:
            account.raw -= payment
        else:
            exposure.raw_isolated -= payment
            account.raw_isolated_total -= payment
            state.touch_exposure(account, exposure)
        revalue(account, exposure, market.mark)
        state.touch(account)
        state.unfile(account)
    entry: Record = {
        "asset": market.asset,
        "rate_ppb": rate * PPB_PER_RATE,
        "oracle": market.oracle,
        "rule": rule_number("FND-2"),
        "hour": hour,
        "hours": hours,
        "premium_sum": market.premium_sum,
        "n_samples": market.premium_samples,
    }
    for start in range(0, max(len(rows), 1), FUNDING_ROWS_PER_ENTRY):
        chunk = rows[start : start + FUNDING_ROWS_PER_ENTRY]
        recorder.record(Kind.FUNDING, {**entry, "rows": chunk})
    if residue:
        rounding = state.accounts[ROUNDING]
        rounding.raw += residue
        state.touch(rounding)
        recorder.ledger(bytes(20), ROUNDING, residue, LedgerType.FUNDING_ROUNDING)
    market.premium_sum = 0
    market.premium_samples = 0
    market.is_dirty = True
