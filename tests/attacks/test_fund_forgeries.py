"""An operator who bends the assistance fund's rules: the audit says what was done, by name.

Each forger runs the engine with one function altered, so that the chain is consistent in itself:
seals, roots and proofs are those of what was done. And nobody can make the fund sell.
"""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chainperp.transition.buyback as buyback
import chainperp.transition.matching as matching
from chainperp.base.units import E8
from chainperp.model.accounts import Account
from chainperp.model.actions import (
    Action,
    CancelOrders,
    ClassTransfer,
    PlaceOrders,
    SendAsset,
    SubAccountSpotTransfer,
    TwapOrder,
    UsdSend,
    Withdraw,
)
from chainperp.model.decisions import Kind, LedgerType, Rejection
from chainperp.rules.buyback import Purchase, plan_purchase
from chainperp.state.store import ASSISTANCE_FUND, State
from tests.support.forced import ETH, usdc
from tests.support.forgers import rewritten
from tests.support.proofs import audited
from tests.support.token_market import MINUTE, TOKEN, TOKEN_NAME, TokenStage, spot_order, tokens
from tests.support.world import address_of, order

PACKAGE = Path(buyback.__file__).resolve().parents[1]
Patch = pytest.MonkeyPatch


def market() -> TokenStage:
    """A market, and a fund that has bought once and holds 70 USDC."""
    stage = TokenStage(fees=True)
    stage.market()
    stage.give_fund("100")
    return stage


def told(stage: TokenStage) -> str:
    """What the audit says of the fund."""
    report = audited(stage)
    return "\n".join(one.text for one in report.findings if one.check == "fund and buybacks")


def test_the_honest_chain_has_no_finding() -> None:
    """The forgeries below are found because they are forgeries."""
    stage = market()
    stage.later()
    assert audited(stage).is_clean
    assert audited(stage).purchases == 2


def never(*_: Any) -> bool:
    return False


def always(*_: Any) -> bool:
    return True


def test_a_purchase_that_was_due_is_left_out(monkeypatch: Patch) -> None:
    stage = market()
    with monkeypatch.context() as patch:
        patch.setattr(buyback, "is_purchase_due", never)
        stage.later()
    assert "was due and is missing" in told(stage)


def test_a_purchase_comes_too_early(monkeypatch: Patch) -> None:
    stage = market()
    with monkeypatch.context() as patch:
        patch.setattr(buyback, "is_purchase_due", always)
        stage.later(MINUTE - 1)
    assert "was not due" in told(stage)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda plan: plan._replace(lots=plan.lots * 2), "lots"),
        (lambda plan: plan._replace(lots=plan.lots - 1), "lots"),
        (lambda plan: plan._replace(limit=plan.limit + 100), "limit"),
        (lambda plan: plan._replace(depth=plan.depth + 1), "depth"),
    ],
)
def test_a_purchase_of_another_size_or_price(
    monkeypatch: Patch, change: Callable[[Purchase], Purchase], field: str
) -> None:
    stage, honest = market(), plan_purchase
    with monkeypatch.context() as patch:
        patch.setattr(buyback, "plan_purchase", lambda *given: change(honest(*given)))
        stage.later()
    assert f"the fund's purchase says {field}" in told(stage)


def test_tokens_are_kept_instead_of_burned(monkeypatch: Patch) -> None:
    stage = market()
    with monkeypatch.context() as patch:
        patch.setattr(buyback, "tokens_to_burn", lambda _held, bought: bought - 1)
        stage.later()
    assert "the fund's purchase says burned" in told(stage)


def test_tokens_of_the_fund_are_sent_away(monkeypatch: Patch) -> None:
    """The operator keeps what the fund bought: the entry that must say so gives him away."""

    def taken(state: Any, recorder: Any, token: int, owner: Any, amount: int, _kind: Any) -> None:
        buyback_move(state, recorder, token, (owner, address_of("Ann")), amount,
                     LedgerType.SPOT_SEND)  # fmt: skip

    from chainperp.transition.tokens import move_token as buyback_move

    stage = market()
    with monkeypatch.context() as patch:
        patch.setattr(buyback, "burn", taken)
        stage.later()
    assert "left the fund" in told(stage)


def test_fees_are_kept_from_the_fund(monkeypatch: Patch) -> None:
    """A tenth of the fees goes to somebody else: the books no longer agree with the trades."""
    stage, honest = market(), matching.take_fees

    def skimmed(
        state: State, maker: Account, maker_fee: int, taker: Account, taker_fee: int
    ) -> None:
        kept = (maker_fee + taker_fee) // 10
        honest(state, maker, maker_fee, taker, taker_fee - kept)
        thief = state.accounts[address_of("Ann")]
        thief.raw += kept
        state.touch(thief)

    stage.person("Cas", "100000")
    stage.person("Dov", "100000")
    stage.mark("4000")
    with monkeypatch.context() as patch:
        patch.setattr(matching, "take_fees", skimmed)
        stage.place("Cas", order(ETH, "buy", "10", "4000"))
        stage.place("Dov", order(ETH, "sell", "10", "4000", "Ioc"))
        forged = told(stage)
    assert "execution" in {one.check for one in audited(stage).findings}
    assert "the fund's books say fees" in forged


