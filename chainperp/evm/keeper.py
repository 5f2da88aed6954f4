"""Carries effects between ledger and contracts, both ways.

Every action is decided by comparing facts of the ledger with facts of the contracts, and the keeper
remembers nothing: whatever was done and not recorded is found again, and what was recorded is not
done again. That makes every pair complete exactly once, however often it is stopped in between.

It pays nothing that the ledger does not know: a withdrawal that waits on the EVM and is not the
ledger's, to the last field, is never finalised here but named as a suspect, and disputed with the
evidence that the next facts bring. Source: audit-log-and-consensus 15; decision 0015.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from chainperp.base.errors import InvalidBytes
from chainperp.evm.deployment import text
from chainperp.evm.events import Seen, Span, find, topic, word
from chainperp.evm.facts import (
    Evidence,
    KeeperReport,
    LedgerFacts,
    Pointer,
    Waiting,
)
from chainperp.evm.inputs import buyback_input, deposit_input, payout_input
from chainperp.evm.keeper_step import Claim, Step, batches, note_failures, sentence, wids_of
from chainperp.evm.signers import Keys
from chainperp.model.bridge import EvmContracts
from chainperp.state.store import ASSISTANCE_FUND
from contracts_py.anchor import Anchor
from contracts_py.bridge import BATCH_MAX, WIDS_MAX, Bridge, Withdrawal
from contracts_py.buyback import BuybackVault
from contracts_py.handle import Handle, Reverted
from contracts_py.tokens import TestUSD

if TYPE_CHECKING:
    from web3 import Web3

DEPOSITS_MAX: Final = 200
"""Deposits and purchases that one report carries."""
REQUESTS_MAX: Final = 4 * BATCH_MAX
WATCH_BLOCKS: Final = 1_000
"""How far back suspects are looked for; a dispute period must not be longer than that."""
LIFE: Final = ("Requested", "Finalized", "Cancelled", "Invalidated")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the keeper goes about it."""

    anchor_interval: int = 100
    "Blocks of the ledger after which a larger log is anchored, without any other need."
    first_block: int = 0
    "Block of the EVM before which none of our contracts has an event."
    is_minter: bool = True
    "Whether the operator makes test dollars when a payout has nothing behind it."
    confirmations: int = 0
    "Blocks that must follow an event before the ledger hears of it."


