"""What a round of the market-making child costs: 10 markets, everything moved and nothing moved."""

from chainperp.cli.bench.flow import Flow, flow_blocks, flow_engine
from chainperp.cli.bench.stages import Stage, timed
from chainperp.state.store import MARKET_MAKER, State
from chainperp.transition.quoting import process_quotes
from chainperp.transition.recorder import Recorder

ROUNDS = 20
MARKETS = 10
CAPITAL = 1_000_000_000_000
STEP_MS = 3_000


def quote_stages() -> list[Stage]:
    """Microseconds of a round; the books are those of the standard flow."""
    engine = flow_engine(1_000, MARKETS)
    flow = Flow(1_000, MARKETS)
    for block in flow_blocks(flow, engine, 5, 400):
        engine.execute(block)
    state = engine.state
    maker = state.accounts[MARKET_MAKER]
    maker.raw += CAPITAL
    state.custody += CAPITAL
    base = [market.oracle for market in state.markets]
    return [
        Stage("round of quotes, 60 move", "round", "raw SHA-256, 200 B", None,
              lambda: timed(lambda: _rounds(state, base, 100), ROUNDS)),
        Stage("round of quotes, all stay", "round", "raw SHA-256, 200 B", None,
              lambda: timed(lambda: _rounds(state, base, 0), ROUNDS)),
    ]  # fmt: skip


def _rounds(state: State, base: list[int], swing: int) -> None:
    """Rounds with the oracle prices that many basis points up and down."""
    for number in range(ROUNDS):
        before = state.time_ms
        state.time_ms += STEP_MS
        for market, price in zip(state.markets, base, strict=True):
            away = price * swing // 10_000
            market.oracle = price + (away if number % 2 else -away)
            market.oracle_time = state.time_ms
        process_quotes(state, Recorder(state.height + 1, 0), before)
