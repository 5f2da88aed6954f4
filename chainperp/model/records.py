"""The fields of every record: what an entry of each kind holds, and which rules it carries.

A record holds the inputs of the rule that made it, so that it can be judged alone.
Source: audit-log-and-consensus section 4.
"""

from typing import Final

from chainperp.base.canonical import Schema
from chainperp.model.decisions import Kind

SEAL_SIZE: Final = 392
CROSS_SCOPE: Final = 0xFFFF_FFFF
ADL_ROWS_PER_ENTRY: Final = 500
FUNDING_ROWS_PER_ENTRY: Final = 1000

# One candidate of an ADL round: 114 bytes, hashed into `queue_root` behind a leading 41.
ADL_ROW: Final[Schema] = (
    ("rank", "u32"), ("account", "b20"), ("scope", "u8"), ("lots", "u64"),
    ("entry_notional", "u128"), ("account_value", "i128"), ("reason", "u8"),
    ("take_lots", "u64"), ("weight", "u128"), ("cum_weight", "u128"), ("cum_take", "u64"),
)  # fmt: skip

# Source: audit-log-and-consensus 4.1. `signer` follows the envelope so that a chain can be
# replayed where no signature check is installed (ADR 0003); start position and realised profit
# in FILL, rule and the two compared numbers in ORDER make each decision explain itself.
SCHEMAS: Final[dict[Kind, Schema]] = {
    Kind.SEAL: (
        ("chain_id", "b32"), ("time_ms", "u64"), ("prev_seal", "b32"), ("first_index", "u64"),
        ("n_entries", "u32"), ("log_root", "b32"), ("state_root", "b32"),
        ("n_collections", "u32"), ("rules_hash", "b32"), ("marks_root", "b32"),
        ("n_marks", "u32"), ("liq_root", "b32"), ("n_liq", "u32"), ("adl_root", "b32"),
        ("n_adl", "u32"), ("valset_hash", "b32"), ("proposer", "b20"), ("cash_sum", "i128"),
        ("entry_sum", "i128"), ("custody", "u128"),
    ),
    Kind.TX_USER: (("code", "u16"), ("envelope", "bytes"), ("signer", "b20")),
    Kind.TX_SYSTEM: (("code", "u16"), ("type", "u16"), ("body", "bytes")),
    # Behind each TX_USER that is a multi-sig envelope: who signed inside, as a claim like `signer`.
    Kind.MULTI_SIG: (
        ("user", "b20"), ("leader", "b20"), ("signers", [(("signer", "b20"),)]),
    ),
    Kind.ORACLE: (
        ("asset", "u32"), ("price", "u64"),
        ("votes", [(("validator", "b20"), ("power", "u64"), ("price", "u64"),
                    ("external", "u64"), ("vote_hash", "b32"))]),
    ),
    Kind.MARK: (("asset", "u32"), ("mark", "u64"), ("previous_mark", "u64"), ("oracle", "u64")),
    Kind.MARK_INPUTS: (
        ("asset", "u32"), ("rule", "u16"), ("oracle", "u64"), ("bid", "opt:u64"),
        ("ask", "opt:u64"), ("last", "opt:u64"), ("external", "opt:u64"),
        ("ema_basis", "i64"), ("ema_book", "opt:u64"), ("elapsed_ms", "u64"),
    ),
    Kind.ORDER: (
        ("oid", "u64"), ("status", "u8"), ("reason", "u16"), ("rule", "u16"),
        ("account", "b20"), ("asset", "u32"), ("is_buy", "bool"), ("price", "u64"),
        ("lots", "u64"), ("remaining", "u64"), ("tif", "u8"), ("reduce_only", "bool"),
        ("found", "i128"), ("needed", "i128"), ("cloid", "opt:b16"),
    ),
    # On a spot pair (asset 10000 and up) the buyer's fee is in the base token's smallest unit, the
    # seller's in micro-USDC; starts are balances of the base token before the trade.
    Kind.FILL: (
        ("tid", "u64"), ("asset", "u32"), ("price", "u64"), ("lots", "u64"),
        ("maker", "b20"), ("maker_oid", "u64"), ("maker_fee", "i64"), ("maker_start", "i64"),
        ("maker_pnl", "i64"), ("maker_builder_fee", "i64"), ("taker", "b20"),
        ("taker_oid", "u64"), ("taker_fee", "i64"), ("taker_start", "i64"), ("taker_pnl", "i64"),
        ("taker_builder_fee", "i64"), ("flags", "u16"), ("cause_index", "u64"),
    ),
    Kind.LEVERAGE: (
        ("account", "b20"), ("asset", "u32"), ("is_cross", "bool"), ("leverage", "u32"),
        ("rule", "u16"),
    ),
    # Terms of the order in each; `slice`, `oid` and `slice_lots` in those of a slice, `executed_…`
    # before it.
    Kind.TWAP: (
        ("twap_id", "u64"), ("event", "u8"), ("account", "b20"), ("asset", "u32"),
        ("is_buy", "bool"), ("lots", "u64"), ("reduce_only", "bool"), ("randomize", "bool"),
        ("minutes", "u32"), ("start", "u64"), ("slices", "u32"), ("slice", "u32"), ("oid", "u64"),
        ("slice_lots", "u64"), ("executed_lots", "u64"), ("executed_notional", "u128"),
        ("rule", "u16"),
    ),
    # `at` is 0 when the switch is unset; with rule ORD-16 it fired, and `orders` follow.
    Kind.SCHEDULE: (
        ("account", "b20"), ("at", "u64"), ("fired", "u32"), ("orders", "u32"), ("rule", "u16"),
    ),
    Kind.FUNDING: (
        ("asset", "u32"), ("rate_ppb", "i64"), ("oracle", "u64"), ("rule", "u16"),
        ("hour", "u64"), ("hours", "u32"), ("premium_sum", "i128"), ("n_samples", "u32"),
        ("rows", [(("account", "b20"), ("lots", "i64"), ("payment", "i128"))]),
    ),
    Kind.PREMIUM: (
        ("asset", "u32"), ("rule", "u16"), ("oracle", "u64"), ("premium", "i64"),
        ("n_samples", "u32"),
    ),
    Kind.STATE_COMMIT: (("reason", "u8"), ("state_root", "b32"), ("n_collections", "u32")),
    Kind.TRIGGER: (
        ("oid", "u64"), ("account", "b20"), ("asset", "u32"), ("mark", "u64"),
        ("trigger_price", "u64"), ("is_stop", "bool"), ("rule", "u16"),
    ),
    # `asset` is ffffffff for a cross scope. `rule` is the one that decided the outcome.
    Kind.LIQ_TEST: (
        ("account", "b20"), ("asset", "u32"), ("value", "i128"), ("maintenance", "u128"),
        ("marks_root", "b32"), ("outcome", "u8"), ("rule", "u16"), ("value_after", "i128"),
        ("maintenance_after", "u128"),
    ),
    Kind.BACKSTOP: (
        ("account", "b20"), ("asset", "u32"), ("vault", "b20"), ("value", "i128"),
        ("maintenance", "u128"), ("vault_value_after", "i128"), ("vault_margin_after", "u128"),
        ("taken", "bool"), ("rule", "u16"), ("collateral", "i128"),
        ("positions", [(("asset", "u32"), ("lots", "i64"), ("price", "u64"))]),
    ),
    Kind.VAULT: (
        ("vault", "b20"), ("value", "i128"), ("margin", "u128"), ("positions", "u32"),
        ("notional", "u128"), ("rule", "u16"),
    ),
    # A vault that begins, has other settings, pays out, or ends; `amount` is the first deposit or
    # what was paid out, `value` what the vault was worth before.
    Kind.USER_VAULT: (
        ("vault", "b20"), ("leader", "b20"), ("event", "u8"), ("name", "bytes"),
        ("description", "bytes"), ("allow_deposits", "bool"), ("always_close", "bool"),
        ("amount", "u128"), ("value", "i128"), ("shares", "u128"), ("rule", "u16"),
    ),
    # One holder's shares: all that the arithmetic of VLT-3 to VLT-6, VLT-13 and VLT-18 needs.
    # `value`, `total`, `held` and `basis` are before (of a closing, before anybody was paid);
    # `change` of the shares, `basis_change` of the basis; `gross` is what the shares cost or were
    # worth, `net` what was paid.
    Kind.SHARES: (
        ("vault", "b20"), ("holder", "b20"), ("event", "u8"), ("requested", "u128"),
        ("value", "i128"), ("total", "u128"), ("held", "u128"), ("basis", "u128"),
        ("change", "i128"), ("basis_change", "i128"), ("gross", "u128"), ("closing_cost", "u128"),
        ("commission", "u128"), ("net", "u128"), ("locked_until", "u64"), ("rule", "u16"),
    ),
    # A round of the market-making child: its figures, then each market in which it cancels or
    # places something, with how many orders it keeps, cancels and places. ORDER entries follow.
    Kind.QUOTE: (
        ("account", "b20"), ("value", "i128"), ("notional", "u128"), ("day_value", "i128"),
        ("rule", "u16"),
        ("rows", [(("asset", "u32"), ("oracle", "u64"), ("mark", "u64"), ("oracle_time", "u64"),
                   ("lots", "i64"), ("entry_notional", "u128"), ("bid", "opt:u64"),
                   ("ask", "opt:u64"), ("kept", "u16"), ("cancelled", "u16"), ("placed", "u16"))]),
    ),
    # The daily split of capital, or (rule VLT-27) the netting of the children's positions, which
    # FILL entries follow. `moved` is positive towards the child.
    Kind.CHILDREN: (
        ("vault", "b20"), ("rule", "u16"), ("whole", "i128"), ("budget", "u128"),
        ("available", "i128"),
        ("children", [(("child", "b20"), ("value", "i128"), ("maintenance", "u128"),
                       ("available", "i128"), ("target", "u128"), ("moved", "i128"))]),
        ("netted", [(("asset", "u32"), ("lots", "u64"), ("price", "u64"))]),
    ),
    Kind.ADL_BEGIN: (
        ("policy_id", "u16"), ("asset", "u32"), ("candidate_side", "u8"), ("target", "b20"),
        ("target_scope", "u8"), ("target_value", "i128"), ("target_lots", "u64"),
        ("adl_price", "u64"), ("state_index", "u64"), ("marks_root", "b32"), ("coll_h", "b32"),
        ("coll_count", "u64"), ("coll_lots", "i128"), ("coll_entry", "i128"),
        ("exempt_h", "b32"), ("exempt_count", "u64"), ("exempt_mode", "u8"),
        ("params_hash", "b32"), ("budget", "u128"), ("previous_mark", "u64"), ("mark", "u64"),
        ("waterfall", [(("stage", "u16"), ("before", "i128"), ("after", "i128"))]),
        ("seed", "b32"), ("queue_root", "b32"), ("queue_count", "u32"), ("n_eligible", "u32"),
    ),
    Kind.ADL_ROWS: (("begin_index", "u64"), ("first_rank", "u32"), ("rows", [ADL_ROW])),
    Kind.ADL_NET: (
        ("asset", "u32"), ("long_account", "b20"), ("short_account", "b20"), ("lots", "u64"),
        ("price", "u64"), ("rule", "u16"),
    ),
    Kind.ADL_END: (
        ("begin_index", "u64"), ("filled_lots", "u64"), ("shortfall_lots", "u64"),
        ("marginal_rank", "u32"), ("remainder", "i128"), ("target_value_after", "i128"),
        ("n_fills", "u32"),
    ),
    Kind.DEPOSIT: (("user", "b20"), ("amount", "u128"), ("l1_nonce", "u64"), ("l1_ref", "b32")),
    Kind.WITHDRAW_REQ: (
        ("wid", "u64"), ("user", "b20"), ("destination", "b20"), ("amount", "u128"),
        ("fee", "u128"),
    ),
    Kind.WITHDRAW_DONE: (("wid", "u64"), ("l1_ref", "b32"), ("outcome", "u8")),
    Kind.AGENT: (
        ("account", "b20"), ("agent", "b20"), ("name", "bytes"), ("valid_until", "u64"),
        ("rule", "u16"),
    ),
    # A sub-account that is new, or has a new name.
    Kind.SUB_ACCOUNT: (
        ("master", "b20"), ("sub", "b20"), ("number", "u32"), ("name", "bytes"), ("rule", "u16"),
    ),
    # A builder's highest rate in tenths of a basis point; 0 when it was revoked.
    Kind.BUILDER: (("account", "b20"), ("builder", "b20"), ("rate", "u32"), ("rule", "u16")),
    # No users when the account is a plain one again.
    Kind.MULTI_SIG_USER: (
        ("account", "b20"), ("threshold", "u32"), ("users", [(("user", "b20"),)]), ("rule", "u16"),
    ),
    Kind.DISPLAY_NAME: (("account", "b20"), ("name", "bytes"), ("rule", "u16")),
    # `referrer` is the account itself where it registers a code; `fees` and `amount` are those of
    # the block's trades so far.
    Kind.REFERRAL: (
        ("account", "b20"), ("event", "u8"), ("referrer", "b20"), ("code", "bytes"),
        ("fees", "u128"), ("amount", "u128"), ("rule", "u16"),
    ),
    # An amount of a token that moved between spot balances outside of fills, or that was burned:
    # then nobody is the destination. `type` is a LedgerType; `circulating` is what is left.
    Kind.TOKEN: (
        ("token", "u32"), ("source", "b20"), ("destination", "b20"), ("amount", "u128"),
        ("type", "u16"), ("circulating", "u128"),
    ),
    Kind.PARAM: (
        ("name", "str"), ("old", "bytes"), ("new", "bytes"), ("activation_height", "u64"),
    ),
    Kind.LEDGER: (("source", "b20"), ("destination", "b20"), ("amount", "i128"),
                  ("type", "u16")),
    # A purchase of the fund that was due: all that decided it, what it did, and the fund's books
    # before it. Prices on the pair's grid; `depth`, `balance`, `spent` in micro-USDC; `bought` and
    # `burned` in the token's smallest unit. Its transfers, trades, order and burn follow.
    Kind.BUYBACK: (
        ("asset", "u32"), ("outcome", "u8"), ("rule", "u16"), ("balance", "i128"),
        ("tried_ms", "u64"), ("bid", "opt:u64"), ("ask", "opt:u64"), ("last", "opt:u64"),
        ("mark", "opt:u64"), ("limit", "u64"), ("depth", "u128"), ("lots", "u64"), ("oid", "u64"),
        ("filled", "u64"), ("spent", "u128"), ("bought", "u128"), ("burned", "u128"),
        ("fees", "i128"), ("liquidations", "u128"), ("other", "i128"), ("to_vault", "u128"),
        ("to_referrals", "i128"), ("spent_before", "u128"), ("bought_before", "u128"),
        ("sent_before", "u128"),
    ),
    # A purchase that the vault made on the EVM. `decision` is the leaf hash of the WITHDRAW_REQ
    # that sent it the money; `block`, `block_hash` and `log_index` cite its event.
    Kind.EVM_BUYBACK: (
        ("number", "u64"), ("decision", "b32"), ("spent", "u128"), ("bought", "u128"),
        ("burned", "u128"), ("log_root", "b32"), ("block", "u64"), ("block_hash", "b32"),
        ("log_index", "u32"), ("rule", "u16"),
    ),
}  # fmt: skip

