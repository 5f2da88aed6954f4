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
SLIDE_UPDATES = 200
SLIDE_PERMILLE = 45  # of one market after the other: each moves five times
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


class Moves:
    """One world with its index, and the moves of its marks that are measured."""

    def __init__(self, accounts: int) -> None:
        self.state = sweep_world(accounts)
        self.sweep = Sweep(self.state)
        self.draws = Draws("calm")
        self.raws = {one.address: one.raw for one in self.state.accounts.values()}
        self.found: list[tuple[Account, int]] = []

    def _move(self, asset: int, permille: int) -> None:
        market = self.state.markets[asset]
        market.mark += market.mark * permille // 1000

    def _look(self, moved: list[int]) -> None:
        self.found = self.sweep.due(self.state, moved)

    def calm(self) -> float:
        """Every market moves by a thousandth, one after the other."""
        spent = 0.0
        for asset in range(MARKETS):
            self._move(asset, 1 if self.draws.chance(50) else -1)
            spent += timed(partial(self._look, [asset]), MARKETS)
            self._make_safe()
        return spent

    def slide(self) -> float:
        """A fifth down in 200 updates: about a fifth of the accounts are found on the way and
        liquidated. Then everything is as it was."""
        before = [market.mark for market in self.state.markets]
        spent = 0.0
        for number in range(SLIDE_UPDATES):
            asset = number % MARKETS
            self._move(asset, -SLIDE_PERMILLE)
            spent += timed(partial(self._look, [asset]), SLIDE_UPDATES)
            self._make_safe()
        for account in self.state.accounts.values():
            account.raw = self.raws[account.address]
            self.state.unfile(account)
        self._put_back(before)
        return spent

    def crash(self) -> float:
        """Every market falls at once, in one update; then everything is as it was."""
        everything = list(range(MARKETS))
        before = [market.mark for market in self.state.markets]
        for asset in everything:
            self._move(asset, -FALL_PERMILLE)
        spent = timed(partial(self._look, everything), 1)
        self._put_back(before)
        return spent

    def _put_back(self, marks: list[int]) -> None:
        for market, mark in zip(self.state.markets, marks, strict=True):
            market.mark = mark
        self._look(list(range(MARKETS)))
        while self.sweep.waiting:
            self._look([])

    def _make_safe(self) -> None:
        for account, _ in self.found:
            _pay_in(self.state, account, self.draws)


def sweep_stages(accounts: int) -> list[Stage]:
    """A walk over every account, a calm market, a slide, and all markets falling at once."""
    moves = Moves(accounts)
    size = f"{accounts // 1000}k accounts"
    reference = f"walk over {size}"
    return [
        Stage(reference, "mark update", reference, None,
              lambda: timed(partial(walk, moves.state), 1)),
        Stage(f"mark sweep, {size}, calm", "mark update", reference, 500.0, moves.calm),
        Stage(f"mark sweep, {size}, slide", "mark update", reference, 20_000.0, moves.slide),
        Stage(f"mark sweep, {size}, crash", "mark update", reference, None, moves.crash),
    ]  # fmt: skip


def walk(state: State) -> list[tuple[Account, int]]:
    """The reference: every cross scope by the same exact numbers. There are no others here."""
    found: list[tuple[Account, int]] = []
    for account in state.accounts.values():
        if account.exposures:
            value, maintenance = scope_value_and_maintenance(state, account, CROSS_SCOPE)
            if is_liquidatable(value, maintenance):
                found.append((account, CROSS_SCOPE))
    return found
