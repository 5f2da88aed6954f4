"""Money that moved without a trade, as rows of accounts' ledgers.

`cash` is what the row did to the account's value; the sum of these rows, of its trades' profits
and fees and of its funding is the account's cash.
"""

import json
from typing import Any, Final

from chainperp.base.canonical import Record
from chainperp.base.units import format_decimal
from chainperp.model.decisions import LedgerType
from chainperp.model.tokens import Token
from chainperp.node.documents import history
from chainperp.node.documents.texts import Document, usd
from chainperp.node.index import vaults

INSERT: Final = "INSERT INTO ledger VALUES (?,?,?,?,?,?)"

SILENT: Final = (
    LedgerType.REFERRAL_REWARD,
    LedgerType.FUNDING_ROUNDING,
    LedgerType.ISOLATED_MARGIN_ADDED,
    LedgerType.ISOLATED_MARGIN_REMOVED,
    LedgerType.WITHDRAWAL_FEE,
    LedgerType.BUYBACK_MONEY,
    LedgerType.BUYBACK_REST,
    *vaults.TOLD,
)
"""Between cells of one account, of no account, or told by another record."""

RECEIVED: Final = (LedgerType.FEE_SHARE, LedgerType.VAULT_COMMISSION)
"""Only the receiver has a row: what they take from the source is told by another record."""

FORCED: Final = (
    LedgerType.BACKSTOP_COLLATERAL,
    LedgerType.INSURANCE_DRAW,
    LedgerType.LIQUIDATION_PROFIT,
    LedgerType.ADL_HAIRCUT,
    LedgerType.DEFICIT,
    LedgerType.FEE_SHARE,
    LedgerType.CHILD_CAPITAL,
)
"""Moved by the exchange: no transaction asked for it."""


ASSET_DEXES: Final = {
    LedgerType.ASSET_PERP_TO_PERP: ("", ""),
    LedgerType.ASSET_PERP_TO_SPOT: ("", "spot"),
    LedgerType.ASSET_SPOT_TO_PERP: ("spot", ""),
    LedgerType.ASSET_SPOT_TO_SPOT: ("spot", "spot"),
}
SPOT_TO_SPOT: Final = (LedgerType.SPOT_SEND, LedgerType.SUB_ACCOUNT_SPOT_TRANSFER)
FROM_SPOT: Final = (
    *SPOT_TO_SPOT,
    LedgerType.CLASS_TO_PERP,
    LedgerType.ASSET_SPOT_TO_PERP,
    LedgerType.ASSET_SPOT_TO_SPOT,
)
TO_SPOT: Final = (
    *SPOT_TO_SPOT,
    LedgerType.CLASS_TO_SPOT,
    LedgerType.ASSET_PERP_TO_SPOT,
    LedgerType.ASSET_SPOT_TO_SPOT,
)


def cash_moved(kind: int, amount: int) -> tuple[int, int]:
    """What a transfer does to the margin of its source and of its destination: nothing where the
    cell is a spot balance."""
    return 0 if kind in FROM_SPOT else -amount, 0 if kind in TO_SPOT else amount


def delta_of(fields: Record, nonce: int) -> Document:
    """What a ledger says of a transfer that a user asked for."""
    kind, amount = fields["type"], fields["amount"]
    source, destination = fields["source"], fields["destination"]
    if kind in (LedgerType.SUB_ACCOUNT_TRANSFER, LedgerType.SUB_ACCOUNT_SPOT_TRANSFER):
        return history.sub_account_transfer(amount, source, destination)
    if kind == LedgerType.REFERRAL_CLAIM:
        return history.rewards_claim(amount)
    if kind in (LedgerType.CLASS_TO_PERP, LedgerType.CLASS_TO_SPOT):
        return history.class_transfer(amount, to_perp=kind == LedgerType.CLASS_TO_PERP)
    if kind == LedgerType.SPOT_SEND:
        return history.spot_transfer(amount, source, destination, nonce)
    dexes = ASSET_DEXES.get(kind)
    if dexes is not None:
        return history.asset_send(amount, source, destination, dexes, nonce)
    return history.internal_transfer(amount, source, destination)


