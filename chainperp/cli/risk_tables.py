"""The safety-net report as tables."""

from typing import Any

from chainperp.cli import output


def show_risk(report: dict[str, Any]) -> None:
    """Print a report of `risk_report` for people."""
    output.answer({}, [f"block {report['height']}, {report['time']}, {report['source']}"], False)
    _totals(report)
    _markets(report)
    _tests(report)
    _distance(report)
    _lights(report)


def _totals(report: dict[str, Any]) -> None:
    risk, funds, exempt = report["open_risk"], report["funds"], report["exempt"]
    output.table(
        "safety net, USDC",
        ["what", "how much", "meaning"],
        [
            ["open risk", risk["maintenance"], "sum of maintenance margins of all positions"],
            ["value behind it", risk["value"], f"account value of {risk['scopes']} scopes"],
            ["below maintenance now", str(risk["below_maintenance"]), "scopes"],
            ["uncovered deficit", risk["uncovered"], "sum of all values below zero"],
            ["insurance", funds["insurance"], "pays what even the ADL price leaves open"],
            ["backstop vault", funds["backstop_value"],
             f"its value; it holds positions of {funds['backstop_positions']}"],
            ["backstop room", funds["backstop_room"], "positions it could still take over"],
            ["exempt from ADL", exempt["open_interest_usdc"],
             f"{exempt['accounts']} of {exempt['accounts_with_positions']} accounts; of "
             f"{exempt['open_interest_both_sides_usdc']} on both sides"],
        ],
    )  # fmt: skip


def _markets(report: dict[str, Any]) -> None:
    rows = [
        [row["market"], row["mark"], row["open_interest"], row["open_interest_usdc"],
         str(row["longs"]), str(row["shorts"]), row["maintenance"]]
        for row in report["markets"]
    ]  # fmt: skip
    columns = ["market", "mark", "open interest", "USDC", "longs", "shorts", "maintenance"]
    output.table("open interest (one side) and what both sides must hold", columns, rows)


def _tests(report: dict[str, Any]) -> None:
    tests = report["tests"]
    kinds = ("recovered", "book", "backstop", "adl_case", "waiting")
    rows = [
        [row["minute"], *(str(row.get(kind, 0)) for kind in kinds)] for row in tests["per_minute"]
    ]
    columns = ["minute, UTC", "recovered", "book", "backstop", "ADL", "waiting"]
    output.table(f"liquidation tests that failed: {tests['total']} in all", columns, rows)
    waits = [[str(row["blocks"]), str(row["tests"])] for row in tests["latency_blocks"]]
    output.table("blocks that a failing scope waited for its turn", ["blocks", "tests"], waits)


def _distance(report: dict[str, Any]) -> None:
    moves = sorted({row["move_percent"] for row in report["distance"]})
    cells = {(row["market"], row["move_percent"]): row for row in report["distance"]}
    rows = [
        [market["market"],
         *(cells[market["market"], move]["notional_usdc"].partition(".")[0] for move in moves)]
        for market in report["markets"]
    ]  # fmt: skip
    columns = ["market", *(f"{move:+d} %" if move else "now" for move in moves)]
    title = "liquidatable if this market's mark alone moves, whole USDC at the moved mark"
    output.table(title, columns, rows)


def _lights(report: dict[str, Any]) -> None:
    rows = [
        [row["account"], row["market"], row["side"], row["size"], row["profit"],
         f"{row['rank']} of {row['of']}" if row["lights"] else row["reason"].replace("_", " "),
         "●" * row["lights"] + "○" * (5 - row["lights"])]
        for row in report["lights"]
    ]  # fmt: skip
    columns = ["account", "market", "side", "size", "profit, USDC", "rank", "lights"]
    title = (
        f"ADL lights: five are closed first (policy {report['policy']}; equal scores are ordered "
        "by a seed that each round draws anew)"
    )
    output.table(title, columns, rows)
