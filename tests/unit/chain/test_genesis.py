"""A genesis file is read strictly: every defect has its own sentence with the value."""

import json
from typing import Any

import pytest

from chainperp.base.errors import InvalidGenesis
from chainperp.chain.genesis import first_state, parse_genesis
from chainperp.storage.package import build_genesis
from tests.support.border import CONTRACTS

GOOD = build_genesis("test/genesis", 1_760_000_000_000, [(b"\xaa" * 20, 1)])
CONTRACTED = build_genesis(
    "test/genesis", 1_760_000_000_000, [(b"\xaa" * 20, 1)], evm=CONTRACTS
)  # fmt: skip


def changed(path: str, value: Any, good: bytes = GOOD) -> bytes:
    """The good genesis with one value changed; `path` is dotted, a dash deletes."""
    tree = json.loads(good)
    *parents, last = path.split(".")
    node = tree
    for key in parents:
        node = node[int(key)] if key.isdigit() else node[key]
    if value is DELETE:
        del node[last]
    elif isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return json.dumps(tree).encode("ascii")


DELETE = object()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", 2, "format is not 1: was 2"),
        ("network", "Devnet", "network is not Testnet or Mainnet: was 'Devnet'"),
        ("origin", "a b", "origin is not a log name: was 'a b'"),
        ("origin", DELETE, "genesis.origin is missing"),
        ("extra", 1, "genesis.extra does not exist: was 1"),
        ("time_ms", 0, "time_ms is not a whole number"),
        ("time_ms", 1.5, "genesis is not JSON: number 1.5 is not a whole number"),
        ("time_ms", True, "time_ms is not a whole number"),
        ("proposer", "0xAA", "proposer is not a lower-case address: was '0xAA'"),
        ("validators", [], "validators is empty"),
        ("validators.0.power", 0, "validators[0].power is not a whole number from 1"),
        ("validators.0.stake", 1, "validators[0].stake does not exist: was 1"),
        ("parameters.fee_tiers", [[1, 2]], "parameters.fee_tiers needs rows of 3: was [1, 2]"),
        ("parameters.nonces_kept", -1, "nonces_kept is not a non-negative integer: was -1"),
        ("parameters.nonces_kept", DELETE, "parameters.nonces_kept is missing"),
        ("parameters.nonce_kept", 1, "parameters.nonce_kept does not exist: was 1"),
        ("markets", [], "markets needs 1 to 1000 rows"),
        ("markets.1.name", "BTC", "markets[1].name is not a new name"),
        ("markets.0.size_decimals", 7, "size_decimals is not a whole number from 0 to 6"),
        ("markets.0.margin_tiers", [[1, 40]], "margin_tiers[0] is out of order: was [1, 40]"),
        ("markets.0.margin_tiers", [[0, 20], [5, 40]], "margin_tiers[1] is out of order"),
        ("markets.0.impact_notional", "6000", "impact_notional is not a whole number"),
        ("markets.0.isolated_only", 1, "markets[0].isolated_only is not a boolean"),
        ("accounts", [{"address": "0x" + "11" * 20, "usdc": -1}], "[0].usdc is not a whole"),
        ("accounts", [{"address": "0x" + "11" * 20, "usdc": 1}] * 2, "[1].address occurs twice"),
        ("spot", DELETE, "genesis.spot is missing"),
        ("spot", [], "spot is not a table: was []"),
        ("spot.quote", 1, "spot.quote does not exist: was 1"),
        ("spot.tokens", {}, "spot.tokens is not a list of at most 15: was {}"),
        ("spot.tokens", [1] * 16, "spot.tokens is not a list of at most 15"),
        ("spot.tokens.0.name", "USDC", "tokens[0].name is not a new name of up to 6 capitals"),
        ("spot.tokens.0.name", "chp", "tokens[0].name is not a new name of up to 6 capitals"),
        ("spot.tokens.0.size_decimals", 4, "size_decimals is not a whole number from 0 to 3"),
        ("spot.tokens.0.wei_decimals", 6, "wei_decimals is not a whole number from 7 to 8"),
        ("spot.tokens.0.supply", 10**12, "supply is not a whole number from 1 to 92233720368"),
        ("spot.tokens.0.supply", 5, "balances are 1000000000 tokens, the supply is 5"),
        ("spot.tokens.0.balances", [], "balances are 0 tokens, the supply is 1000000000"),
        ("spot.tokens.0.balances.0.amount", 0, "amount is not a whole number from 1"),
        ("spot.tokens.0.anchor", 0, "spot.tokens[0].anchor does not exist: was 0"),
        ("spot.pairs", [{"base": "PURR"}], "base is not a token without a pair: was 'PURR'"),
        ("spot.pairs", [{"base": "CHP"}] * 2, "pairs[1].base is not a token without a pair"),
        ("spot.pairs", {"base": "CHP"}, "spot.pairs is not a list"),
        ("spot.pairs.0.quote", "USDC", "spot.pairs[0].quote does not exist: was 'USDC'"),
    ],
)  # fmt: skip
def test_a_defect_is_named_with_its_value(path: str, value: Any, message: str) -> None:
    """One field changed, one sentence that names it."""
    with pytest.raises(InvalidGenesis) as caught:
        parse_genesis(changed(path, value))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "genesis is not JSON"),
        (b"[1]", "genesis is not a table"),
        (b'{"format":1,"format":1}', "key 'format' occurs twice"),
        (b'{"format":NaN}', "number NaN is not a whole number"),
        (b"\xff\xfe", "genesis is not JSON"),
        (b"[" * 50_000, "genesis is not JSON"),
        (b" " * 70_000, "genesis has 70000 bytes"),
    ],
)
def test_what_is_no_genesis_at_all_is_refused(raw: bytes, message: str) -> None:
    """Anything but the one form is a sentence, never a traceback of another kind."""
    with pytest.raises(InvalidGenesis) as caught:
        parse_genesis(raw)
    assert message in str(caught.value)


