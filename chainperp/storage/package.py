"""What the installed package itself contains: parameters, market terms, and the rules' own hash.

`rules_hash` covers every source file under `rules/` and the parameter file, so the code that
decided is part of what each seal commits to.
"""

import ast
import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from chainperp.base.hashing import tagged_hash
from chainperp.base.units import address_text
from chainperp.chain.genesis import FORMAT
from chainperp.model.bridge import EvmContracts
from chainperp.parameters.load import Annotated, annotated_parameters, load_parameters
from chainperp.parameters.schema import parameter_values
from chainperp.rules.catalogue import Rule

PACKAGE = Path(__file__).resolve().parent.parent
PARAMETERS_FILE = PACKAGE / "parameters" / "hyperliquid.toml"
MARKETS_FILE = PACKAGE / "parameters" / "markets.toml"
EXCHANGE_COIN = "CHP"
SUPPLY = 1_000_000_000


@cache
def rules_hash() -> bytes:
    """Hash over name and content of the rule sources and the parameter file, by name; as they were
    when this process first asked, for it runs no later ones."""
    files = [*sorted((PACKAGE / "rules").rglob("*.py")), PARAMETERS_FILE]
    parts: list[bytes] = []
    for path in files:
        name = path.relative_to(PACKAGE).as_posix().encode("ascii")
        content = path.read_bytes()
        parts.append(len(name).to_bytes(4, "big") + name)
        parts.append(len(content).to_bytes(4, "big") + content)
    return tagged_hash("rules", b"".join(parts))


def rule_text(rule: Rule) -> str:
    """Docstring of a rule, from its source file; empty when it has none."""
    path = PACKAGE.parent / (rule.module.replace(".", "/") + ".py")
    return _docstrings(path).get(rule.name, "")


@cache
def _docstrings(path: Path) -> dict[str, str]:
    """Docstring of every function of a module, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_docstring(node, clean=False) or "" for node in functions}


def documented_parameters() -> list[Annotated]:
    """Every parameter with unit, rule and source."""
    return annotated_parameters(PARAMETERS_FILE.read_text(encoding="utf-8"))


def default_markets() -> list[dict[str, Any]]:
    """The default perpetuals, as genesis writes them."""
    rows: list[dict[str, Any]] = tomllib.loads(MARKETS_FILE.read_text(encoding="utf-8"))["market"]
    return rows


def default_spot(treasury: bytes, holders: list[tuple[bytes, int]]) -> dict[str, Any]:
    """The section of genesis with the exchange's own token, and its pair against USDC.

    `holders` are (address, whole tokens); the rest of the supply is the treasury's.
    """
    amounts = dict(holders)
    left = SUPPLY - sum(amounts.values())
    if left:
        amounts[treasury] = amounts.get(treasury, 0) + left
    balances = [{"address": address_text(key), "amount": amounts[key]} for key in amounts]
    token = {"name": EXCHANGE_COIN, "size_decimals": 2, "wei_decimals": 8, "supply": SUPPLY,
             "balances": balances}  # fmt: skip
    return {"tokens": [token], "pairs": [{"base": EXCHANGE_COIN}]}


def build_genesis(
    origin: str,
    time_ms: int,
    validators: list[tuple[bytes, int]],
    *,
    markets: list[dict[str, Any]] | None = None,
    parameters: dict[str, object] | None = None,
    accounts: list[tuple[bytes, int]] | None = None,
    holders: list[tuple[bytes, int]] | None = None,
    network: str = "Testnet",
    evm: EvmContracts | None = None,
) -> bytes:
    """Bytes of a genesis file with the default markets, parameters and token, or with those given.

    `parameters` overrides single values; `accounts` are (address, USDC), `holders` (address, whole
    tokens). What no holder is given of the token belongs to the first validator. `evm` are the
    contracts of the chain, if it has any.
    """
    values = parameter_values(load_parameters(PARAMETERS_FILE.read_text(encoding="utf-8")))
    values.update(parameters or {})
    tree: dict[str, Any] = {
        "format": FORMAT,
        "origin": origin,
        "network": network,
        "time_ms": time_ms,
        "proposer": address_text(validators[0][0]),
        "validators": [{"address": address_text(key), "power": power} for key, power in validators],
        "parameters": values,
        "markets": default_markets() if markets is None else markets,
        "accounts": [
            {"address": address_text(key), "usdc": amount} for key, amount in accounts or []
        ],
        "spot": default_spot(validators[0][0], holders or []),
    }
    if evm is not None:
        tree["evm"] = {
            name: value if isinstance(value, int) else address_text(value)
            for name, value in evm._asdict().items()
        }
    return (json.dumps(tree, indent=1) + "\n").encode("ascii")
