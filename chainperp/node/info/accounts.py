"""Questions about an account as it is now."""

from typing import Any, Final

from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.node.documents import accounts, markets, spot, vaults
from chainperp.node.documents.accounts import CumFunding
from chainperp.node.documents.listing import PairView, listed_of
from chainperp.node.documents.texts import Document, hex_text, usd
from chainperp.node.documents.twaps import twap_states
from chainperp.node.index.read import cum_funding, entry_notionals
from chainperp.node.info.kinds import COIN, DEX, USER, account_of, raw_address
from chainperp.node.info.markets import nothing, null
from chainperp.node.info.orders import fired_orders, frontend_open_orders
from chainperp.node.info.registry import Context, Fields, Past, Query
from chainperp.rules.subaccounts import sub_account_address
from chainperp.wire.shapes import address, field, listing, optional, text

USERS_MAX: Final = 100
SUBS_MAX: Final = 50
"""The most sub-accounts that an account can have (`sub_accounts_max`)."""


# --- margin --------------------------------------------------------------------------------------


def paid_funding(past: Past, fields: Fields) -> dict[int, CumFunding]:
    """What the account's positions paid."""
    return cum_funding(past.connection, past.user(fields["user"]))


def clearinghouse_state(
    context: Context, fields: Fields, funding: dict[int, CumFunding]
) -> Document:
    """Margin and positions."""
    return accounts.clearinghouse_state(context.state(), account_of(context, fields), funding)


def all_paid_funding(past: Past, fields: Fields) -> list[dict[int, CumFunding]]:
    """What the positions of several accounts paid."""
    return [cum_funding(past.connection, past.user(user)) for user in fields["users"]]


def clearinghouse_states(
    context: Context, fields: Fields, funding: list[dict[int, CumFunding]]
) -> list[Document]:
    """Margin and positions of several accounts, in the order of the request."""
    return [
        clearinghouse_state(context, {"user": user}, paid)
        for user, paid in zip(fields["users"], funding, strict=True)
    ]


def paid_for_tokens(past: Past, fields: Fields) -> dict[int, int]:
    """What the account's token balances cost it, by token."""
    return entry_notionals(past.connection, past.user(fields["user"]))


def spot_state(context: Context, fields: Fields, entries: dict[int, int]) -> Any:
    """Token balances outside the margin of perpetuals, and what of them orders hold."""
    return spot.spot_state(context.state(), Address(raw_address(fields)), entries)


def active_asset_data(context: Context, fields: Fields) -> Any:
    """Leverage in a market, and what may still be traded there; null for an unknown market."""
    state = context.state()
    market = listed_of(state, fields["coin"])
    if market is None:
        return None
    if isinstance(market, PairView):
        return spot.asset_data(state, Address(raw_address(fields)), market)
    account = account_of(context, fields)
    return accounts.active_asset_data(state, raw_address(fields), account, market.asset)


# --- who it is -----------------------------------------------------------------------------------


def user_role(context: Context, fields: Fields) -> Any:
    """What an address is to the exchange."""
    state = context.state()
    raw = raw_address(fields)
    for agent in (state.agents.get(raw),):  # type: ignore[call-overload]
        if agent is not None and agent.master is not None and agent.valid_until > state.time_ms:
            return {"role": "agent", "data": {"user": hex_text(agent.master)}}
    if raw not in state.accounts:
        return {"role": "missing"}
    sub = state.sub_accounts.get(Address(raw))
    if sub is not None:
        return {"role": "subAccount", "data": {"master": hex_text(sub.master)}}
    return {"role": "vault" if vaults.is_vault(state, raw) else "user"}


def extra_agents(context: Context, fields: Fields) -> Any:
    """Named keys that may trade for the account."""
    account = account_of(context, fields)
    agents = context.state().agents
    named = {} if account is None else account.agents
    return [
        {"name": name, "address": hex_text(key), "validUntil": agents[key].valid_until}
        for name, key in sorted(named.items())
        if name
    ]


