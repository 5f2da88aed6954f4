"""Settings of an account: leverage and margin mode, and the keys that may trade for it."""

import re
from typing import Final

from chainperp.base.units import Address
from chainperp.model.accounts import Account, Agent, Exposure
from chainperp.model.actions import ApproveAgent, SetDisplayName, UpdateLeverage
from chainperp.model.decisions import Kind, Rejection, rule_number
from chainperp.rules.admission import check_agent, is_display_name
from chainperp.rules.margin import initial_margin, is_leverage_allowed
from chainperp.state.store import State
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import account_value, refresh, revalue

VALID_UNTIL: Final = re.compile(r"(.*?) ?valid_until (\d{1,16})", re.ASCII)
NAME: Final = re.compile(r"[\x21-\x7e]{1,16}( [\x21-\x7e]{1,16})?", re.ASCII)


def process_leverage(
    state: State, recorder: Recorder, account: Account, action: UpdateLeverage
) -> Rejection:
    """Set leverage and margin mode in one market (MRG-6).

    The mode changes only without a position; lowering the leverage needs enough margin, of the
    account for cross, of the position itself for isolated.
    """
    if not 0 <= action.asset < len(state.markets):
        return Rejection.MARKET_UNKNOWN
    market = state.markets[action.asset]
    if not is_leverage_allowed(action.leverage, market.terms.leverage_max):
        return Rejection.LEVERAGE_INVALID
    if action.is_cross and market.terms.is_isolated_only:
        return Rejection.CROSS_NOT_ALLOWED
    refresh(state, account)
    exposure = account.exposures.get(action.asset)
    if exposure is None:
        exposure = state.open_exposure(account, action.asset)
    verdict = _check_leverage(account, exposure, action)
    if verdict is not Rejection.ACCEPTED:
        return verdict
    exposure.leverage = action.leverage
    exposure.is_cross = action.is_cross
    revalue(account, exposure, market.mark)
    state.touch(account)
    state.unfile(account)
    if exposure.lots:
        state.touch_exposure(account, exposure)
    recorder.record(
        Kind.LEVERAGE,
        {
            "account": account.address,
            "asset": action.asset,
            "is_cross": action.is_cross,
            "leverage": action.leverage,
            "rule": rule_number("MRG-6"),
        },
    )
    return Rejection.ACCEPTED


def _check_leverage(account: Account, exposure: Exposure, action: UpdateLeverage) -> Rejection:
    """Whether the margin after the change is there. A change that needs no more always is."""
    if exposure.lots and exposure.is_cross is not action.is_cross:
        return Rejection.LEVERAGE_SWITCH_WITH_POSITION
    margin = initial_margin(
        exposure.value,
        exposure.bids_notional,
        exposure.asks_notional,
        action.leverage,
        action.is_cross,
    )
    more = margin - exposure.margin
    if more > 0 and account_value(account) < account.margin_total + more:
        return Rejection.CROSS_MARGIN_FOR_LEVERAGE
    if exposure.lots and not action.is_cross and action.leverage < exposure.leverage:
        needed = initial_margin(exposure.value, 0, 0, action.leverage, True)
        if exposure.raw_isolated + exposure.value < needed:
            return Rejection.ISOLATED_MARGIN_FOR_LEVERAGE
    return Rejection.ACCEPTED


def process_agent(
    state: State, recorder: Recorder, account: Account, action: ApproveAgent
) -> Rejection:
    """Let a key trade for the account (ADM-4). The zero address revokes the name.

    A key that is an account, or another account's agent, cannot be approved. The agent that is
    replaced keeps its nonce set until its nonces are out of the window (decision 18).
    """
    name, valid_until = _split_name(action.name, state)
    if name is None:
        return Rejection.AGENT_NAME_INVALID
    revokes = action.agent == bytes(20)
    old = account.agents.get(name)
    named = 0
    for other in account.agents:
        if other and other != name:
            named += 1
    if not revokes:
        subs = len(state.subs_of.get(account.address, ()))
        verdict = check_agent(name, named, subs, valid_until, state.time_ms, state.parameters)
        if verdict is not Rejection.ACCEPTED:
            return verdict
        known = state.agents.get(action.agent)
        taken = known is not None and known.master is not None and action.agent != old
        if action.agent in state.accounts or taken:
            return Rejection.AGENT_IN_USE
    if old is not None:
        _retire(state, account, name, old)
    if not revokes:
        agent = state.agents.get(action.agent)
        if agent is None:
            agent = Agent(action.agent, account.address, name)
            state.agents[action.agent] = agent
        agent.master = account.address
        agent.name = name
        agent.valid_until = valid_until
        account.agents = {**account.agents, name: action.agent}
        state.changed_agents[action.agent] = None
    _record(state, recorder, account, name, action.agent, 0 if revokes else valid_until)
    return Rejection.ACCEPTED


def process_display_name(
    state: State, recorder: Recorder, account: Account, action: SetDisplayName
) -> Rejection:
    """Show a name for the account, or none (ADM-7)."""
    if not is_display_name(action.name):
        return Rejection.DISPLAY_NAME_INVALID
    if action.name:
        state.display_names[account.address] = action.name
    else:
        state.display_names.pop(account.address, None)
    state.note("name", account.address)
    recorder.record(
        Kind.DISPLAY_NAME,
        {
            "account": account.address,
            "name": action.name.encode("ascii"),
            "rule": rule_number("ADM-7"),
        },
    )
    return Rejection.ACCEPTED


def claim_key(state: State, recorder: Recorder, address: Address) -> None:
    """A deposit by a key's owner ends an approval that others made of it (U-ACC-5).

    Approving needs no consent of the key; without this, somebody could make a stranger's future
    address trade for him before its owner comes.
    """
    agent = state.agents.get(address)
    if agent is None or agent.master is None:
        return
    master, name = state.accounts[agent.master], agent.name
    _retire(state, master, name, address)
    _record(state, recorder, master, name, address, 0)


def _record(
    state: State, recorder: Recorder, account: Account, name: str, agent: Address, valid_until: int
) -> None:
    """Log a right that was given, or taken with `valid_until` 0."""
    state.touch(account)
    recorder.record(
        Kind.AGENT,
        {
            "account": account.address,
            "agent": agent,
            "name": name.encode("ascii"),
            "valid_until": valid_until,
            "rule": rule_number("ADM-4"),
        },
    )


def _split_name(text: str, state: State) -> tuple[str | None, int]:
    """Bare name and expiry of an agent's name; None for a name that is not allowed."""
    valid_until = state.time_ms + state.parameters.agent_validity_default_ms
    found = VALID_UNTIL.fullmatch(text)
    name = text
    if found is not None:
        name, valid_until = found.group(1), int(found.group(2))
    if name and NAME.fullmatch(name) is None:
        return None, 0
    return name, valid_until


def _retire(state: State, account: Account, name: str, address: Address) -> None:
    """Take the trading right from a key and keep its nonces."""
    agent = state.agents[address]
    agent.master = None
    agent.valid_until = 0
    account.agents = {other: key for other, key in account.agents.items() if other != name}
    state.changed_agents[address] = None


def prune_agents(state: State) -> None:
    """Drop keys without a right whose highest nonce has left the window for good."""
    limit = state.time_ms - state.parameters.nonce_window_past_ms
    for address in sorted(state.agents):
        agent = state.agents[address]
        if agent.master is None and agent.nonces.highest <= limit:
            del state.agents[address]
            state.changed_agents[address] = None
