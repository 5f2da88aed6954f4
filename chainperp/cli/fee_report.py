"""`chainperp query fees`: rates and volume of an account; what fees brought in, where they went."""

from pathlib import Path
from typing import Any

from chainperp.base.units import Address
from chainperp.chain.fee_flows import FeeFlows
from chainperp.cli.asking import Asking, Table, ask, show
from chainperp.cli.chain_log import ChainLog
from chainperp.cli.risk_report import state_at_tip
from chainperp.model.accounts import Account
from chainperp.model.decisions import Kind
from chainperp.node.documents import fees
from chainperp.state.store import ASSISTANCE_FUND, State

Document = dict[str, Any]
NAMES = {
    "perp_taker": "takers of perpetuals",
    "perp_maker": "makers of perpetuals",
    "spot_usdc": "sellers of spot",
    "activation": "activation of accounts",
    "withdrawal": "withdrawals",
    "vault_creation": "creation of vaults",
    "maker_rebates": "rebates of makers",
    "referral_rewards": "referrers",
    "vault_share": "liquidity vault",
    "assistance_fund": "assistance fund",
    "builders": "builders, beside the fees",
    "referral_claims": "claimed by referrers",
    "liquidation_to_fund": "seized margin, to the fund",
    "liquidation_to_insurance": "seized margin, to the insurance",
}


def fees_of_node(options: Asking, account: str | None) -> None:
    """What a node says."""
    if account is None:
        answer = ask(options, "exchangeFees")
        show(options, answer, [] if options.as_json else exchange_tables(answer))
        return
    answer = {
        "account": account,
        "fees": ask(options, "userFees", user=account),
        "referral": ask(options, "referral", user=account),
    }
    show(options, answer, [] if options.as_json else account_tables(answer))


def fees_in_directory(path: Path, account: str | None) -> Document:
    """The same from a data directory: the state at its last block, and the sums over its log.

    Raises InvalidBlock when a block does not come out as logged.
    """
    state, log, _note = state_at_tip(path)
    if account is None:
        sums = flows_of(log).sums
        return fees.exchange_fees(state.parameters, sums, state.tokens)
    address = Address(bytes.fromhex(account[2:]))
    found = state.accounts.get(address) or Account(address)
    return {
        "account": account,
        "fees": fees.user_fees(state, found, days_of(state, found)),
        "referral": fees.referral(state, address, []),
    }


def flows_of(log: ChainLog) -> FeeFlows:
    """Ways of all fees of a log."""
    flows = FeeFlows(log.genesis.listing.pairs)
    for block in log.blocks():
        for entry in block.of(Kind.FILL, Kind.LEDGER):
            fields = entry.fields()
            if entry.kind is Kind.FILL:
                flows.trade(
                    fields["asset"], fields["flags"], fields["maker_fee"], fields["taker_fee"]
                )
            else:
                to_fund = fields["destination"] == ASSISTANCE_FUND
                flows.moved(fields["type"], fields["amount"], to_fund=to_fund)
    return flows


def days_of(state: State, account: Account) -> list[Document]:
    """Volume of an account by day, as its tier counts it; the last one is not over."""
    exchange = dict(state.volume_days) | {state.day: state.volume_day}
    own = {day: (volume, made) for day, volume, made in account.days}
    own[account.rates.day] = account.volume_day, account.maker_day
    return [
        fees.volume_row(day, *own.get(day, (0, 0)), exchange.get(day, 0))
        for day in range(max(state.day - state.parameters.volume_window_days, 0), state.day + 1)
    ]


def show_fees(options: Asking, document: Document) -> None:
    """A directory's answer."""
    draw = account_tables if "account" in document else exchange_tables
    show(options, document, [] if options.as_json else draw(document))


def exchange_tables(found: Document) -> list[Table]:
    """The schedule, and the ways of fees since genesis."""
    schedule = found["schedule"]
    rows = [["-", *(schedule[key] for key in ("cross", "add", "spotCross", "spotAdd"))]]
    rows += [
        [one["ntlCutoff"], *(one[key] for key in ("cross", "add", "spotCross", "spotAdd"))]
        for one in schedule["tiers"]["vip"]
    ]
    rebates = [[one["makerFractionCutoff"], one["add"]] for one in schedule["tiers"]["mm"]]
    came = [[NAMES[name], amount] for name, amount in found["cameIn"].items()]
    went = [[NAMES[name], amount] for name, amount in found["went"].items()]
    beside = [[NAMES[name], amount] for name, amount in found["beside"].items()]
    beside += [[f"burned, {name}", amount] for name, amount in found["burned"].items()]
    columns = ["volume above", "taker", "maker", "spot taker", "spot maker"]
    return [
        Table("schedule", columns, rows),
        Table("rebates", ["share of maker volume above", "maker"], rebates),
        Table("fees came in, USDC", ["from", "amount"], came),
        Table("and went, USDC", ["to", "amount"], went),
        Table("beside", ["what", "amount"], beside),
    ]


def account_tables(found: Document) -> list[Table]:
    """Rates, volume and referral of an account."""
    rates, referral = found["fees"], found["referral"]
    days = rates["dailyUserVlm"]
    by = referral["referredBy"]
    facts = [
        ["taker, perpetuals", rates["userCrossRate"]],
        ["maker, perpetuals", rates["userAddRate"]],
        ["taker, spot", rates["userSpotCrossRate"]],
        ["maker, spot", rates["userSpotAddRate"]],
        ["discount as a referred account", rates["activeReferralDiscount"]],
        ["referrer", "-" if by is None else f"{by['code']} {by['referrer']}"],
        ["rewards to claim", referral["unclaimedRewards"]],
        ["rewards claimed", referral["claimedRewards"]],
        ["traded altogether", referral["cumVlm"]],
    ]
    rows = [[one["date"], one["userCross"], one["userAdd"], one["exchange"]] for one in days]
    columns = ["day (UTC)", "as taker", "as maker", "exchange"]
    return [
        Table(f"fees of {found['account']}", ["what", "value"], facts),
        Table("volume, USDC; the last day does not count yet", columns, rows),
    ]
