"""The index says what the log says: judged by slow readers of the log, and by itself made anew."""

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from chainperp.base.canonical import Record
from chainperp.base.units import address_text, format_decimal
from chainperp.chain.fee_flows import kept_by_fund
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.fee_report import flows_of
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.clock import Clock
from chainperp.node.documents.accounts import clearinghouse_state
from chainperp.node.documents.history import INTERVALS
from chainperp.node.home import open_chain
from chainperp.node.index import index as index_module
from chainperp.node.index.index import Index
from chainperp.node.index.read import candle_start
from chainperp.node.index.schema import NAMES
from chainperp.node.info.catalogue import QUERIES
from chainperp.node.info.registry import Answer, Context, Registry
from chainperp.state.store import SYSTEM_ACCOUNTS, State
from chainperp.storage.segments import StoredBlock
from chainperp.storage.store import ChainStore
from tests.support.chain import DemoChain

OFF_BOOK = 88


@contextmanager
def indexed(path: Path) -> Iterator[tuple[ChainStore, Index]]:
    """A store with its index, brought up to the last block."""
    with ChainStore.open(path) as store:
        index = Index.open(store)
        try:
            index.wait(store.height)
            yield store, index
        finally:
            index.close()


def tables(path: Path) -> dict[str, list[Any]]:
    """Every row of an index, in order."""
    with indexed(path) as (_, index):
        return {name: rows(index, name) for name in NAMES}


def rows(index: Index, name: str) -> list[Any]:
    """Rows of a table in an order of their own."""
    found = index.connection().execute(f"SELECT * FROM {name}").fetchall()
    return sorted(found, key=repr)


