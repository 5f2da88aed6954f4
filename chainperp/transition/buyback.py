"""The assistance fund: its books, and the purchases that it makes by the published schedule.

The books are kept block-wise: transfers are counted by their types, and what the fund's cells have
gained besides is fees of trades, which arrive one by one in the hot loop. Source: U-AF-1..6.
"""

from chainperp.base.errors import ensure
from chainperp.model.fund import FUND_KEY
from chainperp.rules.buyback import Source, source_of
from chainperp.state.store import ASSISTANCE_FUND, State
from chainperp.transition.recorder import Recorder


def fund_money(state: State) -> int:
    """What the fund's two cells hold together, in micro-USDC."""
    return state.accounts[ASSISTANCE_FUND].raw + state.spot.get(ASSISTANCE_FUND, 0)


def settle_fund(state: State, recorder: Recorder) -> None:
    """Take into the fund's books what reached and left it since they were settled last (BUY-5)."""
    fund = state.fund
    for amount, kind in recorder.fund_moves:
        source = source_of(kind)
        if source is Source.LIQUIDATIONS:
            fund.liquidations += amount
        elif source is Source.VAULT_SHARE:
            fund.to_vault -= amount
        elif source is Source.REFERRALS:
            fund.to_referrals -= amount
        elif source is Source.OTHER:
            fund.other += amount
    fees = fund_money(state) - fund.balance
    if fees or recorder.fund_moves:
        fund.fees += fees
        recorder.fund_moves.clear()
        state.note("fund", FUND_KEY)
    ensure(
        fund.spent <= fund.credited,
        "INV-T3",
        "the fund spent more than it got",
        spent=fund.spent,
        credited=fund.credited,
    )
