"""Fees as an auditor follows them: from each trade to where its money went.

From a block's entries and the leaves of its SEAL alone: every trade's fees follow from the rates of
its two accounts, those rates from their volumes, and what the block moved to referrers and to the
liquidity vault is what its trades owe by the rules in force (INV-T5, INV-T1).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chainperp.base import canonical
from chainperp.base.canonical import Record
from chainperp.base.units import address_text, day_of
from chainperp.chain.audit.leaves import Moment
from chainperp.model.decisions import Kind, LedgerType, ReferralEvent
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.tokens import SPOT_FIRST
from chainperp.parameters.schema import Parameters
from chainperp.rules.fees import (
    fee_rates,
    hlp_share,
    maker_fee_paid,
    maker_rate,
    trading_fee,
    volume_of_window,
)
from chainperp.rules.referrals import referral_reward
from chainperp.rules.spot import spot_fee
from chainperp.state.schemas import ACCOUNT, COUNTERS, REFERRAL, SUB_ACCOUNT
from chainperp.state.store import REFERRALS
from chainperp.state.tree import Tree
from chainperp.transition.recorder import FLAG_ADL, FLAG_BACKSTOP, FLAG_NETTED, FLAG_TAKER_BUYS

KINDS: Final = (Kind.FILL, Kind.LEDGER, Kind.REFERRAL, Kind.TOKEN)
FREE: Final = FLAG_BACKSTOP | FLAG_ADL | FLAG_NETTED
"""Trades that met no book: nobody pays for them."""
SHARED: Final = (LedgerType.VAULT_CREATION_FEE,)
"""Transfers to the fund of which the liquidity vault has its share, as of a trade's fees."""

NOBODY: Final[Record] = {
    "raw": 0, "day": -1, "fee_taker": 0, "fee_maker": 0, "spot_fee_taker": 0, "spot_fee_maker": 0,
    "discount": 0, "reward": 0, "volume_day": 0, "maker_day": 0, "days": [],
}  # fmt: skip


class FeeTrail:
    """What an auditor remembers of fees between blocks: whose rates of a day it has checked."""

    __slots__ = ("_checked", "parameters")

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._checked: dict[bytes, int] = {}

    def follow(self, entries: Sequence[bytes], moment: Moment, time_ms: int) -> Iterator[str]:
        """The entries of a block with the state at its SEAL; yields what does not fit."""
        trees = moment.trees
        block = _Block(self.parameters, moment)
        read = [decode_entry(raw) for raw in entries if int.from_bytes(raw[1:3], "big") in KINDS]
        logged = [(entry.kind, decode_payload(entry)) for entry in read]
        for kind, fields in logged:
            if kind is Kind.REFERRAL and fields["event"] == ReferralEvent.REFERRED:
                block.joining[fields["account"]] = None
        for kind, fields in logged:
            yield from block.take(kind, fields)
        yield from block.close()
        for address, leaf in block.leaves.items():
            yield from self._check_rates(address, leaf, trees, day_of(time_ms))
        unclaimed = moment.committed.roots["ref"].sums[0]
        pot = _account(trees, REFERRALS)["raw"]
        if unclaimed != pot:
            yield f"referrers can claim {unclaimed}, the account of referrals holds {pot}"

    def _check_rates(
        self, address: bytes, leaf: Record, trees: Mapping[str, Tree], today: int
    ) -> Iterator[str]:
        """An account's rates of a day follow from committed volumes (FEE-2, FEE-4, FEE-8); once a
        day for each account that trades."""
        if self._checked.get(address) == today:
            return
        self._checked[address] = today
        window = self.parameters.volume_window_days
        volumes: list[tuple[int, int]] = []
        made: list[tuple[int, int]] = []
        for one in _family(trees, address):
            fields = _account(trees, one)
            volumes += [(row["day"], row["volume"]) for row in fields["days"]]
            made += [(row["day"], row["maker"]) for row in fields["days"]]
            volumes.append((fields["day"], fields["volume_day"]))
            made.append((fields["day"], fields["maker_day"]))
        counters = canonical.decode(COUNTERS, trees["meta"].get(b"counters") or b"")
        exchange = [(row["day"], row["volume"]) for row in counters["volume_days"]]
        volume = volume_of_window(volumes, today, window)
        taker, maker = fee_rates(volume, self.parameters.fee_tiers)
        maker = maker_rate(
            maker, volume_of_window(made, today, window),
            volume_of_window(exchange, today, window), self.parameters.maker_rebate_tiers,
        )  # fmt: skip
        spot = fee_rates(volume, self.parameters.spot_fee_tiers)
        found = (leaf["fee_taker"], leaf["fee_maker"])
        found_spot = (leaf["spot_fee_taker"], leaf["spot_fee_maker"])
        if (leaf["day"], found, found_spot) != (today, (taker, maker), spot):
            yield (
                f"{address_text(address)} has the rates {found} and {found_spot} of day "
                f"{leaf['day']}, its volume of {volume} gives {(taker, maker)} and {spot}"
            )


