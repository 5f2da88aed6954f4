"""Makes the simulated day's chain: real signed requests, every block durable."""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from chainperp.base import canonical
from chainperp.base.units import USD_ONE, address_text
from chainperp.chain.engine import Engine, SealedBlock
from chainperp.chain.genesis import parse_genesis
from chainperp.cli.demo.path import on_grid
from chainperp.cli.draws import Draws
from chainperp.model.blocks import SystemInput
from chainperp.model.decisions import Kind, Rejection, SystemType
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.node.sequencer import Sequencer
from chainperp.state.store import BACKSTOP_VAULT, INSURANCE, LIQUIDITY_VAULT, MARKET_MAKER
from chainperp.storage.datadir import DataDir
from chainperp.storage.package import build_genesis, default_markets, rules_hash
from chainperp.storage.store import ChainStore
from chainperp.transition.block import DEPOSIT_BODY
from tests.simulation.day.people import (
    CHP,
    CHP_DECIMALS,
    CODES,
    MARKETS,
    Leader,
    Person,
    Prices,
    Quoter,
    Trader,
)

MIDNIGHT: Final = 1_760_054_400_000  # 10 October 2025
DAY_MS: Final = 86_400_000
QUOTERS_PER_MARKET: Final = 2
LEADERS: Final = 2
VAULTS_AT: Final = 2
REQUOTE_EVERY: Final = 3
QUOTER_USDC: Final = 3_000_000
QUOTER_CHP: Final = 1_000_000
PARENT_USDC: Final = 200_000
MAKER_USDC: Final = 100_000
VAULT_USDC: Final = 60_000
INSURANCE_USDC: Final = 5_000
SNAPSHOTS: Final = 8
LOCKUP_MS: Final = 4 * 3_600_000


