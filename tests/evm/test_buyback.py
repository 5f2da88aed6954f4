"""The BuybackVault: schedule, price bound, quotes, and that the token never leaves but by fire.

Tests here take no fixtures: tests/evm/mutants.py runs them against contracts without a guard.
"""

from dataclasses import replace

import pytest

from contracts_py.artifact import load_artifact
from contracts_py.buyback import BuybackVault, Quote, Schedule
from contracts_py.digests import ORDER, keccak
from contracts_py.handle import Reverted
from tests.evm.world import ACCOUNTS, KEYS, USD, Market, World

OWNER, ANN, BEN, CAT = ACCOUNTS[:4]
TOKEN = 10**18
DECISION = keccak(b"the ledger's record")
SCHEDULE = Schedule(interval_s=60, minimum_usd=10 * USD, share_ppm=2_000, slippage_bps=100)


class Fund(Market):
    """A market with a vault that has 1,000 dollars, one interval after its start."""

    def __init__(self, schedule: Schedule = SCHEDULE, world: World | None = None) -> None:
        super().__init__(world or World(), 1_000 * TOKEN, 20_000 * USD)
        contracts = (self.token.address, self.usd.address, self.pool.address)
        self.vault = BuybackVault.deploy(self.world.web3, OWNER, contracts, schedule)
        self.usd.mint(OWNER, self.vault.address, 1_000 * USD)
        self.token.approve(BEN, self.vault.address, 2**256 - 1)
        self.world.wait(61)

    def quote(self, usd: int, tokens: int, salt: int = 1) -> Quote:
        """An offer of Ben's, good for a minute."""
        return Quote(BEN.address, usd, tokens, self.world.now + 60, salt)

    def fill(self, quote: Quote, key: bytes = KEYS[2]) -> None:
        """Fill an offer signed with a key."""
        signature = self.vault.sign_quote(quote, key)
        self.vault.buy_from_quote(CAT, quote, signature, DECISION)


def test_purchase_spends_the_schedule_and_burns_all() -> None:
    """2,000 millionths of the pool's 20,000 dollars are 40; all bought tokens are gone at once."""
    made = Fund()
    assert made.vault.schedule() == SCHEDULE
    assert made.vault.next_purchase() == 40 * USD
    expected = made.pool.quote(buys_token=True, amount_in=40 * USD)
    done = made.vault.buy_from_pool(CAT, DECISION).event("Bought")
    assert done == {
        "number": 1, "decision": DECISION, "maker": made.pool.address,
        "usd_spent": 40 * USD, "tokens_bought": expected, "tokens_burned": expected,
    }  # fmt: skip
    assert made.token.balance_of(made.vault.address) == 0
    assert made.token.burned() == made.vault.burned() == expected
    assert made.usd.balance_of(made.vault.address) == 960 * USD == 1_000 * USD - made.vault.spent()
    assert made.usd.allowance(made.vault.address, made.pool.address) == 0


def test_purchases_keep_their_distance() -> None:
    """Not before the interval is over; then again."""
    made = Fund()
    made.vault.buy_from_pool(CAT, DECISION)
    made.world.wait(50)
    assert made.vault.next_purchase() == 0
    with pytest.raises(Reverted, match="vault: too early"):
        made.vault.buy_from_pool(CAT, DECISION)
    made.world.wait(11)
    assert made.vault.buy_from_pool(CAT, DECISION).event("Bought")["number"] == 2


def test_too_little_is_not_spent() -> None:
    """Below ten dollars nothing is bought, whether the fund is small or the pool."""
    made = Fund(replace(SCHEDULE, minimum_usd=41 * USD))
    assert made.vault.next_purchase() == 0
    with pytest.raises(Reverted, match="below the minimum"):
        made.vault.buy_from_pool(CAT, DECISION)


