"""The demo's chain: genesis, deposits, two hours of signed trading over 10 October 2025.

Everything goes through the door a client would use: a signed request is admitted, its signer
recovered, its block executed and made durable. The same seed gives the same bytes.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from chainperp.base import canonical
from chainperp.base.units import USD_ONE, Address
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.chain.genesis import parse_genesis
from chainperp.cli.demo.money import Money
from chainperp.cli.demo.money_table import MoneyTable
from chainperp.cli.demo.path import CHP, COINS, PricePath
from chainperp.cli.demo.signer import Signer
from chainperp.cli.demo.token_people import (
    MAKER_TOKENS,
    MAKER_USDC,
    TRADER_TOKENS,
    TRADER_USDC,
    TokenMaker,
    TokenTrader,
)
from chainperp.cli.demo.traders import Maker, Taker, Validator
from chainperp.cli.demo.waterfall import Waterfall
from chainperp.cli.draws import Draws
from chainperp.cli.output import Progress
from chainperp.model.blocks import SystemInput
from chainperp.model.bridge import GRANT_BODY
from chainperp.model.decisions import Kind, OrderStatus, Rejection, SystemType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.evm_site import planned_contracts
from chainperp.node.sequencer import Sequencer
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE, MARKET_MAKER
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis, default_markets, rules_hash
from chainperp.storage.store import ChainStore
from chainperp.transition.recorder import FLAG_TAKER_BUYS

if TYPE_CHECKING:
    from chainperp.cli.demo.border import Border

ORIGIN = "chainperp.example/demo"
VALIDATOR_POWERS = (4, 3, 2, 1)
MAKERS_PER_MARKET = 2
TAKERS = 200
TOKEN_TRADERS = 4
# The first takers open this many times what the others would: they are who is liquidated.
BOLD_TAKERS = 120
BOLDNESS = (3, 24)
# Small enough to run out: what it cannot take over ends below zero, and is auto-deleveraged.
VAULT_USDC = 40_000
INSURANCE_USDC = 5_000
QUOTER_USDC = 20_000
# Far below the default, so that some scopes must wait for their turn (LIQ-7).
LIQUIDATIONS_PER_BLOCK = 10
CALM_MS = 8_000
CRASH_MS = 1_500
ORACLE_CALM_MS = 16_000
ORACLE_CRASH_MS = 3_000
SNAPSHOT_INTERVAL = 500
CHECKPOINT_INTERVAL_MS = 60_000


@dataclass
class Tally:
    """What happened in the chain, read from its entries."""

    blocks: int = 0
    entries: int = 0
    transactions: int = 0
    votes: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)
    fills: int = 0
    volume: int = 0
    fees: int = 0
    fundings: int = 0
    funding_paid: int = 0
    coins: dict[str, list[int]] = field(default_factory=dict)
    waterfall: Waterfall = field(default_factory=Waterfall)
    money: Money = field(default_factory=Money)

    def add(self, sealed: SealedBlock) -> None:
        """Count a block's entries."""
        self.blocks += 1
        self.entries += len(sealed.entries)
        for raw in sealed.entries:
            self._count(raw)
        self.waterfall.add(sealed)
        self.money.add(sealed)

    def _count(self, raw: bytes) -> None:
        entry = decode_entry(raw)
        if entry.kind is Kind.TX_USER:
            self.transactions += 1
            self._refusal(decode_payload(entry)["code"])
        elif entry.kind is Kind.TX_SYSTEM:
            self.votes += decode_payload(entry)["type"] == SystemType.ORACLE_VOTE
        elif entry.kind is Kind.ORDER:
            fields = decode_payload(entry)
            if fields["status"] == OrderStatus.REJECTED:
                self._refusal(fields["reason"])
            else:
                name = ("open", "filled", "cancelled", "", "partly filled")[fields["status"] - 1]
                self.orders[name] = self.orders.get(name, 0) + 1
        elif entry.kind is Kind.FILL:
            fields = decode_payload(entry)
            notional = fields["price"] * fields["lots"]
            self.fills += 1
            self.volume += notional
            if fields["asset"] < len(COINS):
                self.fees += fields["maker_fee"] + fields["taker_fee"]
                name = COINS[fields["asset"]]
            else:
                is_buy = fields["flags"] & FLAG_TAKER_BUYS
                self.fees += fields["maker_fee" if is_buy else "taker_fee"]
                name = CHP
            coin = self.coins.setdefault(name, [0, 0])
            coin[0] += 1
            coin[1] += notional
        elif entry.kind is Kind.FUNDING:
            rows = decode_payload(entry)["rows"]
            self.fundings += len(rows)
            self.funding_paid += sum(row["payment"] for row in rows if row["payment"] > 0)

    def _refusal(self, code: int) -> None:
        if code:
            name = Rejection(code).name.lower()
            self.refused[name] = self.refused.get(name, 0) + 1


