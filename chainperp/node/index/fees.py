"""What fees, rewards and tokens leave in the index."""

import sqlite3
from typing import Final

from chainperp.base.canonical import Record
from chainperp.base.rounding import floor_div
from chainperp.base.units import day_of
from chainperp.chain.fee_flows import FeeFlows
from chainperp.chain.genesis import Genesis
from chainperp.model.decisions import ReferralEvent
from chainperp.node.documents.fills import taker_buys
from chainperp.node.documents.listing import PairTerms
from chainperp.node.effects import FillRecord
from chainperp.state.store import ASSISTANCE_FUND

ADD_FLOW: Final = """INSERT INTO fee_flows VALUES (?,?) ON CONFLICT (name) DO UPDATE SET
 amount = amount + excluded.amount"""
ADD_REWARD: Final = """INSERT INTO rewards VALUES (?,?,?,?) ON CONFLICT (referrer, day, user)
 DO UPDATE SET earned = earned + excluded.earned"""


class FeeRows:
    """Sums of a batch: fees by way, rewards by referrer, day and account."""

    __slots__ = ("flows", "rewards")

    def __init__(self, genesis: Genesis) -> None:
        self.flows = FeeFlows(genesis.listing.pairs)
        self.rewards: dict[tuple[int, int, int], int] = {}

    def trade(self, fill: FillRecord) -> None:
        """A trade's fees."""
        self.flows.trade(fill.asset, fill.flags, fill.maker_fee, fill.taker_fee)

    def transfer(self, fields: Record) -> None:
        """A LEDGER record."""
        to_fund = fields["destination"] == ASSISTANCE_FUND
        self.flows.moved(fields["type"], fields["amount"], to_fund=to_fund)

    def referral(self, fields: Record, users: tuple[int, int], time_ms: int) -> None:
        """A REFERRAL record; `users` are the referrer and the account."""
        if fields["event"] == ReferralEvent.REWARDED:
            key = users[0], day_of(time_ms), users[1]
            self.rewards[key] = self.rewards.get(key, 0) + fields["amount"]

    def write(self, connection: sqlite3.Connection) -> None:
        """Add the batch to the tables."""
        connection.executemany(ADD_FLOW, list(self.flows.sums.items()))
        self.flows.sums.clear()
        connection.executemany(ADD_REWARD, [(*key, one) for key, one in self.rewards.items()])
        self.rewards.clear()


class TokenCosts:
    """What balances of tokens cost: (account, token) → balance and micro-USDC paid for it.

    Purchases add their notional, whatever leaves takes its share. Balances are kept here only for
    those shares, and only from an account's first trade on; a trade says the balance before it.
    """

    __slots__ = ("_connection", "_rows", "_touched")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: dict[tuple[int, int], list[int]] = {}
        self._touched: dict[tuple[int, int], None] = {}

    def _row(self, user: int, token: int) -> list[int] | None:
        key = user, token
        row = self._rows.get(key)
        if row is None:
            found = self._connection.execute(
                "SELECT amount, entry FROM token_costs WHERE user = ? AND token = ?", key
            ).fetchone()
            if found is None:
                return None
            row = self._rows[key] = list(found)
        return row

    def trade(self, fill: FillRecord, pair: PairTerms, users: tuple[int, int]) -> None:
        """Both sides of a spot trade; `users` are maker and taker."""
        given = fill.lots * 10 ** (pair.wei_decimals - pair.size_decimals)
        notional = fill.price * fill.lots
        buys = taker_buys(fill)
        for user, start, fee, is_buy in (
            (users[0], fill.maker_start, fill.maker_fee, not buys),
            (users[1], fill.taker_start, fill.taker_fee, buys),
        ):
            row = self._row(user, pair.token)
            if row is None:
                row = self._rows[user, pair.token] = [start, 0]
            row[0] = start
            if is_buy:
                row[0] += given - fee
                row[1] += notional
            else:
                self._leave(row, given)
            self._touched[user, pair.token] = None

    def transfer(self, token: int, amount: int, users: tuple[int, int]) -> None:
        """Tokens that moved without a trade, or were burned: then nobody got them. Fees of trades
        are none of these."""
        row = self._row(users[0], token)
        if row is not None:
            self._leave(row, amount)
            self._touched[users[0], token] = None
        got = self._row(users[1], token)
        if got is not None:
            got[0] += amount
            self._touched[users[1], token] = None

    @staticmethod
    def _leave(row: list[int], amount: int) -> None:
        held = row[0]
        row[0] = max(held - amount, 0)
        row[1] = floor_div(row[1] * row[0], held) if held > 0 else 0

    def write(self, connection: sqlite3.Connection) -> None:
        """Write what changed."""
        connection.executemany(
            "INSERT OR REPLACE INTO token_costs VALUES (?,?,?,?)",
            [(*key, *self._rows[key]) for key in self._touched],
        )
        self._touched.clear()
        self._rows.clear()
