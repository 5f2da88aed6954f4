"""A genesis file: the whole beginning of a chain, and its first state.

The file's bytes are the payload of log entry 0 and give the chain its id, so they are hashed as
they stand. Reading is strict: unknown or missing keys, numbers that are not whole, and values out
of range are refused with the field's name and value.
"""

import json
import re
from typing import Any, Final, NamedTuple, NoReturn

from chainperp.base.errors import InvalidGenesis
from chainperp.base.hashing import tagged_hash
from chainperp.base.rounding import floor_div
from chainperp.base.units import I64_MAX, USD_ONE, Address, Usd
from chainperp.model.accounts import Validator
from chainperp.model.bridge import EvmContracts
from chainperp.model.entries import ENTRY_SIZE_MAX, HEADER_SIZE
from chainperp.model.markets import MarketTerms, margin_tiers
from chainperp.model.tokens import TOKENS_MAX, SpotListing, TokenTerms
from chainperp.parameters.schema import Parameters, parameters_from
from chainperp.rules.adl.choose import BY_ID
from chainperp.rules.adl.policy import ExemptMode, ScoreMode
from chainperp.state.store import State
from chainperp.transition.buyback import fund_money
from chainperp.transition.shares import seed_at_genesis

FORMAT: Final = 1
NETWORKS: Final = ("Testnet", "Mainnet")
# The largest chain id that every wallet takes. Source: EIP-2294.
EVM_CHAIN_ID_MAX: Final = 2**63 - 37
MARKETS_MAX: Final = 1000
NAME: Final = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)
TOKEN_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{0,5}", re.ASCII)
ORIGIN: Final = re.compile(r"[A-Za-z0-9._/-]{1,100}", re.ASCII)


class Balance(NamedTuple):
    """What an account has of a token at the beginning, in the token's smallest unit."""

    token: int
    address: Address
    amount: int


class Genesis:
    """A parsed genesis. `raw` are the file's bytes, `chain_id` their tagged hash."""

    __slots__ = ("accounts", "balances", "chain_id", "evm", "listing", "network", "origin",
                 "parameters", "proposer", "raw", "terms", "time_ms", "validators")  # fmt: skip

    def __init__(self, raw: bytes, fields: dict[str, Any]) -> None:
        self.raw = raw
        self.chain_id = tagged_hash("chain", raw)
        self.origin: str = fields["origin"]
        self.network: str = fields["network"]
        self.time_ms: int = fields["time_ms"]
        self.proposer: Address = fields["proposer"]
        self.parameters: Parameters = fields["parameters"]
        self.terms: list[MarketTerms] = fields["markets"]
        self.validators: list[tuple[Address, int]] = fields["validators"]
        self.accounts: list[tuple[Address, int]] = fields["accounts"]
        self.listing: SpotListing = fields["spot"][0]
        self.balances: list[Balance] = fields["spot"][1]
        self.evm: EvmContracts | None = fields["evm"]


