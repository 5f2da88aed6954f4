"""All questions, and those that are refused: what the node registers and the table says."""

from typing import Final

from chainperp.node.info import (
    accounts,
    bridge,
    fund,
    history,
    markets,
    money,
    orders,
    twaps,
    vault_report,
    vaults,
)
from chainperp.node.info.registry import Query

REFUSED: Final = [
    Query(name, grade="refused", note=note)
    for note, names in (
        ("pairs are named in genesis", ("spotDeployState",)),
        (
            "nothing is auctioned here",
            (
                "perpDeployAuctionStatus",
                "spotPairDeployAuctionStatus",
                "gossipPriorityAuctionStatus",
            ),
        ),
        ("markets have no annotations", ("perpAnnotation",)),
        ("there are no outcome markets", ("outcomeTemplates", "settledOutcome")),
        ("nothing is lent here", (
            "allBorrowLendReserveStates",
            "borrowLendReserveState",
            "borrowLendUserState",
            "userBorrowLendInterest",
        )),
        ("the network has no gossip", ("gossipRootIps",)),
        ("validators are in the genesis file", ("validatorSummaries", "validatorL1Votes")),
        ("USDC comes from one place", ("usdcRouting",)),
    )
    for name in names
]  # fmt: skip

QUERIES: Final = [
    *markets.QUERIES,
    *accounts.QUERIES,
    *vaults.QUERIES,
    *vault_report.QUERIES,
    *orders.QUERIES,
    *history.QUERIES,
    *twaps.QUERIES,
    *money.QUERIES,
    *fund.QUERIES,
    *bridge.QUERIES,
    *REFUSED,
]


def compatibility_rows() -> list[tuple[str, str, str]]:
    """Name, grade and note of every question, by name: the table in docs/compatibility.md."""
    return sorted((query.name, query.grade, query.note) for query in QUERIES)
