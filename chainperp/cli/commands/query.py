"""`chainperp query …`: ask a node, or a data directory.

Answers are those of `POST /info`, as tables for people and unchanged with --json. The questions are
Hyperliquid's, so the real exchange can be asked as well: --url https://api.hyperliquid.xyz
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from chainperp.base.errors import EXIT_REFUSED, EXIT_UNREACHABLE
from chainperp.cli import output
from chainperp.cli.asking import (
    Account,
    Asking,
    Table,
    address_of_account,
    ask,
    ask_node,
    show,
    words,
)
from chainperp.cli.evm import Evm
from chainperp.cli.options import shares, takes
from chainperp.cli.signing import json_object, node_of, now_ms, url_of

app = typer.Typer(
    help="Ask a node, or a data directory.", no_args_is_help=True, rich_markup_mode=None
)

WEEK_MS: Final = 7 * 86_400_000
Coin = Annotated[str, typer.Argument(help="Market, such as BTC.")]
Rows = Annotated[int, typer.Option("--rows", min=1, help="Rows shown of a long table.")]


@app.callback()
@shares(Asking)
def query(_options: Asking) -> None:
    """Ask a node, or a data directory."""


@app.command("account")
@takes(Asking)
def account(options: Asking, who: Account) -> None:
    """Value, margin and positions of an account. Example: chainperp query account 0"""
    address = address_of_account(who)
    show_account(options, address, ask(options, "clearinghouseState", user=address))


def show_account(options: Asking, address: str, state: Any) -> None:
    """A clearinghouseState."""
    from chainperp.cli import account_tables

    show(options, state, [] if options.as_json else account_tables.of_state(address, state))


@app.command("book")
@takes(Asking)
def book(
    options: Asking,
    coin: Coin,
    levels: Annotated[int, typer.Option("--levels", min=1, help="Levels of each side.")] = 10,
) -> None:
    """Best levels of a market. Example: chainperp query book BTC"""
    found = ask(options, "l2Book", coin=coin)
    if found is None:
        output.fail(EXIT_UNREACHABLE, f"{url_of(options.url)} has no market {coin}",
                    "chainperp query markets lists them")  # fmt: skip
    bids, asks = found["levels"]
    rows = [["ask", one["px"], one["sz"], str(one["n"])] for one in reversed(asks[:levels])]
    rows += [["bid", one["px"], one["sz"], str(one["n"])] for one in bids[:levels]]
    show(options, found, [Table(coin, ["side", "price", "size", "orders"], rows)])


@app.command("markets")
@takes(Asking)
def markets(options: Asking) -> None:
    """Markets with prices, funding and interest. Example: chainperp query markets"""
    from chainperp.client.refusal import Refused

    node = node_of(options.url, options.timeout)
    try:
        answer = node.info("metaAndAssetCtxs")
        meta, contexts = answer
    except Refused:
        # A node may list its markets without saying how they stand.
        answer = meta = ask_node(node, "meta")
        contexts = [{} for _ in meta["universe"]]
    keys = ("markPx", "oraclePx", "midPx", "funding", "openInterest", "dayNtlVlm")
    rows = [
        [one["name"], str(asset), str(one["szDecimals"]), f"{one['maxLeverage']}x",
         *(words(context.get(key)) for key in keys)]
        for asset, (one, context) in enumerate(zip(meta["universe"], contexts, strict=True))
    ]  # fmt: skip
    columns = ["market", "asset", "size decimals", "leverage", "mark", "oracle", "middle",
               "funding 1 h", "open interest", "USDC in 24 h"]  # fmt: skip
    show(options, answer, [Table("", columns, rows)])


@app.command("mids")
@takes(Asking)
def mids(options: Asking) -> None:
    """Middle of every book. Example: chainperp query mids"""
    found = ask(options, "allMids")
    show(options, found, [Table("", ["market", "middle"], [list(one) for one in found.items()])])


@app.command("orders")
@takes(Asking)
def orders(
    options: Asking,
    who: Account,
    oid: Annotated[
        str | None, typer.Argument(help="One order: its id, or its client id with 0x.")
    ] = None,
) -> None:
    """Open orders, or one order. Example: chainperp query orders 0"""
    from chainperp.cli import account_tables
    from chainperp.cli.signing import order_id

    address = address_of_account(who)
    if oid is None:
        rows = ask(options, "frontendOpenOrders", user=address)
        show(options, rows, [] if options.as_json else [account_tables.of_orders(rows)])
        return
    which: int | str = oid if oid.startswith("0x") else order_id(oid)
    found = ask(options, "orderStatus", user=address, oid=which)
    if found.get("status") != "order":
        output.fail(EXIT_UNREACHABLE, f"account {address} has no order {oid}", str(found))
    show(options, found, [] if options.as_json else [account_tables.of_order(found["order"])])


@app.command("fills")
@takes(Asking)
def fills(options: Asking, who: Account, rows: Rows = 50) -> None:
    """Latest trades of an account. Example: chainperp query fills 0"""
    from chainperp.cli import account_tables

    found = ask(options, "userFills", user=address_of_account(who))
    show(options, found, [] if options.as_json else [account_tables.of_fills(found, rows)])


@app.command("funding")
@takes(Asking)
def funding(
    options: Asking,
    what: Annotated[str, typer.Argument(help="A market, or an account as in query account.")],
    since: Annotated[
        int | None, typer.Option("--since", help="Milliseconds; a week ago when not given.")
    ] = None,
    rows: Rows = 50,
) -> None:
    """Funding rates, or payments. Example: chainperp query funding BTC"""
    from chainperp.cli import account_tables

    start = max(now_ms() - WEEK_MS, 0) if since is None else since
    if what.startswith("0x") or what.isdigit():
        address = address_of_account(what)
        found = ask(options, "userFunding", user=address, startTime=start)
        drawn = [] if options.as_json else [account_tables.of_payments(found, rows)]
    else:
        found = ask(options, "fundingHistory", coin=what, startTime=start)
        drawn = [] if options.as_json else [account_tables.of_rates(what, found, rows)]
    show(options, found, drawn)


@app.command("vault")
@takes(Asking)
def vault(
    options: Asking,
    address: Annotated[
        str | None, typer.Argument(help="Vault address; all vaults when not given.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Data directory; a node when not given.")
    ] = None,
) -> None:
    """Vaults: value, shares, holders, quotes. Example: chainperp query vault --dir demo-data"""
    from chainperp.cli import vault_report

    asked = None if address is None else address_of_account(address)
    if directory is None:
        vault_report.vaults_of_node(options, asked)
        return
    vault_report.show_vaults(options, vault_report.vaults_in_directory(directory, asked))


@app.command("fees")
@takes(Asking)
def fees(
    options: Asking,
    who: Annotated[
        str | None,
        typer.Argument(help="Address, name of a key, or number of a development account."),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Ask a data directory, not a node.")
    ] = None,
) -> None:
    """Rates of an account, or where fees came from and went. Example: chainperp query fees 0"""
    from chainperp.cli import fee_report

    account = None if who is None else address_of_account(who)
    if directory is None:
        fee_report.fees_of_node(options, account)
    else:
        fee_report.show_fees(options, fee_report.fees_in_directory(directory, account))


@app.command("fund")
@takes(Asking)
def fund(
    options: Asking,
    directory: Annotated[
        Path | None, typer.Argument(help="Data directory; the node's fund when not given.")
    ] = None,
    height: Annotated[
        int | None, typer.Option("--height", min=0, help="After this block of the directory.")
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every purchase that was due.")
    ] = False,
    address: Annotated[
        str, typer.Option("--address", help="Address of the fund of another exchange.")
    ] = "0x" + 20 * "fe",
) -> None:
    """The fund that buys the token. Example: chainperp query fund demo-data --history"""
    from chainperp.cli import fund_report

    if directory is None:
        if height is not None:
            output.usage("--height asks a data directory", "a node knows its last block only")
        fund_report.fund_of_node(options, address, history=history)
        return
    fund_report.show_fund(
        options, fund_report.fund_in_directory(directory, height, history=history)
    )


@app.command("anchor")
@takes(Asking)
def anchor(options: Asking, evm: Evm = None) -> None:
    """The checkpoint that the contract holds. Example: chainperp query anchor"""
    from chainperp.cli.bridge_report import show_anchor

    show_anchor(options, evm)


@app.command("bridge")
@takes(Asking)
def bridge(options: Asking, evm: Evm = None) -> None:
    """Deposits and payouts, contract beside ledger. Example: chainperp query bridge"""
    from chainperp.cli.bridge_report import show_bridge

    show_bridge(options, evm)


@app.command("buyback")
@takes(Asking)
def buyback(options: Asking, evm: Evm = None) -> None:
    """The vault's purchases, contract beside ledger. Example: chainperp query buyback"""
    from chainperp.cli.bridge_report import show_buyback

    show_buyback(options, evm)


