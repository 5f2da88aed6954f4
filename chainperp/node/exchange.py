"""`POST /exchange`, whichever way it came: bytes in, one reply out.

    bytes → JSON → form and network → signer → waiting room → block → reply

What the sender could have known without the exchange is refused as a malformed request; what the
exchange's state decides is a reply with `status: err`.
Source: hyperliquid-api 1.2, 3.6; reliability 9.1 for the order of checks.
"""

from typing import Any, Final

import msgpack

from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of, vote_input
from chainperp.model.actions import OracleVote
from chainperp.model.decisions import REASONS, Rejection
from chainperp.model.envelope import encode_envelope
from chainperp.node.answers import DONE, Reply, refused
from chainperp.node.pool import SignerPool
from chainperp.node.producer import Producer
from chainperp.node.promises import Promiser
from chainperp.wire.signing import admit
from chainperp.wire.typed_data import Network

# A request that decodes, and whose refusal clients know as a text of the exchange.
ANSWERED_CODES: Final = (
    "network",
    "nonce_mismatch",
    "expires_after",
    "signature",
    "signature_r",
    "signature_s",
    "signature_high_s",
)


class Exchange:
    """Takes signed requests for one chain."""

    def __init__(
        self, producer: Producer, pool: SignerPool, network: Network, promiser: Promiser
    ) -> None:
        self.producer = producer
        self.pool = pool
        self.network: Network = network
        self.promiser = promiser

    async def handle(self, request: object, *, wants_promise: bool = False) -> Reply:
        """Reply to a decoded request; with a signed promise of inclusion when one is wanted and
        the transaction is in the log, refused there or not.

        Raises: BadRequest when it cannot be understood; Busy, Stopped when nothing was accepted.
        """
        try:
            envelope = admit(request, self.network)
            raw = encode_envelope(envelope)
            signers = await self.pool.signers(raw)
        except BadRequest as error:
            if error.code in ANSWERED_CODES:
                return refused(str(error))
            raise
        try:
            transaction = transaction_of(raw, signers, msgpack.unpackb)
        except InvalidBytes as error:
            raise BadRequest("action", str(error)) from error
        if isinstance(transaction.action, OracleVote):
            return await self._vote(raw, Address(signers))
        reply, place = await self.producer.submit_placed(transaction, _action_of(request))
        if wants_promise and place is not None:
            return {**reply, "promise": self.promiser.promise(raw, place)}
        return reply

    async def _vote(self, raw: bytes, signer: Address) -> Reply:
        """A validator's prices go to the front of the block."""
        effects = await self.producer.submit_system(vote_input(raw, signer, msgpack.unpackb))
        if effects.code is Rejection.ACCEPTED:
            return DONE
        return refused(REASONS[effects.code].text)


def _action_of(request: object) -> dict[str, Any]:
    """The action of a request that `admit` has accepted; of a multi-sig envelope, the inner one."""
    if not isinstance(request, dict) or not isinstance(request["action"], dict):
        raise BadRequest("action", "action is not an object")
    action: dict[str, Any] = request["action"]
    if action["type"] == "multiSig":
        action = action["payload"]["action"]
    return action
