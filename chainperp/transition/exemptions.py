"""Changes of the public exemption list: recorded inputs with a notice period."""

from chainperp.base.canonical import Record
from chainperp.base.units import Address
from chainperp.model.accounts import Exemption
from chainperp.model.decisions import Kind, Rejection
from chainperp.rules.exemptions import check_exemption
from chainperp.state import leaves
from chainperp.state.store import State
from chainperp.transition.recorder import Recorder


def process_exemption(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """Announce that an account is spared from one height to another (EXM-1).

    An entry that is on the list already is replaced; ending one is announcing an early last
    height. The PARAM entry carries the old and the new value.
    """
    address = Address(fields["account"])
    old = state.exempt.get(address)
    parameters = state.parameters
    if fields["mode"] != parameters.exempt_mode:
        return Rejection.EXEMPTION_MODE
    verdict = check_exemption(
        fields["from_height"],
        state.height,
        parameters.exempt_notice_blocks,
        old is None,
        len(state.exempt),
        parameters.exempt_max,
    )
    if verdict is not Rejection.ACCEPTED:
        return verdict
    new = Exemption(
        address, fields["mode"], fields["cap_ppb"], fields["from_height"], fields["to_height"]
    )
    state.exempt[address] = new
    state.changed_exempt[address] = None
    recorder.record(
        Kind.PARAM,
        {
            "name": f"exempt/{address.hex()}",
            "old": b"" if old is None else leaves.encode_exemption(old),
            "new": leaves.encode_exemption(new),
            "activation_height": fields["from_height"],
        },
    )
    return Rejection.ACCEPTED


def end_exemptions(state: State) -> None:
    """Take entries off the list whose last height has passed."""
    for address in sorted(state.exempt):
        if state.exempt[address].to_height <= state.height:
            del state.exempt[address]
            state.changed_exempt[address] = None
