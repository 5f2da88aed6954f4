"""What a request is found to be before it may wait for a block: JSON, form, network, signature.

All that needs no state, for many requests at once, so that a process of the pool can do it: bytes
as HTTP hands them go in, the envelope that the log will store and its signers come out.
"""

from typing import Any, NamedTuple

from chainperp.base.errors import BadRequest
from chainperp.model.envelope import encode_envelope
from chainperp.wire.actions import read_json
from chainperp.wire.plain_request import plain_envelope
from chainperp.wire.recovery import recover_signers
from chainperp.wire.signing import admit, recover_formed
from chainperp.wire.typed_data import Network

Admitted = tuple[bytes, bytes]
"""An envelope, and who signed it, 20 bytes each."""


class NotJson(BadRequest):
    """The body of a request is not JSON that this exchange reads."""


class Refusal(NamedTuple):
    """Why a request is refused: the code and the sentence of its BadRequest."""

    code: str
    text: str
    is_json: bool
    "It can be read at least."

    def error(self) -> BadRequest:
        """The error that was raised in the process that looked at the request."""
        return BadRequest(self.code, self.text) if self.is_json else NotJson(self.code, self.text)


Finding = Admitted | Refusal


def finding(body: bytes, network: Network) -> Finding:
    """What one request is found to be; the first thing that is wrong with it, if anything is."""
    try:
        envelope = plain_envelope(body)
        if envelope is not None:
            # An action of the exchange, whose signers need no second look at it.
            return encode_envelope(envelope), recover_formed(envelope, {}, network)
        envelope = admit(json_of(body), network)
        return encode_envelope(envelope), recover_signers(envelope, network)
    except BadRequest as error:
        return Refusal(error.code, str(error), not isinstance(error, NotJson))


def json_of(body: bytes) -> Any:
    """The document of a request's body. Raises NotJson."""
    try:
        return read_json(body)
    except BadRequest as error:
        raise NotJson(error.code, str(error)) from error


def findings(bodies: list[bytes], network: Network) -> list[Finding]:
    """What each request of a batch is found to be, in their order."""
    return [finding(body, network) for body in bodies]
