"""What crosses the border of the exchange as an auditor follows it, from entries and roots alone.

Every input has the result that the rules give it and exactly the record that follows from its body;
no deposit, payout or purchase is in the log without its input. Custody, the pending withdrawals and
the sums of the counters are added up from those records. Whether a cited event happened on the EVM
is another question (`chainperp/evm/pairs.py`). Source: audit-log-and-consensus T13, U-BR-1..6.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.errors import InvalidBytes
from chainperp.base.hashing import leaf_hash
from chainperp.chain.audit.leaves import Moment
from chainperp.chain.genesis import Genesis
from chainperp.model.bridge import CANCELLED, GRANT_MARK, GRANT_NONCE, PAID
from chainperp.model.decisions import Kind, Rejection, SystemType, rule_number
from chainperp.model.entries import HEADER_SIZE, decode_entry, decode_payload
from chainperp.model.fund import FUND_KEY
from chainperp.rules.buyback import Receipt, check_vault_purchase
from chainperp.rules.transfers import (
    AMOUNT_MAX,
    check_border,
    check_grant,
    is_next_deposit,
    payout_split,
)
from chainperp.state.schemas import COUNTERS, FUND, VAULT, WITHDRAWAL
from chainperp.state.store import ASSISTANCE_FUND, LIQUIDITY_VAULT, REFERRALS
from chainperp.state.tree import Tree
from chainperp.transition.block import SYSTEM_INPUTS

READ: Final = (
    Kind.TX_SYSTEM, Kind.DEPOSIT, Kind.WITHDRAW_REQ, Kind.WITHDRAW_DONE, Kind.EVM_BUYBACK,
    Kind.USER_VAULT, Kind.SEAL,
)  # fmt: skip
RECORD_OF: Final = {
    SystemType.DEPOSIT: Kind.DEPOSIT,
    SystemType.BRIDGE_DEPOSIT: Kind.DEPOSIT,
    SystemType.GRANT: Kind.DEPOSIT,
    SystemType.WITHDRAWAL_DONE: Kind.WITHDRAW_DONE,
    SystemType.BRIDGE_PAYOUT: Kind.WITHDRAW_DONE,
    SystemType.EVM_BUYBACK: Kind.EVM_BUYBACK,
}
RESULTS: Final = tuple(int(one) for one in Rejection)
COUNTED: Final = ("custody", "deposits", "credited", "granted", "paid_out")


@dataclass(slots=True)
class BorderCounts:
    """How much of what crossed the border was checked."""

    deposits: int = 0
    grants: int = 0
    payouts: int = 0
    cancelled: int = 0
    receipts: int = 0
    """Purchases on the EVM."""
    strangers: int = 0
    """Those of them that name no transfer of this log: somebody else started them."""


class Due:
    """An accepted input whose record has not come yet: its kind, and what it must say."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: Kind, fields: Record) -> None:
        self.kind = kind
        self.fields = fields