def received(fields: Record) -> Document:
    """What the receiver's ledger says of a transfer that only it shows."""
    if fields["type"] == LedgerType.VAULT_COMMISSION:
        return vaults.leader_commission(fields["destination"], fields["amount"])
    return history.internal_transfer(fields["amount"], fields["source"], fields["destination"])


class LedgerRows:
    """Rows of a batch."""

    __slots__ = ("_creation_fee", "_fee_of", "rows")

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._fee_of: list[Any] | None = None
        self._creation_fee = 0

    def clear(self) -> None:
        """Begin a new batch."""
        self.rows = []
        self._fee_of = None

    def add(
        self, user: int, place: tuple[int, int], hash_: bytes | None, cash: int, delta: Document
    ) -> list[Any]:
        """One row; `place` is log index and time."""
        row: list[Any] = [user, place[0], place[1], hash_, cash, delta]
        self.rows.append(row)
        return row

    def transfer(
        self,
        place: tuple[int, int],
        hash_: bytes | None,
        fields: Record,
        users: tuple[int, int],
        nonce: int,
    ) -> None:
        """A LEDGER record: a row for each side of it. An activation fee belongs to the send that
        comes right before it, a withdrawal's fee is in the withdrawal."""
        kind, amount = fields["type"], fields["amount"]
        if kind in SILENT:
            self._creation_fee = amount if kind == LedgerType.VAULT_CREATION_FEE else 0
            return
        if kind in (LedgerType.ACTIVATION_FEE, LedgerType.SPOT_ACTIVATION_FEE):
            if self._fee_of is not None:
                if kind == LedgerType.ACTIVATION_FEE:
                    self._fee_of[4] -= amount
                for row in self.rows[-2:]:
                    row[5] = row[5] | {"fee": usd(amount)}
            return
        if kind in RECEIVED:
            self.add(users[1], place, hash_, amount, received(fields))
            return
        delta = vaults.moved(fields, self._creation_fee) or delta_of(fields, nonce)
        lost, gained = cash_moved(kind, amount)
        if kind == LedgerType.VAULT_CREATE:
            lost -= self._creation_fee
            self._creation_fee = 0
        first = self.add(users[0], place, hash_, lost, delta)
        if users[0] != users[1]:
            self.add(users[1], place, hash_, gained, delta)
        else:
            first[4] = lost + gained
        self._fee_of = first

    def tokens(
        self,
        place: tuple[int, int],
        hash_: bytes | None,
        fields: Record,
        users: tuple[int, int],
        sent: tuple[int, Token],
    ) -> None:
        """A TOKEN record between two accounts: a row for each. `sent` is the nonce of the action
        and the token."""
        nonce, token = sent
        ends = fields["source"], fields["destination"]
        text = format_decimal(fields["amount"], token.wei_decimals)
        is_plain = fields["type"] in SPOT_TO_SPOT
        delta = history.token_transfer(token.name, text, ends, nonce, is_plain=is_plain)
        self._fee_of = self.add(users[0], place, hash_, 0, delta)
        if users[0] != users[1]:
            self.add(users[1], place, hash_, 0, delta)

    def shares(
        self, place: tuple[int, int], hash_: bytes | None, fields: Record, users: tuple[int, int]
    ) -> None:
        """A SHARES record by which a holder was paid: `users` are the vault and the holder. The
        leader's commission is a transfer of its own."""
        if fields["event"] in vaults.PAID:
            row = vaults.paid_out(fields)
            self.add(users[0], place, hash_, -fields["net"] - fields["commission"], row)
            self.add(users[1], place, hash_, fields["net"], row)

    def values(self) -> list[tuple[Any, ...]]:
        """The rows as they are written."""
        return [(*row[:5], json.dumps(row[5], separators=(",", ":"))) for row in self.rows]
