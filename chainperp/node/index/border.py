"""What crosses the border of the exchange, as rows: deposits, withdrawals and how they ended, and
what the vault bought on the EVM."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from chainperp.model.bridge import CANCELLED
from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.documents import history
from chainperp.state.store import ASSISTANCE_FUND

if TYPE_CHECKING:
    from chainperp.node.index.rows import Rows

WITHDRAWAL: Final = "SELECT user, amount FROM withdrawals WHERE wid = ?"


class Border:
    """Rows of a batch; `rows` says where in the log and in which transaction they are."""

    def __init__(self, rows: "Rows") -> None:
        self.rows = rows

    def handlers(self) -> list[tuple[Kind, Callable[[int, bytes], None]]]:
        """Who reads which entries."""
        return [
            (Kind.DEPOSIT, self._deposit),
            (Kind.WITHDRAW_REQ, self._withdrawal),
            (Kind.WITHDRAW_DONE, self._done),
            (Kind.EVM_BUYBACK, self._purchase),
        ]

    def _deposit(self, index: int, raw: bytes) -> None:
        rows, fields = self.rows, decode_payload(decode_entry(raw))
        amount = fields["amount"]
        user = rows.users.number(fields["user"])
        place = index, rows.time_ms
        rows.ledger.add(user, place, rows.hash, amount, history.deposit(amount))

    def _withdrawal(self, index: int, raw: bytes) -> None:
        rows, fields = self.rows, decode_payload(decode_entry(raw))
        amount, fee = fields["amount"], fields["fee"]
        user = rows.users.number(fields["user"])
        # The fund's transfer to the vault follows a purchase: no transaction asked for it.
        is_own = fields["user"] == ASSISTANCE_FUND
        hash_, nonce = (None, 0) if is_own else (rows.hash, rows.action.nonce)
        row = history.withdrawal(amount, nonce, fee)
        rows.ledger.add(user, (index, rows.time_ms), hash_, -amount - fee, row)
        rows.tables["withdrawals"].append((fields["wid"], user, amount))

    def _done(self, index: int, raw: bytes) -> None:
        """Its money left with the request. When it was cancelled, it comes back."""
        rows, fields = self.rows, decode_payload(decode_entry(raw))
        wid, outcome = fields["wid"], fields["outcome"]
        rows.tables["payouts"].append((wid, outcome))
        if outcome == CANCELLED:
            user, amount = self._asked(wid)
            place = index, rows.time_ms
            rows.ledger.add(user, place, rows.hash, amount, history.deposit(amount))

    def _asked(self, wid: int) -> tuple[int, int]:
        """Account and amount of a withdrawal, of this batch or of an earlier one."""
        for number, user, amount in self.rows.tables["withdrawals"]:
            if number == wid:
                return user, amount
        user, amount = self.rows.connection.execute(WITHDRAWAL, (wid,)).fetchone()
        return user, amount

    def _purchase(self, index: int, raw: bytes) -> None:
        rows = self.rows
        rows.tables["evm_buybacks"].append((index, rows.height, rows.time_ms, raw))
