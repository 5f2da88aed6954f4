"""The demo's last part: dollars in and out through contracts, and a purchase on the EVM.

A newcomer deposits in the Bridge, is credited, trades, withdraws, and is paid after the dispute
period; the fund's share goes to the BuybackVault, which buys the token and burns it. Contracts run
on the machine beside the chain, in its directory; the keeper carries effects both ways, and every
one of them is in a block of the same chain. Time is the chain's, so the same seed gives the same
bytes.
"""

from dataclasses import dataclass, field
from typing import Final

from chainperp.base.errors import Invalid
from chainperp.base.units import Address, address_text, usd_text
from chainperp.chain.engine import SealedBlock
from chainperp.cli.demo.path import COINS, PricePath, on_grid
from chainperp.cli.demo.signer import Signer
from chainperp.cli.demo.traders import SIZE_DECIMALS, Maker, Validator, order, size_text
from chainperp.evm.deployment import endow, text
from chainperp.evm.facts import KeeperReport, facts_of, view_of
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import Kind, SystemType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.evm_child import Held
from chainperp.node.evm_site import site_of
from chainperp.node.sequencer import Sequencer
from contracts_py.bridge import Bridge
from contracts_py.buyback import BuybackVault
from contracts_py.tokens import TestUSD, Token

STEP_MS: Final = 1_500
STEPS_MAX: Final = 20
ANCHOR_INTERVAL: Final = 100
DEPOSIT: Final = 800_000_000
WITHDRAWN: Final = 300_000_000
TRADED_USDC: Final = 50
COIN: Final = "ETH"
LIMIT_BPS: Final = 200
BPS: Final = 10_000


@dataclass
class Border:
    """What happened at the border, in micro-USDC and token units, as the contracts have it."""

    newcomer: str = ""
    deposited: int = 0
    credited: int = 0
    traded: int = 0
    withdrawn: int = WITHDRAWN
    fee: int = 0
    received: int = 0
    "What the newcomer has on the EVM after the payout."
    anchored: int = 0
    bridge_owes: int = 0
    "Deposits less payouts, as the Bridge counts them."
    ledger_owes: int = 0
    "The same, as the ledger counts them."
    purchases: int = 0
    spent: int = 0
    recorded: int = 0
    "What the ledger has of it."
    burned: int = 0
    supply: int = 0
    initial_supply: int = 0
    vault_tokens: int = 0
    notes: list[str] = field(default_factory=list)

    def equalities(self) -> list[tuple[str, int, int]]:
        """What must be equal: name, one side, other side."""
        return [
            ("credited is deposited", self.credited, self.deposited),
            ("he has what he withdrew, less the fee", self.received, self.withdrawn - self.fee),
            ("deposits less payouts, contract and ledger", self.bridge_owes, self.ledger_owes),
            ("the vault's purchases, contract and ledger", self.spent, self.recorded),
            ("supply is the first less burned", self.supply, self.initial_supply - self.burned),
            ("tokens left in the vault", self.vault_tokens, 0),
        ]

    def rows(self) -> list[list[str]]:
        """For the report."""
        return [
            ["deposited in the Bridge by the newcomer", usd_text(self.deposited)],
            ["traded on the exchange", usd_text(self.traded)],
            ["paid out to him on the EVM", usd_text(self.received)],
            ["spent by the vault on the token, all of it burned", usd_text(self.spent)],
            ["deposits less payouts, by the Bridge", usd_text(self.bridge_owes)],
            ["deposits less payouts, by the ledger", usd_text(self.ledger_owes)],
            ["the log anchored up to entry", f"{self.anchored:,}"],
        ]


class Crossing:
    """The chain and its contracts, in step."""

    def __init__(self, sequencer: Sequencer, newcomer: Signer) -> None:
        self.sequencer = sequencer
        self.newcomer = newcomer
        self.address = Address(newcomer.address)
        self.time_ms = sequencer.engine.state.time_ms
        site = site_of(sequencer.store.data.path, sequencer.engine, is_dev=True)
        if site is None:
            raise Invalid("the demo's genesis names no contracts")
        self.held = Held(site)
        self.held.now = self.time_ms // 1_000
        contracts = self.held.site.contracts
        self.usd = TestUSD(self.held.web3, text(contracts.usd))
        self.bridge = Bridge(self.held.web3, text(contracts.bridge))
        self.vault = BuybackVault(self.held.web3, text(contracts.vault))
        self.token = Token(self.held.web3, text(contracts.token))
        self.last: KeeperReport | None = None
        self.notes: list[str] = []
        self.blocks: list[SealedBlock] = []

    def block(self) -> SealedBlock:
        """A block of the chain with what waits, one step later; both clocks go on."""
        self.time_ms += STEP_MS
        self.held.now = self.time_ms // 1_000
        sealed = self.sequencer.make_block(self.time_ms)
        self.blocks.append(sealed)
        return sealed

    def step(self) -> bool:
        """Let the keeper do what is due, and record what it saw. Whether something is left."""
        store, engine = self.sequencer.store, self.sequencer.engine
        store.publish()
        facts = facts_of(engine, view_of(store), self.last)
        self.last = self.held.keeper(ANCHOR_INTERVAL).step(facts)
        self.notes += self.last.notes
        self.sequencer.add_system(
            SystemInput(SystemType(kind), body) for kind, body in self.last.inputs
        )
        self.block()
        fund = engine.state.fund
        return bool(self.last.inputs or engine.state.withdrawals or fund.sent > fund.evm_spent)

    def settle(self) -> None:
        """Go on through the dispute period until nothing is left to do."""
        for _ in range(STEPS_MAX):
            if not self.step():
                return


