"""From a block's entries to rows. One pass, each entry looked at once.

Whatever a later block needs to know is either in the tables or in the few small tables in memory
that are read back from them at start, so that an index that grew is the index that is rebuilt.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from chainperp.base.errors import ChainperpError
from chainperp.base.hashing import leaf_hash, tagged_hash
from chainperp.base.units import USD_ONE
from chainperp.chain.genesis import Genesis
from chainperp.model.decisions import (
    Kind,
    LedgerType,
    LiquidationOutcome,
    OrderStatus,
    Rejection,
    TwapEvent,
)
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.records import CROSS_SCOPE
from chainperp.model.tokens import tokens_of
from chainperp.node.documents import history
from chainperp.node.documents.fills import taker_buys, victim_of
from chainperp.node.documents.listing import PairTerms, coins_of
from chainperp.node.effects import (
    FILLED,
    KIND,
    ORDER,
    TX_SYSTEM,
    TX_USER,
    FillRecord,
    fill_record,
    order_record,
)
from chainperp.node.index.accounts import FundingSums, Users
from chainperp.node.index.actions import SYSTEM_NAMES, Action, Spec, read_action
from chainperp.node.index.border import Border
from chainperp.node.index.fees import FeeRows, TokenCosts
from chainperp.node.index.markets import CandleRows, MarketDays
from chainperp.node.index.money import FORCED, LedgerRows
from chainperp.node.index.money import INSERT as INSERT_LEDGER
from chainperp.node.index.orders import OrderRows, twap_row
from chainperp.node.index.schema import EXCHANGE, INSERTS, OFF_BOOK
from chainperp.node.index.totals import Totals
from chainperp.transition.receipts import SCOPE_CROSS
from chainperp.transition.recorder import FLAG_ADL, FLAG_MAKER_DONE

NO_ACTION: Final = Action("", None, 0, [], False, 1)
UNREADABLE: Final = (ChainperpError, KeyError, TypeError, ValueError, IndexError)
CODE: Final = slice(19, 21)


class Scope:
    """What was taken from one liquidated scope in one block: lots by market, and its notional."""

    __slots__ = ("lots", "notional")

    def __init__(self) -> None:
        self.lots: dict[int, int] = {}
        self.notional = 0


class Rows:
    """Rows of one batch of blocks, and what the next one needs."""

    def __init__(self, connection: sqlite3.Connection, genesis: Genesis, time_ms: int) -> None:
        self.connection = connection
        self.genesis = genesis
        self.users = Users(connection)
        self.sums = FundingSums(connection)
        self.tokens = tokens_of(genesis.listing)
        self.coins = coins_of(genesis.terms, genesis.listing)
        self.days = MarketDays(connection, list(self.coins), time_ms)
        self.orders = OrderRows(self.coins)
        self.ledger = LedgerRows()
        self.fees = FeeRows(genesis)
        self.costs = TokenCosts(connection)
        self.candles = CandleRows()
        self.tables: dict[str, list[tuple[Any, ...]]] = {name: [] for name in INSERTS}
        self.agents: dict[bytes, bytes] = dict(
            connection.execute("SELECT address, account FROM agents")
        )
        self.totals = Totals(genesis.parameters.spot_volume_weight)
        last = connection.execute(
            "SELECT coalesce(max(oid), 0), (SELECT coalesce(max(tid), 0) FROM trades) FROM orders"
        ).fetchone()
        self.last_oid, self.last_tid = int(last[0]), int(last[1])
        self.handlers: dict[bytes, Callable[[int, bytes], None]] = {
            TX_USER: self._transaction,
            TX_SYSTEM: self._system,
            ORDER: self._order,
            FILLED: self._fill,
        }
        for kind, handle in (
            (Kind.GENESIS, self._genesis),
            (Kind.TRIGGER, self._trigger),
            (Kind.TWAP, self._twap),
            (Kind.MARK, self._mark),
            (Kind.FUNDING, self._funding),
            *Border(self).handlers(),
            (Kind.AGENT, self._agent),
            (Kind.LEDGER, self._ledger),
            (Kind.TOKEN, self._token),
            (Kind.REFERRAL, self._referral),
            (Kind.SHARES, self._shares),
            (Kind.LIQ_TEST, self._test),
            (Kind.BUYBACK, self._buyback),
        ):
            self.handlers[kind.to_bytes(2, "big")] = handle
        self._start(0, 0, [], 0)

    def _start(self, height: int, time_ms: int, entries: list[bytes], first_index: int) -> None:
        self.height, self.time_ms = height, time_ms
        self.entries, self.first_index = entries, first_index
        self.at = -1
        self.hash: bytes | None = None
        self.action = NO_ACTION
        self.specs: list[Spec] = []
        self.place = 0
        self.slice: tuple[int, int] | None = None
        self.scopes: dict[tuple[bytes, int], Scope] = {}
        self.tests: list[tuple[int, dict[str, Any]]] = []

    def add(self, height: int, time_ms: int, first_index: int, entries: list[bytes]) -> None:
        """Read one block."""
        self._start(height, time_ms, entries, first_index)
        first_tid = self.last_tid + 1
        count = len(self.tables["transactions"])
        handlers = self.handlers
        for index, raw in enumerate(entries, first_index):
            handle = handlers.get(raw[KIND])
            if handle is not None:
                handle(index, raw)
        self._liquidations()
        seal = entries[-1]
        proposer = decode_payload(decode_entry(seal))["proposer"]
        transactions = len(self.tables["transactions"]) - count
        self.tables["blocks"].append(
            (height, time_ms, first_index, transactions, first_tid, leaf_hash(seal), proposer)
        )

    # --- transactions ----------------------------------------------------------------------------

    def _transaction(self, index: int, raw: bytes) -> None:
        size = int.from_bytes(raw[21:25], "big")
        envelope = raw[25 : 25 + size]
        signer = raw[25 + size :]
        try:
            action = read_action(envelope)
        except UNREADABLE:
            action = NO_ACTION
        self.action = action
        code = int.from_bytes(raw[CODE], "big")
        self.specs = action.specs if code == Rejection.ACCEPTED else []
        user = self.users.number(action.vault or self.agents.get(signer, signer))
        self.totals.asked(user, action.requests)
        self._begin(index, tagged_hash("tx", envelope), (user, action.name, code))

    def _system(self, index: int, raw: bytes) -> None:
        code, kind = int.from_bytes(raw[CODE], "big"), int.from_bytes(raw[21:23], "big")
        self.action, self.specs = NO_ACTION, []
        name = SYSTEM_NAMES.get(kind, "system")
        self._begin(index, tagged_hash("tx", raw[27:]), (EXCHANGE, name, code))

    def _begin(self, index: int, hash_: bytes, row: tuple[int, str, int]) -> None:
        self.at, self.hash, self.place = index, hash_, 0
        short = int.from_bytes(hash_[:8], "big", signed=True)
        self.tables["transactions"].append((index, hash_, short, self.height, *row))

    # --- orders and trades -----------------------------------------------------------------------

    def _order(self, _index: int, raw: bytes) -> None:
        record = order_record(raw)
        if record.status == OrderStatus.REQUEST_REFUSED:
            # One modify of the action was refused without a new order.
            self.place += self.action.is_modify
            return
        if record.oid <= self.last_oid:
            self.orders.change(record, self.time_ms)
            return
        self.last_oid = record.oid
        spec = None
        if self.place < len(self.specs):
            spec = self.specs[self.place]
            self.place += 1
        self.orders.add(record, self.users.number(record.account), spec, self.time_ms)

    def _trigger(self, _index: int, raw: bytes) -> None:
        self.orders.fired(int.from_bytes(raw[19:27], "big"), self.time_ms)

    def _twap(self, index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        twap = fields["twap_id"]
        if fields["event"] == TwapEvent.SLICE:
            # Its order comes next, and nothing of the last transaction belongs to it.
            self.slice, self.orders.slice_oid, self.specs = (index, twap), fields["oid"], []
            return
        user = self.users.number(fields["account"])
        if fields["event"] == TwapEvent.ACTIVATED:
            self.tables["twaps"].append(twap_row(fields, user))
        executed = fields["executed_lots"], fields["executed_notional"]
        self.tables["twap_events"].append(
            (user, index, twap, self.time_ms, fields["event"], *executed)
        )

    def _fill(self, _index: int, raw: bytes) -> None:
        fill = fill_record(raw)
        maker, taker = self.users.number(fill.maker), self.users.number(fill.taker)
        if fill.maker_oid:
            is_done = bool(fill.flags & FLAG_MAKER_DONE)
            self.orders.filled(fill.maker_oid, fill.lots, self.time_ms, is_done=is_done)
        hash_ = self.hash if fill.cause_index == self.at else None
        mark, is_cross = None, None
        victim = victim_of(fill)
        if victim is not None:
            mark, is_cross = self.days.marks[fill.asset], self._forced(fill, victim)
        twap = None
        if self.slice is not None and self.slice[0] == fill.cause_index:
            twap = self.slice[1]
        self.last_tid = fill.tid
        self.tables["trades"].append(
            (
                fill.tid, self.time_ms, fill.asset, fill.price, fill.lots,
                maker, fill.maker_oid, fill.maker_fee, fill.maker_start, fill.maker_pnl,
                taker, fill.taker_oid, fill.taker_fee, fill.taker_start, fill.taker_pnl,
                fill.flags, hash_, mark, is_cross,
                fill.maker_builder_fee, fill.taker_builder_fee, twap,
            )
        )  # fmt: skip
        self.tables["fills"] += ((maker, fill.tid, 0), (taker, fill.tid, 1))
        self.fees.trade(fill)
        pair = self.coins[fill.asset]
        if isinstance(pair, PairTerms):
            self.costs.trade(fill, pair, (maker, taker))
            self.days.mark(fill.asset, fill.price, self.time_ms)
        else:
            delta = fill.lots if taker_buys(fill) else -fill.lots
            self.sums.trade(maker, fill.asset, fill.maker_start, -delta)
            self.sums.trade(taker, fill.asset, fill.taker_start, delta)
        if not fill.flags & OFF_BOOK:
            self._count(fill, maker, taker)

    def _count(self, fill: FillRecord, maker: int, taker: int) -> None:
        """A trade on the book: candles, the day, volumes."""
        asset, price, lots, time_ms = fill.asset, fill.price, fill.lots, self.time_ms
        self.candles.add(asset, price, lots, time_ms)
        self.days.trade(asset, price, lots, time_ms)
        self.totals.trade(fill, maker, taker, time_ms)

    def _forced(self, fill: FillRecord, victim: bytes) -> bool:
        """Whether a forced trade closes a cross position; counts it for the victim's ledger."""
        cause = decode_payload(decode_entry(self.entries[fill.cause_index - self.first_index]))
        if fill.flags & FLAG_ADL:
            is_cross = bool(cause["target_scope"] == SCOPE_CROSS)
        else:
            is_cross = bool(cause["asset"] == CROSS_SCOPE)
        key = victim, CROSS_SCOPE if is_cross else fill.asset
        scope = self.scopes.get(key)
        if scope is None:
            scope = self.scopes[key] = Scope()
        start = fill.maker_start if victim == fill.maker else fill.taker_start
        lots = fill.lots if start > 0 else -fill.lots
        scope.lots[fill.asset] = scope.lots.get(fill.asset, 0) + lots
        scope.notional += fill.lots * fill.price
        return is_cross

    # --- markets ---------------------------------------------------------------------------------

    def _mark(self, _index: int, raw: bytes) -> None:
        asset, mark = int.from_bytes(raw[19:23], "big"), int.from_bytes(raw[23:31], "big")
        self.days.mark(asset, mark, self.time_ms)

    def _funding(self, index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        asset, rate = fields["asset"], fields["rate_ppb"]
        self.tables["funding_rates"].append(
            (asset, self.time_ms, rate, fields["premium_sum"], fields["n_samples"])
        )
        for row in fields["rows"]:
            user = self.users.number(row["account"])
            self.tables["funding_payments"].append(
                (user, index, self.time_ms, asset, row["lots"], rate, row["payment"])
            )
            self.sums.pay(user, asset, row["payment"])

    # --- money -----------------------------------------------------------------------------------

    def _genesis(self, index: int, _raw: bytes) -> None:
        for address, whole in self.genesis.accounts:
            amount = whole * USD_ONE
            row = history.deposit(amount)
            self.ledger.add(self.users.number(address), (index, self.time_ms), None, amount, row)

    def _agent(self, _index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        agent = fields["agent"]
        # A key that lost its right speaks for itself again.
        account = fields["account"] if fields["valid_until"] else agent
        self.agents[agent] = account
        self.tables["agents"].append((agent, account))

    def _token(self, index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        if fields["type"] == LedgerType.SPOT_FEE_BURN:
            return
        users = self.users.number(fields["source"]), EXCHANGE
        if any(fields["destination"]):
            users = users[0], self.users.number(fields["destination"])
            sent = self.action.nonce, self.tokens[fields["token"]]
            self.ledger.tokens((index, self.time_ms), self.hash, fields, users, sent)
        self.costs.transfer(fields["token"], fields["amount"], users)

    def _referral(self, _index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        users = self.users.number(fields["referrer"]), self.users.number(fields["account"])
        self.fees.referral(fields, users, self.time_ms)

    def _ledger(self, index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        self.fees.transfer(fields)
        if fields["type"] == LedgerType.BUILDER_FEE:
            # What it costs the trader is in his fill.
            amount, place = fields["amount"], (index, self.time_ms)
            row = history.internal_transfer(amount, fields["source"], fields["destination"])
            self.ledger.add(self.users.number(fields["destination"]), place, None, amount, row)
            return
        users = self.users.number(fields["source"]), self.users.number(fields["destination"])
        # Only what a user asked for carries the name of his transaction.
        hash_ = None if fields["type"] in FORCED else self.hash
        self.ledger.transfer((index, self.time_ms), hash_, fields, users, self.action.nonce)

    def _buyback(self, index: int, raw: bytes) -> None:
        self.tables["buybacks"].append((index, self.height, self.time_ms, raw))

    def _shares(self, index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        users = self.users.number(fields["vault"]), self.users.number(fields["holder"])
        self.ledger.shares((index, self.time_ms), self.hash, fields, users)

    def _test(self, index: int, raw: bytes) -> None:
        fields = decode_payload(decode_entry(raw))
        if fields["outcome"] not in (LiquidationOutcome.RECOVERED, LiquidationOutcome.WAITING):
            self.tests.append((index, fields))

    def _liquidations(self) -> None:
        """A ledger row for each scope of which anything was taken."""
        for index, fields in self.tests:
            key = fields["account"], fields["asset"]
            scope = self.scopes.get(key)
            if scope is None:
                continue
            terms = self.genesis.terms
            row = history.liquidation(
                scope.notional,
                fields["value"],
                is_cross=fields["asset"] == CROSS_SCOPE,
                positions=[(terms[asset], lots) for asset, lots in scope.lots.items()],
            )
            user = self.users.number(fields["account"])
            self.ledger.add(user, (index, self.time_ms), None, 0, row)

    # --- writing ---------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the batch, inside the transaction that is open."""
        run = self.connection.executemany
        for name, rows in self.tables.items():
            if rows:
                run(INSERTS[name], rows)
                self.tables[name] = []
        for statement, changes in self.orders.statements():
            run(statement, changes)
        self.orders.clear()
        run(INSERT_LEDGER, self.ledger.values())
        self.ledger.clear()
        self.candles.write(self.connection)
        self.days.write(self.connection)
        self.sums.write(self.connection)
        self.fees.write(self.connection)
        self.costs.write(self.connection)
        self.totals.write(self.connection)
        self.days.refresh(self.time_ms)