def parse_genesis(raw: bytes) -> Genesis:
    """Genesis of a file's bytes. Raises InvalidGenesis naming the field and the value."""
    if len(raw) > ENTRY_SIZE_MAX - HEADER_SIZE:
        raise InvalidGenesis(
            f"genesis has {len(raw)} bytes, at most 65516 fit the log's first entry"
        )
    try:
        tree = json.loads(
            raw.decode("utf-8"),
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as error:
        raise InvalidGenesis(f"genesis is not JSON: {error}") from error
    keys = ("format", "origin", "network", "time_ms", "proposer", "validators", "parameters",
            "markets", "accounts", "spot")  # fmt: skip
    has_contracts = isinstance(tree, dict) and "evm" in tree
    _exact_keys(tree, (*keys, "evm") if has_contracts else keys, "genesis")
    if tree["format"] != FORMAT:
        raise InvalidGenesis(f"format is not {FORMAT}: was {tree['format']!r}")
    if tree["network"] not in NETWORKS:
        raise InvalidGenesis(f"network is not Testnet or Mainnet: was {tree['network']!r}")
    if not isinstance(tree["origin"], str) or ORIGIN.fullmatch(tree["origin"]) is None:
        raise InvalidGenesis(f"origin is not a log name: was {str(tree['origin'])[:120]!r}")
    if not isinstance(tree["parameters"], dict):
        raise InvalidGenesis(f"parameters is not a table: was {tree['parameters']!r}")
    fields: dict[str, Any] = {
        "origin": tree["origin"],
        "network": tree["network"],
        "time_ms": _whole(tree["time_ms"], "time_ms", 1),
        "proposer": _address(tree["proposer"], "proposer"),
        "parameters": _parameters(tree["parameters"]),
        "markets": _markets(tree["markets"]),
        "validators": _pairs(tree["validators"], "validators", "power", 1),
        "accounts": _pairs(tree["accounts"], "accounts", "usdc", 0),
        "spot": _spot(tree["spot"]),
        "evm": _contracts(tree["evm"]) if has_contracts else None,
    }
    return Genesis(raw, fields)


def _parameters(values: dict[str, Any]) -> Parameters:
    """Parameters whose policy and modes exist."""
    parameters = parameters_from(values)
    for name, value, known in (
        ("adl_policy", parameters.adl_policy, sorted(BY_ID)),
        ("adl_score_mode", parameters.adl_score_mode, list(ScoreMode)),
        ("exempt_mode", parameters.exempt_mode, list(ExemptMode)),
    ):
        if value not in known:
            listed = ", ".join(str(int(one)) for one in known)
            raise InvalidGenesis(f"parameters.{name} is none of {listed}: was {value}")
    return parameters


def first_state(genesis: Genesis) -> State:
    """The state before block 1: genesis accounts hold what the file gives them."""
    state = State(genesis.parameters, genesis.terms, genesis.network, genesis.listing, genesis.evm)
    state.time_ms = genesis.time_ms
    for address, power in genesis.validators:
        state.validators[address] = Validator(address, power)
        state.changed_validators[address] = None
    for address, usdc in genesis.accounts:
        account = state.open_account(address)
        account.raw += usdc * USD_ONE
        state.custody += usdc * USD_ONE
        state.touch(account)
    seed_at_genesis(state)
    for one in genesis.balances:
        state.touch(state.open_account(one.address))
        state.add_spot(one.token, one.address, one.amount)
    state.fund.other = fund_money(state)
    return state


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"number {text} is not a whole number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"key {key!r} occurs twice")
        table[key] = value
    return table


def _exact_keys(table: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(table, dict):
        raise InvalidGenesis(f"{where} is not a table: was {table!r}")
    for key in keys:
        if key not in table:
            raise InvalidGenesis(f"{where}.{key} is missing")
    for key in sorted(table):
        if key not in keys:
            raise InvalidGenesis(f"{where}.{key} does not exist: was {table[key]!r}")


def _whole(value: Any, where: str, lowest: int, highest: int = I64_MAX) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise InvalidGenesis(
            f"{where} is not a whole number from {lowest} to {highest}: was {value!r}"
        )
    return value


def _address(value: Any, where: str) -> Address:
    if not isinstance(value, str) or re.fullmatch(r"0x[0-9a-f]{40}", value, re.ASCII) is None:
        raise InvalidGenesis(f"{where} is not a lower-case address: was {value!r}")
    return Address(bytes.fromhex(value[2:]))


def _pairs(rows: Any, where: str, key: str, lowest: int) -> list[tuple[Address, int]]:
    """Rows of an address and a number; each address once."""
    if not isinstance(rows, list):
        raise InvalidGenesis(f"{where} is not a list: was {rows!r}")
    found: dict[Address, int] = {}
    for number, row in enumerate(rows):
        place = f"{where}[{number}]"
        _exact_keys(row, ("address", key), place)
        address = _address(row["address"], f"{place}.address")
        if address in found:
            raise InvalidGenesis(f"{place}.address occurs twice: was {row['address']}")
        found[address] = _whole(row[key], f"{place}.{key}", lowest, 10**12)
    if where == "validators" and not found:
        raise InvalidGenesis("validators is empty: nobody could set a price")
    return list(found.items())


def _markets(rows: Any) -> list[MarketTerms]:
    if not isinstance(rows, list) or not 0 < len(rows) <= MARKETS_MAX:
        raise InvalidGenesis(f"markets needs 1 to {MARKETS_MAX} rows: was {str(rows)[:60]}")
    markets: list[MarketTerms] = []
    names: list[str] = []
    keys = ("name", "size_decimals", "margin_tiers", "impact_notional", "isolated_only")
    for asset, row in enumerate(rows):
        where = f"markets[{asset}]"
        _exact_keys(row, keys, where)
        name = row["name"]
        if not isinstance(name, str) or NAME.fullmatch(name) is None or name in names:
            raise InvalidGenesis(f"{where}.name is not a new name of letters and digits: {name!r}")
        names.append(name)
        if type(row["isolated_only"]) is not bool:
            raise InvalidGenesis(f"{where}.isolated_only is not a boolean")
        tiers, denominator = margin_tiers(_tier_steps(row["margin_tiers"], where))
        markets.append(
            MarketTerms(
                asset,
                name,
                _whole(row["size_decimals"], f"{where}.size_decimals", 0, 6),
                tiers,
                denominator,
                Usd(_whole(row["impact_notional"], f"{where}.impact_notional", 1) * USD_ONE),
                row["isolated_only"],
            )
        )
    return markets


def _tier_steps(rows: Any, where: str) -> list[tuple[int, int]]:
    """Steps of (USDC from, maximum leverage): first from 0, bounds rising, leverage falling."""
    if not isinstance(rows, list) or not 0 < len(rows) <= 10:
        raise InvalidGenesis(f"{where}.margin_tiers needs 1 to 10 steps: was {rows!r}")
    steps: list[tuple[int, int]] = []
    for number, row in enumerate(rows):
        place = f"{where}.margin_tiers[{number}]"
        if not isinstance(row, list) or len(row) != 2:
            raise InvalidGenesis(f"{place} is not a pair: was {row!r}")
        lower = _whole(row[0], place, 0, 10**12) * USD_ONE
        leverage = _whole(row[1], place, 1, 100)
        in_order = lower == 0 if not steps else lower > steps[-1][0] and leverage < steps[-1][1]
        if not in_order:
            raise InvalidGenesis(f"{place} is out of order: was {row!r}")
        steps.append((lower, leverage))
    return steps


def _contracts(section: Any) -> EvmContracts:
    """The contracts of a chain that has any: each another address, none of them empty."""
    names = EvmContracts._fields
    _exact_keys(section, names, "evm")
    chain_id = _whole(section["chain_id"], "evm.chain_id", 1, EVM_CHAIN_ID_MAX)
    found: list[Address] = []
    for name in names[1:]:
        address = _address(section[name], f"evm.{name}")
        if address in found or not any(address):
            raise InvalidGenesis(f"evm.{name} is not a new address: was {section[name]}")
        found.append(address)
    return EvmContracts(chain_id, *found)


def _spot(section: Any) -> tuple[SpotListing, list[Balance]]:
    """The tokens besides USDC with everybody's first balance, and the pairs that trade."""
    _exact_keys(section, ("tokens", "pairs"), "spot")
    rows = section["tokens"]
    if not isinstance(rows, list) or len(rows) >= TOKENS_MAX:
        raise InvalidGenesis(f"spot.tokens is not a list of at most {TOKENS_MAX - 1}: was {rows!r}")
    tokens: list[TokenTerms] = []
    balances: list[Balance] = []
    for number, row in enumerate(rows):
        where = f"spot.tokens[{number}]"
        keys = ("name", "size_decimals", "wei_decimals", "supply", "balances")
        _exact_keys(row, keys, where)
        terms = _token(row, where, [one.name for one in tokens])
        tokens.append(terms)
        balances += _balances(row["balances"], terms, len(tokens), f"{where}.balances")
    return SpotListing(tuple(tokens), tuple(_spot_pairs(section["pairs"], tokens))), balances


def _token(row: dict[str, Any], where: str, taken: list[str]) -> TokenTerms:
    """A token; its supply, given in whole tokens, fits 63 bits in the smallest unit."""
    name = row["name"]
    if (
        not isinstance(name, str)
        or TOKEN_NAME.fullmatch(name) is None
        or name == "USDC"
        or name in taken
    ):
        raise InvalidGenesis(f"{where}.name is not a new name of up to 6 capitals: was {name!r}")
    sizes = _whole(row["size_decimals"], f"{where}.size_decimals", 0, 3)
    wei = _whole(row["wei_decimals"], f"{where}.wei_decimals", sizes + 5, 8)
    one: int = 10**wei
    supply = _whole(row["supply"], f"{where}.supply", 1, floor_div(I64_MAX, one))
    return TokenTerms(name, sizes, wei, supply * one)


def _balances(rows: Any, terms: TokenTerms, token: int, where: str) -> list[Balance]:
    """Balances in whole tokens; together they are the supply."""
    found = [
        Balance(token, address, amount * 10**terms.wei_decimals)
        for address, amount in _pairs(rows, where, "amount", 1)
    ]
    total = sum(one.amount for one in found)
    if total != terms.supply:
        whole = [floor_div(one, 10**terms.wei_decimals) for one in (total, terms.supply)]
        raise InvalidGenesis(f"{where} are {whole[0]} tokens, the supply is {whole[1]}")
    return found


def _spot_pairs(rows: Any, tokens: list[TokenTerms]) -> list[int]:
    """Base tokens of the pairs, each once; all are against USDC."""
    if not isinstance(rows, list):
        raise InvalidGenesis(f"spot.pairs is not a list: was {rows!r}")
    names = [one.name for one in tokens]
    found: list[int] = []
    for number, row in enumerate(rows):
        where = f"spot.pairs[{number}]"
        _exact_keys(row, ("base",), where)
        if row["base"] not in names or names.index(row["base"]) + 1 in found:
            raise InvalidGenesis(f"{where}.base is not a token without a pair: was {row['base']!r}")
        found.append(names.index(row["base"]) + 1)
    return found
