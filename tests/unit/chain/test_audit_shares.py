"""The auditor re-derives every change of shares, and names an operator who bends one.

A vault that is led, joined, traded, paid out, left and closed, and deposits into the liquidity
vault and out of it; then the same with one function of the engine altered.
"""

from collections.abc import Callable
from typing import Any

import pytest

from chainperp.chain.audit.audit import AuditReport
from chainperp.model.actions import CreateVault, PlaceOrders, VaultDistribute, VaultTransfer
from chainperp.model.decisions import Kind, Rejection
from chainperp.rules.vaults import commission, shares_bought, shares_redeemed, vault_address
from chainperp.state.store import LIQUIDITY_VAULT
from chainperp.transition import shares, vault_actions, vaults
from chainperp.transition.transfers import move_cash
from tests.support.forced import ETH, usdc
from tests.support.proofs import LoggedStage, audited
from tests.support.world import address_of, order

CHECK = "vault shares"
Change = Callable[[pytest.MonkeyPatch], None]


def accepted(stage: LoggedStage, name: str, action: Any) -> None:
    """An action that must pass."""
    result = stage.act(name, action)
    assert result.codes == [Rejection.ACCEPTED], result.codes


def scene(monkeypatch: pytest.MonkeyPatch, forge: Change | None = None) -> LoggedStage:
    """The life of two vaults; `forge` alters the engine from the first deposit on."""
    stage = LoggedStage(vault="50000", vault_lockup_ms=0, liquidity_vault_lockup_ms=0)
    stage.mark("4000")
    for name in ("Lea", "Fay", "Gus", "Ben"):
        stage.person(name, "100000")
    accepted(stage, "Lea", CreateVault("Steady", "Buys low and sells high.", usdc("1000")))
    vault = vault_address(address_of("Lea"), 0)
    stage.names[vault] = "vault1"
    with monkeypatch.context() as patch:
        if forge is not None:
            forge(patch)
        accepted(stage, "Fay", VaultTransfer(vault, True, usdc("5000")))
        stage.place("Ben", order(ETH, "sell", "1", "4000"))
        bought = stage.transaction("Lea", PlaceOrders([order(ETH, "buy", "1", "4000", "Ioc")]))
        bought.vault = vault
        bought.envelope = stage._envelope(bought.action, 1, vault)
        stage.block([bought])
        stage.mark("4500")
        accepted(stage, "Gus", VaultTransfer(vault, True, usdc("333.333333")))
        accepted(stage, "Fay", VaultTransfer(vault, False, usdc("1234.567891")))
        accepted(stage, "Lea", VaultDistribute(vault, usdc("500")))
        accepted(stage, "Gus", VaultTransfer(LIQUIDITY_VAULT, True, usdc("7000")))
        accepted(stage, "Gus", VaultTransfer(LIQUIDITY_VAULT, False, usdc("1000")))
        stage.place("Ben", order(ETH, "buy", "1", "4500"))
        accepted(stage, "Lea", VaultDistribute(vault, 0))
    return stage


def found(report: AuditReport) -> list[str]:
    """What the check says."""
    return [one.text for one in report.findings if one.check == CHECK]


def test_an_honest_life_of_two_vaults_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deposits, a withdrawal with commission, a distribution, a close: all re-derived."""
    stage = scene(monkeypatch)
    report = audited(stage)
    assert report.is_clean, report.findings
    kinds = [int.from_bytes(raw[1:3]) for block in stage.blocks for raw in block.entries]
    assert report.share_changes == kinds.count(Kind.SHARES) == 13


def free_shares(patch: pytest.MonkeyPatch) -> None:
    """A deposit gets one share in a hundred more than it pays for."""
    honest = shares_bought

    def generous(amount: int, value: int, total: int) -> tuple[int, int]:
        bought, cost = honest(amount, value, total)
        return bought + bought // 100, cost

    patch.setattr(vaults, "shares_bought", generous)


def overpaid(patch: pytest.MonkeyPatch) -> None:
    """Who leaves gets a unit more than his shares are worth."""
    honest = shares_redeemed

    def generous(amount: int, held: int, value: int, total: int) -> tuple[int, int]:
        redeemed, gross = honest(amount, held, value, total)
        return redeemed, gross + 1

    patch.setattr(vaults, "shares_redeemed", generous)


def greedy_leader(patch: pytest.MonkeyPatch) -> None:
    """The leader takes a fifth of the profit instead of a tenth."""
    honest = commission

    def doubled(amount: int, redeemed: int, held: int, basis: int, percent: int) -> tuple[int, int]:
        return honest(amount, redeemed, held, basis, 2 * percent)

    patch.setattr(vaults, "commission", doubled)
    patch.setattr(vault_actions, "commission", doubled)


def early_exit(patch: pytest.MonkeyPatch) -> None:
    """A friend's lock-up ends sooner than the rule says."""
    patch.setattr(vaults, "unlocks_at", lambda now, _is_liquidity, _parameters: now - 1)


def wrong_value(patch: pytest.MonkeyPatch) -> None:
    """The vault is said to be worth a tenth more, so that deposits get fewer shares."""
    honest = shares.vault_value

    def dearer(state: Any, vault: Any) -> int:
        return honest(state, vault) * 11 // 10

    for module in (shares, vaults):
        patch.setattr(module, "vault_value", dearer)


def unpaid_part(patch: pytest.MonkeyPatch) -> None:
    """The money that moves is not what the record says: a unit stays with the house."""
    patch.setattr(
        vaults, "move_cash",
        lambda state, recorder, source, target, amount, kind: move_cash(
            state, recorder, source, target, amount - 1, kind
        ),
    )  # fmt: skip


def unrecorded(patch: pytest.MonkeyPatch) -> None:
    """Money is paid out of the vault to its leader without any change of shares."""
    honest = vault_actions._distribute

    def also(state: Any, recorder: Any, vault: Any, holder: Any, **rest: Any) -> None:
        honest(state, recorder, vault, holder, **rest)
        vaults.pay_commission(state, recorder, vault, 7)

    patch.setattr(vault_actions, "_distribute", also)


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (free_shares, "has change"),
        (free_shares, "the price of the others' shares falls"),
        (overpaid, "has gross"),
        (greedy_leader, "has commission"),
        (early_exit, "has locked_until"),
        (wrong_value, "its leaves"),
        (unpaid_part, "does not follow its change of shares"),
        (unrecorded, "belongs to no change of shares"),
    ],
)
def test_an_operator_who_bends_a_change_is_named(
    monkeypatch: pytest.MonkeyPatch, forge: Change, words: str
) -> None:
    """Execution says where; the check says what was done to whom."""
    report = audited(scene(monkeypatch, forge))
    assert not report.is_clean
    assert any(words in text for text in found(report)), report.findings
