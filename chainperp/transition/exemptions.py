"""Changes of the public exemption list: recorded inputs with a notice period."""

from chainperp.base.canonical import Record
from chainperp.base.units import Address
from chainperp.model.accounts import Exemption
from chainperp.model.decisions import Kind, Rejection
from chainperp.rules.exemptions import check_exemption, is_exempt
from chainperp.state import leaves
from chainperp.state.store import State
from chainperp.transition.recorder import Recorder


def process_exemption(state: State, recorder: Recorder, fields: Record) -> Rejection:
    """Announce that an account is spared from one height up to another (EXM-1).

    What was announced before holds until the new first height; a last height that is not after the
    first one ends the exemption there. How exempt accounts are treated is the parameter
    `exempt_mode`; `cap_ppb` is read where it caps. The PARAM entry has the old and the new value.
    """
    address = Address(fields["account"])
    old = state.exempt.get(address)
    parameters = state.parameters
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
    start = fields["from_height"]
    ranges = [
        Exemption(one.cap_ppb, one.from_height, min(one.to_height, start))
        for one in old or []
        if one.from_height < start
    ]
    if fields["to_height"] > start:
        ranges.append(Exemption(fields["cap_ppb"], start, fields["to_height"]))
    before = b"" if old is None else leaves.encode_exemptions(old)
    if ranges:
        state.exempt[address] = ranges
    else:
        state.exempt.pop(address, None)
    state.changed_exempt[address] = None
    recorder.record(
        Kind.PARAM,
        {
            "name": f"exempt/{address.hex()}",
            "old": before,
            "new": leaves.encode_exemptions(ranges),
            "activation_height": start,
        },
    )
    return Rejection.ACCEPTED


def exemption_in_force(state: State, address: Address) -> Exemption | None:
    """The range that spares an account at the present height (EXM-2)."""
    for one in state.exempt.get(address, []):
        if is_exempt(one.from_height, one.to_height, state.height):
            return one
    return None


def end_exemptions(state: State) -> None:
    """Take ranges off the list whose last height has passed."""
    for address in sorted(state.exempt):
        ranges = state.exempt[address]
        left = [one for one in ranges if one.to_height > state.height]
        if len(left) != len(ranges):
            state.changed_exempt[address] = None
            if left:
                state.exempt[address] = left
            else:
                del state.exempt[address]