@pytest.mark.parametrize("name", ["balance", "depth", "fees", "spent"])
def test_a_rewritten_entry_is_found(name: str) -> None:
    """One field of a BUYBACK is another than it was."""
    from chainperp.base import canonical
    from chainperp.model.entries import decode_entry, decode_payload, encode_entry
    from chainperp.model.records import SCHEMAS

    stage = market()
    stage.later()
    block = stage.blocks[-1]
    place = next(
        at for at, raw in enumerate(block.entries) if raw[1:3] == Kind.BUYBACK.to_bytes(2, "big")
    )

    def change(raw: bytearray) -> None:
        entry = decode_entry(bytes(raw))
        fields = decode_payload(entry)
        payload = canonical.encode(SCHEMAS[Kind.BUYBACK], {**fields, name: fields[name] + 1})
        raw[:] = encode_entry(entry.kind, entry.height, entry.seq, payload)

    stage.blocks[-1] = rewritten(block, place, change)
    assert f"says {name}" in told(stage)


# --- the fund never sells (INV-T2) ----------------------------------------------------------------


def calls_of(tree: ast.AST, name: str) -> list[ast.Call]:
    """Calls of a function by its bare name."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def test_no_code_path_orders_a_sale_for_the_fund() -> None:
    """Orders on spot are made in two places: for the user who asked, and in `buy_forced`, whose
    side is written as the word True. The fund's module makes none and moves no token."""
    makers: dict[str, list[ast.Call]] = {}
    for path in sorted((PACKAGE / "transition").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if "pair.exposure" in ast.unparse(tree):
            found = [one for one in calls_of(tree, "Order") if "pair.exposure" in ast.unparse(one)]
            if found:
                makers[path.stem] = found
    assert sorted(makers) == ["spot_matching", "spot_placing"]
    (forced,) = makers["spot_matching"]
    assert ast.unparse(forced.args[3]) == "True"
    (asked,) = makers["spot_placing"]
    assert ast.unparse(asked.args[3]) == "request.is_buy"

    own = ast.parse((PACKAGE / "transition" / "buyback.py").read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(own) if isinstance(node, ast.Name)}
    assert not used & {"Order", "match_spot", "place_spot", "move_token", "rest_spot_order"}
    (burning,) = calls_of(own, "burn")
    assert ast.unparse(burning.args[-1]) == "LedgerType.BUYBACK_BURN"


ASKED: dict[str, Action] = {
    "sell": PlaceOrders([spot_order("sell", "10", "0.99")]),
    "buy": PlaceOrders([spot_order("buy", "10", "1")]),
    "perpetual": PlaceOrders([order(ETH, "sell", "1", "4000")]),
    "cancel": CancelOrders([(10_000, 1)]),
    "twap": TwapOrder(ETH, False, E8(10**9), False, 5),
    "send": UsdSend(address_of("Ann"), usdc("1")),
    "withdraw": Withdraw(address_of("Ann"), usdc("10")),
    "spot send": SendAsset(address_of("Ann"), tokens("1"), TOKEN_NAME),
    "class transfer": ClassTransfer(usdc("1"), False),
    "sub-account": SubAccountSpotTransfer(address_of("Ann"), False, tokens("1"), TOKEN_NAME),
}


@pytest.mark.parametrize("name", ASKED)
def test_nobody_acts_for_the_fund(name: str) -> None:
    """It has no key; and no action that names it as the account to act for is admitted."""
    stage = market()
    before = vars_of(stage.engine.state)
    one = stage.transaction("Ann", PlaceOrders([]))
    one.action, one.vault = ASKED[name], ASSISTANCE_FUND
    result = stage.block([one])
    assert result.codes != [Rejection.ACCEPTED]
    assert vars_of(stage.engine.state) == before


def vars_of(state: State) -> tuple[int, ...]:
    """What the fund has, and how often it bought."""
    return (
        state.accounts[ASSISTANCE_FUND].raw,
        state.spot[0].get(ASSISTANCE_FUND, 0),
        state.spot[TOKEN].get(ASSISTANCE_FUND, 0),
        state.fund.purchases,
        len(state.accounts[ASSISTANCE_FUND].orders),
    )


def test_nobody_can_give_the_fund_tokens_to_hold() -> None:
    """Plain sends to it are refused, so there is nothing in it that could be sold."""
    stage = market()
    action = SendAsset(ASSISTANCE_FUND, tokens("5"), TOKEN_NAME)
    assert stage.act("Ann", action, user_signed=True).codes == [Rejection.DESTINATION_INVALID]
