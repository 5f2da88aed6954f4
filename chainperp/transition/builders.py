"""Builder codes: who may add a fee to an account's orders, and up to which rate."""

from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.actions import ApproveBuilderFee
from chainperp.model.decisions import Kind, Rejection, rule_number
from chainperp.rules.fees import check_builder_approval, is_builder_fee_approved
from chainperp.state.store import SYSTEM_ACCOUNTS, State
from chainperp.transition.recorder import Recorder
from chainperp.transition.valuation import account_value, refresh


def process_approve_builder(
    state: State, recorder: Recorder, account: Account, action: ApproveBuilderFee
) -> Rejection:
    """Let a builder add a fee up to a rate (FEE-6); rate 0 revokes."""
    builder, rate = action.builder, action.rate
    if builder in SYSTEM_ACCOUNTS or builder in state.vaults:
        # What comes in from outside would move the price of a vault's shares (U-REL-3).
        return Rejection.DESTINATION_INVALID
    approvals = state.builder_approvals.get(account.address, {})
    others = len(approvals) - (builder in approvals)
    value = _value(state, builder)
    verdict = check_builder_approval(rate, others, value, state.parameters)
    if verdict is not Rejection.ACCEPTED or rate is None:
        return verdict
    if rate:
        approvals[builder] = rate
    else:
        approvals.pop(builder, None)
    if approvals:
        state.builder_approvals[account.address] = approvals
    else:
        state.builder_approvals.pop(account.address, None)
    state.note("builder", account.address)
    recorder.record(
        Kind.BUILDER,
        {
            "account": account.address,
            "builder": builder,
            "rate": rate,
            "rule": rule_number("FEE-6"),
        },
    )
    return Rejection.ACCEPTED


def _value(state: State, builder: Address) -> int:
    """Account value of a builder, nothing for an address without account."""
    account = state.accounts.get(builder)
    if account is None:
        return 0
    refresh(state, account)
    return account_value(account)


def may_charge(state: State, account: Account, builder: tuple[Address, int]) -> bool:
    """Whether an order of the account may name this builder and rate (FEE-7)."""
    sub = state.sub_accounts.get(account.address)
    owner = account.address if sub is None else sub.master
    approved = state.builder_approvals.get(owner, {}).get(builder[0], 0)
    return is_builder_fee_approved(builder[1], approved, state.parameters.builder_fee_max)
