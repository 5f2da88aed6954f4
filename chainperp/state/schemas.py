"""The fields of every value that the state tree commits to. Holds no encoder and no state.

A verifier reads values that were proven to it; this file is all that it needs to name their
fields and to know which amounts a leaf must carry. Source: audit-log-and-consensus 5.1.
"""

from typing import Final

from chainperp.base.canonical import Schema

VERSION: Final = 1
SPOT_USDC: Final = "spot/00000000"
# The cells of the custody sum: the first column of each of these collections.
CASH_COLLECTIONS: Final = ("acct", SPOT_USDC, "wd")

ACCOUNT: Final[Schema] = (
    ("version", "u16"), ("raw", "i128"), ("raw_isolated", "i128"), ("nonces", "u8"),
    ("nonces_digest", "b32"), ("volume_total", "u128"), ("cooldown", "u64"), ("day", "i64"),
    ("fee_taker", "u32"), ("fee_maker", "i64"), ("spot_fee_taker", "u32"),
    ("spot_fee_maker", "u32"), ("discount", "u16"), ("reward", "u16"),
    ("volume_day", "u128"), ("maker_day", "u128"),
    ("days", [(("day", "i64"), ("volume", "u128"), ("maker", "u128"))]),
    ("settings", [(("asset", "u32"), ("is_cross", "bool"), ("leverage", "u32"))]),
    ("agents", [(("name", "bytes"), ("agent", "b20"))]),
    ("positions", [(("asset", "u32"),)]),
)  # fmt: skip
POSITION: Final[Schema] = (
    ("version", "u16"), ("lots", "u64"), ("entry_notional", "u128"), ("is_cross", "bool"),
    ("leverage", "u32"), ("raw_isolated", "i128"),
)  # fmt: skip
AGENT: Final[Schema] = (
    ("version", "u16"), ("master", "opt:b20"), ("name", "bytes"), ("valid_until", "u64"),
    ("nonces", "u8"), ("nonces_digest", "b32"),
)  # fmt: skip
VALIDATOR: Final[Schema] = (
    ("version", "u16"), ("power", "u64"), ("nonces", "u8"), ("nonces_digest", "b32"),
)  # fmt: skip
MARKET: Final[Schema] = (
    ("version", "u16"), ("oracle", "u64"), ("mark", "u64"), ("mark_previous", "u64"),
    ("oracle_time", "u64"), ("external", "opt:u64"), ("price_last", "opt:u64"),
    ("basis_numerator", "b32"), ("basis_denominator", "b32"), ("book_numerator", "b32"),
    ("book_denominator", "b32"), ("premium_sum", "i128"), ("premium_samples", "u32"),
    ("votes", [(("validator", "b20"), ("price", "u64"), ("external", "u64"), ("time", "u64"),
                ("vote_hash", "b32"))]),
)  # fmt: skip
WITHDRAWAL: Final[Schema] = (
    ("version", "u16"), ("user", "b20"), ("destination", "b20"), ("amount", "u128"),
    ("entry_index", "u64"),
)  # fmt: skip
COUNTERS: Final[Schema] = (
    ("version", "u16"), ("next_oid", "u64"), ("next_tid", "u64"), ("next_wid", "u64"),
    ("next_twap", "u64"),
    ("custody", "u128"), ("deposits", "u64"), ("credited", "u128"), ("granted", "u128"),
    ("paid_out", "u128"), ("uncovered", "u128"),
    ("volume_day", "u128"), ("volume_days", [(("day", "i64"), ("volume", "u128"))]),
)  # fmt: skip
EXEMPTION: Final[Schema] = (
    ("version", "u16"),
    ("ranges", [(("cap_ppb", "u64"), ("from_height", "u64"), ("to_height", "u64"))]),
)
PARAMETER: Final[Schema] = (("version", "u16"), ("rows", [(("value", "u256"),)]))
BOOK_DIGEST: Final[Schema] = (("version", "u16"), ("digest", "b32"))
BOOK_ORDER: Final[Schema] = (
    ("oid", "u64"), ("account", "b20"), ("is_buy", "bool"), ("price", "u64"), ("lots", "u64"),
    ("remaining", "u64"), ("reduce_only", "bool"), ("tif", "u8"), ("cloid", "opt:b16"),
)  # fmt: skip
WAITING_ORDER: Final[Schema] = (
    ("oid", "u64"), ("account", "b20"), ("is_buy", "bool"), ("price", "u64"), ("lots", "u64"),
    ("reduce_only", "bool"), ("cloid", "opt:b16"), ("trigger_price", "u64"),
    ("is_market", "bool"), ("is_stop", "bool"), ("is_position", "bool"),
)  # fmt: skip
ORDER_GROUP: Final[Schema] = (
    ("gid", "u64"), ("parent", "u64"), ("is_awake", "bool"), ("children", [(("oid", "u64"),)]),
)  # fmt: skip
ORDER_BUILDER: Final[Schema] = (("oid", "u64"), ("builder", "b20"), ("rate", "u32"))
SCHEDULE: Final[Schema] = (
    ("version", "u16"), ("at", "u64"), ("day", "u32"), ("fired", "u32"),
)  # fmt: skip
SUB_ACCOUNT: Final[Schema] = (
    ("version", "u16"), ("master", "b20"), ("number", "u32"), ("name", "bytes"),
)  # fmt: skip
MULTI_SIG: Final[Schema] = (
    ("version", "u16"), ("threshold", "u32"), ("users", [(("user", "b20"),)]),
)  # fmt: skip
TWAP: Final[Schema] = (
    ("version", "u16"), ("account", "b20"), ("asset", "u32"), ("is_buy", "bool"), ("lots", "u64"),
    ("reduce_only", "bool"), ("randomize", "bool"), ("minutes", "u32"), ("start", "u64"),
    ("slices", "u32"), ("index", "u32"), ("due", "u64"),
    ("executed_lots", "u64"), ("executed_notional", "u128"),
)  # fmt: skip
SPOT: Final[Schema] = (("version", "u16"), ("total", "u128"))
VAULT: Final[Schema] = (
    ("version", "u16"), ("leader", "b20"), ("number", "u32"), ("name", "bytes"),
    ("description", "bytes"), ("created", "u64"), ("shares", "u128"), ("allow_deposits", "bool"),
    ("always_close", "bool"), ("is_closed", "bool"), ("day", "u32"), ("day_value", "i128"),
    ("day_paid", "u128"),
)  # fmt: skip
SHARE: Final[Schema] = (
    ("version", "u16"), ("shares", "u128"), ("basis", "u128"), ("entered", "u64"),
    ("locked_until", "u64"), ("realised", "i128"),
)  # fmt: skip
# `circulating` is supply less burned: the column that the balances of all tokens but USDC sum to.
TOKEN: Final[Schema] = (
    ("version", "u16"), ("name", "bytes"), ("size_decimals", "u8"), ("wei_decimals", "u8"),
    ("supply", "u128"), ("burned", "u128"), ("circulating", "u128"),
)  # fmt: skip
PAIR: Final[Schema] = (("version", "u16"), ("base", "u32"), ("price_last", "opt:u64"))
DISPLAY_NAME: Final[Schema] = (("version", "u16"), ("name", "bytes"))
DAY_VALUE: Final[Schema] = (("version", "u16"), ("value", "i128"))
BUILDERS: Final[Schema] = (
    ("version", "u16"), ("builders", [(("builder", "b20"), ("rate", "u32"))]),
)  # fmt: skip
REFERRAL: Final[Schema] = (
    ("version", "u16"), ("code", "bytes"), ("users", "u32"), ("unclaimed", "u128"),
    ("claimed", "u128"), ("referrer", "opt:b20"), ("joined", "u64"), ("fees", "u128"),
    ("rewarded", "u128"),
)  # fmt: skip