@app.command("log")
@takes(Asking)
def log(
    options: Asking,
    directory: Annotated[
        Path | None, typer.Argument(help="Data directory; the node's log when not given.")
    ] = None,
) -> None:
    """The log's last checkpoint: size, root, signers. Example: chainperp query log"""
    from chainperp.cli.log_head import log_head

    document, lines = log_head(options, directory)
    output.answer(document, lines, options.as_json)


@app.command("raw")
@takes(Asking)
def raw(
    options: Asking,
    question: Annotated[str, typer.Argument(help="The question as JSON, or - for stdin.")],
) -> None:
    """Any question to /info. Example: chainperp query raw '{"type":"exchangeStatus"}'"""
    from chainperp.client.refusal import Refused

    text = sys.stdin.read() if question == "-" else question
    asked = json_object(text, "a question")
    node = node_of(options.url, options.timeout)
    try:
        output.answer(node.ask(asked), [], as_json=True)
    except Refused as error:
        output.fail(EXIT_REFUSED, f"{node.url} refuses the question ({error.status})", error.text)


@app.command("risk")
def risk(
    directory: Annotated[Path, typer.Argument(help="Data directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """What is at risk, and what stands behind it. Example: chainperp query risk demo-data"""
    from chainperp.cli.risk_report import risk_report
    from chainperp.cli.risk_tables import show_risk

    report = risk_report(directory)
    if as_json:
        output.answer(report, [], as_json=True)
        return
    show_risk(report)
