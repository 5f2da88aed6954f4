"""The tables of the index. A file with another version of them is made again from the log.

Accounts are numbers here (`users`), prices and sizes integers on the market's grid, money
micro-USDC. An order whose form was refused keeps its numbers as signed (`ORDER_AS_SIGNED`).
"""

from typing import Final

VERSION: Final = 6

ORDER_IS_BUY: Final = 1
ORDER_REDUCE_ONLY: Final = 2
ORDER_AS_SIGNED: Final = 4
ORDER_IS_SLICE: Final = 8
ORDER_IS_VAULT_CLOSE: Final = 16

TWAP_IS_BUY: Final = 1
TWAP_REDUCE_ONLY: Final = 2
TWAP_RANDOMIZE: Final = 4

TRIGGER_IS_MARKET: Final = 1
TRIGGER_IS_STOP: Final = 2
TRIGGER_IS_POSITION: Final = 4
TRIGGER_RISES: Final = 8
TRIGGER_IS_FIRED: Final = 16

TIFS: Final = ("", "Gtc", "Ioc", "Alo", "FrontendMarket", "LiquidationMarket")
TIF_FRONTEND_MARKET: Final = 4
TIF_LIQUIDATION_MARKET: Final = 5

OFF_BOOK: Final = 88
"""Flags of trades that never met the book: takeovers, auto-deleveraging, netting of children."""

EXCHANGE: Final = 0
"""The number that stands for all accounts together, in `days`."""

SPANS: Final = (60_000, 900_000, 3_600_000, 86_400_000)
"""Lengths of the candles that are kept; all others are made of them."""

TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE users (
    id INTEGER PRIMARY KEY, address BLOB NOT NULL UNIQUE,
    requests INTEGER NOT NULL DEFAULT 0, volume INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE blocks (
    height INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, first_index INTEGER NOT NULL,
    transactions INTEGER NOT NULL, first_tid INTEGER NOT NULL, hash BLOB NOT NULL,
    proposer BLOB NOT NULL
);
CREATE INDEX block_time ON blocks (time_ms);
CREATE TABLE transactions (
    idx INTEGER PRIMARY KEY, hash BLOB NOT NULL, short INTEGER NOT NULL, height INTEGER NOT NULL,
    user INTEGER NOT NULL, name TEXT NOT NULL, code INTEGER NOT NULL
);
CREATE INDEX transaction_hash ON transactions (short);
CREATE INDEX transaction_user ON transactions (user);
CREATE TABLE orders (
    oid INTEGER PRIMARY KEY, user INTEGER NOT NULL, asset INTEGER NOT NULL, flags INTEGER NOT NULL,
    price INTEGER NOT NULL, lots INTEGER NOT NULL, remaining INTEGER NOT NULL, tif INTEGER NOT NULL,
    status TEXT NOT NULL, status_ms INTEGER NOT NULL, placed_ms INTEGER NOT NULL, cloid BLOB,
    trigger_price INTEGER, trigger_flags INTEGER NOT NULL
);
CREATE INDEX order_user ON orders (user);
CREATE INDEX order_fired ON orders (user) WHERE trigger_flags & 16 AND status = 'open';
CREATE INDEX order_cloid ON orders (cloid) WHERE cloid IS NOT NULL;
CREATE TABLE trades (
    tid INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, asset INTEGER NOT NULL,
    price INTEGER NOT NULL, lots INTEGER NOT NULL, maker INTEGER NOT NULL,
    maker_oid INTEGER NOT NULL, maker_fee INTEGER NOT NULL, maker_start INTEGER NOT NULL,
    maker_pnl INTEGER NOT NULL, taker INTEGER NOT NULL, taker_oid INTEGER NOT NULL,
    taker_fee INTEGER NOT NULL, taker_start INTEGER NOT NULL, taker_pnl INTEGER NOT NULL,
    flags INTEGER NOT NULL, hash BLOB, mark INTEGER, is_cross INTEGER,
    maker_builder_fee INTEGER NOT NULL, taker_builder_fee INTEGER NOT NULL, twap INTEGER
);
CREATE INDEX trade_market ON trades (asset) WHERE flags & 88 = 0;
CREATE INDEX trade_twap ON trades (taker, tid) WHERE twap IS NOT NULL;
CREATE TABLE twaps (
    id INTEGER PRIMARY KEY, user INTEGER NOT NULL, asset INTEGER NOT NULL, flags INTEGER NOT NULL,
    lots INTEGER NOT NULL, minutes INTEGER NOT NULL, start_ms INTEGER NOT NULL
);
CREATE TABLE twap_events (
    user INTEGER NOT NULL, idx INTEGER NOT NULL, twap INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    event INTEGER NOT NULL, executed_lots INTEGER NOT NULL, executed_notional INTEGER NOT NULL,
    PRIMARY KEY (user, idx)
) WITHOUT ROWID;
CREATE TABLE fills (
    user INTEGER NOT NULL, tid INTEGER NOT NULL, is_taker INTEGER NOT NULL,
    PRIMARY KEY (user, tid, is_taker)
) WITHOUT ROWID;
CREATE TABLE candles (
    asset INTEGER NOT NULL, span INTEGER NOT NULL, start INTEGER NOT NULL, first INTEGER NOT NULL,
    high INTEGER NOT NULL, low INTEGER NOT NULL, last INTEGER NOT NULL, lots INTEGER NOT NULL,
    notional INTEGER NOT NULL, trades INTEGER NOT NULL, PRIMARY KEY (asset, span, start)
) WITHOUT ROWID;
CREATE TABLE marks (
    asset INTEGER NOT NULL, minute INTEGER NOT NULL, mark INTEGER NOT NULL,
    PRIMARY KEY (asset, minute)
) WITHOUT ROWID;
CREATE TABLE funding_rates (
    asset INTEGER NOT NULL, time_ms INTEGER NOT NULL, rate INTEGER NOT NULL,
    premium_sum INTEGER NOT NULL, samples INTEGER NOT NULL, PRIMARY KEY (asset, time_ms)
) WITHOUT ROWID;
CREATE TABLE funding_payments (
    user INTEGER NOT NULL, idx INTEGER NOT NULL, time_ms INTEGER NOT NULL, asset INTEGER NOT NULL,
    lots INTEGER NOT NULL, rate INTEGER NOT NULL, payment INTEGER NOT NULL,
    PRIMARY KEY (user, idx)
) WITHOUT ROWID;
CREATE TABLE funding_sums (
    user INTEGER NOT NULL, asset INTEGER NOT NULL, all_time INTEGER NOT NULL,
    since_open INTEGER NOT NULL, since_change INTEGER NOT NULL, PRIMARY KEY (user, asset)
) WITHOUT ROWID;
CREATE TABLE ledger (
    user INTEGER NOT NULL, idx INTEGER NOT NULL, time_ms INTEGER NOT NULL, hash BLOB,
    cash INTEGER NOT NULL, delta TEXT NOT NULL, PRIMARY KEY (user, idx)
) WITHOUT ROWID;
CREATE TABLE buybacks (
    idx INTEGER PRIMARY KEY, height INTEGER NOT NULL, time_ms INTEGER NOT NULL, entry BLOB NOT NULL
);
CREATE TABLE evm_buybacks (
    idx INTEGER PRIMARY KEY, height INTEGER NOT NULL, time_ms INTEGER NOT NULL, entry BLOB NOT NULL
);
CREATE TABLE withdrawals (
    wid INTEGER PRIMARY KEY, user INTEGER NOT NULL, amount INTEGER NOT NULL
);
CREATE TABLE payouts (wid INTEGER PRIMARY KEY, outcome INTEGER NOT NULL);
CREATE TABLE agents (address BLOB PRIMARY KEY, account BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE days (
    user INTEGER NOT NULL, day INTEGER NOT NULL, taker INTEGER NOT NULL, maker INTEGER NOT NULL,
    PRIMARY KEY (user, day)
) WITHOUT ROWID;
CREATE TABLE token_costs (
    user INTEGER NOT NULL, token INTEGER NOT NULL, amount INTEGER NOT NULL, entry INTEGER NOT NULL,
    PRIMARY KEY (user, token)
) WITHOUT ROWID;
CREATE TABLE rewards (
    referrer INTEGER NOT NULL, day INTEGER NOT NULL, user INTEGER NOT NULL,
    earned INTEGER NOT NULL, PRIMARY KEY (referrer, day, user)
) WITHOUT ROWID;
CREATE TABLE fee_flows (name TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO users (id, address) VALUES (0, x'');
"""

NAMES: Final = (
    "meta", "users", "blocks", "transactions", "orders", "trades", "fills", "candles", "marks",
    "funding_rates", "funding_payments", "funding_sums", "ledger", "agents", "days", "twaps",
    "twap_events", "buybacks", "evm_buybacks", "withdrawals", "payouts",
    "token_costs", "rewards", "fee_flows",
)  # fmt: skip

INSERTS: Final = {
    "blocks": "INSERT INTO blocks VALUES (?,?,?,?,?,?,?)",
    "transactions": "INSERT INTO transactions VALUES (?,?,?,?,?,?,?)",
    "trades": "INSERT INTO trades VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "fills": "INSERT INTO fills VALUES (?,?,?)",
    "funding_rates": "INSERT OR REPLACE INTO funding_rates VALUES (?,?,?,?,?)",
    "funding_payments": "INSERT INTO funding_payments VALUES (?,?,?,?,?,?,?)",
    "twaps": "INSERT INTO twaps VALUES (?,?,?,?,?,?,?)",
    "twap_events": "INSERT INTO twap_events VALUES (?,?,?,?,?,?,?)",
    "buybacks": "INSERT INTO buybacks VALUES (?,?,?,?)",
    "evm_buybacks": "INSERT INTO evm_buybacks VALUES (?,?,?,?)",
    "withdrawals": "INSERT INTO withdrawals VALUES (?,?,?)",
    "payouts": "INSERT INTO payouts VALUES (?,?)",
    "agents": "INSERT OR REPLACE INTO agents VALUES (?,?)",
}
