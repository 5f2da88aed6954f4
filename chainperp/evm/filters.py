"""Filters of JSON-RPC: a question that is remembered, and what is new since it was asked last.

They live in memory, beside the machine and not in it: a restart forgets them, as it does on any
node. There are at most `FILTERS_MAX`; the one that was asked longest ago makes room, and whoever
does not ask for five minutes has to begin again.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from chainperp.evm.hexes import data, quantity
from chainperp.evm.machine import Machine
from chainperp.evm.queries import LogQuery, find_logs

FILTERS_MAX: Final = 200
LIFETIME_S: Final = 300
IDENTITY_BITS: Final = 128
LOGS, BLOCKS, TRANSACTIONS = "logs", "blocks", "transactions"


@dataclass(slots=True)
class Filter:
    """A remembered question. `query` is None for blocks or transactions."""

    query: LogQuery | None
    wants_transactions: bool
    after: int
    "Number of the last block that was told of."
    asked: int
    "Second at which it was asked last."


class Filters:
    """The filters of a machine. Dictionary order is the order in which they were asked last."""

    __slots__ = ("_by_identity",)

    def __init__(self) -> None:
        self._by_identity: dict[str, Filter] = {}

    def add(self, machine: Machine, now: int, kind: str, query: LogQuery | None = None) -> str:
        """Remember a question from the present block on; its identity.

        `kind` is LOGS, BLOCKS or TRANSACTIONS. Identities cannot be guessed: whoever knows
        one can use up what it has to tell.
        """
        self._forget(now)
        while len(self._by_identity) >= FILTERS_MAX:
            del self._by_identity[next(iter(self._by_identity))]
        identity = quantity(secrets.randbits(IDENTITY_BITS))
        self._by_identity[identity] = Filter(query, kind == TRANSACTIONS, machine.head.number, now)
        return identity

    def remove(self, identity: str) -> bool:
        """Forget a question. False when it was not known."""
        return self._by_identity.pop(identity, None) is not None

    def find(self, identity: str, now: int) -> Filter | None:
        """A remembered question, which lives on from now; None when it is not known any more."""
        self._forget(now)
        found = self._by_identity.pop(identity, None)
        if found is not None:
            found.asked = now
            self._by_identity[identity] = found
        return found

    def _forget(self, now: int) -> None:
        old = [name for name, one in self._by_identity.items() if one.asked + LIFETIME_S < now]
        for name in old:
            del self._by_identity[name]


def changes(machine: Machine, one: Filter) -> list[Any]:
    """What is new since the last time: logs, block hashes or transaction hashes.

    Raises: BadRequest `limit` for more than 10,000 logs; they are then told of next time.
    """
    blocks = machine.blocks[one.after + 1 :]
    found: list[Any]
    if one.query is not None:
        found = find_logs(one.query, [block for block in blocks if one.query.names(block)])
    elif one.wants_transactions:
        made = [block.transaction for block in blocks if block.transaction is not None]
        found = [data(bytes(transaction.hash)) for transaction in made]
    else:
        found = [data(block.hash) for block in blocks]
    one.after = machine.head.number
    return found
