"""Rows about money that came in or went out: deposits, withdrawals, and those that came back."""

import sqlite3
from typing import Final

from chainperp.model.bridge import CANCELLED
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.documents import history
from chainperp.node.index.accounts import Users
from chainperp.node.index.money import LedgerRows
from chainperp.state.store import ASSISTANCE_FUND

WAITING: Final = "SELECT user, amount FROM waiting WHERE wid = ?"

# Log index and time of an entry, and the hash of what asked for it.
Place = tuple[tuple[int, int], bytes | None]


class BorderRows:
    """Withdrawals are kept until they end: a payout names only the number of its withdrawal."""

    def __init__(self, connection: sqlite3.Connection, users: Users, ledger: LedgerRows) -> None:
        self.connection = connection
        self.users = users
        self.ledger = ledger
        self.waiting: dict[int, tuple[int, int]] = {}

    def deposit(self, place: Place, raw: bytes) -> None:
        """Money that came in."""
        fields = decode_payload(decode_entry(raw))
        amount = fields["amount"]
        user = self.users.number(fields["user"])
        self.ledger.add(user, *place, amount, history.deposit(amount))

    def request(self, place: Place, nonce: int, raw: bytes) -> tuple[int, int, int]:
        """Money that is on its way out; the row to keep. What the fund sends, nobody asked for."""
        fields = decode_payload(decode_entry(raw))
        amount, fee = fields["amount"], fields["fee"]
        user = self.users.number(fields["user"])
        if fields["user"] == ASSISTANCE_FUND:
            place, nonce = (place[0], None), 0
        row = history.withdrawal(amount, nonce, fee)
        self.ledger.add(user, *place, -amount - fee, row)
        self.waiting[fields["wid"]] = user, amount
        return fields["wid"], user, amount

    def done(self, place: Place, raw: bytes) -> None:
        """A withdrawal that was cancelled is money that came in again; a paid one has its row."""
        fields = decode_payload(decode_entry(raw))
        found = self.waiting.pop(fields["wid"], None)
        if fields["outcome"] != CANCELLED:
            return
        user, amount = found or self.connection.execute(WAITING, (fields["wid"],)).fetchone()
        self.ledger.add(user, *place, amount, history.deposit(amount))
