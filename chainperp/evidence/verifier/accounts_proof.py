"""Proofs about one account at a block: what it has, or that it, or a position of it, is absent.

account  {checkpoint, seal, genesis, address, state}
absence  {checkpoint, seal, address, asset or null, state}
"""

from chainperp.base.errors import InvalidProof
from chainperp.base.units import address_text, format_decimal, usd_text
from chainperp.evidence.verifier.accounts import (
    AccountView,
    position_words,
    read_genesis,
    read_terms,
    scope_words,
    spot_balance,
    state_marks,
    token_balance,
)
from chainperp.evidence.verifier.bundle import Fields
from chainperp.evidence.verifier.pieces import read_seal, read_state
from chainperp.evidence.verifier.steps import Steps
from chainperp.evidence.verifier.trust import Trust, read_note
from chainperp.model.records import CROSS_SCOPE
from chainperp.rules.margin import is_liquidatable


def verify_account(steps: Steps, fields: Fields, trust: Trust) -> None:
    """An account's cash and positions at the end of a block, and what they were worth."""
    checkpoint = read_note(steps, trust, fields.note("checkpoint"))
    seal = read_seal(steps, fields.part("seal"), checkpoint)
    terms = read_terms(steps, read_genesis(fields), seal)
    found = seal.fields
    view = read_state(
        steps, fields.parts("state"), found["state_root"], found["n_collections"], "state leaves"
    )
    address = fields.address("address")
    fields.finish()
    steps.begin("account and positions")
    account = AccountView(view, address)
    marks = state_marks(view, account.positions)
    spot = spot_balance(view, address)
    tokens = [
        (name, decimals, token_balance(view, number, address))
        for number, (name, decimals) in enumerate(terms.tokens, start=1)
    ]
    view.finish()
    steps.done(f"{address_text(address)} with {len(account.positions)} positions")
    equity = account.equity(marks)
    steps.say(
        f"At the end of block {seal.height} (time {found['time_ms']} ms) {address_text(address)} "
        f"had {usd_text(account.fields['raw'])} USDC of cross cash and was worth "
        f"{usd_text(equity)} USDC"
    )
    if spot:
        steps.say(f"Besides, it had {usd_text(spot)} USDC of spot balance, which is no margin")
    for name, decimals, amount in tokens:
        if amount:
            steps.say(f"It had {format_decimal(amount, decimals)} {name} of spot balance")
    for one in account.positions:
        steps.say(f"It was {position_words(terms, one, marks[one.asset])}", "PNL-1")
    assets = [CROSS_SCOPE] + [one.asset for one in account.positions if not one.is_cross]
    for asset in assets:
        scope = account.scope(asset, marks, terms)
        state = "liquidatable" if is_liquidatable(scope.value, scope.maintenance) else "safe"
        if scope.positions:
            steps.say(
                f"Value of {scope_words(asset, terms)} {usd_text(scope.value)}, maintenance "
                f"{usd_text(scope.maintenance)}: {state}", "MRG-8",
            )  # fmt: skip


def verify_absence(steps: Steps, fields: Fields, trust: Trust) -> None:
    """An account, or its position in a market, was not in the state at the end of a block."""
    checkpoint = read_note(steps, trust, fields.note("checkpoint"))
    seal = read_seal(steps, fields.part("seal"), checkpoint)
    found = seal.fields
    view = read_state(
        steps, fields.parts("state"), found["state_root"], found["n_collections"], "state leaves"
    )
    address = fields.address("address")
    asset = fields.count("asset") if fields.has("asset") else None
    fields.finish()
    steps.begin("absence")
    names = ["acct"] if asset is None else [f"pos/{asset:08x}/L", f"pos/{asset:08x}/S"]
    for name in names:
        if view.value(name, address) is not None:
            raise InvalidProof(f"{address_text(address)} is in {name}")
    view.finish()
    what = "account" if asset is None else f"position in market {asset}"
    steps.done(f"no {what} of {address_text(address)} in {' or '.join(names)}")
    steps.say(
        f"At the end of block {seal.height} (time {found['time_ms']} ms) the state of the "
        f"exchange had no {what} of {address_text(address)}"
    )
