"""Addresses before there is a chain, and deployments that are cut off."""

from dataclasses import replace

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account
from web3 import Web3

from chainperp.base.errors import BadRequest, Invalid
from chainperp.base.units import Address
from chainperp.evm.deployment import (
    ETHER,
    PLACES,
    LogName,
    Terms,
    check_ledger,
    create_address,
    deploy,
    machine_genesis,
    plan,
    text,
)
from chainperp.evm.journal import Journal
from chainperp.evm.machine import Machine
from chainperp.evm.signers import development_keys
from chainperp.model.bridge import EvmContracts
from contracts_py.buyback import BuybackVault
from contracts_py.digests import keccak
from contracts_py.handle import send_ether
from contracts_py.pool import Pool
from contracts_py.registry import Registry
from contracts_py.tokens import TestUSD, Token
from tests.evm.bridged import DyingProvider, Killed, account

START = 1_700_000_000
KEYS = development_keys("Testnet")
LOG = LogName(bytes(range(32)), "chainperp.example/deployed", b"\1" * 32, b"\2" * 32)
STEPS = max(PLACES.values()) + 1


def fresh() -> DyingProvider:
    """An empty chain on which the operator has ether."""
    return DyingProvider(Journal(Machine(machine_genesis(KEYS, START))), lambda: START)


@pytest.mark.parametrize(
    ("nonce", "expected"),
    [
        (0, "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"),
        (1, "343c43a37d37dff08ae8c4a11544c718abb4fcf8"),
        (2, "f778b86fa74e846c4f0a1fbd1335fe81c00a0c91"),
        (3, "fffd933a0bc612844eaf0c6fe3e5b8e9b6c1d19c"),
    ],
)
def test_addresses_are_those_of_ethereum(nonce: int, expected: str) -> None:
    """The example that every client is tested with (ethereumjs-util, go-ethereum crypto_test)."""
    deployer = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert create_address(deployer, nonce).hex() == expected


def test_large_nonces_have_addresses_too() -> None:
    """rlp from another implementation."""

    for nonce in (0, 1, 127, 128, 255, 256, 2**32, 2**63):
        other = keccak(rlp.encode([KEYS.operator_address, nonce]))[-20:]
        assert create_address(KEYS.operator_address, nonce) == other


def test_a_deployment_is_what_was_planned() -> None:
    """Addresses, terms, a pool with both coins before the vault looks at it; twice is once."""
    provider = fresh()
    web3 = Web3(provider)
    found = deploy(web3, KEYS, LOG)
    assert found == plan(KEYS.operator_address)
    assert provider.sent == STEPS
    assert deploy(web3, KEYS, LOG) == found
    assert provider.sent == STEPS
    terms = Terms()
    pool, vault = Pool(web3, text(found.pool)), BuybackVault(web3, text(found.vault))
    assert pool.reserves() == (terms.pool_token, terms.pool_usd)
    assert vault.schedule() == terms.schedule
    token = Token(web3, text(found.token))
    assert token.balance_of(text(KEYS.operator_address)) == terms.supply - terms.pool_token
    assert Registry(web3, text(found.registry)).is_known(LOG.rules, LOG.parameters, 0)
    # One interval later the average is the pool's price from its first second on.
    provider.clock = lambda: START + 100
    assert vault.average_price() == terms.pool_usd * 2**96 // terms.pool_token


@pytest.mark.parametrize("step", [1, 4, 6, 9, 10])
def test_a_deployment_that_was_cut_off_goes_on(step: int) -> None:
    """Killed after a transaction: every one is there once in the end."""
    provider = fresh()
    provider.left = step
    with pytest.raises(Killed):
        deploy(Web3(provider), KEYS, LOG)
    provider.left = None
    assert deploy(Web3(provider), KEYS, LOG) == plan(KEYS.operator_address)
    assert provider.sent == STEPS


def test_what_is_not_ours_is_refused() -> None:
    """A spent nonce leaves an address empty; a contract may be another ledger's."""
    provider = fresh()
    web3 = Web3(provider)
    send_ether(web3, Account.from_key(KEYS.operator), text(b"\7" * 20), ETHER)
    with pytest.raises(Invalid, match="expected TestUSD, found no code"):
        deploy(web3, KEYS, LOG)
    web3 = Web3(fresh())
    deploy(web3, KEYS, LOG)
    with pytest.raises(Invalid, match="Bridge's ledger: expected 0xff"):
        deploy(web3, KEYS, replace(LOG, chain_id=b"\xff" * 32))
    with pytest.raises(Invalid, match="Anchor's log"):
        deploy(web3, KEYS, replace(LOG, origin="chainperp.example/other"))
    with pytest.raises(Invalid, match="Bridge's dollar: expected"):
        check_ledger(web3, others(web3), LOG.chain_id, LOG.origin)
    with pytest.raises(Invalid, match="Bridge's hot set"):
        deploy(web3, replace(KEYS, hot=KEYS.hot[1:]), LOG)


def others(web3: Web3) -> EvmContracts:
    """The contracts, but with another dollar, which nobody uses."""
    dollar = TestUSD.deploy(web3, Account.from_key(KEYS.operator), text(KEYS.operator_address))
    return plan(KEYS.operator_address)._replace(usd=Address(bytes.fromhex(dollar.address[2:])))


def test_development_keys_are_for_development() -> None:
    """Everybody knows them."""
    with pytest.raises(BadRequest, match="not on Mainnet"):
        development_keys("Mainnet")
    assert len(KEYS.sign(bytes(32)).idx) == 3
    assert account("ann").address != account("ben").address