class _Block:
    """The trades of one block, and what they owe."""

    def __init__(self, parameters: Parameters, moment: Moment) -> None:
        self.parameters = parameters
        self.trees = moment.trees
        self.pairs = moment.state.pairs
        self.leaves: dict[bytes, Record] = {}
        self.vault_due = 0
        self.vault_paid = 0
        self.rewards_moved = 0
        # Fees in tokens, by token.
        self.burn_due: dict[int, int] = {}
        self.burned: dict[int, int] = {}
        # By account that trades: fees and reward, as its trades give them and as entries say.
        self.due: dict[bytes, tuple[int, int]] = {}
        self.said: dict[bytes, tuple[int, int]] = {}
        # Accounts that name their referrer later in this block: without one until then.
        self.joining: dict[bytes, None] = {}
        self.joined: dict[bytes, None] = {}

    def take(self, kind: Kind, fields: Record) -> Iterator[str]:
        """One entry, in order."""
        if kind is Kind.FILL:
            yield from self._fill(fields)
        elif kind is Kind.LEDGER:
            if fields["type"] == LedgerType.FEE_SHARE:
                self.vault_paid += fields["amount"]
            elif fields["type"] == LedgerType.REFERRAL_REWARD:
                self.rewards_moved += fields["amount"]
            elif fields["type"] in SHARED:
                self.vault_due += hlp_share(fields["amount"], self.parameters.hlp_fee_share_bps)
        elif kind is Kind.TOKEN:
            if fields["type"] == LedgerType.SPOT_FEE_BURN:
                token = fields["token"]
                self.burned[token] = self.burned.get(token, 0) + fields["amount"]
        elif fields["event"] == ReferralEvent.REFERRED:
            self.joined[fields["account"]] = None
        elif fields["event"] == ReferralEvent.REWARDED:
            yield from self._reward(fields)

    def _fill(self, fields: Record) -> Iterator[str]:
        fees = fields["maker_fee"], fields["taker_fee"]
        if fields["flags"] & FREE:
            if fees != (0, 0):
                yield f"trade {fields['tid']} is forced and cost {fees}"
            return
        due = self._fees_of(fields)
        if fees != due:
            yield f"trade {fields['tid']} cost {fees} (maker, taker), the rates give {due}"
        if fields["asset"] >= SPOT_FIRST:
            # Who buys has paid in the token, which is burned.
            if fields["flags"] & FLAG_TAKER_BUYS:
                self._burn(fields["asset"], due[1])
                due = due[0], 0
            else:
                self._burn(fields["asset"], due[0])
                due = 0, due[1]
        left = sum(due)
        for address, fee in ((fields["taker"], due[1]), (fields["maker"], due[0])):
            share = self._terms(address)[1]
            if share and fee > 0:
                reward = referral_reward(fee, left, share)
                left -= reward
                before = self.due.get(address, (0, 0))
                self.due[address] = before[0] + fee, before[1] + reward
        self.vault_due += hlp_share(left, self.parameters.hlp_fee_share_bps)

    def _fees_of(self, fields: Record) -> tuple[int, int]:
        """Maker's and taker's fee of a trade by the rates of their leaves."""
        maker, taker = self._leaf(fields["maker"]), self._leaf(fields["taker"])
        discounts = self._terms(fields["maker"])[0], self._terms(fields["taker"])[0]
        lots = fields["lots"]
        notional = fields["price"] * lots
        if fields["asset"] < SPOT_FIRST:
            taker_fee = trading_fee(notional, taker["fee_taker"], discounts[1])
            maker_fee = trading_fee(notional, maker["fee_maker"], discounts[0])
            return maker_fee_paid(maker_fee, taker_fee), taker_fee
        given = self.pairs[fields["asset"] - SPOT_FIRST].wei_per_lot * lots
        received = (notional, given) if fields["flags"] & FLAG_TAKER_BUYS else (given, notional)
        return (
            spot_fee(received[0], maker["spot_fee_maker"], discounts[0]),
            spot_fee(received[1], taker["spot_fee_taker"], discounts[1]),
        )

    def _burn(self, asset: int, fee: int) -> None:
        token = self.pairs[asset - SPOT_FIRST].base
        self.burn_due[token] = self.burn_due.get(token, 0) + fee

    def _reward(self, fields: Record) -> Iterator[str]:
        address = fields["account"]
        before = self.said.get(address, (0, 0))
        self.said[address] = before[0] + fields["fees"], before[1] + fields["amount"]
        value = self.trees["ref"].get(address)
        referrer = None if value is None else canonical.decode(REFERRAL, value)["referrer"]
        if referrer != fields["referrer"]:
            yield f"a reward for {address_text(address)} went to {address_text(fields['referrer'])}"

    def close(self) -> Iterator[str]:
        """What the block moved against what its trades owe."""
        if self.due != self.said:
            for address in sorted({*self.due, *self.said}):
                due, said = self.due.get(address, (0, 0)), self.said.get(address, (0, 0))
                if due != said:
                    yield (
                        f"fees and reward of {address_text(address)} are {said}, its trades give "
                        f"{due}"
                    )
        owed = sum(reward for _, reward in self.due.values())
        if self.rewards_moved != owed:
            yield f"referrers got {self.rewards_moved}, the block's trades owe them {owed}"
        for token, due_burned in self.burn_due.items():
            gone = self.burned.get(token, 0)
            if gone != due_burned:
                yield f"fees of {due_burned} in token {token} were due, {gone} were burned"
        if self.vault_paid != self.vault_due:
            yield (
                f"the liquidity vault got {self.vault_paid} of the fees, its share is "
                f"{self.vault_due}"
            )

    def _leaf(self, address: bytes) -> Record:
        found = self.leaves.get(address)
        if found is None:
            found = self.leaves[address] = _account(self.trees, address)
        return found

    def _terms(self, address: bytes) -> tuple[int, int]:
        """Discount and reward in force: the leaf's, but for trades before the account named its
        referrer in this very block."""
        leaf = self._leaf(address)
        if address in self.joining and address not in self.joined:
            return 0, 0
        return leaf["discount"], leaf["reward"]


def _account(trees: Mapping[str, Tree], address: bytes) -> Record:
    """An account's leaf; one that is not there has nothing."""
    value = trees["acct"].get(address)
    return NOBODY if value is None else canonical.decode(ACCOUNT, value)


def _family(trees: Mapping[str, Tree], address: bytes) -> list[bytes]:
    """A master and its sub-accounts, whichever of them is given."""
    master = address
    own = trees["sub"].get(address)
    if own is not None:
        master = canonical.decode(SUB_ACCOUNT, own)["master"]
    subs = [
        key
        for key, value, _ in trees["sub"].items()
        if canonical.decode(SUB_ACCOUNT, value)["master"] == master
    ]
    return [master, *subs]
