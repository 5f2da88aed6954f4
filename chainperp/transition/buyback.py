"""The assistance fund: its books, and the purchases that it makes by the published schedule.

The books are kept block-wise: transfers are counted by their types, and what the fund's cells have
gained besides is fees of trades, which arrive one by one in the hot loop. Source: U-AF-1..6.
"""

from chainperp.base.canonical import Record
from chainperp.base.errors import ensure
from chainperp.model.decisions import Kind, LedgerType, Rejection, rule_number
from chainperp.model.fund import FUND_KEY, NATIVE, Fund
from chainperp.model.tokens import USDC
from chainperp.rules.buyback import (
    Purchase,
    Quotes,
    Source,
    is_purchase_due,
    plan_purchase,
    source_of,
    tokens_to_burn,
)
from chainperp.state.pairs import SpotPair
from chainperp.state.store import ASSISTANCE_FUND, State
from chainperp.transition.bridge import send_to_vault
from chainperp.transition.recorder import Recorder
from chainperp.transition.spot import Cell, move
from chainperp.transition.spot_matching import buy_forced
from chainperp.transition.tokens import burn, mark_of


def fund_money(state: State) -> int:
    """What the fund's two cells hold together, in micro-USDC."""
    return state.accounts[ASSISTANCE_FUND].raw + state.spot[USDC].get(ASSISTANCE_FUND, 0)


def take_move(fund: Fund, kind: int, amount: int) -> None:
    """Take a transfer into the books (BUY-5): `amount` is negative for one out of the fund."""
    source = source_of(kind)
    if source is Source.LIQUIDATIONS:
        fund.liquidations += amount
    elif source is Source.VAULT_SHARE:
        fund.to_vault -= amount
    elif source is Source.REFERRALS:
        fund.to_referrals -= amount
    elif source is Source.OTHER:
        fund.other += amount


def settle_fund(state: State, recorder: Recorder) -> None:
    """Take into the fund's books what reached and left it since they were settled last."""
    fund = state.fund
    for amount, kind in recorder.fund_moves:
        take_move(fund, kind, amount)
    fees = fund_money(state) - fund.balance
    if fees or recorder.fund_moves:
        fund.fees += fees
        recorder.fund_moves.clear()
        state.note("fund", FUND_KEY)
    ensure(
        fund.spent + fund.sent <= fund.credited,
        "INV-T3",
        "the fund spent more than it got",
        spent=fund.spent,
        sent=fund.sent,
        credited=fund.credited,
    )


def native_pair(state: State) -> SpotPair | None:
    """The pair in which the exchange's own token trades; None on a chain that lists none."""
    for pair in state.pairs:
        if pair.base == NATIVE:
            return pair
    return None


def buy_back(state: State, recorder: Recorder) -> None:
    """The fund's purchase, when one is due (BUY-1): at most one in a block, after users' actions
    and fee shares. Writes one BUYBACK entry, also when nothing can be bought; then what goes to the
    vault on the EVM (BUY-7)."""
    settle_fund(state, recorder)
    fund = state.fund
    pair = native_pair(state)
    if pair is None or not is_purchase_due(
        fund.balance, state.time_ms, fund.tried_ms, state.parameters
    ):
        return
    book = pair.book
    quotes = Quotes(book.bids.best_price(), book.asks.best_price(), book.price_last, mark_of(pair))
    plan = plan_purchase(
        fund.balance, quotes, pair.size_decimals, book.asks.worth_within, state.parameters
    )
    place = recorder.reserve()
    record: Record = {
        "asset": pair.asset,
        "outcome": int(plan.outcome),
        "rule": rule_number(plan.rule),
        **quotes._asdict(),
        "limit": plan.limit,
        "depth": plan.depth,
        "lots": plan.lots,
        "oid": state.next_oid if plan.lots else 0,
        **books_record(fund),
    }
    filled, spent, bought, burned = 0, 0, 0, 0
    if plan.lots:
        filled, spent, bought, burned = _buy(state, recorder, pair, plan, place)
    fund.spent += spent
    fund.bought += bought
    fund.burned += burned
    fund.purchases += filled > 0
    fund.tried_ms = state.time_ms
    state.note("fund", FUND_KEY)
    record |= {"filled": filled, "spent": spent, "bought": bought, "burned": burned}
    recorder.fill_place(place, Kind.BUYBACK, record)
    settle_fund(state, recorder)
    send_to_vault(state, recorder)


def books_record(fund: Fund) -> Record:
    """The fund's books as a BUYBACK entry holds them."""
    return {
        "balance": fund.balance,
        "tried_ms": fund.tried_ms,
        "fees": fund.fees,
        "liquidations": fund.liquidations,
        "other": fund.other,
        "to_vault": fund.to_vault,
        "to_referrals": fund.to_referrals,
        "spent_before": fund.spent,
        "bought_before": fund.bought,
        "sent_before": fund.sent,
    }


def _buy(
    state: State, recorder: Recorder, pair: SpotPair, plan: Purchase, place: int
) -> tuple[int, int, int, int]:
    """Move the money to the spot balance, buy, take back what is left, burn.

    Returns lots filled, micro-USDC spent, tokens bought and tokens burned.
    """
    account = state.accounts[ASSISTANCE_FUND]
    cash, spot = Cell(ASSISTANCE_FUND, False), Cell(ASSISTANCE_FUND, True)
    missing = plan.lots * plan.limit - state.spot_free(USDC, ASSISTANCE_FUND)
    if missing > 0:
        move(state, recorder, cash, spot, missing, LedgerType.BUYBACK_MONEY)
    before = state.spot_free(pair.base, ASSISTANCE_FUND)
    cause = recorder.first_index + place
    filled, spent = buy_forced(
        state, recorder, pair, account, plan.limit, plan.lots, cause=cause, reason=Rejection.BUYBACK
    )
    rest = state.spot_free(USDC, ASSISTANCE_FUND)
    if rest:
        move(state, recorder, spot, cash, rest, LedgerType.BUYBACK_REST)
    bought = state.spot_free(pair.base, ASSISTANCE_FUND) - before
    burned = tokens_to_burn(before, bought)
    if burned:
        burn(state, recorder, pair.base, ASSISTANCE_FUND, burned, LedgerType.BUYBACK_BURN)
    return filled, spent, bought, burned
