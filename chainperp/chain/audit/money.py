"""The money of a chain as an auditor follows it from entries and roots alone.

Conservation at every SEAL, what takeovers bring and where it is routed, and the public list of
exemptions, which only logged events change. Source: audit-log-and-consensus 10.2, T12, T22.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.units import address_text
from chainperp.chain.audit.leaves import Moment
from chainperp.model.decisions import Kind, LedgerType, Rejection, SystemType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.tokens import USDC
from chainperp.parameters.schema import Parameters
from chainperp.rules.backstop import routed_share
from chainperp.state.root import cash_of
from chainperp.state.schemas import EXEMPTION, TOKEN, spot_collection
from chainperp.state.store import ASSISTANCE_FUND, BACKSTOP_VAULT, INSURANCE
from chainperp.state.tree import Tree

EXEMPT_PREFIX: Final = "exempt/"
MONEY_KINDS: Final = (
    Kind.BACKSTOP, Kind.LEDGER, Kind.PARAM, Kind.TX_SYSTEM, Kind.FILL,
)  # fmt: skip


def exempt_leaves(trees: Mapping[str, Tree]) -> dict[bytes, bytes]:
    """The public list, by address."""
    return {key: value for key, value, _sums in trees["exempt"].items()}


def _tokens(moment: Moment) -> Iterator[str]:
    """Of each token but USDC, balances and what was burned are what genesis made; and from the
    roots alone: all their balances are what circulates."""
    roots = moment.committed.roots
    held = 0
    for key, value, _sums in moment.trees["token"].items():
        index = int.from_bytes(key, "big")
        if index != USDC:
            fields = canonical.decode(TOKEN, value)
            balances = roots[spot_collection(index)].sums[0]
            held += balances
            if balances + fields["burned"] != fields["supply"]:
                name = fields["name"].decode("ascii")
                yield (
                    f"accounts hold {balances} of {name} and {fields['burned']} are burned, "
                    f"the supply is {fields['supply']}"
                )
    if roots["token"].sums[0] != held:
        yield f"accounts hold {held} of all tokens, {roots['token'].sums[0]} circulate"


class MoneyTrail:
    """What an auditor remembers of the money between blocks. Starts from a committed state."""

    __slots__ = ("exempt", "parameters", "parties")

    def __init__(self, parameters: Parameters, trees: Mapping[str, Tree]) -> None:
        self.parameters = parameters
        self.exempt = exempt_leaves(trees)
        self.parties: dict[bytes, None] = {}

    def follow(self, height: int, entries: Sequence[bytes]) -> Iterator[str]:
        """Entries of a block, in order; yields what does not fit."""
        takeover: Record | None = None
        routed: list[Record] = []
        system: Record | None = None
        for raw in entries:
            kind = int.from_bytes(raw[1:3], "big")
            if kind not in MONEY_KINDS:
                continue
            fields = decode_payload(decode_entry(raw))
            if kind == Kind.BACKSTOP:
                yield from self._check_takeover(takeover, routed)
                takeover, routed = (fields if fields["taken"] else None), []
            elif kind == Kind.LEDGER:
                routed.append(fields)
            elif kind == Kind.TX_SYSTEM:
                system = fields
            elif kind == Kind.PARAM:
                yield from self._change_list(height, fields, system)
            elif kind == Kind.FILL:
                self.parties[fields["maker"]] = self.parties[fields["taker"]] = None
        yield from self._check_takeover(takeover, routed)

    def _check_takeover(self, takeover: Record | None, moved: list[Record]) -> Iterator[str]:
        """A takeover's margin goes to the vault, and from there by the published shares (BKS-6)."""
        if takeover is None:
            return
        collateral = takeover["collateral"]
        seized = [row["amount"] for row in moved if row["type"] == LedgerType.BACKSTOP_COLLATERAL]
        if seized != [collateral]:
            yield f"a takeover seized {seized}, its entry says {collateral}"
        for address, share_bps in (
            (ASSISTANCE_FUND, self.parameters.liquidation_fund_bps),
            (INSURANCE, self.parameters.liquidation_insurance_bps),
        ):
            due = routed_share(collateral, share_bps)
            paid = sum(
                row["amount"]
                for row in moved
                if row["type"] == LedgerType.LIQUIDATION_PROFIT
                and (row["source"], row["destination"]) == (BACKSTOP_VAULT, address)
            )
            if paid != due:
                yield f"{address_text(address)} got {paid} of {collateral} seized, due were {due}"

    def _change_list(self, height: int, fields: Record, system: Record | None) -> Iterator[str]:
        """A change of the exemption list has its recorded input and its notice."""
        name: str = fields["name"]
        if not name.startswith(EXEMPT_PREFIX):
            return
        address = bytes.fromhex(name.removeprefix(EXEMPT_PREFIX))
        if system is None or (system["type"], system["code"]) != (
            SystemType.EXEMPTION, Rejection.ACCEPTED,
        ):  # fmt: skip
            # The input's entry is written before its effects, with its result.
            yield f"the exemption of {address_text(address)} changed without a recorded input"
        if fields["activation_height"] < height + self.parameters.exempt_notice_blocks:
            yield f"the exemption of {address_text(address)} changed without notice"
        if fields["old"] != self.exempt.get(address, b""):
            yield f"the exemption of {address_text(address)} was not what its change says"
        if canonical.decode(EXEMPTION, fields["new"])["ranges"]:
            self.exempt[address] = fields["new"]
        else:
            self.exempt.pop(address, None)

    def close(self, moment: Moment, seal: Record) -> Iterator[str]:
        """The state at a SEAL: custody, and open interest equal on both sides."""
        roots = moment.committed.roots
        cash = cash_of(roots)
        if (cash, seal["cash_sum"] - seal["entry_sum"]) != (seal["custody"], seal["custody"]):
            yield (
                f"accounts, spot balances and withdrawals hold {cash}, the SEAL says "
                f"{seal['cash_sum']} less "
                f"{seal['entry_sum']} against custody {seal['custody']}"
            )
        for name, root in roots.items():
            if name.startswith("pos/") and name.endswith("/L"):
                short = roots[name[:-1] + "S"]
                if root.sums[0] != short.sums[0]:
                    yield f"{name} holds {root.sums[0]} lots, the other side {short.sums[0]}"
        yield from _tokens(moment)

    def close_list(self, height: int, moment: Moment) -> Iterator[str]:
        """The list of exemptions at a SEAL is what its logged changes give."""
        for address in list(self.exempt):
            self._expire(height, address)
        if self.exempt != exempt_leaves(moment.trees):
            yield "the list of exemptions in the state is not what its logged changes give"

    def _expire(self, height: int, address: bytes) -> None:
        """Ranges whose last height has passed leave the list."""
        fields = canonical.decode(EXEMPTION, self.exempt[address])
        left = [row for row in fields["ranges"] if row["to_height"] > height]
        if not left:
            del self.exempt[address]
        elif len(left) != len(fields["ranges"]):
            self.exempt[address] = canonical.encode(EXEMPTION, {**fields, "ranges": left})

    def strangers(self, trees: Mapping[str, Tree]) -> list[bytes]:
        """Parties of trades that have no account in the state."""
        tree = trees["acct"]
        return [party for party in self.parties if tree.get(party) is None]
