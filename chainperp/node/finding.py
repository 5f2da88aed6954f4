"""What a request is found to be before it may wait for a block: JSON, form, network, signature.

All that needs no state, for many requests at once, so that a process of the pool can do it: bytes
as HTTP hands them go in, the envelope that the log will store and its signers come out.
"""

from typing import NamedTuple

from chainperp.base.errors import BadRequest
from chainperp.model.envelope import encode_envelope
from chainperp.wire.actions import read_json
from chainperp.wire.recovery import recover_signers
from chainperp.wire.signing import admit
from chainperp.wire.typed_data import Network

Admitted = tuple[bytes, bytes]
"""An envelope, and who signed it, 20 bytes each."""


class Refusal(NamedTuple):
    """Why a request is refused: the code and the sentence of its BadRequest."""

    code: str
    text: str
    is_json: bool
    "It is not even JSON."


Finding = Admitted | Refusal


def finding(body: bytes, network: Network) -> Finding:
    """What one request is found to be; the first thing that is wrong with it, if anything is."""
    try:
        document = read_json(body)
    except BadRequest as error:
        return Refusal(error.code, str(error), True)
    try:
        envelope = admit(document, network)
        return encode_envelope(envelope), recover_signers(envelope, network)
    except BadRequest as error:
        return Refusal(error.code, str(error), False)


def findings(bodies: list[bytes], network: Network) -> list[Finding]:
    """What each request of a batch is found to be, in their order."""
    return [finding(body, network) for body in bodies]
