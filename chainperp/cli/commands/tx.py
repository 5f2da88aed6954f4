"""`chainperp tx`: sign a transaction. With --offline the signed JSON is the answer.

Prices and sizes are checked against the market's grid before anything is signed, so that a refusal
can name the nearest valid values.
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from chainperp.base.errors import EXIT_REFUSED
from chainperp.base.units import (
    E8_DECIMALS,
    Address,
    address_text,
    parse_decimal,
    price_from_e8,
    size_from_e8,
    strip_decimal,
)
from chainperp.cli import output
from chainperp.cli.commands.keys import DEFAULT_DIR, Dir, PasswordFile, password_of
from chainperp.model.markets import MarketTerms
from chainperp.rules.prices import is_on_price_grid, round_to_price_grid

app = typer.Typer(help="Sign transactions (and print them with --offline).", no_args_is_help=True)

From = Annotated[
    str, typer.Option("--from", help="Key name, or the number of a development account.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Print the signed JSON, send nothing.")]
Network = Annotated[str, typer.Option("--network", help="Testnet or Mainnet.")]
Nonce = Annotated[
    int | None, typer.Option("--nonce", help="Milliseconds; the clock when not given.")
]
Genesis = Annotated[
    Path | None,
    typer.Option("--genesis", help="Genesis file with the markets; the default ones otherwise."),
]


def markets_of(genesis: Path | None) -> list[MarketTerms]:
    """Markets of a genesis file, or the default ones."""
    from chainperp.chain.genesis import parse_genesis
    from chainperp.storage.package import build_genesis

    if genesis is None:
        return parse_genesis(build_genesis("cli", 1, [(Address(b"\x01" * 20), 1)])).terms
    try:
        raw = genesis.read_bytes()
    except OSError as error:
        output.fail(3, f"genesis file cannot be read: {genesis} ({error.strerror})")
    return parse_genesis(raw).terms


def market_of(name: str, genesis: Path | None) -> MarketTerms:
    """A market by name; names that do not exist list those that do."""
    markets = markets_of(genesis)
    for terms in markets:
        if terms.name == name.upper():
            return terms
    output.usage(f"there is no market {name!r}", "markets: " + " ".join(t.name for t in markets))


def send(
    action: dict[str, Any],
    sender: str,
    *,
    offline: bool,
    network: str,
    nonce: int | None,
    keys: Path,
    password_file: Path | None,
) -> None:
    """Sign an action and print the request."""
    from chainperp.client.wallet import address_of, sign_action

    if not offline:
        output.usage(
            "this version signs transactions and sends none", "add --offline to print the request"
        )
    if network not in ("Testnet", "Mainnet"):
        output.usage(f"network is Testnet or Mainnet, was {network!r}")
    key = _key(sender, keys, password_file)
    when = int(time.time() * 1000) if nonce is None else nonce
    body = sign_action(key, action, when, "Mainnet" if network == "Mainnet" else "Testnet")
    output.say(f"signed by {address_text(address_of(key))} for {network}, nonce {when}")
    output.answer(body, [], as_json=True)


def _key(sender: str, keys: Path, password_file: Path | None) -> bytes:
    from chainperp.client.wallet import development_key
    from chainperp.storage.keystore import load_key

    if sender.isascii() and sender.isdigit():
        if len(sender) > 4:
            output.usage(f"development accounts are numbered 0 to 9999, was {sender}")
        output.say(f"development account {sender}: its key is public, use it for testing only")
        return development_key(int(sender))
    return load_key(keys.expanduser(), sender, lambda: password_of(password_file))


def checked_price(terms: MarketTerms, text: str) -> str:
    """The price as the wire writes it; off the grid it is refused with its neighbours."""
    value = parse_decimal(text, E8_DECIMALS, "price")
    price = price_from_e8(value, terms.size_decimals)
    if price is not None and price > 0 and is_on_price_grid(price, terms.size_decimals):
        return strip_decimal(value, E8_DECIMALS)
    step = 10 ** (2 + terms.size_decimals)
    nearest = round_to_price_grid(value, step, terms.size_decimals)
    output.fail(
        EXIT_REFUSED,
        f"ORD-3 price is not on the tick grid for {terms.name}",
        f"was {text}; nearest valid price {strip_decimal(nearest * step, E8_DECIMALS)} "
        f"(5 significant figures, at most {6 - terms.size_decimals} decimals, integers always)",
    )


def checked_size(terms: MarketTerms, text: str) -> str:
    """The size as the wire writes it; between lots it is refused."""
    value = parse_decimal(text, E8_DECIMALS, "size")
    if size_from_e8(value, terms.size_decimals) is None or value <= 0:
        output.fail(
            EXIT_REFUSED,
            f"ORD-2 size is not a positive whole number of lots for {terms.name}",
            f"was {text}; one lot is {strip_decimal(10 ** (8 - terms.size_decimals), E8_DECIMALS)}",
        )
    return strip_decimal(value, E8_DECIMALS)


@app.command("order")
def order(
    coin: Annotated[str, typer.Argument(help="Market, such as BTC.")],
    side: Annotated[str, typer.Argument(help="buy or sell.")],
    size: Annotated[str, typer.Argument(help="Size in base units.")],
    at: Annotated[str, typer.Argument(help="The sign @.")],
    price: Annotated[str, typer.Argument(help="Limit price.")],
    sender: From,
    tif: Annotated[str, typer.Option("--tif", help="Gtc, Ioc or Alo.")] = "Gtc",
    reduce_only: Annotated[bool, typer.Option("--reduce-only")] = False,
    cloid: Annotated[str | None, typer.Option("--cloid", help="0x and 32 hex digits.")] = None,
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    genesis: Genesis = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Place an order. Example: chainperp tx order BTC buy 0.01 @ 95000 --from 0 --offline"""
    if at != "@" or side not in ("buy", "sell"):
        output.usage("an order reads: BTC buy 0.01 @ 95000")
    if tif not in ("Gtc", "Ioc", "Alo"):
        output.usage(f"--tif is Gtc, Ioc or Alo, was {tif!r}")
    terms = market_of(coin, genesis)
    request: dict[str, Any] = {
        "a": terms.asset,
        "b": side == "buy",
        "p": checked_price(terms, price),
        "s": checked_size(terms, size),
        "r": reduce_only,
        "t": {"limit": {"tif": tif}},
    }
    if cloid is not None:
        request["c"] = cloid
    action = {"type": "order", "orders": [request], "grouping": "na"}
    send(action, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


@app.command("cancel")
def cancel(
    coin: Annotated[str, typer.Argument(help="Market.")],
    target: Annotated[str, typer.Argument(help="Order id, or client order id with 0x.")],
    sender: From,
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    genesis: Genesis = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Cancel an order. Example: chainperp tx cancel BTC 81 --from 0 --offline"""
    asset = market_of(coin, genesis).asset
    action: dict[str, Any]
    if target.startswith("0x"):
        action = {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": target}]}
    else:
        action = {"type": "cancel", "cancels": [{"a": asset, "o": _oid(target)}]}
    send(action, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


@app.command("modify")
def modify(
    target: Annotated[str, typer.Argument(help="Order id, or client order id with 0x.")],
    coin: Annotated[str, typer.Argument(help="Market.")],
    side: Annotated[str, typer.Argument(help="buy or sell.")],
    size: Annotated[str, typer.Argument(help="New size.")],
    at: Annotated[str, typer.Argument(help="The sign @.")],
    price: Annotated[str, typer.Argument(help="New limit price.")],
    sender: From,
    tif: Annotated[str, typer.Option("--tif", help="Gtc, Ioc or Alo.")] = "Alo",
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    genesis: Genesis = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Replace an order. Example: chainperp tx modify 81 BTC buy 0.01 @ 94000 --from 0 --offline"""
    if at != "@" or side not in ("buy", "sell"):
        output.usage("a modify reads: 81 BTC buy 0.01 @ 94000")
    terms = market_of(coin, genesis)
    request = {
        "a": terms.asset,
        "b": side == "buy",
        "p": checked_price(terms, price),
        "s": checked_size(terms, size),
        "r": False,
        "t": {"limit": {"tif": tif}},
    }
    which: int | str = target if target.startswith("0x") else _oid(target)
    action = {"type": "batchModify", "modifies": [{"oid": which, "order": request}]}
    send(action, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


@app.command("leverage")
def leverage(
    coin: Annotated[str, typer.Argument(help="Market.")],
    times: Annotated[int, typer.Argument(help="Leverage, a whole number.")],
    sender: From,
    isolated: Annotated[bool, typer.Option("--isolated", help="Isolated margin.")] = False,
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    genesis: Genesis = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Set leverage and margin mode. Example: chainperp tx leverage BTC 5 --from 0 --offline"""
    terms = market_of(coin, genesis)
    if not 1 <= times <= terms.leverage_max:
        output.fail(
            EXIT_REFUSED,
            f"MRG-6 leverage of {terms.name} is 1 to {terms.leverage_max}",
            f"was {times}",
        )
    action = {
        "type": "updateLeverage",
        "asset": terms.asset,
        "isCross": not isolated,
        "leverage": times,
    }
    send(action, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


@app.command("transfer")
def transfer(
    destination: Annotated[str, typer.Argument(help="Address.")],
    amount: Annotated[str, typer.Argument(help="USDC.")],
    sender: From,
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Send USDC. Example: chainperp tx transfer 0x5e9e…a13a 12.5 --from 0 --offline"""
    parse_decimal(amount, 6, "amount")
    action = {"type": "usdSend", "destination": destination, "amount": amount}
    send(action, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


@app.command("withdraw")
def withdraw(
    destination: Annotated[str, typer.Argument(help="Address outside.")],
    amount: Annotated[str, typer.Argument(help="USDC; the fee of 1 USDC is taken from it.")],
    sender: From,
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Ask for a withdrawal. Example: chainperp tx withdraw 0x5e9e…a13a 7 --from 0 --offline"""
    parse_decimal(amount, 6, "amount")
    action = {"type": "withdraw3", "destination": destination, "amount": amount}
    send(action, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


@app.command("agent")
def agent(
    address: Annotated[str, typer.Argument(help="Address of the key that may trade.")],
    sender: From,
    name: Annotated[str, typer.Option("--name", help="Name; empty for the unnamed one.")] = "",
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Approve an agent key. Example: chainperp tx agent 0x50…9c --name bot --from 0 --offline"""
    action = {"type": "approveAgent", "agentAddress": address, "agentName": name}
    send(action, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


@app.command("oracle")
def oracle(
    prices: Annotated[list[str], typer.Argument(help="BTC=95000 ETH=3500 …")],
    sender: From,
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    genesis: Genesis = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Sign a validator's prices. Example: chainperp tx oracle BTC=95000 --from 0 --offline"""
    rows: list[dict[str, Any]] = []
    for pair in prices:
        coin, sign, price = pair.partition("=")
        if not sign:
            output.usage(f"prices read BTC=95000, was {pair!r}")
        terms = market_of(coin, genesis)
        rows.append({"a": terms.asset, "p": checked_price(terms, price)})
    send({"type": "setGlobal", "pxs": rows}, sender, offline=offline, network=network,
         nonce=nonce, keys=keys, password_file=password_file)  # fmt: skip


@app.command("raw")
def raw(
    action: Annotated[str, typer.Argument(help="The action as JSON, or - for stdin.")],
    sender: From,
    offline: Offline = False,
    network: Network = "Testnet",
    nonce: Nonce = None,
    keys: Dir = DEFAULT_DIR,
    password_file: PasswordFile = None,
) -> None:
    """Sign any action. Example: chainperp tx raw '{"type":"noop"}' --from 0 --offline"""
    from chainperp.wire.actions import read_json

    text = sys.stdin.read() if action == "-" else action
    parsed = read_json(text.encode("utf-8"))
    if not isinstance(parsed, dict):
        output.usage(f"an action is a JSON object, was {json.dumps(parsed)[:60]}")
    send(parsed, sender, offline=offline, network=network, nonce=nonce, keys=keys,
         password_file=password_file)  # fmt: skip


def _oid(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        output.usage(f"an order id is a whole number, was {text[:40]!r}")
    return int(text)
