"""Mark sweep stages: a mark moves, and the index is asked who must be liquidated.

The world is made of positions written straight into the state: 3.9 per account over 40 markets,
every market's longs equal to its shorts. Accounts are anywhere from 0.1 % to 30 % of their notional
above their maintenance margin, as after some time of trading. The reference is a walk over every
account with the same exact numbers.
"""

from functools import partial

from chainperp.base.units import USD_ONE
from chainperp.cli.bench.flow import BASE_PRICE, account_address, flow_engine
from chainperp.cli.bench.stages import Stage, timed
from chainperp.cli.draws import Draws
from chainperp.model.accounts import Account
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import is_liquidatable
from chainperp.state.store import LIQUIDITY_VAULT, State
from chainperp.transition.sweep import Sweep
from chainperp.transition.valuation import scope_value_and_maintenance

MARKETS = 40
POSITIONS = (1, 2, 3, 3, 4, 4, 5, 5, 5, 7)  # 3.9 on average
STRIDE = 7  # no common factor with MARKETS: the markets of an account differ
SLACK_BP = (10, 3_000)
MAINTENANCE_BP = 125  # half of the initial margin at 40x
VAULT_USDC = 10**12
FALL_PERMILLE = 68  # about a fifth of the accounts cross a trigger when all marks fall by this


def sweep_world(accounts: int) -> State:
    """Accounts with positions at the marks; the vault is the other side of them all."""
    state = flow_engine(accounts, MARKETS, 0).state
    draws = Draws("sweep")
    for market in state.markets:
        market.mark = market.oracle = BASE_PRICE
    vault = state.accounts[LIQUIDITY_VAULT]
    vault.raw = VAULT_USDC * USD_ONE
    state.custody += vault.raw
    for number in range(accounts):
        account = state.accounts[account_address(number)]
        gross = 0
        first = draws.below(MARKETS)
        for step in range(POSITIONS[draws.below(len(POSITIONS))]):
            asset = (first + step * STRIDE) % MARKETS
            lots = draws.between(1_000, 100_000)
            gross += lots * BASE_PRICE
            _trade(state, account, vault, asset, lots if draws.chance(50) else -lots)
        equity = gross * (MAINTENANCE_BP + draws.between(*SLACK_BP)) // 10_000
        account.raw += equity
        state.custody += equity
    for market in state.markets:
        lots = vault.exposures[market.asset].lots
        market.lots_long += max(lots, 0)
        market.lots_short += max(-lots, 0)
    return state


def _trade(state: State, account: Account, vault: Account, asset: int, lots: int) -> None:
    """Give an account a position at the mark, and the vault its opposite."""
    market = state.markets[asset]
    for party, change in ((account, lots), (vault, -lots)):
        exposure = state.open_exposure(party, asset)
        exposure.lots += change
        exposure.entry_notional = abs(exposure.lots) * BASE_PRICE
        party.raw -= change * BASE_PRICE
        market.holders[party.address] = exposure
    market.lots_long += max(lots, 0)
    market.lots_short += max(-lots, 0)


def _pay_in(state: State, account: Account, draws: Draws) -> None:
    """Money that makes an account safe again, in the place of its liquidation."""
    gross = sum(abs(one.lots) for one in account.exposures.values()) * BASE_PRICE
    amount = gross * draws.between(*SLACK_BP) // 10_000
    account.raw += amount
    state.custody += amount
    state.unfile(account)


def sweep_stages(accounts: int) -> list[Stage]:
    """A walk over every account, a calm market, and all markets falling at once."""
    state = sweep_world(accounts)
    sweep = Sweep(state)
    draws = Draws("calm")
    size = f"{accounts // 1000}k accounts"
    reference = f"walk over {size}"

    def move(asset: int, permille: int) -> None:
        market = state.markets[asset]
        market.mark += market.mark * permille // 1000

    def calm() -> float:
        spent = 0.0
        for asset in range(MARKETS):
            move(asset, 1 if draws.chance(50) else -1)
            spent += timed(partial(sweep.due, state, [asset]), MARKETS)
            for account, _ in sweep.due(state, []):
                _pay_in(state, account, draws)
        return spent

    def crash() -> float:
        everything = list(range(MARKETS))
        before = [market.mark for market in state.markets]
        for asset in everything:
            move(asset, -FALL_PERMILLE)
        spent = timed(partial(sweep.due, state, everything), 1)
        for market, mark in zip(state.markets, before, strict=True):
            market.mark = mark
        sweep.due(state, everything)
        return spent

    return [
        Stage(reference, "mark update", reference, None, lambda: timed(partial(walk, state), 1)),
        Stage(f"mark sweep, {size}, calm", "mark update", reference, 500.0, calm),
        Stage(f"mark sweep, {size}, crash", "mark update", reference, None, crash),
    ]


def walk(state: State) -> list[tuple[Account, int]]:
    """The reference: every cross scope by the same exact numbers. There are no others here."""
    found: list[tuple[Account, int]] = []
    for account in state.accounts.values():
        if account.exposures:
            value, maintenance = scope_value_and_maintenance(state, account, CROSS_SCOPE)
            if is_liquidatable(value, maintenance):
                found.append((account, CROSS_SCOPE))
    return found