def test_price_moved_for_the_purchase_stops_it() -> None:
    """A sandwich: somebody buys first, so that the vault would buy dear; the average says no."""
    made = Fund()
    made.pool.swap(ANN, buys_token=True, amount_in=400 * USD, least_out=0)
    with pytest.raises(Reverted, match="less than asked"):
        made.vault.buy_from_pool(CAT, DECISION)
    bought = made.token.balance_of(ANN.address)
    made.pool.swap(ANN, buys_token=False, amount_in=bought // 2, least_out=0)
    made.vault.buy_from_pool(CAT, DECISION)


def test_average_needs_an_interval_and_starts_afresh() -> None:
    """Right after the start there is none; after a long calm a note lets it follow the price."""
    world = World()
    made = Market(world, 1_000 * TOKEN, 20_000 * USD)
    contracts = (made.token.address, made.usd.address, made.pool.address)
    vault = BuybackVault.deploy(world.web3, OWNER, contracts, SCHEDULE)
    made.usd.mint(OWNER, vault.address, 1_000 * USD)
    with pytest.raises(Reverted, match="no average price yet"):
        vault.buy_from_pool(CAT, DECISION)
    with pytest.raises(Reverted, match="observe: too early"):
        vault.observe(CAT)
    world.wait(10_000)
    made.pool.swap(ANN, buys_token=True, amount_in=600 * USD, least_out=0)
    with pytest.raises(Reverted, match="less than asked"):
        vault.buy_from_pool(CAT, DECISION)
    vault.observe(CAT)
    world.wait(61)
    vault.buy_from_pool(CAT, DECISION)
    token, usd = made.pool.reserves()
    assert abs(vault.average_price() * token - usd * 2**96) * 1_000 < 10 * usd * 2**96


def test_quote_is_filled_and_burned() -> None:
    """Ben sells two tokens at the average price; he is paid, they burn."""
    made = Fund()
    made.fill(made.quote(40 * USD, 2 * TOKEN))
    assert made.token.burned() == 2 * TOKEN
    assert made.token.balance_of(made.vault.address) == 0
    assert made.usd.balance_of(BEN.address) == made.start_usd + 40 * USD


def test_quote_above_the_bound_is_refused() -> None:
    """At most one per cent above the average: 2 / 1.01 tokens for 40 dollars, rounded up."""
    made = Fund()
    average = made.vault.average_price()
    least = -(-40 * USD * 2**96 * 10_000 // (average * 10_100))
    with pytest.raises(Reverted, match="price above the bound"):
        made.fill(made.quote(40 * USD, least - 1))
    made.fill(made.quote(40 * USD, least))


def test_quote_keeps_the_schedule() -> None:
    """Not above the share, not below the minimum, not too early."""
    made = Fund()
    with pytest.raises(Reverted, match="above the schedule"):
        made.fill(made.quote(41 * USD, 3 * TOKEN))
    with pytest.raises(Reverted, match="below the minimum"):
        made.fill(made.quote(9 * USD, 3 * TOKEN))
    made.fill(made.quote(40 * USD, 2 * TOKEN))
    with pytest.raises(Reverted, match="vault: too early"):
        made.fill(made.quote(40 * USD, 2 * TOKEN, salt=2))


def test_quote_works_once_for_its_signer_until_it_expires() -> None:
    """Used, expired, another signer, another contract, a malleable s."""
    made = Fund()
    quote = made.quote(20 * USD, 2 * TOKEN)
    with pytest.raises(Reverted, match="wrong signer"):
        made.fill(quote, key=KEYS[3])
    v, r, s = made.vault.sign_quote(quote, KEYS[2])
    bent = (55 - v, r, (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big"))
    with pytest.raises(Reverted, match="s is high"):
        made.vault.buy_from_quote(CAT, quote, bent, DECISION)
    with pytest.raises(Reverted, match="wrong signer"):
        made.vault.buy_from_quote(CAT, replace(quote, tokens=TOKEN), (v, r, s), DECISION)
    quote = replace(quote, expires=made.world.now + 10_000)
    made.fill(quote)
    made.world.wait(61)
    with pytest.raises(Reverted, match="quote: used"):
        made.fill(quote)
    with pytest.raises(Reverted, match="quote: expired"):
        made.fill(replace(quote, expires=made.world.now - 1))


def test_tokens_sent_to_the_vault_burn_with_the_next_purchase() -> None:
    """They cannot come back out; the event tells bought from burned."""
    made = Fund()
    made.token.transfer(BEN, made.vault.address, 5)
    done = made.vault.buy_from_pool(CAT, DECISION).event("Bought")
    assert done["tokens_burned"] == done["tokens_bought"] + 5
    assert made.token.balance_of(made.vault.address) == 0


def test_no_function_sells_sends_or_changes() -> None:
    """All that can be called: two purchases, a note of the price, and reading."""
    abi = load_artifact("BuybackVault").abi
    changing = {
        one["name"]
        for one in abi
        if one["type"] == "function" and one["stateMutability"] not in ("view", "pure")
    }
    assert changing == {"buy_from_pool", "buy_from_quote", "observe"}
    source = load_source("BuybackVault").split("@deploy")[1]
    for line in source.splitlines():
        if "extcall Coin(TOKEN)" in line:
            assert ".transferFrom(" in line or ".burn(" in line, line


def load_source(name: str) -> str:
    """A contract's source."""
    from contracts_py.compile import SOURCES

    return (SOURCES / f"{name}.vy").read_text(encoding="utf-8")