@pytest.fixture(scope="module")
def chain(demo_chain: DemoChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo's chain that has its index."""
    path = demo_chain.copy(tmp_path_factory.mktemp("index") / "chain")
    with indexed(path):
        pass
    return path


def stored(path: Path) -> list[StoredBlock]:
    """All blocks of a chain."""
    with ChainStore.open(path) as store:
        return list(store.read_blocks(0, store.height))


def records(path: Path, kind: Kind) -> Iterator[tuple[int, Record]]:
    """Time and fields of all entries of a kind."""
    for block in stored(path):
        time_ms = decode_payload(decode_entry(block.entries[-1]))["time_ms"]
        for raw in block.entries:
            entry = decode_entry(raw)
            if entry.kind is kind:
                yield time_ms, decode_payload(entry)


def answers(path: Path, requests: list[dict[str, Any]]) -> tuple[State, list[Answer]]:
    """The state of a chain and what a node's registry answers about it."""
    opened = open_chain(path)
    index = Index.open(opened.store)
    state = opened.engine.state

    async def settled() -> None:
        return None

    async def ask() -> list[Answer]:
        context = Context(lambda: state, Clock(), settled, lambda: index)
        registry = Registry(QUERIES)
        return [await registry.answer(context, request) for request in requests]

    try:
        return state, asyncio.run(ask())
    finally:
        index.close()
        opened.store.close()


# --- made anew -----------------------------------------------------------------------------------


def remove_index(path: Path) -> None:
    for name in ("index.db", "index.db-wal", "index.db-shm"):
        (path / name).unlink(missing_ok=True)


def test_an_index_grown_block_by_block_is_the_index_made_at_once(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of one batch are merged before they are written; the tables must not show it."""
    at_once = tables(chain)
    remove_index(chain)
    monkeypatch.setattr(index_module, "BATCH_BLOCKS", 1)
    assert tables(chain) == at_once
    assert len(at_once["trades"]) > 500
    assert at_once["funding_payments"]
    assert at_once["funding_sums"]


def test_an_index_that_was_interrupted_goes_on(
    chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the writer keeps in memory it finds again in the tables."""
    whole = tables(chain)
    remove_index(chain)
    monkeypatch.setattr(index_module, "BATCH_BLOCKS", 7)
    with ChainStore.open(chain) as store:
        heights: list[int] = []
        while not heights or heights[-1] < store.height:
            index = Index.open(store)
            index.wait(min((heights[-1] if heights else -1) + 5, store.height))
            index.close()
            heights.append(index.height)
    assert len(heights) > 3, "never interrupted"
    assert tables(chain) == whole


@pytest.mark.parametrize("damage", ["version", "chain", "hash", "garbage", "table", "empty"])
def test_an_index_that_is_of_no_use_is_made_anew(chain: Path, damage: str) -> None:
    """Another version, another chain, another log, no database at all."""
    whole = tables(chain)
    path = chain / "index.db"
    statements = {
        "version": "UPDATE meta SET value = 0 WHERE name = 'version'",
        "chain": "UPDATE meta SET value = x'00' WHERE name = 'chain'",
        "hash": "UPDATE blocks SET hash = x'00'",
        "table": "DROP TABLE fills",
    }
    if damage in statements:
        connection = sqlite3.connect(path)
        connection.execute(statements[damage])
        connection.execute("DELETE FROM ledger")
        connection.commit()
        connection.close()
    else:
        remove_index(chain)
        path.write_bytes(b"not a database" * 1000 if damage == "garbage" else b"")
    assert tables(chain) == whole


# --- against the log -----------------------------------------------------------------------------


def test_candles_are_those_of_the_trades(chain: Path) -> None:
    """Each interval, against a walk over all fills of the log."""
    trades = [
        (time_ms, fill)
        for time_ms, fill in records(chain, Kind.FILL)
        if not fill["flags"] & OFF_BOOK
    ]
    requests = []
    wanted = []
    with ChainStore.open(chain) as store:
        terms = store.data.genesis.terms
    for one in terms:
        for interval in INTERVALS:
            requests.append(
                {"type": "candleSnapshot",
                 "req": {"coin": one.name, "interval": interval, "startTime": 0}}
            )  # fmt: skip
            slow: dict[int, list[Any]] = defaultdict(list)
            for time_ms, fill in trades:
                if fill["asset"] == one.asset:
                    slow[candle_start(interval, time_ms)].append(fill)
            wanted.append(
                [
                    (
                        start,
                        *(
                            format_decimal(price, 6 - one.size_decimals)
                            for price in (
                                group[0]["price"],
                                max(fill["price"] for fill in group),
                                min(fill["price"] for fill in group),
                                group[-1]["price"],
                            )
                        ),
                        format_decimal(sum(fill["lots"] for fill in group), one.size_decimals),
                        len(group),
                    )
                    for start, group in sorted(slow.items())
                ]
            )
    _, found = answers(chain, requests)
    for answer, expected in zip(found, wanted, strict=True):
        assert [
            (row["t"], row["o"], row["h"], row["l"], row["c"], row["v"], row["n"])
            for row in answer.document
        ] == expected
    assert any(wanted)


def test_fills_are_those_of_the_log(chain: Path) -> None:
    """Both sides of every trade, newest first, with starts, fees and profits."""
    slow: dict[bytes, list[tuple[Any, ...]]] = defaultdict(list)
    for time_ms, fill in records(chain, Kind.FILL):
        buys = bool(fill["flags"] & 1)
        for side, is_buy in (("taker", buys), ("maker", not buys)):
            fee = fill[f"{side}_fee"] + fill[f"{side}_builder_fee"]
            in_token = fill["asset"] >= 10_000 and is_buy
            slow[fill[side]].append(
                (
                    fill["tid"], time_ms, "B" if is_buy else "A", fill[f"{side}_oid"],
                    side == "taker", format_decimal(fee, 8 if in_token else 6),
                    format_decimal(fill[f"{side}_pnl"], 6),
                )
            )  # fmt: skip
    users = sorted(slow)
    requests = [{"type": "userFills", "user": address_text(user)} for user in users]
    _, found = answers(chain, requests)
    for user, answer in zip(users, found, strict=True):
        assert [
            (
                row["tid"], row["time"], row["side"], row["oid"], row["crossed"], row["fee"],
                row["closedPnl"],
            )
            for row in answer.document
        ] == list(reversed(slow[user]))  # fmt: skip


def test_ledger_fills_and_funding_add_up_to_the_cash(chain: Path) -> None:
    """What the index tells of an account is all that happened to its money."""
    opened = open_chain(chain)
    state = opened.engine.state
    opened.store.close()
    with indexed(chain) as (_, index):
        run = index.connection().execute
        checked = 0
        for address, account in state.accounts.items():
            if address in SYSTEM_ACCOUNTS:
                continue
            row = run("SELECT id FROM users WHERE address = ?", (bytes(address),)).fetchone()
            if row is None:
                assert account.raw == 0
                continue
            cash = run("SELECT coalesce(sum(cash), 0) FROM ledger WHERE user = ?", row).fetchone()[
                0
            ]
            paid = run(
                "SELECT coalesce(sum(payment), 0) FROM funding_payments WHERE user = ?", row
            ).fetchone()[0]
            traded = run(
                """SELECT coalesce(sum(CASE WHEN (t.flags & 1) = f.is_taker THEN -1 ELSE 1 END
                   * t.lots * t.price
                   - CASE f.is_taker WHEN 1 THEN t.taker_fee + t.taker_builder_fee
                   ELSE t.maker_fee + t.maker_builder_fee END), 0)
                   FROM fills f JOIN trades t USING (tid) WHERE f.user = ? AND t.asset < 10000""",
                row,
            ).fetchone()[0]
            total = account.raw + account.raw_isolated_total
            assert cash - paid + traded == total, address_text(address)
            checked += 1
        assert checked > 100


def test_ways_of_fees_add_up_to_the_funds_books(chain: Path) -> None:
    """What came in less what went out is what the fund's own books call fees, and a reader of the
    log finds the same sums."""
    opened = open_chain(chain)
    fund = opened.engine.state.fund
    opened.store.close()
    with indexed(chain) as (_, index):
        found = dict(index.connection().execute("SELECT name, amount FROM fee_flows"))
    assert found == flows_of(ChainLog(chain)).sums
    assert found["perp_taker"] > 0
    other = found.get("activation", 0) + found.get("withdrawal", 0)
    assert kept_by_fund(found) == fund.fees + other - fund.to_vault - fund.to_referrals


def test_costs_of_tokens_are_those_of_the_trades(chain: Path) -> None:
    """Bought for so much, less the share of what was sold, sent or burned."""
    costs: dict[tuple[bytes, int], Fraction] = defaultdict(Fraction)
    for _, fill in records(chain, Kind.FILL):
        if fill["asset"] < 10_000:
            continue
        given = fill["lots"] * 10**6
        for side, is_buy in (("maker", not fill["flags"] & 1), ("taker", fill["flags"] & 1)):
            key = fill[side], 1
            if is_buy:
                costs[key] += fill["lots"] * fill["price"]
            else:
                costs[key] *= 1 - Fraction(given, fill[f"{side}_start"])
    with indexed(chain) as (_, index):
        rows = (
            index.connection()
            .execute("SELECT u.address, c.entry FROM token_costs c JOIN users u ON u.id = c.user")
            .fetchall()
        )
    assert rows
    for address, entry in rows:
        if address not in SYSTEM_ACCOUNTS:
            assert abs(entry - costs[address, 1]) <= 50, address_text(address)


def test_open_orders_of_the_index_are_those_of_the_state(chain: Path) -> None:
    """Every live order is open in the index with what is left of it, and no other is."""
    opened = open_chain(chain)
    state = opened.engine.state
    opened.store.close()
    live = {
        oid: order.remaining
        for account in state.accounts.values()
        for oid, order in account.orders.items()
    }
    with indexed(chain) as (_, index):
        found = dict(
            index.connection().execute(
                "SELECT oid, remaining FROM orders WHERE status IN ('open', 'triggered')"
            )
        )
    assert found == live


# --- identities ----------------------------------------------------------------------------------


def number(text: str) -> int:
    """A decimal of at most ten places, as an integer of 10^-10."""
    sign = -1 if text.startswith("-") else 1
    whole, _, part = text.lstrip("-").partition(".")
    return sign * int(whole + part.ljust(10, "0"))


def test_account_documents_agree_with_themselves(chain: Path) -> None:
    """accountValue = totalRawUsd + signed value; cross margin = value / leverage."""
    opened = open_chain(chain)
    state = opened.engine.state
    opened.store.close()
    seen = 0
    for account in state.accounts.values():
        document = clearinghouse_state(state, account, {})
        summary = document["marginSummary"]
        worth = used = notional = 0
        for row in document["assetPositions"]:
            position = row["position"]
            sign = -1 if position["szi"].startswith("-") else 1
            worth += sign * number(position["positionValue"])
            notional += number(position["positionValue"])
            used += number(position["marginUsed"])
            if position["leverage"]["type"] == "cross":
                exact = number(position["positionValue"]) / position["leverage"]["value"]
                assert abs(number(position["marginUsed"]) - exact) <= 10_000
            else:
                raw = number(position["leverage"]["rawUsd"])
                signed = sign * number(position["positionValue"])
                assert number(position["marginUsed"]) == raw + signed
            seen += 1
        assert number(summary["accountValue"]) == number(summary["totalRawUsd"]) + worth
        assert number(summary["totalNtlPos"]) == notional
        assert number(summary["totalMarginUsed"]) == used
    assert seen > 50


def test_portfolio_ends_at_the_account_value(chain: Path) -> None:
    """The last point of each history is the account's value now."""
    opened = open_chain(chain)
    state = opened.engine.state
    opened.store.close()
    users = [address for address in sorted(state.accounts) if address not in SYSTEM_ACCOUNTS][:60]
    requests = [{"type": "portfolio", "user": address_text(user)} for user in users]
    state, found = answers(chain, requests)
    for user, answer in zip(users, found, strict=True):
        value = clearinghouse_state(state, state.accounts[user], {})["marginSummary"]
        for _, period in answer.document:
            if period["accountValueHistory"]:
                assert period["accountValueHistory"][-1][1] == value["accountValue"]
                assert period["pnlHistory"][0][1] == "0.0"
    assert any(answer.document[0][1]["accountValueHistory"] for answer in found)
