"""The waterfall at the end of a block: book, backstop, auto-deleveraging (phases 7 and 8).

Every scope that fails its test is written down with what was done about it, those that must wait
included; nothing else moves money until the SEAL, so the sealed root is the root of this phase.
Source: hyperliquid-protocol 6.4, U-LIQ-1..18; audit-log-and-consensus 9.6.
"""

import struct
from hashlib import sha256
from typing import Final

from chainperp.model.accounts import Account
from chainperp.model.decisions import CommitReason, Kind, LiquidationOutcome, rule_number
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.backstop import is_backstop_due
from chainperp.rules.liquidation import scope_rank, uncovered_deficit, work_and_wait
from chainperp.rules.margin import is_liquidatable
from chainperp.rules.prices import is_price_fresh
from chainperp.state.commitment import Commitment
from chainperp.state.root import merkle_root
from chainperp.state.store import INSURANCE, State
from chainperp.transition.backstop import take_over
from chainperp.transition.deleverage import process_adl
from chainperp.transition.liquidation import (
    Scope,
    cancel_scope_orders,
    measure,
    scope_positions,
    sell_into_book,
)
from chainperp.transition.receipts import AdlPhase
from chainperp.transition.recorder import Recorder
from chainperp.transition.sweep import Sweep

MARK_ROW_PREFIX = b"\x00\x4d"
MARK_ROW: Final = struct.Struct(">IQQQ")


class Test:
    """What a scope's test found, and what came of it by which rule."""

    __slots__ = ("maintenance", "marks", "result", "rule", "value")

    def __init__(self, scope: Scope, marks: bytes) -> None:
        self.value = scope.value
        self.maintenance = scope.maintenance
        self.marks = marks
        self.result = LiquidationOutcome.WAITING
        self.rule = "LIQ-7"


class RiskOutcome:
    """What the SEAL commits to: liquidation tests by scope key, and ADL rounds' first entries."""

    __slots__ = ("adl_begins", "tests")

    def __init__(self) -> None:
        self.tests: list[tuple[bytes, int]] = []
        self.adl_begins: list[int] = []


def process_risk(
    state: State,
    recorder: Recorder,
    sweep: Sweep,
    commitment: Commitment,
    moved: list[int],
    parent_hash: bytes,
) -> RiskOutcome:
    """Test what the marks or the block's trades put at risk, and work the waterfall down."""
    outcome = RiskOutcome()
    scopes = _failing(state, sweep.due(state, moved))
    if not scopes:
        state.uncovered = uncovered_deficit([state.accounts[INSURANCE].raw])
        return outcome
    committed = commitment.commit(state)
    recorder.record(
        Kind.STATE_COMMIT,
        {
            "reason": CommitReason.LIQUIDATION,
            "state_root": committed.state_root,
            "n_collections": committed.collections,
        },
    )
    marks = marks_root(state)
    underwater = _work_down(state, recorder, scopes, marks, outcome)
    if underwater:
        phase = AdlPhase(commitment, marks, parent_hash)
        process_adl(state, recorder, phase, underwater)
        outcome.adl_begins = phase.begins
    values = [state.accounts[INSURANCE].raw]
    for scope in scopes:
        measure(state, scope)
        values.append(scope.value)
    state.uncovered = uncovered_deficit(values)
    return outcome


def _work_down(
    state: State, recorder: Recorder, scopes: list[Scope], marks: bytes, outcome: RiskOutcome
) -> list[Scope]:
    """Liquidate what can be, note what waits and why; returns the cases for deleveraging."""
    ready: list[Scope] = []
    waiting: list[tuple[Scope, str]] = []
    for scope in scopes:
        if _has_fresh_prices(state, scope):
            ready.append(scope)
        else:
            waiting.append((scope, "PRC-9"))
    work, _ = work_and_wait(len(ready), state.parameters.liquidations_per_block)
    for scope in ready[:work]:
        _liquidate(state, recorder, scope, marks, outcome)
    waiting.extend((scope, "LIQ-7") for scope in ready[work:])
    for scope, rule in waiting:
        test = Test(scope, marks)
        test.rule = rule
        _record_test(recorder, recorder.reserve(), test, scope, outcome)
    # A later step may have healed a scope, or hurt one: cash released by an isolated position, a
    # takeover by the vault. Only what is below zero now is a case.
    underwater: list[Scope] = []
    for scope in ready[:work]:
        measure(state, scope)
        if scope.value < 0:
            underwater.append(scope)
    shortfall = -sum(scope.value for scope in underwater if scope.asset == CROSS_SCOPE)
    if shortfall > state.parameters.adl_tolerance:
        return underwater
    return [scope for scope in underwater if scope.asset != CROSS_SCOPE]


