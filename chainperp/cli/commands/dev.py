"""`chainperp dev …`: controls of a local chain, for a node that was started with --dev.

What touches the chain is recorded in a block like everything else, so a manipulated chain still
replays. Amounts, prices and times are sent as typed; the node judges them.
"""

import re
from typing import Annotated, Any

import typer

from chainperp.base.errors import EXIT_REFUSED
from chainperp.base.units import E8_DECIMALS, USD_DECIMALS, parse_decimal, strip_decimal
from chainperp.cli import output
from chainperp.cli.asking import Account, Asking, address_of_account
from chainperp.cli.options import shares, takes
from chainperp.cli.signing import node_of

app = typer.Typer(
    help="Control a local chain: money, prices, time, blocks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
clock = typer.Typer(help="Move the chain's clock.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(clock, name="time")


@app.callback()
@shares(Asking)
def dev(_options: Asking) -> None:
    """Control a local chain: money, prices, time, blocks."""


@clock.callback()
def time() -> None:
    """Move the chain's clock."""


def post(options: Asking, *controls: dict[str, Any]) -> None:
    """Carry out controls one after the other; the first refusal ends the command with exit 4."""
    from chainperp.client.refusal import Refused

    node = node_of(options.url, options.timeout)
    replies: list[dict[str, Any]] = []
    for control in controls:
        try:
            reply = node.dev(control)
        except Refused as error:
            hint = (
                "developer controls are offered by: chainperp node --dev"
                if error.status in (403, 404, 405)
                else f"it was sent {control}"
            )
            output.fail(
                EXIT_REFUSED, f"{node.url}/dev refuses ({error.status}): {error.text}", hint
            )
        if reply["status"] != "ok":
            output.fail(EXIT_REFUSED, str(reply.get("response", reply)))
        replies.append(reply)
    lines = [
        " ".join(["done", *(f"{key}={value}" for key, value in reply.items() if key != "status")])
        for reply in replies
    ]
    document = replies[0] if len(replies) == 1 else {"status": "ok", "replies": replies}
    output.answer(document, lines, options.as_json)


@app.command("fund")
@takes(Asking)
def fund(
    options: Asking,
    who: Account,
    amount: Annotated[str, typer.Argument(help="How much.")],
    token: Annotated[str | None, typer.Option("--token", help="USDC when not given.")] = None,
) -> None:
    """Give an account money. Example: chainperp dev fund 0x5e9e…a13a 1000"""
    if token is None:
        parse_decimal(amount, USD_DECIMALS, "amount")
    control = {"type": "fund", "user": address_of_account(who), "amount": amount}
    post(options, control if token is None else control | {"token": token})


@app.command("evm-fund")
@takes(Asking)
def evm_fund(
    options: Asking,
    who: Account,
    amount: Annotated[str, typer.Argument(help="Test dollars on the EVM.")],
) -> None:
    """Give an address test dollars and gas on the EVM. Example: chainperp dev evm-fund 0 1000"""
    parse_decimal(amount, USD_DECIMALS, "amount")
    post(options, {"type": "evmFund", "user": address_of_account(who), "usd": amount})


@app.command("oracle")
@takes(Asking)
def oracle(
    options: Asking,
    prices: Annotated[list[str], typer.Argument(help="BTC=95000 ETH=3500 …")],
) -> None:
    """Set oracle prices. Example: chainperp dev oracle BTC=95000"""
    controls: list[dict[str, Any]] = []
    for pair in prices:
        coin, sign, price = pair.partition("=")
        if not sign:
            output.usage(f"prices read BTC=95000, was {pair!r}")
        controls.append({"type": "setOracle", "coin": coin, "px": _price(price)})
    post(options, *controls)


@app.command("path")
@takes(Asking)
def path(
    options: Asking,
    coin: Annotated[str, typer.Argument(help="Market.")],
    points: Annotated[list[str], typer.Argument(help="Seconds from now:price, rising.")],
) -> None:
    """Let an oracle price walk. Example: chainperp dev path BTC 0:95000 600:70000"""
    rows: list[list[int | str]] = []
    for point in points:
        seconds, colon, price = point.partition(":")
        if not colon or not re.fullmatch(r"[0-9]{1,9}", seconds):
            output.usage(f"points read 0:95000 600:70000, was {point!r}")
        rows.append([int(seconds), _price(price)])
    post(options, {"type": "oraclePath", "coin": coin, "points": rows})


def _price(text: str) -> str:
    return strip_decimal(parse_decimal(text, E8_DECIMALS, "price"), E8_DECIMALS)


@app.command("mine")
@takes(Asking)
def mine(
    options: Asking, blocks: Annotated[int, typer.Argument(min=1, help="How many blocks.")] = 1
) -> None:
    """Make blocks now. Example: chainperp dev mine 3"""
    post(options, {"type": "mine", "blocks": blocks})


@app.command("pause")
@takes(Asking)
def pause(options: Asking) -> None:
    """Make no blocks by itself. Example: chainperp dev pause"""
    post(options, {"type": "pause"})


@app.command("resume")
@takes(Asking)
def resume(options: Asking) -> None:
    """Make blocks again. Example: chainperp dev resume"""
    post(options, {"type": "resume"})


@clock.command("set")
@takes(Asking)
def time_set(
    options: Asking,
    milliseconds: Annotated[int, typer.Argument(min=0, help="Unix time in milliseconds.")],
) -> None:
    """Set the time. Example: chainperp dev time set 1760000000000"""
    post(options, {"type": "setTime", "time": milliseconds})


@clock.command("add")
@takes(Asking)
def time_add(
    options: Asking, seconds: Annotated[int, typer.Argument(min=1, help="Seconds.")]
) -> None:
    """Let time pass. Example: chainperp dev time add 3600"""
    post(options, {"type": "increaseTime", "ms": 1000 * seconds})


@app.command("snapshot")
@takes(Asking)
def snapshot(options: Asking) -> None:
    """Remember this moment. Example: chainperp dev snapshot"""
    post(options, {"type": "snapshot"})


@app.command("revert")
@takes(Asking)
def revert(
    options: Asking, name: Annotated[str, typer.Argument(help="What snapshot answered: 0x1.")]
) -> None:
    """Go back to a snapshot. Example: chainperp dev revert 0x1"""
    post(options, {"type": "revert", "id": name})


@app.command("reset")
@takes(Asking)
def reset(options: Asking) -> None:
    """Begin again from genesis. Example: chainperp dev reset"""
    post(options, {"type": "reset"})


@app.command("drop-connections")
@takes(Asking)
def drop_connections(options: Asking) -> None:
    """Close every client's connection. Example: chainperp dev drop-connections"""
    post(options, {"type": "dropConnections"})
