"""What of Hyperliquid's wire the node offers, as one table: `docs/compatibility.md` is made here.

The table cannot promise what the code does not have: actions come from the decoders, questions and
subscriptions from the tables that answer them. Only reasons and remarks are written by hand.
"""

from typing import Final

from chainperp.chain.decode_actions import L1_DECODERS, USER_DECODERS
from chainperp.node.info import catalogue
from chainperp.node.socket import subscriptions
from chainperp.wire.actions import SHAPES

Row = tuple[str, str, str]

USDC_6: Final = "USDC has six decimals at most"
STAKING: Final = "there is no staking"
ONE_DEX: Final = "there is one exchange, whose name is empty"
ABSTRACTION: Final = "accounts have one form only"
DEPLOYERS: Final = "markets are named in genesis"
EVM: Final = "the EVM stands beside the exchange"

PARTIAL: Final = {
    "order": "`grouping {p}` is taken as `na`: there is no priority to buy",
    "twapOrder": "`details` (trigger and stop prices) are refused",
    "withdraw3": "paid by the chain's own bridge contract; without contracts, the operator says so",
    "setDisplayName": "kept and shown; nothing else depends on it",
}
REFUSED: Final = {
    "CSignerAction": STAKING,
    "CValidatorAction": STAKING,
    "activateOutcomeDeployer": DEPLOYERS,
    "agentEnableDexAbstraction": ABSTRACTION,
    "agentSendAsset": "agents move no money",
    "agentSetAbstraction": ABSTRACTION,
    "authorizeAqav2Role": DEPLOYERS,
    "borrowLend": "there is no lending",
    "cDeposit": STAKING,
    "cWithdraw": STAKING,
    "evmUserModify": EVM,
    "finalizeEvmContract": EVM,
    "gossipPriorityBid": "there is no priority to buy",
    "hip3LiquidatorTransfer": ONE_DEX,
    "linkStakingUser": STAKING,
    "perpDeploy": DEPLOYERS,
    "reserveRequestWeight": "the number of requests is not limited by volume",
    "sendToEvmWithData": EVM,
    "spotDeploy": DEPLOYERS,
    "spotUser": "dust stays where it is",
    "stakingLinkDisableTradingUser": STAKING,
    "tokenDelegate": STAKING,
    "topUpIsolatedOnlyMargin": "use updateIsolatedMargin",
    "userDexAbstraction": ABSTRACTION,
    "userOutcome": "there are no outcome markets",
    "userPortfolioMargin": ABSTRACTION,
    "userSetAbstraction": ABSTRACTION,
    "validatorL1Stream": STAKING,
}
GRADES: Final = ("full", "partial", "refused")
REMARKS: Final = {
    "setGlobal": "our own: a validator's signed prices",
    "usdClassTransfer": USDC_6,
    "spotSend": USDC_6,
    "sendAsset": f"between dex `` (perpetuals, USDC alone) and `spot`; {USDC_6}",
    "subAccountSpotTransfer": USDC_6,
}

HEAD: Final = """# Compatibility with Hyperliquid's API

Generated from the code (`make compatibility`); a test holds it there. *full*: requests, answers and
texts as clients know them. *partial*: what differs stands beside it. *refused*: a well-formed
request gets a refusal that says so, and nothing else happens. How unmodified clients fare is in
[conformance.md](conformance.md), rules that differ are in [differences.md](differences.md).
"""


def action_rows() -> list[Row]:
    """Name, grade and remark of every action."""
    offered = {*L1_DECODERS, *USER_DECODERS, "multiSig"} - set(REFUSED)
    rows: list[Row] = []
    for name in sorted(SHAPES):
        if name not in offered:
            rows.append((name, "refused", REFUSED[name]))
        elif name in PARTIAL:
            rows.append((name, "partial", PARTIAL[name]))
        else:
            rows.append((name, "full", REMARKS.get(name, "")))
    return rows


def markdown() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, rows in (
        ("Actions (`POST /exchange`, websocket `post`)", action_rows()),
        ("Questions (`POST /info`, websocket `post`)", catalogue.compatibility_rows()),
        ("Subscriptions (`GET /ws`)", subscriptions.compatibility_rows()),
    ):
        counts = {grade: sum(row[1] == grade for row in rows) for grade in GRADES}
        summary = ", ".join(f"{count} {grade}" for grade, count in counts.items())
        parts.append(f"\n## {title}\n\n{summary}.\n\n| Name | | |\n|---|---|---|\n")
        parts.extend(f"| `{name}` | {grade} | {note} |\n" for name, grade, note in rows)
    return "".join(parts)
