"""The assistance fund at any block: from a data directory, executed, or from a node."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainperp.base.errors import EXIT_REFUSED
from chainperp.cli import output
from chainperp.cli.asking import Asking, Table, ask_node, show, words
from chainperp.cli.chain_log import ChainLog, clock
from chainperp.cli.risk_report import state_at_tip
from chainperp.cli.signing import node_of
from chainperp.model.decisions import Kind
from chainperp.model.fund import NATIVE
from chainperp.node.documents.fund import fund_document, purchase_document

if TYPE_CHECKING:
    from chainperp.client.node import NodeClient

Document = dict[str, Any]
HISTORY_COLUMNS = (
    "block", "time", "outcome", "balance", "mark", "limit", "offered", "bought", "spent",
    "average", "burned",
)  # fmt: skip


def fund_in_directory(path: Path, height: int | None, *, history: bool) -> Document:
    """The fund after a block, the last one if none is given. Raises NotFound, InvalidBlock."""
    state, log, note = state_at_tip(path, height)
    document = fund_document(state)
    document["source"] = note
    if history:
        document["history"] = purchases(log, state.height)
    return document


def purchases(log: ChainLog, height: int) -> list[Document]:
    """Every purchase that was due up to a block, oldest first."""
    found: list[Document] = []
    for block in log.blocks():
        if block.height > height:
            break
        for entry in block.of(Kind.BUYBACK):
            found.append(
                purchase_document(
                    block.height, block.time_ms, entry.index, entry.fields(), log.tokens[NATIVE]
                )
            )
    return found


def show_fund(options: Asking, document: Document) -> None:
    """The document with --json, else tables."""
    show(options, document, [] if options.as_json else tables(document))


def tables(document: Document) -> list[Table]:
    """The fund for people: its money, the token, and the history when it is there."""
    sources = document["sources"]
    paid = {name: text if _is_zero(text) else f"-{text}" for name, text in document["paid"].items()}
    money = [
        ["from fees of trades", sources["fees"]],
        ["from seized margin", sources["liquidations"]],
        ["from anything else", sources["other"]],
        ["to the liquidity vault", paid["vault"]],
        ["to referrers", paid["referrals"]],
        ["spent on purchases", paid["buybacks"]],
        ["left in the fund", document["balance"]],
    ]
    evm = document["evm"]
    if evm is not None:
        money.insert(-1, ["sent to the vault on the EVM", paid["evm"]])
    title = f"assistance fund after block {document['height']}, {clock(document['time'])}"
    found = [Table(title, ["", "USDC"], money)]
    token = document["token"]
    if token is not None:
        found.append(Table("the token", ["", token["name"]], _token_rows(document, token)))
    if evm is not None:
        found.append(Table(f"the vault {evm['vault']}", ["", ""], _evm_rows(evm)))
    if "history" in document:
        rows = [_history_row(one) for one in document["history"]]
        found.append(Table("purchases that were due", HISTORY_COLUMNS, rows))
    return found


def _token_rows(document: Document, token: Document) -> list[list[str]]:
    average, earliest = document["averagePrice"], document["nextEarliest"]
    return [
        ["made by genesis", token["initialSupply"]],
        ["burned by purchases of the fund", f"-{token['burnedByBuyback']}"],
        ["burned as fees", f"-{token['burnedByFees']}"],
        ["supply now", token["supply"]],
        ["bought", token["bought"]],
        ["purchases", str(document["purchases"])],
        ["average price, USDC", "-" if average is None else average["decimal"]],
        ["next purchase not before", clock(earliest) if earliest else "at once"],
    ]


def _evm_rows(evm: Document) -> list[list[str]]:
    return [
        ["sent to it, USDC", evm["sent"]],
        ["spent by it, USDC", evm["spent"]],
        ["on its way or not spent, USDC", evm["unspent"]],
        ["spent of what others gave, USDC", evm["gifts"]],
        ["tokens bought", evm["bought"]],
        ["tokens burned", evm["burned"]],
        ["purchases", str(evm["purchases"])],
    ]


def _history_row(one: Document) -> list[str]:
    average = one["averagePrice"]
    return [
        str(one["height"]), clock(one["time"])[:19], one["outcome"], one["balance"],
        words(one["mark"]), one["limit"], one["offered"], one["bought"], one["spent"],
        "-" if average is None else average["decimal"], one["burned"],
    ]  # fmt: skip


def fund_of_node(options: Asking, address: str, *, history: bool) -> None:
    """The fund of a node; of one that is not ours, its balances."""
    from chainperp.client.refusal import Refused

    node = node_of(options.url, options.timeout)
    try:
        document = node.info("assistanceFund", history=history)
    except Refused:
        _balances(options, node, address)
        return
    show_fund(options, document)


def _balances(options: Asking, node: "NodeClient", address: str) -> None:
    state = ask_node(node, "clearinghouseState", user=address)
    spot = ask_node(node, "spotClearinghouseState", user=address)
    if not spot.get("balances") and _is_zero(state["marginSummary"]["accountValue"]):
        output.fail(
            EXIT_REFUSED,
            f"{node.url} does not offer an assistance fund",
            f"{address} holds nothing there; --address names another",
        )
    balances = [
        [one["coin"], words(one.get("total")), words(one.get("hold"))]
        for one in spot.get("balances", [])
    ]
    value = [["perpetuals, USDC", state["marginSummary"]["accountValue"], "0"]]
    table = Table(f"assistance fund {address}", ["what", "total", "on hold"], value + balances)
    show(options, {"address": address, "clearinghouseState": state, "spotState": spot}, [table])


def _is_zero(text: str) -> bool:
    return not text.strip("-0.")