class Day:
    """One simulated day. `accounts` counts everybody but the validators; blocks are equally far
    apart."""

    def __init__(self, directory: Path, seed: int, accounts: int, block_ms: int) -> None:
        self.block_ms = block_ms
        self.blocks = DAY_MS // block_ms
        self.draws = Draws(f"day {seed}")
        self.prices = Prices(
            str(seed), self.blocks * 14 // 24, self.blocks * 14 // 24 + self.blocks // 96
        )
        self.validator = Person(f"validator {seed}")
        self.quoters = [
            Quoter(f"quoter {asset} {index} {seed}", asset, 20_000)
            for asset in (*range(len(MARKETS)), CHP)
            for index in range(QUOTERS_PER_MARKET)
        ]
        self.leaders = [Leader(f"leader {index} {seed}", 100_000) for index in range(LEADERS)]
        count = accounts - len(self.quoters) - LEADERS
        self.traders = [
            Trader(
                f"trader {index} {seed}", self.draws.between(300, 20_000), 1 + 9 * (index % 7 == 0)
            )
            for index in range(count)
        ]
        self.tally: Counter[str] = Counter()
        genesis = self._genesis()
        DataDir.create(directory, genesis, sha256(f"day {seed}".encode("ascii")).digest()).close()
        store = ChainStore.open(directory, checkpoint_interval_ms=600_000)
        self.sequencer = Sequencer(Engine(parse_genesis(genesis), rules_hash()), store, "Testnet")

    def _genesis(self) -> bytes:
        names = [name for name, _, _ in MARKETS]
        rows = {row["name"]: row for row in default_markets()}
        return build_genesis(
            "chainperp.example/day",
            MIDNIGHT,
            [(self.validator.address, 1)],
            markets=[rows[name] for name in names],
            accounts=[
                (LIQUIDITY_VAULT, PARENT_USDC),
                (MARKET_MAKER, MAKER_USDC),
                (BACKSTOP_VAULT, VAULT_USDC),
                (INSURANCE, INSURANCE_USDC),
            ],
            holders=[(one.address, QUOTER_CHP) for one in self.quoters if one.asset == CHP],
            parameters={
                "snapshot_interval": max(self.blocks // SNAPSHOTS, 1),
                # Shorter than a day, so that somebody gets out again.
                "vault_lockup_ms": LOCKUP_MS,
                "liquidity_vault_lockup_ms": LOCKUP_MS,
            },
        )

    def run(self) -> None:
        """Make the whole chain."""
        self._count(self.sequencer.start())
        self.sequencer.add_system(self._deposits())
        for number in range(1, self.blocks + 1):
            time_ms = MIDNIGHT + number * self.block_ms
            self.prices.step(number)
            self.sequencer.submit_vote(self._vote(time_ms))
            for request in self._requests(number, time_ms):
                self.sequencer.submit(request)
            self._count(self.sequencer.make_block(time_ms))
            if number == VAULTS_AT:
                self._tell_leaders()
        self.sequencer.store.close()

    def _deposits(self) -> list[SystemInput]:
        """What everybody brings, in the first block."""
        brought = [(one.address, one.usdc) for one in (*self.traders, *self.leaders)]
        brought += [(one.address, QUOTER_USDC) for one in self.quoters]
        return [
            SystemInput(
                SystemType.DEPOSIT,
                canonical.encode(
                    DEPOSIT_BODY,
                    {"user": address, "amount": usdc * USD_ONE, "l1_nonce": nonce,
                     "l1_ref": bytes(32)},
                ),
            )
            for nonce, (address, usdc) in enumerate(brought, start=1)
        ]  # fmt: skip

    def _vote(self, time_ms: int) -> dict[str, Any]:
        rows = []
        for asset, (_, decimals, _) in enumerate(MARKETS):
            price = on_grid(self.prices.now[asset], decimals)
            rows.append({"a": asset, "p": price, "x": price})
        return self.validator.sign({"type": "setGlobal", "pxs": rows}, time_ms)

    def _requests(self, number: int, time_ms: int) -> list[dict[str, Any]]:
        """Everybody's requests of a block, quotes first."""
        requests: list[dict[str, Any]] = []
        if number == 1:
            requests += [one.fund_spot(time_ms) for one in self.quoters if one.asset == CHP]
        for index, quoter in enumerate(self.quoters):
            if (number + index) % REQUOTE_EVERY == 0:
                requests += self._quote(quoter, time_ms)
        if number == VAULTS_AT:
            requests += [one.create(f"Vault {at}", time_ms) for at, one in enumerate(self.leaders)]
        for code, leader in zip(CODES, self.leaders, strict=True):
            if number % (self.blocks // 12) == 0:
                requests += [leader.register(code, time_ms), leader.claim(time_ms)]
            requests.append(leader.act(self.prices, time_ms, self.traders, []))
            if number % 3 == 0 and leader.vault is not None:
                requests.append(leader.lead(self.prices, time_ms))
        vaults = [address_text(vault) for vault in self.sequencer.engine.state.vaults]
        for _ in range(self.draws.between(6, 14)):
            trader = self.traders[self.draws.below(len(self.traders))]
            requests.append(trader.act(self.prices, time_ms, self.traders, vaults))
        return requests

    def _quote(self, quoter: Quoter, time_ms: int) -> list[dict[str, Any]]:
        if quoter.asset == CHP:
            return quoter.requote(self.prices.chp, CHP_DECIMALS, time_ms)
        return quoter.requote(self.prices.now[quoter.asset], MARKETS[quoter.asset][1], time_ms)

    def _tell_leaders(self) -> None:
        """Each leader learns the address of the vault that it has opened."""
        opened = self.sequencer.engine.state.vaults_of
        for leader in self.leaders:
            leader.vault = opened[leader.address][0].address

    def _count(self, sealed: SealedBlock) -> None:
        """What happened, read from the block's entries."""
        for raw in sealed.entries:
            kind = Kind(int.from_bytes(raw[1:3], "big"))
            self.tally[kind.name] += 1
            if kind is Kind.TX_USER:
                code = decode_payload(decode_entry(raw))["code"]
                self.tally["refused " + Rejection(code).name if code else "accepted"] += 1
            elif kind is Kind.FILL and decode_payload(decode_entry(raw))["asset"] >= CHP:
                self.tally["spot fills"] += 1