def user_abstraction(_context: Context, _fields: Fields) -> Any:
    """Every account has the one standard mode."""
    return "default"


def pre_transfer_check(context: Context, fields: Fields) -> Any:
    """What sending to an address would cost."""
    state = context.state()
    account = account_of(context, fields)
    fee = state.parameters.activation_fee if account is None else 0
    has_sent = account is not None and bool(account.nonces.kept)
    return {
        "fee": usd(fee),
        "isSanctioned": False,
        "userExists": account is not None,
        "userHasSentTx": has_sent,
    }


def legal_check(_context: Context, _fields: Fields) -> Any:
    """This exchange asks nobody to accept anything."""
    return {"acceptedTerms": True, "userAllowed": True, "restrictions": "n"}


def no_stake(_context: Context, _fields: Fields) -> Any:
    """Nothing is staked."""
    return {
        "delegated": "0.0",
        "undelegated": "0.0",
        "totalPendingWithdrawal": "0.0",
        "nPendingWithdrawals": 0,
    }


# --- sub-accounts --------------------------------------------------------------------------------


SubFigures = dict[bytes, tuple[dict[int, CumFunding], dict[int, int]]]


def figures_of_subs(past: Past, fields: Fields) -> SubFigures:
    """What the positions of each sub-account paid in funding, and what its tokens cost. Addresses
    follow from the master's, so the index need not know which there are."""
    master = raw_address(fields)
    found: SubFigures = {}
    for number in range(SUBS_MAX):
        address = sub_account_address(master, number)
        user = past.number("SELECT id FROM users WHERE address = ?", address)
        if user is not None:
            connection = past.connection
            found[address] = cum_funding(connection, user), entry_notionals(connection, user)
    return found


def sub_accounts(context: Context, fields: Fields, figures: SubFigures) -> Any:
    """The account's sub-accounts in the order they were opened; null for none."""
    rows = [
        {**head, "clearinghouseState": margin, "spotState": balances}
        for head, margin, balances in _sub_accounts(context, fields, figures)
    ]
    return rows or None


def sub_accounts_by_dex(context: Context, fields: Fields, figures: SubFigures) -> Any:
    """The same, with the margin by exchange."""
    rows = [
        {**head, "dexToClearinghouseState": [["", margin]], "spotState": balances}
        for head, margin, balances in _sub_accounts(context, fields, figures)
    ]
    return rows or None


def _sub_accounts(
    context: Context, fields: Fields, figures: SubFigures
) -> list[tuple[Document, Document, Document]]:
    """Each with its margin and its spot balance."""
    state = context.state()
    found: list[tuple[Document, Document, Document]] = []
    for sub in state.subs_of.get(Address(raw_address(fields)), []):
        head = {
            "name": sub.name,
            "subAccountUser": hex_text(sub.address),
            "master": hex_text(sub.master),
        }
        funding, entries = figures.get(sub.address, ({}, {}))
        margin = accounts.clearinghouse_state(state, state.accounts[sub.address], funding)
        found.append((head, margin, spot.spot_state(state, sub.address, entries)))
    return found


# --- what it arranged ----------------------------------------------------------------------------


def multi_sig_signers(context: Context, fields: Fields) -> Any:
    """Who signs for the account, and how many must; null for an account that signs for itself."""
    found = context.state().multi_sigs.get(Address(raw_address(fields)))
    if found is None:
        return None
    signers = [hex_text(signer) for signer in found.users]
    return {"authorizedUsers": signers, "threshold": found.threshold}


def max_builder_fee(context: Context, fields: Fields) -> Any:
    """The highest rate that the account allows a builder, in tenths of a basis point."""
    approvals = context.state().builder_approvals.get(Address(raw_address(fields)), {})
    return approvals.get(Address(bytes.fromhex(fields["builder"][2:])), 0)


def approved_builders(context: Context, fields: Fields) -> Any:
    """Builders that the account allows a fee."""
    approvals = context.state().builder_approvals.get(Address(raw_address(fields)), {})
    return [hex_text(builder) for builder, rate in sorted(approvals.items()) if rate]


