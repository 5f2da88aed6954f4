"""The demo's last part: dollars in and out through contracts, and a purchase on the EVM.

A newcomer deposits in the Bridge, is credited, trades, withdraws, and is paid after the dispute
period; the fund's share goes to the BuybackVault, which buys the token and burns it. Contracts run on
the machine beside the chain, in its directory; the keeper carries effects both ways, and every one of
them is a block of the same chain. Time is the chain's, so the same seed gives the same bytes.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chainperp.base.units import E8_DECIMALS, Address, address_text, strip_decimal, usd_text
from chainperp.chain.engine import SealedBlock
from chainperp.cli.demo.path import COINS, PricePath
from chainperp.cli.demo.signer import Signer
from chainperp.cli.demo.traders import Validator, on_grid, order, size_text
from chainperp.evm.deployment import LogName, deploy, endow, machine_genesis, text
from chainperp.evm.facts import Suspect, facts_of, view_of
from chainperp.evm.journal import Journal
from chainperp.evm.keeper import Keeper
from chainperp.evm.provider import connect
from chainperp.evm.signers import development_keys
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import SystemType
from chainperp.node.sequencer import Sequencer
from chainperp.parameters.hashing import parameters_hash
from chainperp.storage.package import rules_hash
from contracts_py.bridge import Bridge
from contracts_py.buyback import BuybackVault
from contracts_py.tokens import TestUSD, Token

JOURNALS: Final = "evm"
STEP_MS: Final = 1_500
STEPS_MAX: Final = 12
DEPOSIT: Final = 800_000_000
WITHDRAWN: Final = "300"
TRADED_USDC: Final = 50
COIN: Final = "ETH"
LIMIT_BPS: Final = 200


@dataclass
class Border:
    """What happened at the border, in micro-USDC and token units, as the contracts have it."""

    newcomer: str = ""
    deposited: int = 0
    credited: int = 0
    traded: int = 0
    received: int = 0
    "What the newcomer has on the EVM after the payout."
    anchored: int = 0
    bridge_balance: int = 0
    bridge_owes: int = 0
    "Deposits less payouts, as the Bridge counts them."
    ledger_owes: int = 0
    "The same, as the ledger counts them."
    purchases: int = 0
    spent: int = 0
    burned: int = 0
    supply: int = 0
    initial_supply: int = 0
    vault_tokens: int = 0
    notes: list[str] = field(default_factory=list)

    def equalities(self) -> list[tuple[str, int, int]]:
        """What must be equal: name, one side, other side."""
        return [
            ("credited is deposited", self.credited, self.deposited),
            ("the newcomer has what he withdrew, less the fee", self.received, 299_000_000),
            ("deposits less payouts, contract and ledger", self.bridge_owes, self.ledger_owes),
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

    def __init__(self, sequencer: Sequencer, directory: Path, newcomer: Signer) -> None:
        self.sequencer = sequencer
        self.newcomer = newcomer
        self.time_ms = sequencer.engine.state.time_ms
        self.keys = development_keys(sequencer.engine.genesis.network)
        folder = directory / JOURNALS
        folder.mkdir()
        genesis = machine_genesis(self.keys, self.clock(), (newcomer.address,))
        self.journal = Journal.open(folder, genesis)
        self.web3 = connect(self.journal, self.clock)
        engine = sequencer.engine
        name = LogName(
            engine.chain_id,
            engine.genesis.origin,
            rules_hash(),
            parameters_hash(engine.genesis.parameters),
        )
        self.contracts = deploy(self.web3, self.keys, name)
        self.keeper = Keeper(self.web3, self.contracts, self.keys, self.clock)
        self.usd = TestUSD(self.web3, text(self.contracts.usd))
        self.bridge = Bridge(self.web3, text(self.contracts.bridge))
        self.vault = BuybackVault(self.web3, text(self.contracts.vault))
        self.anchored = 0
        self.suspects: tuple[Suspect, ...] = ()
        self.notes: list[str] = []
        self.blocks: list[SealedBlock] = []

    def clock(self) -> int:
        """The present second, which is the chain's."""
        return self.time_ms // 1_000

    def block(self) -> SealedBlock:
        """A block of the chain with what waits, one step later."""
        self.time_ms += STEP_MS
        sealed = self.sequencer.make_block(self.time_ms)
        self.blocks.append(sealed)
        return sealed

    def step(self) -> bool:
        """Let the keeper do what is due, and record what it saw. Whether there was anything."""
        store = self.sequencer.store
        store.publish_now()
        facts = facts_of(self.sequencer.engine, view_of(store), self.anchored, self.suspects)
        report = self.keeper.step(facts)
        self.anchored, self.suspects = report.anchored_size, report.suspects
        self.notes += report.notes
        self.sequencer.add_system(
            SystemInput(SystemType(kind), body) for kind, body in report.inputs
        )
        self.block()
        done = report.done
        return bool(report.inputs or done.anchored or done.requested or done.finalized
                    or done.bought)  # fmt: skip

    def settle(self) -> None:
        """Go on until nothing is due any more, through the dispute period."""
        quiet = 0
        for _ in range(STEPS_MAX):
            quiet = 0 if self.step() else quiet + 1
            if quiet > 2 and not self.sequencer.engine.state.withdrawals:
                return


