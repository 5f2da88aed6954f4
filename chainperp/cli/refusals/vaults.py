"""Help for refusals about vaults."""

from chainperp.cli.chain_log import clock
from chainperp.cli.refusals.case import Case, Lines

USD_ONE = 1_000_000


def money(case: Case) -> Lines:
    """What the account can put in."""
    state = case.ask("clearinghouseState", user=case.session.account)
    asked = case.action.get("usd", case.action.get("initialUsd", 0)) / USD_ONE
    if state is not None:
        yield f"account {case.session.account}: withdrawable {state['withdrawable']}; asked {asked}"
    if case.action["type"] == "createVault":
        yield "opening a vault costs 10,000 USDC besides its first deposit"


def standing(case: Case) -> Lines:
    """The vault's own numbers, and the account's part of it."""
    address = case.action["vaultAddress"]
    found = case.ask("vaultDetails", vaultAddress=address, user=case.session.account)
    if found is None:
        yield f"{address} is no vault"
        return
    yield (
        f"vault {found['name']}: it can pay {found['maxWithdrawable']} without closing anything, "
        f"the leader holds {100 * found['leaderFraction']:.2f} %"
    )
    own = found["followerState"]
    if own is None:
        yield f"{case.session.account} holds nothing of it"
        return
    until = clock(own["lockupUntil"])
    yield f"{case.session.account} holds {own['vaultEquity']}, locked until {until}"


def leader(case: Case) -> Lines:
    """Who leads it."""
    found = case.ask("vaultDetails", vaultAddress=case.action["vaultAddress"])
    if found is not None:
        yield f"its leader is {found['leader']}"


def risk(case: Case) -> Lines:
    """Why nobody can come or go."""
    address = case.action["vaultAddress"]
    state = case.ask("clearinghouseState", user=address)
    if state is not None:
        yield (
            f"the vault is worth {state['marginSummary']['accountValue']} and must keep "
            f"{state['crossMaintenanceMarginUsed']}"
        )
    yield "deposits and withdrawals wait until it holds more than that, or was liquidated"
