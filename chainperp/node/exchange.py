"""`POST /exchange`, whichever way it came: bytes in, one reply out.

    bytes → intake (JSON, form, network, signer) → waiting room → block → reply

What the sender could have known without the exchange is refused as a malformed request; what the
exchange's state decides is a reply with `status: err`.
Source: hyperliquid-api 1.2, 3.6; reliability 9.1 for the order of checks.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgpack

from chainperp.base.errors import BadRequest, InvalidBytes
from chainperp.base.units import Address
from chainperp.chain.decode import transaction_of, vote_input
from chainperp.model.actions import OracleVote
from chainperp.model.decisions import REASONS, Rejection
from chainperp.node.answers import DONE, Reply, refused
from chainperp.node.effects import Effects
from chainperp.node.finding import Finding, Refusal
from chainperp.node.intake import Asked, Intake
from chainperp.node.producer import Producer, Stopped
from chainperp.node.promises import Promiser
from chainperp.node.room import Replies, Waiting
from chainperp.storage.collector import collector_off
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
    """Takes signed requests for one chain; `processes` of its own look at them."""

    def __init__(
        self, producer: Producer, network: Network, processes: int, promiser: Promiser
    ) -> None:
        self.producer = producer
        self.intake = Intake(network, processes, self._admit)
        producer.coming = lambda: self.intake.count
        self.promiser = promiser

    async def handle(self, body: bytes, *, wants_promise: bool = False) -> Reply:
        """Reply to a request; with a signed promise of inclusion when one is wanted and the
        transaction is in the log, refused there or not.

        Raises: NotJson, BadRequest when it cannot be understood; Busy, Stopped when nothing was
        accepted.
        """
        replies = Replies(1, wants_places=wants_promise)
        self.intake.put([body], replies)
        (reply,) = await replies.all()
        if isinstance(reply, Exception):
            raise reply
        (place,) = replies.places
        if place is not None:
            return {**reply, "promise": self.promiser.promise(place)}
        return reply

    async def handle_many(self, bodies: Sequence[bytes]) -> list[Reply | Exception]:
        """Replies to requests that came together, in their order; in the place of a reply stands
        what `handle` would have raised."""
        replies = Replies(len(bodies))
        self.intake.put(bodies, replies)
        return await replies.all()

    def _admit(self, asked: list[Asked], found: list[Finding]) -> None:
        """Requests that were looked at: into the waiting room, or told what is wrong with them."""
        admitted: list[Waiting] = []
        with collector_off():
            for (_, replies, at), one in zip(asked, found, strict=True):
                try:
                    if isinstance(one, Refusal):
                        replies.tell(at, _refused(one))
                        continue
                    transaction = transaction_of(*one, msgpack.unpackb)
                    if isinstance(transaction.action, OracleVote):
                        self._vote(*one, replies, at)
                    else:
                        admitted.append(Waiting(transaction, replies, at))
                except InvalidBytes as error:
                    replies.tell(at, BadRequest("action", str(error)))
                except Exception as fault:  # noqa: BLE001 (the others of the batch go on)
                    replies.tell(at, fault)
            self.producer.put(admitted)

    def _vote(self, raw: bytes, signer: bytes, replies: Replies, at: int) -> None:
        """A validator's prices go to the front of the block."""

        def tell(done: "asyncio.Future[Effects]") -> None:
            fault = done.exception()
            if fault is None:
                replies.tell(at, _vote_reply(done.result()))
            else:
                replies.tell(at, fault if isinstance(fault, Exception) else Stopped(str(fault)))

        item = vote_input(raw, Address(signer), msgpack.unpackb)
        self.producer.put_system(item).add_done_callback(tell)


def _refused(refusal: Refusal) -> Reply | BadRequest:
    if refusal.is_json and refusal.code in ANSWERED_CODES:
        return refused(refusal.text)
    return refusal.error()


def _vote_reply(effects: Effects) -> Reply:
    if effects.code is Rejection.ACCEPTED:
        return DONE
    return refused(REASONS[effects.code].text)
