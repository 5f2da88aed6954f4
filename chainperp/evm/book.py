"""What a log says about the EVM: every recorded effect with its citation, and what was asked for.

Made from the log's entries alone, one after the other. Nothing is asked of an EVM here.
"""

from dataclasses import dataclass, field
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record, Schema
from chainperp.base.hashing import leaf_hash
from chainperp.evm.events import Citation
from chainperp.evm.facts import Waiting
from chainperp.model.bridge import BRIDGE_DEPOSIT_BODY, BRIDGE_PAYOUT_BODY, EVM_BUYBACK_BODY
from chainperp.model.decisions import Kind, Rejection, SystemType
from chainperp.model.entries import HEADER, HEADER_SIZE, decode_entry
from chainperp.model.records import SCHEMAS
from chainperp.state.store import ASSISTANCE_FUND

BODIES: Final[dict[int, Schema]] = {
    SystemType.BRIDGE_DEPOSIT: BRIDGE_DEPOSIT_BODY,
    SystemType.BRIDGE_PAYOUT: BRIDGE_PAYOUT_BODY,
    SystemType.EVM_BUYBACK: EVM_BUYBACK_BODY,
}
READ: Final = (Kind.TX_SYSTEM, Kind.WITHDRAW_REQ)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An effect of the EVM that the ledger took, and what it cites."""

    index: int
    "Index of its TX_SYSTEM entry."
    fields: Record
    at: Citation


@dataclass(slots=True)
class Book:
    """The ledger's side of every pair."""

    deposits: dict[int, Recorded] = field(default_factory=dict)
    payouts: dict[int, Recorded] = field(default_factory=dict)
    purchases: dict[int, Recorded] = field(default_factory=dict)
    requests: dict[int, Waiting] = field(default_factory=dict)
    decisions: dict[bytes, int] = field(default_factory=dict)
    "Withdrawals of the fund by the leaf hash of their WITHDRAW_REQ."
    repeated: list[str] = field(default_factory=list)
    "What stands in the log twice, which no honest ledger writes."
    size: int = 0

    def add(self, entry: bytes) -> None:
        """The next entry of the log. Raises InvalidBytes for one that is none."""
        index, self.size = self.size, self.size + 1
        kind = HEADER.unpack_from(entry)[1] if len(entry) >= HEADER_SIZE else 0
        if kind not in READ:
            return
        decoded = decode_entry(entry)
        fields = canonical.decode(SCHEMAS[decoded.kind], decoded.payload)
        if decoded.kind is Kind.WITHDRAW_REQ:
            self._request(index, entry, fields)
        elif fields["code"] == Rejection.ACCEPTED and fields["type"] in BODIES:
            self._record(index, fields["type"], canonical.decode(BODIES[fields["type"]],
                                                                  fields["body"]))  # fmt: skip

    def _request(self, index: int, entry: bytes, fields: Record) -> None:
        who = (fields["user"], fields["destination"])
        wid = fields["wid"]
        if wid in self.requests:
            self.repeated.append(f"withdrawal {wid} is asked for again by entry {index}")
            return
        self.requests[wid] = Waiting(wid, *who, fields["amount"], index)
        if fields["user"] == ASSISTANCE_FUND:
            self.decisions[leaf_hash(entry)] = wid

    def _record(self, index: int, kind: int, fields: Record) -> None:
        place = Citation(fields["block"], fields["block_hash"], fields["log_index"])
        table, name = {
            SystemType.BRIDGE_DEPOSIT: (self.deposits, "nonce"),
            SystemType.BRIDGE_PAYOUT: (self.payouts, "wid"),
            SystemType.EVM_BUYBACK: (self.purchases, "number"),
        }[SystemType(kind)]
        if fields[name] in table:
            self.repeated.append(f"{name} {fields[name]} is recorded again by entry {index}")
            return
        table[fields[name]] = Recorded(index, fields, place)
