"""What crosses the border in any order: nothing is made or lost, and nothing crashes.

Seeds draw deposits, grants, payouts, purchases of the vault, withdrawals and bytes that are nothing
at all. A second, plain account of the same keeps beside the engine; every result and every sum must
be the same. Then the log is audited, and continued from each snapshot.
"""

import os
from random import Random

import pytest

from chainperp.base.units import Address
from chainperp.chain.audit.audit import Auditor, audit
from chainperp.chain.engine import Engine
from chainperp.chain.genesis import parse_genesis
from chainperp.model.actions import Withdraw
from chainperp.model.blocks import SystemInput, Transaction
from chainperp.model.bridge import CANCELLED, PAID
from chainperp.model.decisions import Kind, Rejection, SystemType
from chainperp.model.vault_actions import CreateVault
from chainperp.state.store import (
    ASSISTANCE_FUND,
    LIQUIDITY_VAULT,
    SYSTEM_ACCOUNTS,
    State,
)
from tests.support.border import CONTRACTS, BorderStage, codes
from tests.support.proofs import audited
from tests.support.world import RULES, address_of

LONG = os.environ.get("CHAINPERP_LONG") == "1"
SEEDS = range(80) if LONG else range(6)
BLOCKS = 60
PEOPLE = ("Ann", "Ben", "Cas")
USD = 1_000_000
FEE = USD
OK = Rejection.ACCEPTED


