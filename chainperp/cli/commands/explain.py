"""`chainperp explain …`: why, in sentences, with the numbers and the place in the log."""

from pathlib import Path
from typing import Annotated

import typer

from chainperp.cli import output

app = typer.Typer(help="Say why, in sentences.", no_args_is_help=True, rich_markup_mode=None)

Directory = Annotated[Path, typer.Argument(help="Data directory.")]
Account = Annotated[str, typer.Argument(help="Account, 0x and 40 hex digits.")]
Height = Annotated[int | None, typer.Option("--height", min=0, help="This block only.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.command("liq")
def liq(
    directory: Directory, account: Account, height: Height = None, as_json: Json = False
) -> None:
    """Every liquidation test of an account. Example: chainperp explain liq demo-data 0x5e9e…a13a"""
    from chainperp.base.units import Address
    from chainperp.cli.chain_log import parse_hex
    from chainperp.cli.explain import explain_liq

    found = explain_liq(directory, Address(parse_hex(account, 20, "account")), height)
    output.answer(found.document, found.lines, as_json)


@app.command("adl")
def adl(
    directory: Directory, account: Account, height: Height = None, as_json: Json = False
) -> None:
    """Why somebody was deleveraged or not. Example: chainperp explain adl demo-data 0x5e9e…a13a"""
    from chainperp.base.units import Address
    from chainperp.cli.chain_log import parse_hex
    from chainperp.cli.explain_adl import explain_adl

    found = explain_adl(directory, Address(parse_hex(account, 20, "account")), height)
    output.answer(found.document, found.lines, as_json)


@app.command("tx")
def tx(
    directory: Directory,
    name: Annotated[str, typer.Argument(help="Transaction hash, 0x and 64 hex digits.")],
    as_json: Json = False,
) -> None:
    """A transaction and all it did. Example: chainperp explain tx demo-data 0x8d1f…03be"""
    from chainperp.cli.chain_log import parse_hex
    from chainperp.cli.explain import explain_tx

    found = explain_tx(directory, parse_hex(name, 32, "hash"))
    output.answer(found.document, found.lines, as_json)


@app.command("signature")
def signature(
    file: Annotated[Path, typer.Argument(help="A request to /exchange as JSON; - for stdin.")],
    expect: Annotated[
        str | None, typer.Option("--expect", help="Address that should have signed.")
    ] = None,
    network: Annotated[str, typer.Option("--network", help="Testnet or Mainnet.")] = "Testnet",
    as_json: Json = False,
) -> None:
    """Who signed a request, and which mistake explains it.

    Exit 1 when --expect is given and it was somebody else.
    Example: chainperp explain signature order.json --expect 0xf39f…2266
    """
    from chainperp.base.errors import EXIT_FALSE
    from chainperp.cli.explain_signature import explain_signature

    document, lines = explain_signature(file, expect, network)
    output.answer(document, lines, as_json)
    if expect is not None and document["recovered"] != document["expected"]:
        raise typer.Exit(EXIT_FALSE)


@app.command("fill")
def fill(
    directory: Directory,
    tid: Annotated[int, typer.Argument(min=0, help="Number of the trade.")],
    as_json: Json = False,
) -> None:
    """A trade: price, both sides, cause. Example: chainperp explain fill demo-data 4830"""
    from chainperp.cli.explain_fill import explain_fill

    found = explain_fill(directory, tid)
    output.answer(found.document, found.lines, as_json)


@app.command("buyback")
def buyback(
    directory: Directory,
    height: Annotated[
        int | None, typer.Argument(min=0, help="Block; that of the last purchase if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Why the fund bought, how much, at what price. Example: chainperp explain buyback demo-data"""
    from chainperp.cli.explain_buyback import explain_buyback

    found = explain_buyback(directory, height)
    output.answer(found.document, found.lines, as_json)


@app.command("rule")
def rule(
    code: Annotated[str, typer.Argument(help="Code of a rule, such as LIQ-4.")],
    as_json: Json = False,
) -> None:
    """A rule's text, parameters and place. Example: chainperp explain rule LIQ-4"""
    from chainperp.base.errors import EXIT_UNREACHABLE
    from chainperp.cli.rules import explain_rule

    try:
        text = explain_rule(code)
    except LookupError as error:
        output.fail(EXIT_UNREACHABLE, str(error), "chainperp rules lists them all")
    output.answer({"code": code.upper(), "text": text}, text.splitlines(), as_json)
