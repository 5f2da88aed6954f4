"""Takes the validators' prices and moves the marks.

Votes are signed transactions with their own entry; each market that received a vote in the block
gets an ORACLE entry with all votes in force, a MARK entry, and the inputs of the mark. A round
names every market, so what it does for one is kept short; entries are packed by hand, and a test
holds them to their schemas.
"""

import struct
from typing import Final

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

PRICE_MAX: Final = 2**53
ORACLE_HEAD: Final = struct.Struct(">IQI")
ORACLE_VOTE: Final = struct.Struct(">20sQQQ32s")
MARK: Final = struct.Struct(">IQQQ")
# The inputs of a mark when nothing is missing, but perhaps a price from elsewhere.
INPUTS: Final = struct.Struct(">IHQBQBQBQBQqBQQ")
INPUTS_ALONE: Final = struct.Struct(">IHQBQBQBQBqBQQ")
ORACLE_ENTRY: Final = Kind.ORACLE
MARK_ENTRY: Final = Kind.MARK
INPUTS_ENTRY: Final = Kind.MARK_INPUTS
PLAIN_RULE: Final = rule_number("PRC-4")
BAND_RULE: Final = rule_number("PRC-10")

Vote = tuple[int, int, int, bytes]
Fresh = list[tuple[bytes, int, Vote]]  # validator, its power, its vote
Decays = dict[int, tuple[int, int]]


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
        outside = order_price(external_e8, market.tick_e8) if external_e8 else 0
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
    decays: Decays = {}
    for asset in sorted(changed):
        market = state.markets[asset]
        fresh = _fresh_votes(state, market)
        oracle = weighted_median(
            [(vote[0], address, power) for address, power, vote in fresh], power_total
        )
        if oracle is None:
            continue
        market.external = _external_price(fresh)
        recorder.add(ORACLE_ENTRY, pack_oracle(asset, oracle, fresh))
        _move_mark(state, recorder, market, oracle, decays)
        moved.append(asset)
    if moved:
        state.mark_epoch += 1
    return moved


def pack_oracle(asset: int, price: int, fresh: Fresh) -> bytes:
    """Payload of an ORACLE entry."""
    packed = ORACLE_HEAD.pack(asset, price, len(fresh))
    for address, power, vote in fresh:
        packed += ORACLE_VOTE.pack(address, power, vote[0], vote[1], vote[3])
    return packed


def _fresh_votes(state: State, market: Market) -> Fresh:
    """Votes not older than the staleness limit, by validator."""
    oldest = state.time_ms - state.parameters.oracle_stale_ms
    validators = state.validators
    fresh: Fresh = []
    for address in sorted(market.votes):
        vote = market.votes[address]
        if vote[2] >= oldest:
            fresh.append((address, validators[address].power, vote))
    return fresh


def _external_price(fresh: Fresh) -> int | None:
    """Median perp price elsewhere: of the votes that carry one, with the oracle's quorum."""
    named = [(vote[1], address, power) for address, power, vote in fresh if vote[1]]
    if not named:
        return None
    power_total = 0
    for _, power, _ in fresh:
        power_total += power
    return weighted_median(named, power_total)


def _move_mark(
    state: State, recorder: Recorder, market: Market, oracle: int, decays: Decays
) -> None:
    """One step of the averages and the new mark (PRC-4, PRC-5)."""
    book = market.book
    bid, ask, last = book.bids.best_price(), book.asks.best_price(), book.price_last
    local = book_price(bid, ask, last)
    elapsed = state.time_ms - market.oracle_time if market.oracle_time else 0
    factors = decays.get(elapsed)
    if factors is None:
        factors = decays[elapsed] = _decay_factors(state, elapsed)
    if bid is not None and ask is not None:
        # The sample of (mid - oracle) is doubled, so that half a tick stays exact.
        market.basis_numerator, market.basis_denominator = ema_step(
            market.basis_numerator,
            market.basis_denominator,
            bid + ask - 2 * oracle,
            elapsed,
            factors[0],
        )
    if local is not None:
        market.book_numerator, market.book_denominator = ema_step(
            market.book_numerator, market.book_denominator, local, elapsed, factors[1]
        )
    basis = (0, 1)
    if market.basis_denominator:
        basis = (market.basis_numerator, 2 * market.basis_denominator)
    average = None
    if market.book_denominator:
        average = (market.book_numerator, market.book_denominator)
    decimals = market.terms.size_decimals
    middle = max(mark_price(oracle, basis, local, market.external, average, decimals), Price(1))
    mark = bounded_mark(middle, oracle, state.parameters.mark_band_bps, decimals)
    previous = market.mark or mark
    market.mark_previous = previous
    market.mark = mark
    market.oracle = oracle
    market.oracle_time = state.time_ms
    market.is_dirty = True
    asset = market.asset
    recorder.add(MARK_ENTRY, MARK.pack(asset, mark, previous, oracle))
    rule = PLAIN_RULE if mark == middle else BAND_RULE
    ema_book = None
    if average is not None:
        ema_book = round_to_price_grid(average[0], average[1], decimals)
    _record_inputs(recorder, market, rule, half_even(basis[0], basis[1]), ema_book, elapsed)


def _record_inputs(
    recorder: Recorder,
    market: Market,
    rule: int,
    ema_basis: int,
    ema_book: int | None,
    elapsed: int,
) -> None:
    """Say what the mark was computed from: packed by hand when the book had everything."""
    book = market.book
    bid, ask, last = book.bids.best_price(), book.asks.best_price(), book.price_last
    asset, oracle, external = market.asset, market.oracle, market.external
    if bid is None or ask is None or last is None or ema_book is None:
        recorder.record(
            INPUTS_ENTRY,
            {
                "asset": asset,
                "rule": rule,
                "oracle": oracle,
                "bid": bid,
                "ask": ask,
                "last": last,
                "external": external,
                "ema_basis": ema_basis,
                "ema_book": ema_book,
                "elapsed_ms": elapsed,
            },
        )
    elif external is None:
        recorder.add(
            INPUTS_ENTRY,
            INPUTS_ALONE.pack(
                asset, rule, oracle, 1, bid, 1, ask, 1, last, 0, ema_basis, 1, ema_book, elapsed
            ),
        )
    else:
        recorder.add(
            INPUTS_ENTRY,
            INPUTS.pack(
                asset, rule, oracle, 1, bid, 1, ask, 1, last, 1, external, ema_basis, 1, ema_book,
                elapsed,
            ),
        )  # fmt: skip


def _decay_factors(state: State, elapsed: int) -> tuple[int, int]:
    """PRC-6 for the two averages; markets that were last priced together share it."""
    parameters = state.parameters
    return (
        decay_factor(elapsed, parameters.ema_basis_tau_ms),
        decay_factor(elapsed, parameters.ema_book_tau_ms),
    )