class Demo:
    """One run of the story into a data directory. Longer blocks make a shorter story; with the
    border it ends on the EVM."""

    def __init__(
        self,
        directory: Path,
        seed: int,
        *,
        calm_ms: int = CALM_MS,
        crash_ms: int = CRASH_MS,
        has_border: bool = False,
    ) -> None:
        self.path = PricePath()
        self.calm_ms = calm_ms
        self.crash_ms = crash_ms
        self.draws = Draws(f"demo {seed}")
        key = self.draws.key
        self.validators = [
            Validator(key(), power, Draws(f"validator {power} {seed}"))
            for power in VALIDATOR_POWERS
        ]
        self.makers = [
            Maker(key(), key(), asset, Draws(f"maker {asset} {index} {seed}"))
            for asset in range(len(COINS))
            for index in range(MAKERS_PER_MARKET)
        ]
        self.takers = [
            Taker(
                key(),
                self.draws.between(300, 20_000),
                Draws(f"taker {index} {seed}"),
                self.draws.between(*BOLDNESS) if index < BOLD_TAKERS else 1,
            )
            for index in range(TAKERS)
        ]
        keys = Draws(f"token {seed}")
        self.token_maker = TokenMaker(keys.key(), keys.key(), Draws(f"token maker {seed}"))
        self.token_traders = [
            TokenTrader(keys.key(), Draws(f"token trader {index} {seed}"))
            for index in range(TOKEN_TRADERS)
        ]
        self.token_draws = Draws(f"token trading {seed}")
        self.newcomer = Signer(Draws(f"newcomer {seed}").key())
        self.border: Border | None = None
        self.has_border = has_border
        genesis = self._genesis(calm_ms)
        log_seed = sha256(f"demo log {seed}".encode("ascii")).digest()
        DataDir.create(directory, genesis, log_seed).close()
        store = ChainStore.open(directory, checkpoint_interval_ms=CHECKPOINT_INTERVAL_MS)
        self.sequencer = Sequencer(Engine(parse_genesis(genesis), rules_hash()), store, "Testnet")
        self.tally = Tally()

    def _genesis(self, calm_ms: int) -> bytes:
        """The chain's beginning: people, markets, tokens, and the contracts that it will have."""
        return build_genesis(
            ORIGIN,
            self.path.start,
            [(one.signer.address, one.power) for one in self.validators],
            markets=[row for coin in COINS for row in default_markets() if row["name"] == coin],
            parameters={
                "snapshot_interval": SNAPSHOT_INTERVAL if calm_ms == CALM_MS else 40,
                "liquidations_per_block": LIQUIDATIONS_PER_BLOCK,
            },
            holders=[
                (self.token_maker.owner.address, MAKER_TOKENS),
                *((one.signer.address, TRADER_TOKENS) for one in self.token_traders),
            ],
            evm=planned_contracts("Testnet"),
        )

    def run(self, step: Progress) -> Tally:
        """Make the whole chain, durable block by block."""
        self.tally.add(self.sequencer.start())
        times = self.path.block_times(self.calm_ms, self.crash_ms)
        last_votes = 0
        for number, time_ms in enumerate(times):
            is_crash = number > 0 and time_ms - times[number - 1] == self.crash_ms
            if number == 0:
                self._set_up(time_ms)
            if is_crash and not self.tally.money.is_crash:
                self.tally.money.begin(self.sequencer.engine.state)
            interval = ORACLE_CRASH_MS if is_crash else ORACLE_CALM_MS
            if time_ms - last_votes >= interval:
                last_votes = time_ms
                for validator in self.validators:
                    self.sequencer.submit_vote(validator.vote(self.path, time_ms))
            if number > 0:
                self._trade(number, time_ms, is_crash)
            sealed = self.sequencer.make_block(time_ms)
            self.tally.add(sealed)
            self._tell_makers(sealed)
            step(number + 1, len(times))
        if self.has_border:
            self._cross_border()
        self.sequencer.store.close()
        return self.tally

    def _cross_border(self) -> None:
        """The last part: deposit, trade, withdrawal, payout, and a purchase on the EVM."""
        # web3 and py-evm take seconds to import, and not every demo of the tests needs them.
        from chainperp.cli.demo.border import cross_border

        told, blocks = cross_border(self.sequencer, self.newcomer, self.validators, self.makers)
        self.border = told
        for sealed in blocks:
            self.tally.add(sealed)

    def money_table(self) -> MoneyTable:
        """Where the money of the crash is, after the run."""
        return MoneyTable(
            self.tally.money,
            self.sequencer.engine.state,
            {
                "market makers": [maker.owner.address for maker in self.makers],
                "other traders": [taker.signer.address for taker in self.takers],
                "who traded tokens": [
                    self.token_maker.owner.address,
                    *(one.signer.address for one in self.token_traders),
                ],
            },
        )

    def _tell_makers(self, sealed: SealedBlock) -> None:
        """Makers read in the block's entries what became of their quotes."""
        owners = {maker.owner.address: maker for maker in (*self.makers, self.token_maker)}
        for raw in sealed.entries:
            if int.from_bytes(raw[1:3], "big") == Kind.ORDER:
                fields = decode_payload(decode_entry(raw))
                maker = owners.get(fields["account"])
                if maker is not None and fields["cloid"] is not None:
                    is_open = fields["status"] in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
                    maker.saw(fields["cloid"], is_open)

    def _set_up(self, time_ms: int) -> None:
        """Deposits for everybody, and the makers' agent keys."""
        amounts = [(maker.owner.address, 3_000_000) for maker in self.makers]
        amounts += [(taker.signer.address, taker.usdc) for taker in self.takers]
        amounts += [(BACKSTOP_VAULT, VAULT_USDC), (INSURANCE, INSURANCE_USDC)]
        amounts += [(MARKET_MAKER, QUOTER_USDC)]
        amounts += [(self.token_maker.owner.address, MAKER_USDC)]
        amounts += [(one.signer.address, TRADER_USDC) for one in self.token_traders]
        self.sequencer.add_system(_grant(Address(address), usdc) for address, usdc in amounts)
        for maker in (*self.makers, self.token_maker):
            self.sequencer.submit(maker.approve(time_ms))
        self.sequencer.submit(self.token_maker.move_in(time_ms))
        for trader in self.token_traders:
            self.sequencer.submit(trader.move_in(time_ms))

    def _trade(self, number: int, time_ms: int, is_crash: bool) -> None:
        """Markets take turns to be requoted; a few takers act, more of them while prices fall."""
        for index, maker in enumerate(self.makers):
            if number == 1 or (number + index // 2) % 2 == 0:
                self.sequencer.submit(maker.requote(self.path, time_ms, thin=is_crash))
        for _ in range(self.draws.between(2, 6) if is_crash else self.draws.between(1, 4)):
            among = BOLD_TAKERS if self.draws.chance(50) else len(self.takers)
            taker = self.takers[self.draws.below(among)]
            self.sequencer.submit(taker.act(self.path, time_ms, self.takers))
        if number % 2:
            self.sequencer.submit(self.token_maker.requote(self.path, time_ms))
        elif self.token_draws.chance(50):
            trader = self.token_traders[self.token_draws.below(len(self.token_traders))]
            self.sequencer.submit(trader.act(self.path, time_ms))


def _grant(address: Address, usdc: int) -> SystemInput:
    """Money to begin with, which a development chain gives; nothing on the EVM stands behind it."""
    body = canonical.encode(GRANT_BODY, {"user": address, "amount": usdc * USD_ONE})
    return SystemInput(SystemType.GRANT, body)
