"""The auditor plans every round of quotes and every move of capital again, and names what is wrong.

Operators who cheat for the house: the engine with one function altered. Execution says where the
log differs; the check says what was done.
"""

from collections.abc import Callable
from typing import Any

import pytest

from chainperp.chain.audit.audit import AuditReport
from chainperp.model.actions import PlaceOrders
from chainperp.model.decisions import Kind
from chainperp.rules.children import plan_capital
from chainperp.rules.quoting import SidePlan, inventory_cap, plan_side
from chainperp.state.store import BACKSTOP_VAULT, LIQUIDITY_VAULT, MARKET_MAKER
from chainperp.transition import block as block_module
from chainperp.transition import children, quoting
from chainperp.transition.block import process_transaction
from chainperp.transition.quoting import process_quotes
from chainperp.transition.valuation import account_value
from tests.support.forced import ETH
from tests.support.proofs import LoggedStage, audited
from tests.support.world import order

DAY = 86_400_000
CHECK = "quotes and capital"


class LoggedDesk(LoggedStage):
    """A stage with a funded quoter whose log can be executed again."""

    def __init__(self) -> None:
        super().__init__(vault="100000")
        for address, amount in ((MARKET_MAKER, "100000"), (LIQUIDITY_VAULT, "800000")):
            self.block(system=[self.deposit_to(address, amount)])

    def round(self, price: str) -> Any:
        """The block of the next round, with a price."""
        at = self.state.time_ms // 3000 * 3000 + 3000
        self.nonce = max(self.nonce, at)
        return self.block(system=[self.vote({ETH: price})], at=at)


def scene(before_last: Callable[[], None] = lambda: None) -> LoggedDesk:
    """Quotes, fills on both sides, a netting, a day's split; `before_last` comes before the last
    rounds."""
    desk = LoggedDesk()
    desk.person("Ben", "1000000")
    desk.round("3650")
    desk.place("Ben", order(ETH, "sell", "0.4", "3600", "Ioc"))
    desk.round("3660")
    before_last()
    desk.place("Ben", order(ETH, "buy", "0.3", "3700", "Ioc"))
    desk.round("3640")
    desk.nonce = (desk.state.time_ms // DAY + 1) * DAY
    desk.block(at=desk.nonce)
    desk.round("3641")
    return desk


def found(report: AuditReport) -> list[str]:
    """What the check says."""
    return [one.text for one in report.findings if one.check == CHECK]


def test_an_honest_chain_is_clean_and_counted() -> None:
    """Rounds and the split of capital are planned again the same."""
    desk = scene()
    report = audited(desk)
    assert report.is_clean, report.findings
    kinds = [int.from_bytes(raw[1:3]) for block in desk.blocks for raw in block.entries]
    assert report.quotes == kinds.count(Kind.QUOTE) + kinds.count(Kind.CHILDREN)
    assert kinds.count(Kind.QUOTE) == 5
    assert kinds.count(Kind.CHILDREN) == 1


def altered(patch: pytest.MonkeyPatch, change: Callable[[SidePlan], SidePlan]) -> None:
    """The operator's plan of each side is another than the rule's."""
    honest = plan_side
    patch.setattr(quoting, "plan_side", lambda *arguments: change(honest(*arguments)))


def bigger(plan: SidePlan) -> SidePlan:
    """Twice the size."""
    return SidePlan(plan.kept, [(price, 2 * lots) for price, lots in plan.placed])


def nearer(plan: SidePlan) -> SidePlan:
    """A tick inside."""
    return SidePlan(plan.kept, [(price + 10, lots) for price, lots in plan.placed])


def none_placed(plan: SidePlan) -> SidePlan:
    """A side is left out when it is inconvenient."""
    return SidePlan(plan.kept, [])


@pytest.mark.parametrize("change", [bigger, nearer, none_placed])
def test_quotes_that_the_rule_does_not_give_are_named(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[SidePlan], SidePlan]
) -> None:
    """Size, price, omission: found with what was due."""
    with monkeypatch.context() as patch:
        desk = scene(lambda: altered(patch, change))
    report = audited(desk)
    assert not report.replay.is_equal
    assert any("due were" in text for text in found(report)), report.findings


def test_a_cap_that_the_rule_does_not_give_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The house takes on ten times as much, and states its inputs honestly."""
    with monkeypatch.context() as patch:
        honest = inventory_cap
        patch.setattr(quoting, "inventory_cap", lambda value, bps, on: 10 * honest(value, bps, on))
        size = plan_side
        patch.setattr(
            quoting, "plan_side",
            lambda inputs, *rest: size(inputs._replace(value=40 * inputs.value), *rest),
        )  # fmt: skip
        desk = scene()
    assert found(audited(desk))


def test_inputs_that_the_leaves_do_not_have_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan fits its inputs, but the stated value is not the account's."""
    with monkeypatch.context() as patch:
        honest = account_value
        desk = scene(
            lambda: patch.setattr(quoting, "account_value", lambda one: honest(one) + 50_000_000)
        )
    texts = found(audited(desk))
    assert any("the leaves say" in text for text in texts), texts


def test_quotes_ahead_of_the_users_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The house quotes before a user's transaction of the same block."""
    honest, execute = process_quotes, process_transaction
    with monkeypatch.context() as patch:
        desk = LoggedDesk()
        desk.person("Ben", "1000000")
        desk.round("3650")

        def ahead(state: Any, recorder: Any, transaction: Any) -> None:
            honest(state, recorder, state.time_ms - 3000)
            execute(state, recorder, transaction)

        patch.setattr(block_module, "process_transaction", ahead)
        at = desk.state.time_ms // 3000 * 3000 + 3000
        desk.nonce = at
        one = desk.transaction("Ben", order_of())
        desk.block([one], [desk.vote({ETH: "3700"})], at=at)
    texts = found(audited(desk))
    assert any("before a user's transaction" in text for text in texts), texts


def order_of() -> Any:
    """One order."""
    return PlaceOrders([order(ETH, "buy", "1", "3690")])


def test_capital_beyond_the_days_share_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator moves ten times the budget into the liquidator."""
    honest = plan_capital
    with monkeypatch.context() as patch:
        desk = scene(
            lambda: patch.setattr(
                children, "plan_capital",
                lambda kids, free, budget, least: honest(kids, free, 10 * budget, least),
            )
        )  # fmt: skip
    texts = found(audited(desk))
    assert any("the split moved" in text for text in texts), texts


def test_netting_at_another_price_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child sells to its sibling above the mark: value is moved between them."""
    desk = LoggedDesk()
    desk.person("Ben", "1000000")
    desk.round("3650")
    desk.place("Ben", order(ETH, "sell", "0.4", "3600", "Ioc"))
    state = desk.engine.state
    short = state.open_exposure(state.accounts[BACKSTOP_VAULT], ETH)
    assert short.lots == 0
    with monkeypatch.context() as patch:
        honest = children._record

        def dearer(state: Any, recorder: Any, fields: Any) -> None:
            rows = [{**row, "price": row["price"] + 100} for row in fields["netted"]]
            honest(state, recorder, {**fields, "netted": rows})

        patch.setattr(children, "_record", dearer)
        patch.setattr(children, "netted_lots", lambda one, other: 100)
        desk.nonce = (desk.state.time_ms // 60_000 + 1) * 60_000
        desk.block(system=[desk.vote({ETH: "3650"})], at=desk.nonce)
    texts = found(audited(desk))
    assert any("the mark was" in text for text in texts), texts
    assert any("closed 100 lots, due were 0" in text for text in texts), texts