class BorderTrail:
    """What an auditor remembers of the border between blocks. Starts from a committed state."""

    __slots__ = (
        "counts", "due", "has_contracts", "is_testnet", "leaders", "pending", "purchases", "sums",
        "transfers",
    )  # fmt: skip

    def __init__(self, genesis: Genesis, trees: Mapping[str, Tree]) -> None:
        self.has_contracts = genesis.evm is not None
        self.is_testnet = genesis.network == "Testnet"
        counters = canonical.decode(COUNTERS, trees["meta"].get(b"counters") or b"")
        self.sums: dict[str, int] = {name: counters[name] for name in COUNTED}
        self.pending = _pending(trees)
        fund = canonical.decode(FUND, trees["fund"].get(FUND_KEY) or b"")
        self.purchases: int = fund["evm_purchases"]
        self.leaders: dict[bytes, bytes] = {
            key: canonical.decode(VAULT, value)["leader"]
            for key, value, _sums in trees["vault"].items()
        }
        # Leaf hashes of the fund's requests: the decisions that purchases on the EVM may name.
        self.transfers: dict[bytes, int] = {}
        self.counts = BorderCounts()
        self.due: Due | None = None

    def follow(self, first_index: int, entries: Sequence[bytes]) -> Iterator[str]:
        """Entries of a block, in order; yields what does not fit."""
        for place, raw in enumerate(entries):
            kind = int.from_bytes(raw[1:3], "big")
            if kind not in READ or (kind == Kind.TX_SYSTEM and _is_vote(raw)):
                continue
            fields = decode_payload(decode_entry(raw))
            if kind == Kind.WITHDRAW_REQ:
                yield from self._request(first_index + place, fields, raw)
            elif kind == Kind.TX_SYSTEM:
                yield from self._missing()
                yield from self._input(fields)
            elif kind == Kind.USER_VAULT:
                self.leaders[fields["vault"]] = fields["leader"]
            elif kind == Kind.SEAL:
                yield from self._missing()
                if fields["custody"] != self.sums["custody"]:
                    yield (
                        f"the SEAL says custody {fields['custody']}, what came in and went out "
                        f"leaves {self.sums['custody']}"
                    )
            else:
                yield from self._record(Kind(kind), fields)

    def _missing(self) -> Iterator[str]:
        """An accepted input leaves its record before the next input."""
        if self.due is not None:
            yield f"an accepted input left no {self.due.kind.name} of {_text(self.due.fields)}"
            self.due = None

    def _input(self, system: Record) -> Iterator[str]:
        """An input's result, and the record that it must leave."""
        if system["type"] not in SYSTEM_INPUTS:
            yield f"an input of type {system['type']} was recorded: there is no such type"
            return
        kind = SystemType(system["type"])
        expected, fields = self._verdict(kind, system["body"])
        if kind not in RECORD_OF and expected is Rejection.ACCEPTED:
            return  # Others judge what is no money.
        if system["code"] != expected:
            yield (
                f"{kind.name} {_text(fields) or system['body'].hex()} has the result "
                f"{_result(system['code'])}, the rules say {expected.name}"
            )
        if system["code"] == Rejection.ACCEPTED and fields:
            self.due = Due(RECORD_OF[kind], self._record_of(kind, fields))

    def _verdict(self, kind: SystemType, body: bytes) -> tuple[Rejection, Record]:
        """What the rules say of an input, and its fields; none when it has no form."""
        found = check_border(kind, self.has_contracts)
        try:
            fields = canonical.decode(SYSTEM_INPUTS[kind][0], body)
        except InvalidBytes:
            refused = Rejection.SYSTEM_MALFORMED if found is Rejection.ACCEPTED else found
            return refused, {}
        if found is Rejection.ACCEPTED:
            found = self._judge(kind, fields)
        return found, fields

    def _judge(self, kind: SystemType, fields: Record) -> Rejection:
        """What TRF-4, TRF-7, TRF-8 and BUY-8 say of an input."""
        if kind is SystemType.GRANT:
            return check_grant(fields["amount"], self.is_testnet)
        if kind in (SystemType.DEPOSIT, SystemType.BRIDGE_DEPOSIT):
            number = fields["nonce" if kind is SystemType.BRIDGE_DEPOSIT else "l1_nonce"]
            if not is_next_deposit(number, self.sums["deposits"]):
                return Rejection.DEPOSIT_NONCE
            is_amount = 0 < fields["amount"] <= AMOUNT_MAX
            return Rejection.ACCEPTED if is_amount else Rejection.AMOUNT_INVALID
        if kind in (SystemType.WITHDRAWAL_DONE, SystemType.BRIDGE_PAYOUT):
            pending = self.pending.get(fields["wid"])
            if pending is None:
                return Rejection.WITHDRAWAL_UNKNOWN
            split = payout_split(fields.get("outcome", PAID), pending["amount"])
            return Rejection.PAYOUT_OUTCOME if split is None else Rejection.ACCEPTED
        if kind is SystemType.EVM_BUYBACK:
            receipt = Receipt(fields["spent"], fields["bought"], fields["burned"])
            return check_vault_purchase(fields["number"], self.purchases, receipt)
        return Rejection.ACCEPTED

    def _record_of(self, kind: SystemType, fields: Record) -> Record:
        """The record that an accepted input leaves."""
        if kind is SystemType.EVM_BUYBACK:
            return {**fields, "rule": rule_number("BUY-8")}
        if RECORD_OF[kind] is Kind.WITHDRAW_DONE:
            reference = fields["l1_ref" if kind is SystemType.WITHDRAWAL_DONE else "block_hash"]
            outcome = fields.get("outcome", PAID)
            return {"wid": fields["wid"], "l1_ref": reference, "outcome": outcome}
        record = {"user": self._receiver(fields["user"]), "amount": fields["amount"]}
        if kind is SystemType.GRANT:
            return {**record, "l1_nonce": GRANT_NONCE, "l1_ref": GRANT_MARK}
        if kind is SystemType.BRIDGE_DEPOSIT:
            return {**record, "l1_nonce": fields["nonce"], "l1_ref": fields["block_hash"]}
        return {**record, "l1_nonce": fields["l1_nonce"], "l1_ref": fields["l1_ref"]}

    def _receiver(self, user: bytes) -> bytes:
        """Whose account is credited: a vault's money from outside is its leader's (U-REL-3), that
        of the account of referrals the fund's (U-BR-8)."""
        if user == REFERRALS:
            return ASSISTANCE_FUND
        is_vault = user in self.leaders and user != LIQUIDITY_VAULT
        return self.leaders[user] if is_vault else user

    def _record(self, kind: Kind, fields: Record) -> Iterator[str]:
        """A deposit, a payout or a purchase: exactly what its input says, which stands before."""
        due, self.due = self.due, None
        if due is None or due.kind is not kind:
            yield f"{kind.name} {_text(fields)} has no input"
        elif due.fields != fields:
            yield f"{kind.name} says {_text(fields)}; its input {_text(due.fields)}"
        if kind is Kind.DEPOSIT:
            yield from self._deposit(fields)
        elif kind is Kind.WITHDRAW_DONE:
            yield from self._done(fields)
        else:
            self.counts.receipts += 1
            self.counts.strangers += fields["decision"] not in self.transfers
            self.purchases = fields["number"]

    def _deposit(self, fields: Record) -> Iterator[str]:
        """Deposits carry the bridge's own numbers, none twice and none left out."""
        self.sums["custody"] += fields["amount"]
        if fields["l1_nonce"] == GRANT_NONCE:
            self.counts.grants += 1
            self.sums["granted"] += fields["amount"]
            return
        self.counts.deposits += 1
        self.sums["credited"] += fields["amount"]
        if not is_next_deposit(fields["l1_nonce"], self.sums["deposits"]):
            yield f"deposit {fields['l1_nonce']} follows deposit {self.sums['deposits']}"
        self.sums["deposits"] = fields["l1_nonce"]

    def _request(self, index: int, fields: Record, raw: bytes) -> Iterator[str]:
        """A withdrawal that begins."""
        wid = fields["wid"]
        if wid in self.pending:
            yield f"withdrawal {wid} was asked for twice"
        self.pending[wid] = {
            "user": fields["user"],
            "destination": fields["destination"],
            "amount": fields["amount"],
            "entry_index": index,
        }
        if fields["user"] == ASSISTANCE_FUND:
            self.transfers[leaf_hash(raw)] = wid

    def _done(self, fields: Record) -> Iterator[str]:
        """A withdrawal that ends, paid or cancelled."""
        pending = self.pending.pop(fields["wid"], None)
        split = None if pending is None else payout_split(fields["outcome"], pending["amount"])
        if split is None or pending is None:
            yield f"withdrawal {fields['wid']} ended with {fields['outcome']} and cannot have"
            return
        self.counts.payouts += fields["outcome"] == PAID
        self.counts.cancelled += fields["outcome"] == CANCELLED
        self.sums["custody"] -= split[0]
        self.sums["paid_out"] += split[0]

    def close(self, moment: Moment) -> Iterator[str]:
        """The state at a SEAL: what waits to be paid, and the sums."""
        found = _pending(moment.trees)
        for wid in sorted({**found, **self.pending}):
            if found.get(wid) != self.pending.get(wid):
                yield (
                    f"withdrawal {wid} waits as {_text(found.get(wid, {})) or 'none'}; its entries "
                    f"say {_text(self.pending.get(wid, {})) or 'none'}"
                )
        counters = canonical.decode(COUNTERS, moment.trees["meta"].get(b"counters") or b"")
        for name in COUNTED:
            if counters[name] != self.sums[name]:
                yield f"the state says {name} {counters[name]}, the entries {self.sums[name]}"


def _is_vote(raw: bytes) -> bool:
    """Whether a TX_SYSTEM entry holds an oracle vote, of which there are many."""
    at = HEADER_SIZE + 2
    return int.from_bytes(raw[at : at + 2], "big") == SystemType.ORACLE_VOTE


def _pending(trees: Mapping[str, Tree]) -> dict[int, Record]:
    """The withdrawals that wait in a committed state, by number."""
    found: dict[int, Record] = {}
    for key, value, _sums in trees["wd"].items():
        fields = canonical.decode(WITHDRAWAL, value)
        del fields["version"]
        found[int.from_bytes(key, "big")] = fields
    return found


def _result(code: int) -> str:
    """Name of a logged result; the log of a forger may have any number there."""
    return Rejection(code).name if code in RESULTS else str(code)


def _text(fields: Record) -> str:
    """A record's fields in words."""
    return ", ".join(
        f"{name} {'0x' + value.hex() if isinstance(value, bytes) else value}"
        for name, value in fields.items()
    )