def cross_border(
    sequencer: Sequencer, newcomer: Signer, validators: list[Validator], makers: list[Maker]
) -> tuple[Border, list[SealedBlock]]:
    """Run the last part on a chain whose trading is over; what happened, and the blocks made."""
    crossing = Crossing(sequencer, newcomer)
    told = Border(newcomer=address_text(crossing.address))
    told.fee = sequencer.engine.state.parameters.withdrawal_fee
    _deposit(crossing, told)
    _trade(crossing, told, validators, makers)
    amount = usd_text(WITHDRAWN).removesuffix(".0")
    action = {"type": "withdraw3", "destination": told.newcomer, "amount": amount}
    sequencer.submit(newcomer.sign(action, crossing.time_ms))
    crossing.block()
    crossing.settle()
    _tell(crossing, told)
    crossing.held.close()
    return told, crossing.blocks


def _deposit(crossing: Crossing, told: Border) -> None:
    """Dollars on the EVM, into the Bridge, onto the exchange."""
    wallet, bridge, held = crossing.newcomer.wallet, crossing.bridge, crossing.held
    endow(held.web3, held.keys, crossing.address, DEPOSIT)
    crossing.usd.approve(wallet, bridge.address, DEPOSIT)
    bridge.deposit(wallet, DEPOSIT)
    told.deposited = bridge.deposited()
    crossing.step()
    told.credited = crossing.sequencer.engine.state.accounts[crossing.address].raw


def _trade(
    crossing: Crossing, told: Border, validators: list[Validator], makers: list[Maker]
) -> None:
    """Prices and quotes once more; the newcomer buys at what is offered, and sells it again."""
    sequencer, path, asset = crossing.sequencer, PricePath(), COINS.index(COIN)
    for validator in validators:
        sequencer.submit_vote(validator.vote(path, crossing.time_ms))
    for maker in makers:
        if maker.asset == asset:
            sequencer.submit(maker.requote(path, crossing.time_ms))
    crossing.block()
    price = path.price(COIN, crossing.time_ms)
    size = size_text(COIN, TRADED_USDC, price)
    for is_buy in (True, False):
        limit = price * (BPS + (LIMIT_BPS if is_buy else -LIMIT_BPS)) // BPS
        asked = order(asset, is_buy, on_grid(limit, SIZE_DECIMALS[COIN]), size, "Ioc")
        action = {"type": "order", "orders": [asked], "grouping": "na"}
        sequencer.submit(crossing.newcomer.sign(action, crossing.time_ms))
        told.traded += _volume(crossing.block(), crossing.address)


def _volume(sealed: SealedBlock, taker: Address) -> int:
    """What an account traded in a block as taker, in micro-USDC."""
    entries = (decode_entry(raw) for raw in sealed.entries)
    fills = (decode_payload(one) for one in entries if one.kind is Kind.FILL)
    return sum(fill["price"] * fill["lots"] for fill in fills if fill["taker"] == taker)


def _tell(crossing: Crossing, told: Border) -> None:
    """What contracts and ledger say in the end."""
    state = crossing.sequencer.engine.state
    told.received = crossing.usd.balance_of(told.newcomer)
    told.anchored = 0 if crossing.last is None else crossing.last.anchored_size
    told.bridge_owes = crossing.bridge.deposited() - crossing.bridge.paid()
    told.ledger_owes = state.credited - state.paid_out
    told.purchases = crossing.vault.count()
    told.spent = crossing.vault.spent()
    told.recorded = state.fund.evm_spent + state.fund.evm_gifts
    told.burned = crossing.vault.burned()
    told.supply = crossing.token.total_supply()
    told.initial_supply = crossing.token.initial_supply()
    told.vault_tokens = crossing.token.balance_of(crossing.vault.address)
    told.notes = crossing.notes
