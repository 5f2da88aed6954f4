"""What a request is found to be before it may wait for a block: JSON, form, network, signature.

All that needs no state, for many requests at once, so that a process of the pool can do it: bytes
as HTTP hands them go in, the envelope that the log will store and its signers come out.
"""

from typing import Any, NamedTuple

from chainperp.base.errors import BadRequest
from chainperp.model.envelope import Envelope, encode_envelope
from chainperp.wire.actions import read_json
from chainperp.wire.plain_request import plain_envelope
from chainperp.wire.recovery import recover_admitted
from chainperp.wire.signing import admit
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


def findings(bodies: list[bytes], network: Network) -> list[Finding]:
    """What each request of a batch is found to be, in their order; the first thing that is wrong
    with it, if anything is.

    All are read before the first is recovered: the tables of the curve push everything else out of
    the caches.
    """
    read = [_read(body, network) for body in bodies]
    return [one if isinstance(one, Refusal) else _signed(one, network) for one in read]


def _read(body: bytes, network: Network) -> Envelope | Refusal:
    try:
        envelope = plain_envelope(body)
        return admit(json_of(body), network) if envelope is None else envelope
    except BadRequest as error:
        return Refusal(error.code, str(error), not isinstance(error, NotJson))


def _signed(envelope: Envelope, network: Network) -> Finding:
    try:
        return encode_envelope(envelope), recover_admitted(envelope, network)
    except BadRequest as error:
        return Refusal(error.code, str(error), True)


def json_of(body: bytes) -> Any:
    """The document of a request's body. Raises NotJson."""
    try:
        return read_json(body)
    except BadRequest as error:
        raise NotJson(error.code, str(error)) from error