def _failing(state: State, due: list[tuple[Account, int]]) -> list[Scope]:
    """The scopes below maintenance, from the lowest ratio up (LIQ-1)."""
    ranked: list[tuple[int, bytes, bool, int, Scope]] = []
    for account, asset in due:
        scope = Scope(account, asset, 0, 0)
        measure(state, scope)
        if is_liquidatable(scope.value, scope.maintenance):
            rank = scope_rank(scope.value, scope.maintenance)
            is_isolated = asset < len(state.markets)
            ranked.append((rank, account.address, is_isolated, asset, scope))
    ranked.sort(key=_order_of)
    return [one[4] for one in ranked]


def _has_fresh_prices(state: State, scope: Scope) -> bool:
    """Whether every market of the scope has a price that is young enough to act on."""
    limit = state.parameters.price_stale_ms
    for exposure in scope_positions(scope):
        market = state.markets[exposure.asset]
        if not is_price_fresh(market.oracle_time, state.time_ms, limit):
            return False
    return True


def _order_of(ranked: tuple[int, bytes, bool, int, Scope]) -> tuple[int, bytes, bool, int]:
    return ranked[:4]


def _liquidate(
    state: State, recorder: Recorder, scope: Scope, marks: bytes, outcome: RiskOutcome
) -> None:
    """One scope down the waterfall: orders, book, vault."""
    place = recorder.reserve()
    cause = recorder.first_index + place
    measure(state, scope)
    test = Test(scope, marks)
    test.result, test.rule = LiquidationOutcome.RECOVERED, "MRG-8"
    if is_liquidatable(scope.value, scope.maintenance):
        cancel_scope_orders(state, recorder, scope)
        measure(state, scope)
        sell_into_book(state, recorder, scope, cause)
        measure(state, scope)
        test.result, test.rule = LiquidationOutcome.BOOK, "LIQ-3"
        parameters = state.parameters
        if scope.value < 0:
            test.result, test.rule = LiquidationOutcome.ADL_CASE, "ADL-4"
        elif is_backstop_due(
            scope.value,
            scope.maintenance,
            parameters.backstop_numerator,
            parameters.backstop_denominator,
        ):
            if take_over(state, recorder, scope, cause):
                test.result, test.rule = LiquidationOutcome.BACKSTOP, "BKS-1"
            measure(state, scope)
    _record_test(recorder, place, test, scope, outcome)


def _record_test(
    recorder: Recorder, place: int, test: Test, scope: Scope, outcome: RiskOutcome
) -> None:
    """Write the scope's test, with its figures before and after, in the place kept for it."""
    recorder.fill_place(
        place,
        Kind.LIQ_TEST,
        {
            "account": scope.account.address,
            "asset": scope.asset,
            "value": test.value,
            "maintenance": test.maintenance,
            "marks_root": test.marks,
            "outcome": test.result,
            "rule": rule_number(test.rule),
            "value_after": scope.value,
            "maintenance_after": scope.maintenance,
        },
    )
    outcome.tests.append((scope.key(), place))


def mark_row(state: State, asset: int) -> bytes:
    """The row of a market in a list of marks: asset, mark, previous mark, oracle."""
    market = state.markets[asset]
    return MARK_ROW.pack(asset, market.mark, market.mark_previous, market.oracle)


def marks_root(state: State) -> bytes:
    """Root over the marks of all markets, as they stand in the phase."""
    rows = [mark_row(state, market.asset) for market in state.markets]
    return merkle_root([sha256(MARK_ROW_PREFIX + row).digest() for row in rows])
