"""The claims that the experiments test, in our words. Source: adl-and-scenarios 1.

They paraphrase the essay "Liquidation Alchemy Part 2" (Blockhead, 5 December 2025).
"""

from typing import Final

CLAIMS: Final = {
    "C1": "A venue with a book, balances and periodic checks zeroes an account near its limit "
    "and owns its position.",
    "C2": "Working the position off through the book can cost more than was seized.",
    "C3": "Auto-deleveraging lets the venue choose who takes profit, at a level that it names.",
    "C4": "Published open risk, check interval and fund let a trader size exposure rationally.",
    "C5": "However large, the fund can run out.",
    "C6": "Auto-deleveraging caps what winners gain at what losers can pay: a contracted default.",
    "C7": "A position worth 100 on which 80 is paid shows up as 20 + 60, not as a default.",
    "C8": "The price falls 10 %, losers can pay 8 %: the short gets 8 %. Volatility is damped.",
    "C9": "Damping makes returns thin-tailed relative to their own volatility.",
    "C10": "The world has fat tails; a thin-tailed design fails badly when one arrives.",
    "C11": "Some large users are exempt in secret; that is a default on the others.",
    "C12": "While the exempt are few this is unfair, not fatal; beyond a limit the venue dies.",
    "C13": "The list creeps up until auto-deleveraging plus the fund are not enough.",
    "C14": "Hyperliquid's liquidations made large profits, largely turned into buybacks.",
    "C15": "It has no other income to cover losses, and gains from liquidating when it can.",
    "C16": "An automatic sale of tokens to refill a fund resembles Terra's rule.",
    "C17": "Seeing who was closed does not reveal how the choice was made.",
    "C18": "No ordering is objectively right.",
    "C19": "A secret exemption is objectively wrong.",
    "C20": "CoinFLEX died when an exempt large trader refused to pay.",
    "C21": "With margin at a custodian either the venue's users or the issuer's holders bear a "
    "refusal; anything else spends a dollar twice.",
    "C22": "Credit lines between venues turn one failure into a general one.",
}
OVERCLAIMS: Final = (
    "No overshoot figure of October 2025 is a measured loss: it needs a counterfactual price path.",
    "The $653.55 m of the study's queue model is nearly all profit realised through "
    "auto-deleveraging minus a small deficit; nobody lost it.",
    "A forced close returns collateral: it is not a loss of equity.",
    "How liquidation profit was shared is not public; documentation gives it to vault depositors.",
)
DEFECTS: Final = (
    "Nine of sixteen waves contain the same insolvent account with exactly −10,925,707.159377944; "
    "the sum of deficits counts it nine times.",
    "The reconstruction does not see collateral that moves in backstop takeovers: negative "
    "equities are unreliable (1,275, 1,147 or 302 accounts, depending on the revision).",
    "`leverage_realtime` is account leverage; isolated margin is unknown.",
    "`account_value_realtime` is taken at an account's first fill, also when fills span minutes.",
    "The largest haircut of production has another denominator and is clipped at one.",
    "Per-shock budgets have a participation decay applied; they are not sums of closed profit.",
    "Accounts that were eligible and not hit are absent: no test of ordering or of exemptions is "
    "possible from these tables alone.",
)