# Which rules an entry kind records by itself, where its payload carries no rule field.
KIND_RULES: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.TX_USER: ("ADM-1", "ADM-2", "ADM-3", "ADM-6", "BLK-1"),
    Kind.MULTI_SIG: ("SIG-2", "SIG-3"),
    Kind.TX_SYSTEM: ("TRF-4", "TRF-9", "PRC-3"),
    Kind.ORACLE: ("PRC-3",),
    Kind.MARK: ("PRC-2", "PRC-4"),
    Kind.MARK_INPUTS: ("PRC-4", "PRC-5", "PRC-6", "PRC-7", "PRC-10"),
    Kind.ORDER: ("PRC-1", "PRC-8", "MRG-1", "SPT-1"),
    Kind.TRIGGER: ("TRG-2", "TRG-3", "TRG-6", "TRG-8"),
    Kind.FILL: (
        "MAT-1", "FEE-1", "FEE-2", "FEE-4", "FEE-5", "FEE-8", "FEE-9", "REF-3", "PNL-1", "PNL-2",
        "MRG-1", "MRG-2", "MRG-3", "MRG-4", "SPT-4", "SPT-6", "SPT-8", "SPT-9",
    ),
    Kind.LEVERAGE: ("MRG-6",),
    Kind.TWAP: ("TWP-1", "TWP-2", "TWP-3", "TWP-4", "TWP-5"),
    Kind.SCHEDULE: ("ORD-15", "ORD-16"),
    Kind.FUNDING: ("BLK-2", "FND-2", "FND-3"),
    Kind.PREMIUM: ("BLK-2", "FND-1", "FND-4"),
    Kind.LIQ_TEST: (
        "MRG-2", "MRG-8", "LIQ-1", "LIQ-2", "LIQ-3", "LIQ-5", "LIQ-6", "LIQ-7", "LIQ-8",
    ),
    Kind.BACKSTOP: ("BKS-1", "BKS-2", "BKS-4", "BKS-6"),
    Kind.VAULT: ("BKS-3", "BKS-5"),
    Kind.USER_VAULT: ("VLT-1", "VLT-2", "VLT-12", "VLT-14"),
    Kind.SHARES: (
        "VLT-3", "VLT-4", "VLT-5", "VLT-6", "VLT-7", "VLT-8", "VLT-9", "VLT-10", "VLT-11",
        "VLT-13", "VLT-16", "VLT-18",
    ),
    Kind.QUOTE: ("VLT-20", "VLT-21", "VLT-22", "VLT-23", "VLT-24", "VLT-26"),
    Kind.CHILDREN: ("VLT-27", "VLT-28", "VLT-29"),
    # The policy's number in ADL_BEGIN names the rule that ranked or split; see rules/adl/choose.py.
    Kind.ADL_BEGIN: (
        "ADL-2", "ADL-3", "ADL-4", "ADL-5", "ADL-10", "ADL-11", "ADL-12", "ADL-13", "ADL-14",
        "ADL-15", "ADL-16", "ADL-17", "ADL-18", "ADL-19", "ADL-20", "ADL-21", "ADL-22", "ADL-23",
        "ADL-24", "ADL-25", "ADL-26", "ADL-27", "ADL-28", "ADL-29", "ADL-30", "ADL-31",
    ),
    Kind.ADL_ROWS: ("ADL-1", "ADL-6", "EXM-2"),
    Kind.PARAM: ("EXM-1",),
    Kind.DEPOSIT: ("TRF-4", "TRF-7"),
    Kind.WITHDRAW_REQ: ("TRF-3", "MRG-5", "BUY-7"),
    Kind.WITHDRAW_DONE: ("TRF-3", "TRF-8"),
    Kind.AGENT: ("ADM-4",),
    Kind.SUB_ACCOUNT: ("SUB-1", "SUB-2"),
    Kind.BUILDER: ("FEE-6", "FEE-7"),
    Kind.MULTI_SIG_USER: ("SIG-1",),
    Kind.DISPLAY_NAME: ("ADM-7",),
    Kind.BUYBACK: ("BUY-1", "BUY-2", "BUY-3", "BUY-4", "BUY-5", "BUY-6"),
    Kind.EVM_BUYBACK: ("BUY-8",),
    Kind.TOKEN: ("TRF-6", "SUB-3", "SPT-7"),
    Kind.REFERRAL: ("REF-1", "REF-2", "REF-4"),
    Kind.LEDGER: ("TRF-1", "TRF-2", "TRF-5", "TRF-6", "FEE-3", "FEE-5", "SUB-3",
                  "REF-4", "REF-5"),
}  # fmt: skip
