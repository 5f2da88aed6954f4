"""Answers about accounts as tables: positions, orders, fills, funding, vaults."""

from typing import Any

from chainperp.cli.asking import Table, words
from chainperp.cli.chain_log import clock


def of_state(address: str, state: dict[str, Any]) -> list[Table]:
    """A clearinghouseState."""
    whole, cross = state["marginSummary"], state["crossMarginSummary"]
    totals = [
        ["account value", whole["accountValue"], cross["accountValue"]],
        ["positions", whole["totalNtlPos"], cross["totalNtlPos"]],
        ["margin in use", whole["totalMarginUsed"], cross["totalMarginUsed"]],
        ["maintenance margin", "", state["crossMaintenanceMarginUsed"]],
        ["withdrawable", state["withdrawable"], ""],
    ]
    rows: list[list[str]] = []
    for entry in state["assetPositions"]:
        one = entry["position"]
        leverage = one["leverage"]
        rows.append(
            [one["coin"], one["szi"], words(one["entryPx"]), one["positionValue"],
             one["unrealizedPnl"], words(one["liquidationPx"]), one["marginUsed"],
             f"{leverage['value']}x {leverage['type']}"]
        )  # fmt: skip
    columns = ["position", "size", "entry", "value", "profit", "liquidation", "margin", "leverage"]
    tables = [Table(f"account {address}, USDC", ["what", "all", "cross"], totals)]
    return [*tables, Table("", columns, rows)] if rows else tables


def of_orders(rows: list[dict[str, Any]]) -> Table:
    """Open orders."""
    return Table(
        f"{len(rows)} open orders" if len(rows) != 1 else "1 open order",
        ["order", "market", "side", "size", "of", "price", "kind", "waits for", "since"],
        [_order(one) for one in rows],
    )


def _order(one: dict[str, Any]) -> list[str]:
    kind = " ".join(
        word
        for word in (
            one.get("orderType", "Limit"),
            words(one.get("tif")) if one.get("tif") else "",
            "reduce-only" if one.get("reduceOnly") else "",
        )
        if word
    )
    waits = one.get("triggerCondition", "N/A") if one.get("isTrigger") else "-"
    side = "buy" if one["side"] == "B" else "sell"
    return [
        str(one["oid"]), one["coin"], side, one["sz"], one["origSz"], one["limitPx"], kind, waits,
        clock(one["timestamp"]),
    ]  # fmt: skip


def of_order(found: dict[str, Any]) -> Table:
    """One order with its status."""
    one = found["order"]
    rows = [
        ["status", found["status"]],
        ["since", clock(found["statusTimestamp"])],
        ["market", one["coin"]],
        ["side", "buy" if one["side"] == "B" else "sell"],
        ["size left", one["sz"]],
        ["size", one["origSz"]],
        ["price", one["limitPx"]],
        ["client id", words(one.get("cloid"))],
    ]
    return Table(f"order {one['oid']}", ["what", "value"], rows)


def of_fills(rows: list[dict[str, Any]], most: int) -> Table:
    """Trades of an account, newest first as the node lists them."""
    shown = [
        [clock(one["time"]), one["coin"], one["dir"], one["sz"], one["px"], one["closedPnl"],
         one["fee"], "taker" if one["crossed"] else "maker", str(one["oid"])]
        for one in rows[:most]
    ]  # fmt: skip
    columns = ["time", "market", "what", "size", "price", "realised", "fee", "as", "order"]
    return Table(_title("fills", len(rows), most), columns, shown)


def of_rates(coin: str, rows: list[dict[str, Any]], most: int) -> Table:
    """Hourly funding rates, the newest rows of what the node lists oldest first."""
    shown = [
        [clock(one["time"]), one["fundingRate"], words(one["premium"])] for one in rows[-most:]
    ]
    return Table(_title(f"funding of {coin}", len(rows), most), ["hour", "rate", "premium"], shown)


def of_payments(rows: list[dict[str, Any]], most: int) -> Table:
    """Funding paid (negative) and received."""
    shown = [
        [clock(one["time"]), one["delta"]["coin"], one["delta"]["usdc"], one["delta"]["szi"],
         one["delta"]["fundingRate"]]
        for one in rows[-most:]
    ]  # fmt: skip
    columns = ["hour", "market", "USDC", "position", "rate"]
    return Table(_title("funding payments", len(rows), most), columns, shown)


def of_vault(found: dict[str, Any]) -> list[Table]:
    """vaultDetails."""
    facts = [
        ["name", words(found["name"])],
        ["leader", words(found["leader"])],
        ["leader's share", words(found.get("leaderFraction"))],
        ["leader's commission", words(found.get("leaderCommission"))],
        ["yearly return", words(found.get("apr"))],
        ["deposits", "open" if found.get("allowDeposits") else "closed"],
        ["largest withdrawal", words(found.get("maxWithdrawable"))],
    ]
    followers = [
        [one["user"], one["vaultEquity"], one["pnl"], str(one["daysFollowing"])]
        for one in found.get("followers", [])
    ]
    return [
        Table(f"vault {found['vaultAddress']}", ["what", "value"], facts),
        Table("depositors", ["account", "equity", "profit", "days"], followers),
    ]


def _title(what: str, count: int, most: int) -> str:
    return f"{what}: {count}" if count <= most else f"{what}: {most} of {count}, --rows shows more"