class Keeper:
    """One per pair of ledger and contracts. Works on any web3."""

    def __init__(
        self,
        web3: "Web3",
        contracts: EvmContracts,
        keys: Keys,
        clock: Callable[[], int],
        settings: Settings | None = None,
    ) -> None:
        """`clock` gives the present second, by which periods are judged before anything is sent."""
        from eth_account import Account
        from web3.exceptions import Web3Exception

        self.web3 = web3
        self.contracts = contracts
        self.keys = keys
        self.clock = clock
        self.settings = settings or Settings()
        self.operator = Account.from_key(keys.operator)
        self.usd = TestUSD(web3, text(contracts.usd))
        self.anchor = Anchor(web3, text(contracts.anchor))
        self.bridge = Bridge(web3, text(contracts.bridge))
        self.vault = BuybackVault(web3, text(contracts.vault))
        # What one action may fail with; a fault of the disk is none of these and stops the keeper.
        self._faults = (Reverted, Web3Exception, OSError, ValueError, InvalidBytes)

    def step(self, facts: LedgerFacts) -> KeeperReport:
        """Read what is new, do what is due, once each. Faults of one action become notes."""
        now = Step(facts)
        if not self._attempt(now, "reading the EVM", self._look):
            return now.report()
        for what, action in (
            ("deposits", self._read_deposits),
            ("payouts", self._read_payouts),
            ("purchases", self._read_purchases),
            ("anchor", self._anchor),
            ("dispute", self._dispute),
            ("request", self._request),
            ("finalize", self._finalize),
            ("purchase", self._buy),
        ):
            self._attempt(now, what, action)
        self._attempt(now, "reading the EVM", self._look_again)
        return now.report()

    def _attempt(self, now: Step, what: str, action: Callable[[Step], None]) -> bool:
        """Run one action; its fault becomes a note."""
        try:
            action(now)
        except self._faults as error:
            now.note(f"{what}: {sentence(error)}")
            return False
        return True

    # Reading

    def _look(self, now: Step) -> None:
        """The head, and what the bridge says about withdrawals that matter."""
        now.head = self.web3.eth.get_block("latest")
        last = int(now.head["number"])
        topics = [word(one.wid) for one in now.facts.withdrawals]
        seen = find(self.bridge, LIFE, Span(self.settings.first_block, last), topics)
        watched = Span(max(self.settings.first_block, last - WATCH_BLOCKS), last)
        for one in (*seen, *find(self.bridge, LIFE, watched)):
            claim = now.claims.get(one.fields["wid"], Claim())
            name = "requested" if one.name == "Requested" else "ended"
            now.claims[one.fields["wid"]] = replace(claim, **{name: one})
        known = {one.wid: one for one in now.facts.withdrawals}
        for wid, claim in sorted(now.claims.items()):
            if claim.requested is None or claim.ended is not None:
                continue
            if wid not in known or not claim.is_of(known[wid]):
                index = claim.requested.fields["entry_index"]
                now.suspects.append(Pointer(wid, index))
                now.note(
                    f"withdrawal {wid} waits on the EVM and is not the ledger's: "
                    f"to be disputed with log entry {index}"
                )

    def _look_again(self, now: Step) -> None:
        now.head = self.web3.eth.get_block("latest")

    def _settled(self, now: Step) -> int:
        """Last block whose events the ledger may hear of."""
        return max(0, int(now.head["number"]) - self.settings.confirmations)

    def _read_deposits(self, now: Step) -> None:
        """Deposits that were not credited."""
        count = int(self.bridge.call("deposit_nonce", block=self._settled(now)))
        event = (self.bridge, "Deposit", "nonce")
        for one in self._unrecorded(now, "deposits", event, now.facts.deposits, count):
            now.inputs.append(deposit_input(one))

    def _unrecorded(
        self, now: Step, what: str, event: tuple[Handle, str, str], recorded: int, count: int
    ) -> Iterator[Seen]:
        """Events that are numbered from 1, after the last one recorded, without a gap; `event` is
        their contract, name, and the field with the number."""
        contract, name, field = event
        if count < recorded:
            now.note(f"{what}: the ledger recorded {recorded}, the EVM has {count} only")
        wanted = range(recorded + 1, min(count, recorded + DEPOSITS_MAX) + 1)
        span = Span(self.settings.first_block, self._settled(now))
        seen = find(contract, (name,), span, [word(number) for number in wanted])
        for number, one in zip(wanted, seen, strict=False):
            if one.fields[field] != number:
                now.note(f"{what}: number {number} has no event")
                return
            yield one

    def _read_payouts(self, now: Step) -> None:
        """Withdrawals that ended on the EVM and whose end the ledger has not recorded."""
        for one in now.facts.withdrawals:
            claim = now.claims.get(one.wid, Claim())
            if claim.ended is None or claim.ended.at.block > self._settled(now):
                continue
            if claim.ended.name == "Finalized" and not claim.is_of(one):
                now.note(f"withdrawal {one.wid} was paid on the EVM otherwise than the ledger says")
                continue
            now.inputs.append(payout_input(claim.ended))

    def _read_purchases(self, now: Step) -> None:
        """Purchases of the vault that were not recorded."""
        count = int(self.vault.call("count", block=self._settled(now)))
        event = (self.vault, "Bought", "number")
        for one in self._unrecorded(now, "purchases", event, now.facts.purchases, count):
            header = self.web3.eth.get_block(one.at.block)
            now.inputs.append(buyback_input(one, bytes(header["receiptsRoot"])))

    # Acting

    def _anchor(self, now: Step) -> None:
        """Anchor the head when a withdrawal needs it, or when it is time."""
        facts, head = now.facts, now.facts.head
        size, root = self.anchor.latest()
        now.anchored_size = size
        if self.anchor.paused():
            now.note("anchor: stopped for good, a fork was proven")
            return
        if size == facts.anchored.size and size and root != facts.anchored.root:
            now.note(f"anchor: the root anchored at size {size} is not the ledger's")
            return
        now.can_anchor = True
        if head.size <= size:
            return
        is_needed = any(size <= one.entry_index < head.size for one in self._unrequested(now))
        if not is_needed and head.height - facts.anchored.height < self.settings.anchor_interval:
            return
        if size != facts.anchored.size:
            now.note(f"anchor: the next facts must prove from size {size}")
            return
        digest = self.anchor.checkpoint_digest(head.size, head.root)
        signed = self.keys.sign(digest)
        checkpoint = (head.size, head.root)
        self.anchor.anchor(self.operator, checkpoint, facts.consistency, self.keys.set, signed)
        now.anchored_size = head.size
        now.did(anchored=head.size)

    def _dispute(self, now: Step) -> None:
        """Cancel suspects for which there is evidence."""
        suspects = {one.wid: one for one in now.suspects}
        for one in now.facts.evidence:
            if one.wid in suspects and suspects[one.wid].entry_index == one.index:
                self._attempt(now, f"dispute of {one.wid}", self._dispute_with(one))

    def _dispute_with(self, one: Evidence) -> Callable[[Step], None]:
        def act(now: Step) -> None:
            place = (one.size, one.index)
            self.bridge.dispute(self.operator, one.wid, place, one.entry, one.proof)
            now.suspects.remove(Pointer(one.wid, one.index))
            now.did(disputed=(*now.done.disputed, one.wid))

        return act

    def _unrequested(self, now: Step) -> list[Waiting]:
        """Withdrawals of the ledger that the bridge does not know."""
        return [
            one
            for one in now.facts.withdrawals
            if one.wid not in now.claims and self._is_payable(one)
        ]

    def _is_payable(self, one: Waiting) -> bool:
        """The bridge refuses these receivers, and with them a whole batch."""
        return one.destination not in (bytes(20), self.contracts.bridge)

    def _request(self, now: Step) -> None:
        """Start the dispute period of signed withdrawals whose entries are anchored."""
        for one in now.facts.withdrawals:
            if one.wid not in now.claims and not self._is_payable(one):
                now.note(f"request of {one.wid}: the bridge pays nobody at {text(one.destination)}")
        if not now.can_anchor:
            return
        ready = [one for one in self._unrequested(now) if one.entry_index < now.anchored_size]
        for batch in batches(now.rotated(ready)[:REQUESTS_MAX], BATCH_MAX):
            if len(batch) > 1 and self._attempt(now, "request", self._request_of(batch)):
                continue
            # One that the contract refuses must not hold up the others.
            for one in batch:
                self._attempt(now, f"request of {one.wid}", self._request_of([one]))

    def _request_of(self, batch: Sequence[Waiting]) -> Callable[[Step], None]:
        def act(now: Step) -> None:
            rows = []
            for one in batch:
                who = (text(one.user), text(one.destination))
                what = Withdrawal(one.wid, *who, one.amount, one.entry_index)
                signed = self.keys.sign_withdrawal(self.bridge.domain, now.facts.chain_id, one)
                rows.append((what, signed))
            done = self.bridge.request_withdrawals(self.operator, rows, self.keys.set)
            now.did(requested=(*now.done.requested, *wids_of(done, "Requested")))
            note_failures(now, "request", done)

        return act

    def _finalize(self, now: Step) -> None:
        """Pay the ledger's own withdrawals whose dispute period is over."""
        waiting = [one for one in now.facts.withdrawals if self._is_waiting(now, one)]
        if not waiting:
            return
        due = self._cover(now, [one for one in now.rotated(waiting) if self._is_over(now, one)])
        if due:
            done = self.bridge.finalize(self.operator, [one.wid for one in due[:WIDS_MAX]])
            now.did(finalized=wids_of(done, "Finalized"))
            note_failures(now, "finalize", done)

    def _is_over(self, now: Step, one: Waiting) -> bool:
        """Whether its dispute period is over in the next block, by time and by blocks."""
        request = now.claims[one.wid].requested
        if request is None:
            return False
        dispute_s, block_ms = now.once(
            "terms", lambda: [int(self.bridge.call(name)) for name in ("dispute_s", "block_ms")]
        )
        block = request.at.block
        since = now.once(f"block {block}", lambda: int(self.web3.eth.get_block(block)["timestamp"]))
        time = max(self.clock(), int(now.head["timestamp"]) + 1)
        passed = int(now.head["number"]) + 1 - block
        return bool(time > since + dispute_s and passed * block_ms > 1_000 * dispute_s)

    def _is_waiting(self, now: Step, one: Waiting) -> bool:
        claim = now.claims.get(one.wid, Claim())
        return claim.ended is None and claim.is_of(one)

    def _cover(self, now: Step, due: list[Waiting]) -> list[Waiting]:
        """Those that the bridge has dollars for; on a development chain it gets what it lacks."""
        if not due:
            return due
        held = self.usd.balance_of(self.bridge.address)
        if self.settings.is_minter:
            due = due[:WIDS_MAX]
            lacking = sum(one.amount for one in due) - held
            if lacking > 0:
                self.usd.mint(self.operator, self.bridge.address, lacking)
                now.did(minted=lacking)
            return due
        covered: list[Waiting] = []
        for one in due:
            if one.amount <= held:
                covered.append(one)
                held -= one.amount
            else:
                now.note(f"finalize of {one.wid}: the bridge has not enough dollars")
        return covered

    def _buy(self, now: Step) -> None:
        """Buy and burn with what the vault holds, when the schedule allows it.

        The purchase cites the transfer that reached the vault last. The ledger sends nothing while
        an earlier transfer is unspent, so money of two transfers meets only where a stranger spent
        or gave some.
        """
        if not int(self.vault.call("next_purchase", block="pending")):
            return
        transfer = self._last_transfer()
        if transfer is None:
            now.note("purchase: what the vault holds is not the ledger's; anybody may spend it")
            return
        decision = {one.wid: one.decision for one in now.facts.transfers}.get(transfer.wid)
        if decision is None:
            now.transfers.append(transfer)
            return
        try:
            done = self.vault.buy_from_pool(self.operator, decision)
        except Reverted as error:
            if error.reason == "pool: less than asked":
                # The average may reach far back: let it start afresh, at most once per interval.
                self._attempt(now, "average price", self._observe)
            raise
        now.did(bought=int(done.event("Bought")["number"]))

    def _observe(self, now: Step) -> None:
        self.vault.observe(self.operator)
        now.note("purchase: the price is above the bound; a new average begins")

    def _last_transfer(self) -> Pointer | None:
        """The fund's last payout to the vault, and the entry that it cites."""
        span = Span(self.settings.first_block, self.web3.eth.block_number)
        ends = [[topic(self.contracts.bridge)], [topic(self.contracts.vault)]]
        for payment in reversed(find(self.usd, ("Transfer",), span, *ends)):
            block = payment.at.block
            for one in reversed(find(self.bridge, ("Finalized",), Span(block, block))):
                whose = (one.fields["user"], one.fields["destination"])
                if whose == (ASSISTANCE_FUND, self.contracts.vault):
                    wid = one.fields["wid"]
                    return Pointer(wid, self.bridge.request(wid).entry_index)
        return None