def test_the_bytes_of_the_file_are_the_chain() -> None:
    """One space more is another chain."""
    assert parse_genesis(GOOD).chain_id != parse_genesis(GOOD + b" ").chain_id


def test_what_nobody_is_given_of_the_token_is_the_first_validators() -> None:
    """Every token has an owner with an account from the beginning; there may be no token at all."""
    state = first_state(parse_genesis(GOOD))
    assert state.spot[1] == {b"\xaa" * 20: 10**17}
    holders = [(b"\x11" * 20, 5), (b"\xaa" * 20, 7)]
    given = build_genesis("test/genesis", 1, [(b"\xaa" * 20, 1)], holders=holders)
    state = first_state(parse_genesis(given))
    assert state.spot[1] == {b"\x11" * 20: 5 * 10**8, b"\xaa" * 20: 10**17 - 5 * 10**8}
    assert b"\x11" * 20 in state.accounts
    bare = first_state(parse_genesis(changed("spot", {"tokens": [], "pairs": []})))
    assert ([one.name for one in bare.tokens], bare.pairs) == (["USDC"], [])


def test_default_markets_are_the_published_ones() -> None:
    """Size decimals, leverage and tiers of the eight default perpetuals."""
    terms = {one.name: one for one in parse_genesis(GOOD).terms}
    assert list(terms) == ["BTC", "ETH", "SOL", "HYPE", "XRP", "DOGE", "AVAX", "FARTCOIN"]
    assert [one.size_decimals for one in terms.values()] == [5, 4, 2, 2, 0, 0, 2, 1]
    assert [one.leverage_max for one in terms.values()] == [40, 25, 20, 10, 20, 10, 10, 10]
    assert terms["ETH"].tiers[1].leverage_max == 15


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("evm", None, "evm is not a table: was None"),
        ("evm", [], "evm is not a table: was []"),
        ("evm.owner", "0x" + "c9" * 20, "evm.owner does not exist"),
        ("evm.vault", DELETE, "evm.vault is missing"),
        ("evm.chain_id", DELETE, "evm.chain_id is missing"),
        ("evm.chain_id", "1337", "evm.chain_id is not a whole number from 1"),
        ("evm.chain_id", 0, "evm.chain_id is not a whole number from 1"),
        ("evm.chain_id", 2**63 - 36, "evm.chain_id is not a whole number from 1"),
        ("evm.bridge", "0x" + "C3" * 20, "evm.bridge is not a lower-case address"),
        ("evm.bridge", "0x" + "c3" * 19, "evm.bridge is not a lower-case address"),
        ("evm.bridge", "c3" * 20, "evm.bridge is not a lower-case address"),
        ("evm.usd", "0x" + "00" * 20, "evm.usd is not a new address"),
        ("evm.vault", "0x" + "c0" * 20, "evm.vault is not a new address"),
    ],
)
def test_contracts_are_all_named_and_all_distinct(path: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidGenesis) as error:
        parse_genesis(changed(path, value, CONTRACTED))
    assert message in str(error.value)


def test_contracts_are_part_of_the_chain() -> None:
    """They are optional, read as they were written, and another address is another chain."""
    assert parse_genesis(GOOD).evm is None
    assert first_state(parse_genesis(GOOD)).buyback_vault is None
    genesis = parse_genesis(CONTRACTED)
    assert genesis.evm == CONTRACTS
    assert first_state(genesis).buyback_vault == CONTRACTS.vault
    other = parse_genesis(changed("evm.vault", "0x" + "c9" * 20, CONTRACTED))
    assert len({genesis.chain_id, other.chain_id, parse_genesis(GOOD).chain_id}) == 3
