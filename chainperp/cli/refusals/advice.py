"""What to do about a refusal: the rule, the numbers, the next step.

A refusal is known by the exchange's published text. Each helper may ask the node for the numbers
that decided; a node that does not offer a question costs a line of help, never the answer.
"""

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from chainperp.base.errors import ChainperpError
from chainperp.cli.refusals import accounts, orders, vaults
from chainperp.cli.refusals.case import Case, Helper

if TYPE_CHECKING:
    from chainperp.cli.signing import Session

NO_HELP: Final = (
    ChainperpError, KeyError, TypeError, ValueError, IndexError, OverflowError, OSError,
)  # fmt: skip
ASSET: Final = re.compile(r"\s*asset=\d+\s*$")

HELPERS: Final[tuple[tuple[str, Helper], ...]] = (
    ("Price must be divisible by tick size", orders.tick),
    ("Order must have minimum value", orders.minimum),
    ("Insufficient margin to place order", orders.margin),
    ("Insufficient spot balance", orders.spot_balance),
    ("Order would cause position to exceed margin tier limit", orders.leverage_too_high),
    ("Reduce only order would increase position", orders.position),
    ("Post only order would have immediately matched", orders.post_only),
    ("Order could not immediately match", orders.no_match),
    ("No liquidity available for market order", orders.no_match),
    ("Order price too far from oracle", orders.far_from_oracle),
    ("Asset has no oracle price yet", orders.no_oracle),
    ("Asset price is stale", orders.no_oracle),
    ("Invalid TP/SL price", orders.trigger_price),
    ("TP/SL order is not a reduce-only trigger order", orders.reduce_only_trigger),
    ("Client order id is already in use", orders.cloid),
    ("Order was never placed", orders.missing_order),
    ("Cannot modify canceled or filled order", orders.missing_order),
    ("Invalid nonce: duplicate", accounts.nonce_used),
    ("Invalid nonce: nonce too", accounts.nonce_window),
    ("Action already expired", accounts.expired),
    ("User or API Wallet ", accounts.stranger),
    ("Must deposit before performing actions", accounts.stranger),
    ("Vault not registered", accounts.vault),
    ("Mainnet and testnet require different signature", accounts.network),
    ("Invalid leverage value", accounts.leverage),
    ("Cross position does not have sufficient margin", orders.margin),
    ("Isolated position does not have sufficient margin", orders.margin),
    ("Account does not have sufficient margin", accounts.balance),
    ("Cannot switch leverage type", accounts.switch),
    ("Insufficient balance to create vault", vaults.money),
    ("Insufficient balance for vault deposit", vaults.money),
    ("Insufficient vault equity", vaults.standing),
    ("Cannot withdraw during the lock-up", vaults.standing),
    ("Leader must hold at least", vaults.standing),
    ("Vault pays out at most", vaults.standing),
    ("Vault can pay out at most", vaults.standing),
    ("Only leader can perform", vaults.leader),
    ("Cannot deposit into liquidatable vault", vaults.risk),
    ("Cannot withdraw from liquidatable vault", vaults.risk),
    ("Insufficient balance", accounts.balance),
    ("Insufficient USDC balance", accounts.balance),
    ("Action is not offered", accounts.not_offered),
)


def explain_refusal(
    session: "Session", body: dict[str, Any], place: int | None, text: str
) -> list[str]:
    """Lines of help for one refusal; empty when nothing useful is known."""
    case = Case(session, body, place, text)
    lines: list[str] = []
    rule = rule_of(text)
    for start, helper in HELPERS:
        if text.startswith(start):
            # Where a node's document is not what it should be, the refusal itself stands.
            with suppress(*NO_HELP):
                lines += helper(case)
            break
    if rule is not None:
        lines.append(f"the rule: chainperp rules {rule}")
    return lines


def rule_of(text: str) -> str | None:
    """Code of the rule whose published text this is."""
    from chainperp.model.decisions import REASONS

    bare = ASSET.sub("", text).rstrip(".")
    for reason in REASONS.values():
        start = reason.text.partition("{")[0].rstrip(". ")
        if start and bare.startswith(start):
            return reason.rule
    return None
