"""What can go wrong between a client and a node, as errors that a command line can sort.

    Unreachable   no answer, or one that makes no sense: nobody knows whether anything was accepted
    Refused       the node answered with a 4xx: it understood that it would not do this
    Unavailable   the node answered 429 or 5xx: nothing was accepted, the same may work later

A refusal of the exchange itself (`status: err`, or an `error` in a status) is an answer, not an
error.
Source: hyperliquid-api 1.2, 1.3.
"""

from chainperp.base.errors import ChainperpError, NotFound


class Unreachable(NotFound):
    """The node cannot be reached, or what answers is not a node."""


class Unavailable(NotFound):
    """The node cannot serve now: too many requests, too busy, or stopping."""


class Refused(ChainperpError):
    """The node refuses the request as it is. `status` is that of HTTP, `text` what it said."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the node refuses the request ({status}): {text}")
        self.status = status
        self.text = text
