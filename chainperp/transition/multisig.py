"""Multi-sig users: converted, changed, converted back, and their envelopes admitted."""

from chainperp.base.units import Address
from chainperp.model.accounts import Account
from chainperp.model.actions import ConvertToMultiSig
from chainperp.model.arrangements import MultiSigUser
from chainperp.model.blocks import MultiSigned, Transaction
from chainperp.model.decisions import Kind, Rejection, rule_number
from chainperp.rules.multisig import check_envelope, check_multi_sig_users
from chainperp.state.store import State
from chainperp.transition.recorder import Recorder


def process_convert(
    state: State, recorder: Recorder, account: Account, action: ConvertToMultiSig
) -> Rejection:
    """Hand the account to several keys, to others, or back to its own (SIG-1)."""
    address, users = account.address, action.users
    if users is None or (not users and address not in state.multi_sigs):
        return Rejection.MULTI_SIG_TERMS_INVALID
    if users:
        known = sum(_is_plain(state, one) for one in users)
        verdict = check_multi_sig_users(users, action.threshold, address, known, state.parameters)
        if verdict is not Rejection.ACCEPTED:
            return verdict
        state.multi_sigs[address] = MultiSigUser(tuple(users), action.threshold)
    else:
        del state.multi_sigs[address]
    state.note("msig", address)
    recorder.record(
        Kind.MULTI_SIG_USER,
        {
            "account": address,
            "threshold": action.threshold if users else 0,
            "users": [{"user": one} for one in users],
            "rule": rule_number("SIG-1"),
        },
    )
    return Rejection.ACCEPTED


def _is_plain(state: State, address: Address) -> bool:
    """Whether an address is an account, and nobody's agent."""
    agent = state.agents.get(address)
    return address in state.accounts and (agent is None or agent.master is None)


def admit_envelope(
    state: State, transaction: Transaction, multi_sig: MultiSigned, leader: Account, is_agent: bool
) -> tuple[Rejection, Account]:
    """The account that a multi-sig envelope is for, if it may be carried out (SIG-2). `leader` is
    the account of the key that signed it; a leader that is a multi-sig user leads by agent only."""
    terms = state.multi_sigs.get(multi_sig.user)
    users = None if terms is None else terms.users
    is_led = (
        users is not None
        and leader.address in users
        and multi_sig.leader == transaction.signer
        and (is_agent or leader.address not in state.multi_sigs)
    )
    threshold = 0 if terms is None else terms.threshold
    verdict = check_envelope(users, threshold, is_led, multi_sig.signers)
    return verdict, state.accounts.get(multi_sig.user, leader)


def record_envelope(recorder: Recorder, multi_sig: MultiSigned) -> None:
    """Log who signed inside an envelope, so that a replay without signature check can go on."""
    recorder.record(
        Kind.MULTI_SIG,
        {
            "user": multi_sig.user,
            "leader": multi_sig.leader,
            "signers": [{"signer": one} for one in multi_sig.signers],
        },
    )
