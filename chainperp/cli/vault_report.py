"""Vaults at the tip of a data directory, executed, or from a node."""

from pathlib import Path
from typing import Any

from chainperp.base.errors import EXIT_UNREACHABLE
from chainperp.base.units import Address
from chainperp.cli import output
from chainperp.cli.asking import Asking, Table, ask_node, show, words
from chainperp.cli.chain_log import ChainLog, clock, parse_hex
from chainperp.cli.risk_report import state_at_tip
from chainperp.cli.signing import node_of
from chainperp.model.decisions import Kind
from chainperp.node.documents.vault_report import all_of, report_of, round_document
from chainperp.state.store import State

Document = dict[str, Any]
WINDOW = 1_000
"""Blocks that are read at once when the last round is looked for."""


def vaults_in_directory(path: Path, address: str | None) -> Document:
    """All vaults, or one with the last round of its quotes. Exit 3 when there is none."""
    state, log, note = state_at_tip(path)
    if address is None:
        return {**all_of(state), "source": note}
    vault = state.vaults.get(Address(parse_hex(address, 20, "vault")))
    if vault is None:
        output.fail(EXIT_UNREACHABLE, f"{path} has no vault {address}",
                    "chainperp query vault --dir … lists them")  # fmt: skip
    document = {**report_of(state, vault), "source": note}
    if "quoting" in document:
        document["quoting"]["lastRound"] = last_round(log, state)
    return document


def last_round(log: ChainLog, state: State) -> Document | None:
    """The last QUOTE entry of a log, searched from its end."""
    end = state.height
    while end >= 0:
        start = max(0, end - WINDOW + 1)
        found: Document | None = None
        for block in log.tail(start):
            if block.height > end:
                break
            for entry in block.of(Kind.QUOTE):
                found = round_document(
                    block.height, block.time_ms, entry.index, entry.fields(), state.markets
                )
        if found is not None:
            return found
        end = start - 1
    return None


def vaults_of_node(options: Asking, address: str | None) -> None:
    """The vaults of a node; of one that is not ours, what `vaultDetails` says."""
    from chainperp.cli import account_tables
    from chainperp.client.refusal import Refused

    node = node_of(options.url, options.timeout)
    asked = {} if address is None else {"vaultAddress": address}
    try:
        found = node.info("vaultReport", **asked)
    except Refused:
        if address is None:
            found = ask_node(node, "vaultSummaries")
            show(options, found, [] if options.as_json else [_summaries(found)])
            return
        found = ask_node(node, "vaultDetails", **asked)
        if found is not None:
            show(options, found, [] if options.as_json else account_tables.of_vault(found))
            return
    if found is None:
        output.fail(EXIT_UNREACHABLE, f"{node.url} has no vault {address}",
                    "chainperp query vault lists them")  # fmt: skip
    show_vaults(options, found)


def _summaries(rows: list[Document]) -> Table:
    columns = ["vault", "name", "leader", "value", "closed"]
    return Table("vaults", columns, [
        [one["vaultAddress"], one["name"], one["leader"], one["tvl"], words(one["isClosed"])]
        for one in rows
    ])  # fmt: skip


def show_vaults(options: Asking, document: Document) -> None:
    """The document with --json, else tables."""
    show(options, document, [] if options.as_json else tables(document))


def tables(document: Document) -> list[Table]:
    """One vault, or all, for people."""
    if "vaults" in document:
        rows = [
            [one["address"], one["name"], one["value"], one["shares"],
             _price(one), str(one["holders"]), "closed" if one["isClosed"] else "open"]
            for one in document["vaults"]
        ]  # fmt: skip
        title = f"vaults after block {document['height']}, {clock(document['time'])}"
        columns = ["vault", "name", "value", "shares", "price of a share", "holders", "state"]
        return [Table(title, columns, rows)]
    found = [_facts(document), _members(document), *_positions(document), _holders(document)]
    if "quoting" in document:
        found += _quoting(document["quoting"])
    return found


def _price(one: Document) -> str:
    return "-" if one["pricePerShare"] is None else one["pricePerShare"]["decimal"]


def _facts(one: Document) -> Table:
    rows = [
        ["name", one["name"]],
        ["leader", one["leader"]],
        ["state", "closed" if one["isClosed"] else "open"],
        ["deposits", "taken" if one["allowDeposits"] else "not taken"],
        ["value, USDC", one["value"]],
        ["shares", one["shares"]],
        ["price of a share, USDC", _price(one)],
    ]
    if "day" in one:
        rows.append(["may still leave today, USDC", one["day"]["left"]])
    title = f"vault {one['address']} after block {one['height']}, {clock(one['time'])}"
    return Table(title, ["", ""], rows)


def _members(one: Document) -> Table:
    columns = ["account", "", "value", "maintenance", "withdrawable", "target", "orders"]
    return Table("accounts", columns, [
        [row["name"], row["address"], row["value"], row["maintenance"], row["withdrawable"],
         words(row["target"]), str(row["orders"])]
        for row in one["members"]
    ])  # fmt: skip


def _positions(one: Document) -> list[Table]:
    rows = [
        [row["name"], held["market"], held["size"], held["entry"], held["mark"], held["value"]]
        for row in one["members"]
        for held in row["positions"]
    ]
    columns = ["account", "market", "size", "cost", "mark", "value"]
    return [Table("positions", columns, rows)] if rows else []


def _holders(one: Document) -> Table:
    columns = ["holder", "shares", "equity", "basis", "profit", "locked until"]
    return Table(f"holders: {one['holders']}", columns, [
        [row["user"] + (" (leader)" if row["isLeader"] else ""), row["shares"], row["equity"],
         row["basis"], row["profit"], clock(row["lockedUntil"]) if row["lockedUntil"] else "-"]
        for row in one["followers"]
    ])  # fmt: skip


def _quoting(one: Document) -> list[Table]:
    """The rule with its inputs, the last round, and what rests."""
    rule = one["rule"]
    rows = [
        ["a round every", f"{rule['intervalMs']} ms"],
        ["levels on each side", str(rule["levels"])],
        ["first level from the oracle price", f"{rule['halfSpreadBps']} bp"],
        ["from level to level", f"{rule['stepBps']} bp"],
        ["size of a level", f"{rule['sizeBps']} bp of its value"],
        ["skew when the cap is used up", f"{rule['skewBps']} bp"],
        ["a quote stays within", f"{rule['driftBps']} bp"],
        ["its value, USDC", one["value"]],
        ["its positions, USDC", one["positions"]],
        ["its value when the day began, USDC", one["dayBegan"]],
        ["cap of one market, USDC", one["cap"]],
        ["a round now would change", ", ".join(one["wouldChange"]) or "nothing"],
    ]
    found = [Table("quoting rule (VLT-20 to VLT-26)", ["", ""], rows)]
    last = one.get("lastRound")
    if last is not None:
        columns = ["market", "oracle", "position", "bid", "ask", "kept", "cancelled", "placed"]
        title = f"last round: block {last['height']}, {clock(last['time'])}, log {last['index']}"
        found.append(Table(title, columns, [
            [row["market"], row["oracle"], row["position"], words(row["bid"]), words(row["ask"]),
             str(row["kept"]), str(row["cancelled"]), str(row["placed"])]
            for row in last["markets"]
        ]))  # fmt: skip
    quotes = [[row["market"], row["side"], row["price"], row["size"]] for row in one["resting"]]
    found.append(Table("quotes at rest", ["market", "side", "price", "size"], quotes))
    return found