# --- everything at once --------------------------------------------------------------------------


def look_for_page(past: Past, fields: Fields) -> dict[str, Any]:
    """What the index knows for `webData2`."""
    deposited = past.number(
        """SELECT sum(cash) FROM ledger WHERE user = ?
           AND (delta LIKE '{"type":"deposit"%' OR delta LIKE '{"type":"withdraw"%')""",
        past.user(fields["user"]),
    )
    return {
        "funding": paid_funding(past, fields),
        "entries": paid_for_tokens(past, fields),
        "fired": fired_orders(past, fields),
        "deposited": deposited or 0,
    }


def web_data(context: Context, fields: Fields, found: dict[str, Any]) -> Document:
    """Everything that the exchange's own page shows of an account."""
    state = context.state()
    account = account_of(context, fields)
    raw = raw_address(fields)
    agent, valid_until = _unnamed_agent(context, account)
    return {
        "clearinghouseState": clearinghouse_state(context, fields, found["funding"]),
        "leadingVaults": vaults.led_by(state, raw),
        "totalVaultEquity": usd(vaults.total_equity(state, raw)),
        "openOrders": frontend_open_orders(context, fields, found["fired"]),
        "agentAddress": agent,
        "agentValidUntil": valid_until,
        "cumLedger": usd(found["deposited"]),
        "meta": markets.meta(state),
        "assetCtxs": markets.ctxs(state, context.index().days),
        "serverTime": context.clock.now(),
        "isVault": vaults.is_vault(state, raw),
        "user": hex_text(raw),
        "twapStates": twap_states(state, raw),
        "spotState": spot.spot_state(state, Address(raw), found["entries"]),
        "spotAssetCtxs": spot.spot_ctxs(state, context.index().spot_days),
    }


def _unnamed_agent(context: Context, account: Account | None) -> tuple[str | None, int | None]:
    key = None if account is None else account.agents.get("")
    if key is None:
        return None, None
    return hex_text(key), context.state().agents[key].valid_until


BUILDER: Final = field("builder", address)
NO_STAKING: Final = "nothing is staked here"

QUERIES: Final = [
    Query(
        "clearinghouseState",
        (USER, DEX),
        look=paid_funding,
        combine=clearinghouse_state,
        weight=2,
    ),
    Query(
        "batchClearinghouseStates",
        (field("users", listing(address, USERS_MAX)), DEX),
        look=all_paid_funding,
        combine=clearinghouse_states,
    ),
    Query(
        "spotClearinghouseState", (USER, DEX), look=paid_for_tokens, combine=spot_state, weight=2
    ),
    Query("activeAssetData", (USER, COIN), active_asset_data),
    Query("userRole", (USER,), user_role, weight=60),
    Query("extraAgents", (USER,), extra_agents),
    Query("userAbstraction", (USER,), user_abstraction, note="always `default`"),
    Query("userDexAbstraction", (USER,), null, note="one exchange: always null"),
    Query("webData2", (USER,), look=look_for_page, combine=web_data),
    Query("subAccounts", (USER,), look=figures_of_subs, combine=sub_accounts),
    Query("subAccounts2", (USER,), look=figures_of_subs, combine=sub_accounts_by_dex),
    Query("userToMultiSigSigners", (USER,), multi_sig_signers),
    Query("maxBuilderFee", (USER, BUILDER), max_builder_fee),
    Query("approvedBuilders", (USER,), approved_builders),
    Query("preTransferCheck", (USER, optional("source", text(64))), pre_transfer_check),
    Query("isVip", (USER,), null, note="nobody is"),
    Query("legalCheck", (USER,), legal_check),
    Query("delegatorSummary", (USER,), no_stake, grade="partial", note=NO_STAKING),
    Query("delegations", (USER,), nothing, grade="partial", note=NO_STAKING),
    Query("delegatorRewards", (USER,), nothing, grade="partial", note=NO_STAKING),
    Query("delegatorHistory", (USER,), nothing, grade="partial", note=NO_STAKING),
]
