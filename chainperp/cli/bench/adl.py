"""One auto-deleveraging round with ten thousand candidates, its whole receipt included."""

from typing import Final

from chainperp.base.units import Address
from chainperp.chain.engine import Engine
from chainperp.cli.bench.flow import BASE_PRICE, flow_engine
from chainperp.cli.bench.stages import Stage, timed
from chainperp.cli.draws import Draws
from chainperp.model.records import CROSS_SCOPE
from chainperp.state.store import State
from chainperp.transition.deleverage import process_adl
from chainperp.transition.liquidation import Scope, measure
from chainperp.transition.receipts import AdlPhase
from chainperp.transition.recorder import Recorder

TARGET_SHARE: Final = 10  # the bankrupt position is a tenth of the other side


def adl_world(candidates: int) -> tuple[Engine, Scope]:
    """Shorts with different sizes and entries, and two longs: one of them bankrupt after the mark
    falls, the other rich."""
    engine = flow_engine(candidates + 2, 1)
    state = engine.state
    engine.seal_genesis()
    accounts = list(state.accounts.values())[-(candidates + 2) :]
    draws = Draws("adl")
    total = 0
    for account in accounts[2:]:
        lots = draws.between(100, 999)
        hold(state, account.address, -lots, BASE_PRICE + draws.below(100))
        total += lots
    share = total // TARGET_SHARE
    hold(state, accounts[0].address, share, BASE_PRICE + 50)
    hold(state, accounts[1].address, total - share, BASE_PRICE + 50)
    market = state.markets[0]
    market.mark_previous, market.mark, market.oracle = BASE_PRICE, BASE_PRICE - 500, BASE_PRICE
    target = accounts[0]
    target.raw = -share * (BASE_PRICE - 400)
    state.mark_epoch += 1
    engine.commitment.commit(state)
    scope = Scope(target, CROSS_SCOPE, 0, 0)
    measure(state, scope)
    return engine, scope


def hold(state: State, address: Address, lots: int, entry: int) -> None:
    """Give an account a position out of thin air: only measurements may."""
    account = state.accounts[address]
    exposure = state.open_exposure(account, 0)
    exposure.lots = lots
    exposure.entry_notional = abs(lots) * entry
    account.raw -= lots * entry
    market = state.markets[0]
    market.holders[account.address] = exposure
    market.lots_long += max(lots, 0)
    market.lots_short += max(-lots, 0)
    state.touch(account)
    state.touch_exposure(account, exposure)


def adl_stage(candidates: int) -> Stage:
    """Candidates ranked, the list hashed and written, a tenth of the other side closed."""

    def run() -> float:
        engine, scope = adl_world(candidates)
        phase = AdlPhase(engine.commitment, bytes(32), bytes(32))
        recorder = Recorder(1, 2)
        return timed(lambda: process_adl(engine.state, recorder, phase, [scope]), 1)

    name = f"ADL round, {candidates // 1000}k candidates"
    return Stage(name, "round", "raw SHA-256, 200 B", 150_000.0, run)