def cross_border(
    sequencer: Sequencer, directory: Path, newcomer: Signer, votes: list[Validator]
) -> tuple[Border, list[SealedBlock]]:
    """Run the last part on a chain whose trading is over; what happened, and the blocks made."""
    crossing = Crossing(sequencer, directory, newcomer)
    told = Border(newcomer=address_text(Address(newcomer.address)))
    _deposit(crossing, told)
    _trade(crossing, told, votes)
    action = {"type": "withdraw3", "destination": told.newcomer, "amount": WITHDRAWN}
    sequencer.submit(newcomer.sign(action, crossing.time_ms))
    crossing.block()
    crossing.settle()
    _tell(crossing, told)
    crossing.journal.close()
    return told, crossing.blocks


def _deposit(crossing: Crossing, told: Border) -> None:
    """Dollars on the EVM, into the Bridge, onto the exchange."""
    wallet, bridge = crossing.newcomer.wallet, crossing.bridge
    endow(crossing.web3, crossing.keys, crossing.newcomer.address, DEPOSIT)
    crossing.usd.approve(wallet, bridge.address, DEPOSIT)
    bridge.deposit(wallet, DEPOSIT)
    told.deposited = bridge.deposited()
    crossing.step()
    account = crossing.sequencer.engine.state.accounts[Address(crossing.newcomer.address)]
    told.credited = account.raw


def _trade(crossing: Crossing, told: Border, votes: list[Validator]) -> None:
    """A purchase at what the makers offer, and its sale."""
    path, state = PricePath(), crossing.sequencer.engine.state
    asset = COINS.index(COIN)
    market = state.markets[asset]
    for validator in votes:
        crossing.sequencer.submit_vote(validator.vote(path, crossing.time_ms))
    price = path.price(COIN, crossing.time_ms)
    size = size_text(COIN, TRADED_USDC, price)
    before = market.volume_total if hasattr(market, "volume_total") else 0
    for is_buy in (True, False):
        limit = price * (10_000 + (LIMIT_BPS if is_buy else -LIMIT_BPS)) // 10_000
        asked = on_grid(limit, 4)
        action = {"type": "order", "orders": [order(asset, is_buy, asked, size, "Ioc")],
                  "grouping": "na"}  # fmt: skip
        crossing.sequencer.submit(crossing.newcomer.sign(action, crossing.time_ms))
        crossing.block()
    told.traded = before


def _tell(crossing: Crossing, told: Border) -> None:
    """What contracts and ledger say in the end."""
    state = crossing.sequencer.engine.state
    token = Token(crossing.web3, text(crossing.contracts.token))
    told.received = crossing.usd.balance_of(told.newcomer)
    told.anchored = crossing.anchored
    told.bridge_balance = crossing.usd.balance_of(crossing.bridge.address)
    told.bridge_owes = crossing.bridge.deposited() - crossing.bridge.paid()
    told.purchases = crossing.vault.count()
    told.spent = crossing.vault.spent()
    told.burned = crossing.vault.burned()
    told.supply = token.total_supply()
    told.initial_supply = token.initial_supply()
    told.vault_tokens = token.balance_of(crossing.vault.address)
    told.notes = crossing.notes
    told.ledger_owes = state.custody  # replaced once genesis money and grants are taken off