class Naive:
    """Balances, custody and the fund's books, added up as plainly as can be."""

    def __init__(self) -> None:
        self.cash: dict[bytes, int] = {ASSISTANCE_FUND: 0}
        self.pending: dict[int, tuple[bytes, int]] = {}
        self.deposits = 0
        self.wid = 0
        self.came = 0
        self.granted = 0
        self.left = 0
        self.sent = 0
        self.paid_to_vault = 0
        self.own = 0
        self.gifts = 0
        self.purchases = 0
        self.due_last = 0

    def add(self, user: bytes, amount: int) -> None:
        self.cash[user] = self.cash.get(user, 0) + amount

    def deposit(self, user: bytes, amount: int, nonce: int) -> Rejection:
        if nonce != self.deposits + 1:
            return Rejection.DEPOSIT_NONCE
        if amount < 1 or amount > 2**62:
            return Rejection.AMOUNT_INVALID
        self.deposits += 1
        self.came += amount
        self.add(user, amount)
        return OK

    def grant(self, user: bytes, amount: int) -> Rejection:
        if amount < 1 or amount > 2**62:
            return Rejection.AMOUNT_INVALID
        self.granted += amount
        self.add(user, amount)
        return OK

    def payout(self, wid: int, outcome: int) -> Rejection:
        if wid not in self.pending:
            return Rejection.WITHDRAWAL_UNKNOWN
        if outcome not in (PAID, CANCELLED):
            return Rejection.PAYOUT_OUTCOME
        user, amount = self.pending.pop(wid)
        if outcome == PAID:
            self.left += amount
            self.paid_to_vault += amount if user == ASSISTANCE_FUND else 0
        else:
            self.add(user, amount)
            self.sent -= amount if user == ASSISTANCE_FUND else 0
        return OK

    def bought(self, number: int, spent: int, bought: int, burned: int) -> Rejection:
        if number != self.purchases + 1:
            return Rejection.VAULT_PURCHASE_NUMBER
        if not spent or spent > 2**62 or not bought or burned < bought or burned > 2**96:
            return Rejection.VAULT_PURCHASE_AMOUNT
        self.purchases += 1
        ours = self.paid_to_vault - self.own
        self.own += min(spent, ours)
        self.gifts += max(spent - ours, 0)
        return OK

    def withdraw(self, user: bytes, amount: int) -> Rejection:
        if amount <= FEE:
            return Rejection.AMOUNT_INVALID
        if amount > self.cash.get(user, 0):
            return Rejection.BALANCE_WITHDRAWAL
        self.wid += 1
        self.pending[self.wid] = user, amount - FEE
        self.add(user, -amount)
        self.add(ASSISTANCE_FUND, FEE)
        return OK

    def end_block(self, now: int) -> None:
        """The fund's purchase buys nothing here: the token has no market."""
        balance = self.cash[ASSISTANCE_FUND]
        if balance < 10 * USD or now - self.due_last < 60_000:
            return
        self.due_last = now
        amount = max(balance // 10, 10 * USD)
        if self.sent - self.own < 10 * USD:
            self.wid += 1
            self.pending[self.wid] = ASSISTANCE_FUND, amount
            self.add(ASSISTANCE_FUND, -amount)
            self.sent += amount


def draw_amount(draw: Random) -> int:
    """Mostly a few dollars; sometimes nothing, a micro-dollar, or too much."""
    if draw.random() < 0.1:
        return draw.choice((0, 1, 2**62, 2**62 + 1, 2**128 - 1))
    return draw.randrange(1, 200 * USD)


def nonsense(draw: Random, good: SystemInput) -> SystemInput:
    """Bytes that are no body: cut off, too long, or of anything."""
    cut = good.body[: draw.randrange(len(good.body))]
    body = draw.choice((cut, good.body + b"\x00", draw.randbytes(draw.randrange(20)), b""))
    return SystemInput(good.type, body)


def draw_input(stage: BorderStage, naive: Naive, draw: Random) -> tuple[SystemInput, Rejection]:
    """One input and what must come of it."""
    events, kind = stage.events, draw.random()
    user = ASSISTANCE_FUND if draw.random() < 0.3 else address_of(draw.choice(PEOPLE))
    amount = draw_amount(draw)
    if kind < 0.35:
        nonce = naive.deposits + draw.choice((1, 1, 1, 1, 0, 2, 10**6))
        return events.deposit(user, amount, nonce), naive.deposit(user, amount, nonce)
    if kind < 0.5:
        return events.grant(user, amount), naive.grant(user, amount)
    if kind < 0.8:
        wid = draw.choice([*naive.pending, naive.wid + 1, 0])
        outcome = draw.choice((PAID, PAID, CANCELLED, 0, 3, 255))
        return events.payout(wid, outcome), naive.payout(wid, outcome)
    if kind < 0.92:
        number = naive.purchases + draw.choice((1, 1, 1, 0, 2))
        bought, burned = draw.choice(((5, 5), (5, 9), (0, 5), (6, 5), (2**96, 2**96), (5, 2**97)))
        made = events.bought(number, amount, bought, burned)
        return made, naive.bought(number, amount, bought, burned)
    if kind < 0.96:
        old = draw.choice((SystemType.DEPOSIT, SystemType.WITHDRAWAL_DONE))
        return SystemInput(old, draw.randbytes(40)), Rejection.BORDER_OTHER
    good = draw.choice((
        events.deposit(user, amount, naive.deposits + 1), events.payout(naive.wid),
        events.bought(naive.purchases + 1, 5), events.grant(user, 5),
    ))  # fmt: skip
    return nonsense(draw, good), Rejection.SYSTEM_MALFORMED


def step(stage: BorderStage, naive: Naive, draw: Random) -> None:
    """One block: inputs, withdrawals, and the fund's turn."""
    drawn = [draw_input(stage, naive, draw) for _ in range(draw.randrange(4))]
    transactions: list[Transaction] = []
    asked: list[Rejection] = []
    for _ in range(draw.randrange(3)):
        name = draw.choice(PEOPLE)
        bad = draw.random() < 0.1
        to = draw.choice((Address(bytes(20)), CONTRACTS.bridge)) if bad else address_of("out")
        amount = draw.randrange(80 * USD)
        known = address_of(name) in naive.cash
        transactions.append(stage.transaction(name, Withdraw(to, amount), user_signed=True))
        if not known:
            asked.append(Rejection.MUST_DEPOSIT)
        elif bad:
            asked.append(Rejection.DESTINATION_INVALID)
        else:
            asked.append(naive.withdraw(address_of(name), amount))
    now = stage.engine.state.time_ms + draw.choice((200, 20_000, 60_000))
    naive.end_block(now)
    result = stage.block(transactions, [item for item, _ in drawn], at=now)
    assert codes(result) == [code for _, code in drawn]
    assert result.codes == asked
    same(stage.engine.state, naive)


def same(state: State, naive: Naive) -> None:
    """The engine and the plain account agree, and nothing was made or lost."""
    fund = state.fund
    for address, cash in naive.cash.items():
        assert state.accounts[Address(address)].raw == cash
    found = {wid: (one.user, one.amount) for wid, one in state.withdrawals.items()}
    assert found == naive.pending
    assert (state.deposits, state.credited, state.granted, state.paid_out) == (
        naive.deposits, naive.came, naive.granted, naive.left,
    )  # fmt: skip
    waiting = sum(amount for _, amount in naive.pending.values())
    assert state.custody == naive.came + naive.granted - naive.left
    assert state.custody == sum(naive.cash.values()) + waiting
    assert (fund.sent, fund.evm_spent, fund.evm_gifts, fund.evm_purchases) == (
        naive.sent, naive.own, naive.gifts, naive.purchases,
    )  # fmt: skip
    assert 0 <= fund.evm_spent <= fund.sent
    assert fund.balance == naive.cash[ASSISTANCE_FUND]


@pytest.mark.parametrize("seed", SEEDS)
def test_inputs_in_any_order_keep_every_sum(seed: int) -> None:
    """INV-1 with all inputs; audit and snapshots see the same chain."""
    stage, naive, draw = BorderStage(snapshot_interval=10), Naive(), Random(seed)
    snapshots: dict[int, bytes] = {}
    for _ in range(BLOCKS):
        step(stage, naive, draw)
        if stage.engine.is_snapshot_height(stage.engine.height):
            snapshots[stage.engine.height] = stage.engine.snapshot()
    report = audited(stage)
    assert report.is_clean, [one.text for one in report.findings]
    assert report.border.deposits == naive.deposits
    assert report.border.receipts == naive.purchases
    for height, raw in snapshots.items():
        engine = Engine(parse_genesis(stage.engine.genesis.raw), RULES)
        engine.restore(raw, stage.blocks[height].entries[-1])
        for block, sealed in zip(stage.inputs[height:], stage.blocks[height + 1 :], strict=True):
            assert engine.execute(block).entries == sealed.entries
    assert len(snapshots) == BLOCKS // 10


def test_the_seeds_reach_every_record_and_refusal() -> None:
    """The runs above are worth something."""
    kinds: set[Kind] = set()
    refused: set[Rejection] = set()
    gifts = cancelled = 0
    for seed in SEEDS:
        stage, naive, draw = BorderStage(), Naive(), Random(seed)
        for _ in range(BLOCKS):
            step(stage, naive, draw)
        for block in stage.blocks:
            kinds |= {Kind(int.from_bytes(raw[1:3], "big")) for raw in block.entries}
            refused |= {
                Rejection(int.from_bytes(raw[19:21], "big"))
                for raw in block.entries
                if raw[1:3] == Kind.TX_SYSTEM.to_bytes(2, "big")
            }
        gifts += naive.gifts
        cancelled += naive.paid_to_vault
    assert kinds >= {Kind.EVM_BUYBACK, Kind.WITHDRAW_DONE, Kind.WITHDRAW_REQ, Kind.BUYBACK}
    assert refused >= {
        Rejection.DEPOSIT_NONCE, Rejection.AMOUNT_INVALID, Rejection.WITHDRAWAL_UNKNOWN,
        Rejection.PAYOUT_OUTCOME, Rejection.VAULT_PURCHASE_NUMBER, Rejection.BORDER_OTHER,
        Rejection.VAULT_PURCHASE_AMOUNT, Rejection.SYSTEM_MALFORMED,
    }  # fmt: skip
    assert gifts > 0
    assert cancelled > 0


@pytest.mark.parametrize("source", ["deposit", "grant"])
def test_money_for_vaults_and_system_accounts_is_credited_as_the_rules_say(source: str) -> None:
    """A leader gets what names his vault; the liquidity vault's shares go to the insurance; the
    audit knows both, from genesis and from a snapshot."""
    stage = BorderStage(snapshot_interval=1)
    stage.bridged("Ann", "20000")
    made = CreateVault("Calm", "a vault of the border", 500 * USD)
    assert stage.act("Ann", made).codes == [OK]
    liquidity = stage.state.accounts[LIQUIDITY_VAULT]
    before, held = stage.account("Ann").raw, liquidity.raw
    snapshot, height = stage.engine.snapshot(), stage.engine.height
    assert stage.state.fund.sent > 0  # the fee for the vault: a transfer waits
    for address in (address_of("Ann$1"), *SYSTEM_ACCOUNTS):
        if source == "grant":
            stage.inputs_of(stage.events.grant(address, 50 * USD))
        else:
            stage.bridged(address, "50")
    stage.inputs_of(stage.events.bought(1, 7), stage.events.payout(1, CANCELLED))
    assert stage.account("Ann").raw == before + 50 * USD
    assert liquidity.raw == held + 50 * USD
    late = Auditor(stage.engine.genesis, RULES)
    late.start_from(snapshot, stage.blocks[height].entries[-1])
    after = [(one.height, one.entries) for one in stage.blocks[height + 1 :]]
    for report in (audited(stage), audit(late, after)):
        assert report.is_clean, [one.text for one in report.findings]
        assert report.border.grants == (8 if source == "grant" else 0)
        assert (report.border.receipts, report.border.cancelled) == (1, 1)
