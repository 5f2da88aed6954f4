"""`chainperp tx`: sign a transaction and send it; with --offline the signed JSON is the answer.

Prices and sizes are checked against the market's grid before anything is signed, so that a refusal
can name the nearest valid values. What the exchange does not offer is sent all the same: its
refusal is the answer.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from chainperp.base.errors import EXIT_REFUSED, EXIT_UNREACHABLE
from chainperp.base.units import E8_DECIMALS, USD_DECIMALS, parse_decimal
from chainperp.cli import output
from chainperp.cli.commands import tx_bridge, tx_vault
from chainperp.cli.options import shares, takes
from chainperp.cli.orders import Wanted, closing_trigger, order_request, price_words
from chainperp.cli.signing import (
    Session,
    Signing,
    checked_price,
    json_object,
    micro_usdc,
    now_ms,
    order_id,
)
from chainperp.model.tokens import SPOT_FIRST

app = typer.Typer(
    help="Sign transactions and send them (or print them with --offline).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(tx_vault.app, name="vault")
app.command("deposit")(takes(Signing)(tx_bridge.deposit))
app.command("claim")(takes(Signing)(tx_bridge.claim))
app.command("anchor")(takes(Signing)(tx_bridge.anchor))

Coin = Annotated[str, typer.Argument(help="Market, such as BTC, or spot pair, such as CHP/USDC.")]
Side = Annotated[str, typer.Argument(help="buy or sell.")]
Size = Annotated[str, typer.Argument(help="Size in base units.")]
Price = Annotated[list[str], typer.Argument(help="@ and the limit price, or the word market.")]
Tif = Annotated[str | None, typer.Option("--tif", help="Gtc (default), Ioc or Alo.")]
ReduceOnly = Annotated[bool, typer.Option("--reduce-only", help="Only close what is open.")]
Cloid = Annotated[
    str | None, typer.Option("--cloid", help="Client order id, 0x and 32 hex digits.")
]
Slippage = Annotated[
    str, typer.Option("--slippage", help="Percent beyond the middle or the trigger, for market.")
]


@app.callback()
@shares(Signing)
def tx(_options: Signing) -> None:
    """Sign transactions and send them (or print them with --offline)."""


@app.command("order")
@takes(Signing)
def order(
    options: Signing,
    coin: Coin,
    side: Side,
    size: Size,
    price: Price,
    tif: Tif = None,
    reduce_only: ReduceOnly = False,
    cloid: Cloid = None,
    slippage: Slippage = "5",
    trigger: Annotated[
        str | None, typer.Option("--trigger", help="Wait for the mark: sl:90000 or tp:110000.")
    ] = None,
    take_profit: Annotated[
        str | None, typer.Option("--tp", help="Close with profit at this mark, once filled.")
    ] = None,
    stop_loss: Annotated[
        str | None, typer.Option("--sl", help="Close with loss at this mark, once filled.")
    ] = None,
) -> None:
    """Place an order. Example: chainperp tx order BTC buy 0.01 @ 95000 --from 0"""
    session = Session(options)
    words = price_words(price, "BTC buy 0.01 @ 95000, or BTC buy 0.01 market")
    wanted = Wanted(coin, side, size, words, tif, reduce_only, cloid, slippage, trigger)
    first = order_request(session, wanted)
    closing = [(kind, at) for kind, at in (("tp", take_profit), ("sl", stop_loss)) if at]
    if closing and first["a"] >= SPOT_FIRST:
        output.usage("--tp and --sl close a position: spot has none")
    if closing and (trigger or reduce_only):
        output.usage("--tp and --sl belong to an order that opens: not to --trigger, --reduce-only")
    orders = [first, *(closing_trigger(session, first, kind, at, slippage) for kind, at in closing)]
    grouping = "normalTpsl" if closing else "na"
    session.submit({"type": "order", "orders": orders, "grouping": grouping})


@app.command("tpsl")
@takes(Signing)
def tpsl(
    options: Signing,
    coin: Coin,
    take_profit: Annotated[str | None, typer.Option("--tp", help="Mark to take profit at.")] = None,
    stop_loss: Annotated[str | None, typer.Option("--sl", help="Mark to stop a loss at.")] = None,
    side: Annotated[
        str | None, typer.Option("--side", help="buy or sell; of the open position if not given.")
    ] = None,
    slippage: Slippage = "5",
) -> None:
    """Close the whole position at a price. Example: chainperp tx tpsl BTC --sl 90000 --from 0"""
    session = Session(options)
    market = session.perpetual(coin)
    if side not in (None, "buy", "sell"):
        output.usage(f"--side is buy or sell, was {side!r}")
    is_buy = (_closing_side(session, market.name) if side is None else side) == "buy"
    parent = {"a": market.asset, "b": not is_buy, "s": "0"}
    closing = [(kind, at) for kind, at in (("tp", take_profit), ("sl", stop_loss)) if at]
    if not closing:
        output.usage("give --tp PRICE, --sl PRICE, or both")
    orders = [closing_trigger(session, parent, kind, at, slippage) for kind, at in closing]
    session.submit({"type": "order", "orders": orders, "grouping": "positionTpsl"})


def _closing_side(session: Session, coin: str) -> str:
    if session.options.offline:
        output.usage("--side is missing: with --offline the position is not known")
    state = session.node.info("clearinghouseState", user=session.account)
    for row in state["assetPositions"]:
        if row["position"]["coin"] == coin:
            return "buy" if row["position"]["szi"].startswith("-") else "sell"
    output.fail(EXIT_REFUSED, f"account {session.account} has no position in {coin}")


@app.command("cancel")
@takes(Signing)
def cancel(
    options: Signing,
    coin: Annotated[
        str | None, typer.Argument(help="Market; with --all it may be left out.")
    ] = None,
    target: Annotated[
        str | None, typer.Argument(help="Order id, or client order id with 0x.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every open order (of the market, if one is named).")
    ] = False,
) -> None:
    """Cancel an order, or all. Example: chainperp tx cancel BTC 81 --from 0"""
    session = Session(options)
    if every == (target is not None) or (coin is None and not every):
        output.usage("a cancel reads: BTC 81, or BTC 0x… (client id), or --all, or BTC --all")
    if target is None:
        _cancel_all(session, None if coin is None else session.market(coin).name)
        return
    asset = session.market(coin or "").asset
    action: dict[str, Any]
    if target.startswith("0x"):
        action = {"type": "cancelByCloid", "cancels": [{"asset": asset, "cloid": target}]}
    else:
        action = {"type": "cancel", "cancels": [{"a": asset, "o": order_id(target)}]}
    session.submit(action)


def _cancel_all(session: Session, coin: str | None) -> None:
    if session.options.offline:
        output.usage("--all asks the node which orders are open: not possible with --offline")
    rows = session.node.info("frontendOpenOrders", user=session.account)
    pairs = session.pairs if any("/" in row["coin"] for row in rows) else []
    assets = {market.name: market.asset for market in (*session.markets, *pairs)}
    cancels = [
        {"a": assets[row["coin"]], "o": row["oid"]}
        for row in rows
        if row["coin"] in assets and coin in (None, row["coin"])
    ]
    if not cancels:
        document: dict[str, Any] = {"status": "ok", "reply": None, "refusals": [], "waited": None}
        output.answer(document, ["no open orders"], session.options.as_json)
        return
    session.submit({"type": "cancel", "cancels": cancels})


@app.command("modify")
@takes(Signing)
def modify(
    options: Signing,
    target: Annotated[str, typer.Argument(help="Order id, or client order id with 0x.")],
    coin: Coin,
    side: Side,
    size: Size,
    price: Price,
    tif: Tif = None,
    reduce_only: ReduceOnly = False,
    cloid: Cloid = None,
    trigger: Annotated[
        str | None, typer.Option("--trigger", help="Wait for the mark: sl:90000 or tp:110000.")
    ] = None,
) -> None:
    """Replace an order. Example: chainperp tx modify 81 BTC buy 0.01 @ 94000 --from 0"""
    session = Session(options)
    words = price_words(price, "81 BTC buy 0.01 @ 94000")
    wanted = Wanted(coin, side, size, words, tif, reduce_only, cloid, trigger=trigger)
    which: int | str = target if target.startswith("0x") else order_id(target)
    replaced = {"oid": which, "order": order_request(session, wanted)}
    session.submit({"type": "batchModify", "modifies": [replaced]})


@app.command("leverage")
@takes(Signing)
def leverage(
    options: Signing,
    coin: Coin,
    times: Annotated[int, typer.Argument(help="Leverage, a whole number.")],
    isolated: Annotated[bool, typer.Option("--isolated", help="Isolated margin.")] = False,
) -> None:
    """Set leverage and margin mode. Example: chainperp tx leverage BTC 5 --from 0"""
    session = Session(options)
    market = session.perpetual(coin)
    if not 1 <= times <= market.leverage_max:
        output.fail(
            EXIT_REFUSED,
            f"MRG-6 leverage of {market.name} is 1 to {market.leverage_max}",
            f"was {times}",
        )
    action = {"type": "updateLeverage", "asset": market.asset, "isCross": not isolated}
    session.submit(action | {"leverage": times})


@app.command("margin")
@takes(Signing)
def margin(
    options: Signing,
    coin: Coin,
    direction: Annotated[str, typer.Argument(help="add or remove.")],
    amount: Annotated[str, typer.Argument(help="USDC.")],
) -> None:
    """Move isolated margin. Example: chainperp tx margin BTC add 50 --from 0"""
    session = Session(options)
    if direction not in ("add", "remove"):
        output.usage("isolated margin reads: BTC add 50, or BTC remove 50")
    market = session.perpetual(coin)
    change = micro_usdc(amount, "amount") * (1 if direction == "add" else -1)
    action = {"type": "updateIsolatedMargin", "asset": market.asset, "isBuy": True, "ntli": change}
    session.submit(action)


@app.command("transfer")
@takes(Signing)
def transfer(
    options: Signing,
    destination: Annotated[str, typer.Argument(help="Address.")],
    amount: Annotated[str, typer.Argument(help="USDC, or tokens with --token.")],
    token: Annotated[
        str | None, typer.Option("--token", help="CHP or USDC: from and to spot balances.")
    ] = None,
) -> None:
    """Send USDC, or a token. Example: chainperp tx transfer 0x5e9e…a13a 12.5 --from 0"""
    parse_decimal(amount, USD_DECIMALS if token in (None, "USDC") else E8_DECIMALS, "amount")
    session = Session(options)
    if token is None:
        session.submit({"type": "usdSend", "destination": destination, "amount": amount})
    else:
        action = {"type": "spotSend", "destination": destination, "token": session.token(token)}
        session.submit(action | {"amount": amount})


@app.command("shift")
@takes(Signing)
def shift(
    options: Signing,
    amount: Annotated[str, typer.Argument(help="USDC.")],
    to: Annotated[str, typer.Argument(help="spot, or perp.")],
) -> None:
    """Move USDC between margin and spot. Example: chainperp tx shift 100 spot --from 0"""
    parse_decimal(amount, USD_DECIMALS, "amount")
    if to not in ("spot", "perp"):
        output.usage("a shift reads: 100 spot, or 100 perp", f"was {to[:20]!r}")
    action = {"type": "usdClassTransfer", "amount": amount, "toPerp": to == "perp", "nonce": None}
    Session(options).submit(action)


@app.command("withdraw")
@takes(Signing)
def withdraw(
    options: Signing,
    destination: Annotated[str, typer.Argument(help="Address outside.")],
    amount: Annotated[str, typer.Argument(help="USDC; the fee of 1 USDC is taken from it.")],
) -> None:
    """Ask for a withdrawal. Example: chainperp tx withdraw 0x5e9e…a13a 7 --from 0"""
    parse_decimal(amount, USD_DECIMALS, "amount")
    action = {"type": "withdraw3", "destination": destination, "amount": amount}
    Session(options).submit(action)


@app.command("agent")
@takes(Signing)
def agent(
    options: Signing,
    address: Annotated[str, typer.Argument(help="Address of the key that may trade.")],
    name: Annotated[str, typer.Option("--name", help="Name; empty for the unnamed one.")] = "",
    valid_until: Annotated[
        int | None, typer.Option("--valid-until", help="Milliseconds; needs a name.")
    ] = None,
) -> None:
    """Approve an agent key. Example: chainperp tx agent 0x50…9c --name bot --from 0"""
    if valid_until is not None:
        if not name:
            output.usage("--valid-until needs --name")
        name = f"{name} valid_until {valid_until}"
    action = {"type": "approveAgent", "agentAddress": address, "agentName": name}
    Session(options).submit(action)


@app.command("schedule-cancel")
@takes(Signing)
def schedule_cancel(
    options: Signing,
    when: Annotated[str, typer.Argument(help="Seconds from now, or off.")],
) -> None:
    """Cancel all orders later. Example: chainperp tx schedule-cancel 60 --from 0"""
    action: dict[str, Any] = {"type": "scheduleCancel"}
    if when != "off":
        if not (when.isascii() and when.isdigit() and len(when) <= 9):
            output.usage(f"seconds from now, a whole number, or off; was {when[:40]!r}")
        action["time"] = now_ms() + 1000 * int(when)
    Session(options).submit(action)


@app.command("oracle")
@takes(Signing)
def oracle(
    options: Signing,
    prices: Annotated[list[str], typer.Argument(help="BTC=95000 ETH=3500 …")],
) -> None:
    """Sign a validator's prices. Example: chainperp tx oracle BTC=95000 --from 0"""
    session = Session(options)
    rows: list[dict[str, Any]] = []
    for pair in prices:
        coin, sign, price = pair.partition("=")
        if not sign:
            output.usage(f"prices read BTC=95000, was {pair!r}")
        market = session.perpetual(coin)
        rows.append({"a": market.asset, "p": checked_price(market, price)})
    session.submit({"type": "setGlobal", "pxs": rows})


@app.command("raw")
@takes(Signing)
def raw(
    options: Signing,
    action: Annotated[str, typer.Argument(help="The action as JSON, or - for stdin.")],
) -> None:
    """Sign any action. Example: chainperp tx raw '{"type":"noop"}' --from 0"""
    text = sys.stdin.read() if action == "-" else action
    Session(options).submit(json_object(text, "an action"))


@app.command("send")
@takes(Signing)
def send(
    options: Signing,
    file: Annotated[
        Path, typer.Argument(help="A signed request (--offline made it); - for stdin.")
    ],
) -> None:
    """Send what was signed elsewhere. Example: chainperp tx send order.json"""
    from chainperp.cli.sending import send as post
    from chainperp.client.diagnosis import recovered_signer

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        output.fail(EXIT_UNREACHABLE, f"the request cannot be read: {file} ({error})")
    body = json_object(text, "a request")
    session = Session(options)
    session.signer = recovered_signer(body, session.network)
    post(session, body)
