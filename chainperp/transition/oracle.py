"""Takes the validators' prices and moves the marks.

Votes are signed transactions with their own entry; each market that received a vote in the block
gets an ORACLE entry with all votes in force, a MARK entry, and the inputs of the mark.
"""

from chainperp.base.hashing import tagged_hash
from chainperp.base.rounding import half_even
from chainperp.base.units import Price
from chainperp.model.actions import OracleVote
from chainperp.model.blocks import Transaction
from chainperp.model.decisions import Kind, Rejection, rule_number
from chainperp.rules.orders import order_price
from chainperp.rules.prices import (
    book_price,
    bounded_mark,
    decay_factor,
    ema_step,
    mark_price,
    round_to_price_grid,
    weighted_median,
)
from chainperp.state.store import Market, State
from chainperp.transition.admission import use_nonce
from chainperp.transition.recorder import Recorder

PRICE_MAX = 2**53


def accept_vote(state: State, vote: Transaction, changed: dict[int, None]) -> Rejection:
    """Note a validator's prices; `changed` collects the markets that got one.

    Rejects: a signer who is no validator, a bad nonce, an unknown market, a price that is not
    positive. The first bad price refuses the whole vote.
    """
    validator = state.validators.get(vote.signer)
    action = vote.action
    if validator is None or not isinstance(action, OracleVote):
        return Rejection.NOT_A_VALIDATOR
    verdict = use_nonce(validator.nonces, vote.nonce, state.time_ms, state.parameters)
    state.changed_validators[validator.address] = None
    if verdict is not Rejection.ACCEPTED:
        return verdict
    priced: list[tuple[Market, int, int]] = []
    for asset, price_e8, external_e8 in action.prices:
        if not 0 <= asset < len(state.markets):
            return Rejection.MARKET_UNKNOWN
        market = state.markets[asset]
        oracle = order_price(price_e8, market.tick_e8)
        outside = order_price(external_e8 or 0, market.tick_e8)
        if oracle is None or outside is None or not 0 < oracle < PRICE_MAX > outside:
            return Rejection.TICK
        priced.append((market, oracle, outside))
    proof = tagged_hash("tx", vote.envelope)
    for market, price, external in priced:
        market.votes[validator.address] = (price, external, state.time_ms, proof)
        market.is_dirty = True
        changed[market.asset] = None
    return Rejection.ACCEPTED


def process_prices(state: State, recorder: Recorder, changed: dict[int, None]) -> list[int]:
    """Set oracle and mark of every market that received a vote; returns them in asset order."""
    moved: list[int] = []
    power_total = 0
    for validator in state.validators.values():
        power_total += validator.power
    for asset in sorted(changed):
        market = state.markets[asset]
        fresh = _fresh_votes(state, market)
        oracle = weighted_median(
            [(vote[0], address, power) for address, power, vote in fresh], power_total
        )
        if oracle is None:
            continue
        market.external = _external_price(state, market, fresh)
        recorder.record(
            Kind.ORACLE,
            {
                "asset": asset,
                "price": oracle,
                "votes": [
                    {
                        "validator": address,
                        "power": power,
                        "price": vote[0],
                        "external": vote[1],
                        "vote_hash": vote[3],
                    }
                    for address, power, vote in fresh
                ],
            },
        )
        _move_mark(state, recorder, market, oracle)
        moved.append(asset)
    if moved:
        state.mark_epoch += 1
    return moved


Vote = tuple[int, int, int, bytes]


def _fresh_votes(state: State, market: Market) -> list[tuple[bytes, int, Vote]]:
    """Votes not older than the staleness limit, by validator."""
    oldest = state.time_ms - state.parameters.oracle_stale_ms
    return [
        (address, state.validators[address].power, market.votes[address])
        for address in sorted(market.votes)
        if market.votes[address][2] >= oldest
    ]


def _external_price(
    state: State, market: Market, fresh: list[tuple[bytes, int, Vote]]
) -> int | None:
    """Median perp price elsewhere: of the votes that carry one, with the oracle's quorum."""
    named = [(vote[1], address, power) for address, power, vote in fresh if vote[1]]
    power_total = 0
    for _, power, _ in fresh:
        power_total += power
    return weighted_median(named, power_total)


def _move_mark(state: State, recorder: Recorder, market: Market, oracle: int) -> None:
    """One step of the averages and the new mark (PRC-4, PRC-5)."""
    book = market.book
    local = book_price(book.bids.best_price(), book.asks.best_price(), book.price_last)
    elapsed = state.time_ms - market.oracle_time if market.oracle_time else 0
    _step_averages(state, market, oracle, local, elapsed)
    basis = (0, 1)
    if market.basis_denominator:
        basis = (market.basis_numerator, 2 * market.basis_denominator)
    average = None
    if market.book_denominator:
        average = (market.book_numerator, market.book_denominator)
    decimals = market.terms.size_decimals
    middle = max(mark_price(oracle, basis, local, market.external, average, decimals), Price(1))
    mark = bounded_mark(middle, oracle, state.parameters.mark_band_bps, decimals)
    market.mark_previous = market.mark or mark
    market.mark = mark
    market.oracle = oracle
    market.oracle_time = state.time_ms
    market.is_dirty = True
    recorder.record(
        Kind.MARK,
        {
            "asset": market.asset,
            "mark": mark,
            "previous_mark": market.mark_previous,
            "oracle": oracle,
        },
    )
    recorder.record(
        Kind.MARK_INPUTS,
        {
            "asset": market.asset,
            "rule": rule_number("PRC-4" if mark == middle else "PRC-10"),
            "oracle": oracle,
            "bid": book.bids.best_price(),
            "ask": book.asks.best_price(),
            "last": book.price_last,
            "external": market.external,
            "ema_basis": half_even(*basis),
            "ema_book": None if average is None else round_to_price_grid(*average, decimals),
            "elapsed_ms": elapsed,
        },
    )


def _step_averages(
    state: State, market: Market, oracle: int, local: int | None, elapsed: int
) -> None:
    """Take one sample of (mid - oracle) and one of the book's own price, where they exist."""
    parameters = state.parameters
    bid, ask = market.book.bids.best_price(), market.book.asks.best_price()
    if bid is not None and ask is not None:
        # The sample of (mid - oracle) is doubled, so that half a tick stays exact.
        market.basis_numerator, market.basis_denominator = ema_step(
            market.basis_numerator,
            market.basis_denominator,
            bid + ask - 2 * oracle,
            elapsed,
            decay_factor(elapsed, parameters.ema_basis_tau_ms),
        )
    if local is not None:
        market.book_numerator, market.book_denominator = ema_step(
            market.book_numerator,
            market.book_denominator,
            local,
            elapsed,
            decay_factor(elapsed, parameters.ema_book_tau_ms),
        )