# The assistance fund's books; amounts in micro-USDC, tokens in their smallest unit.
FUND: Final[Schema] = (
    ("version", "u16"), ("fees", "i128"), ("liquidations", "u128"), ("other", "i128"),
    ("to_vault", "u128"), ("to_referrals", "i128"), ("spent", "u128"), ("bought", "u128"),
    ("burned", "u128"), ("purchases", "u64"), ("tried_ms", "u64"), ("sent", "u128"),
    ("evm_spent", "u128"), ("evm_gifts", "u128"), ("evm_bought", "u128"), ("evm_burned", "u128"),
    ("evm_purchases", "u64"),
)  # fmt: skip

SCHEMAS: Final[dict[str, Schema]] = {
    "acct": ACCOUNT,
    "pos": POSITION,
    "agent": AGENT,
    "val": VALIDATOR,
    "oracle": MARKET,
    "wd": WITHDRAWAL,
    "exempt": EXEMPTION,
    "meta": COUNTERS,
    "param": PARAMETER,
    "book": BOOK_DIGEST,
    "cancel": SCHEDULE,
    "builder": BUILDERS,
    "msig": MULTI_SIG,
    "sub": SUB_ACCOUNT,
    "twap": TWAP,
    "name": DISPLAY_NAME,
    "spot": SPOT,
    "ref": REFERRAL,
    "vault": VAULT,
    "share": SHARE,
    "fund": FUND,
    "token": TOKEN,
    "pair": PAIR,
    "mm": DAY_VALUE,
}


def spot_collection(token: int) -> str:
    """Name of the collection of a token's balances."""
    return f"spot/{token:08x}"


def schema_of(collection: str) -> Schema:
    """Schema of a collection's values."""
    return SCHEMAS[collection.partition("/")[0]]
