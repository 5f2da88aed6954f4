"""`POST /info`: one question, one answer. The table of questions, and how each is asked.

A question has a shape (keys that nobody knows are ignored, null is absent: hyperliquid-api 1.2), a
weight for the rate limit, and who answers it: the engine's state between two blocks, the index in
a reader's thread, or the index first and then the state. Whoever needs the index waits until it has
reached the last published block, so that everybody finds what he was told of.

A list that is cut at its limit says so (`X-Truncated: true`) and names the place where the next
page begins (`X-Next-Cursor: n`); the same question with `"cursor": n` continues there.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from chainperp.base.errors import BadRequest
from chainperp.model.tokens import SPOT_FIRST
from chainperp.node.clock import Clock
from chainperp.node.documents.listing import Coins, PairTerms
from chainperp.node.index.index import Index, IndexUnavailable
from chainperp.state.store import State
from chainperp.wire.shapes import Field, Misfit, shape, shown

if TYPE_CHECKING:
    from chainperp.node.keeping import Keeping

Fields = dict[str, Any]
Grade = Literal["full", "partial", "refused"]
WEIGHT_ELSE: Final = 20


def _no_index() -> Index:
    raise IndexUnavailable("this node keeps no index of the past")


def _no_keeping() -> "Keeping":
    raise IndexUnavailable("this node has no contracts beside it")


@dataclass(slots=True)
class Context:
    """What questions are answered from."""

    state: Callable[[], State]
    clock: Clock
    settled: Callable[[], Awaitable[object]]
    "Returns when the state is that of a durable block."
    index: Callable[[], Index] = _no_index
    "The index of the chain in force. Raises IndexUnavailable."
    keeping: Callable[[], "Keeping"] = _no_keeping
    "The keeper's loop, which knows the EVM beside the chain. Raises IndexUnavailable."


@dataclass(frozen=True, slots=True)
class Past:
    """What questions about the past are answered from: one consistent state of the index."""

    connection: sqlite3.Connection
    terms: Coins
    "Markets and spot pairs, by asset number."
    now_ms: int
    "Time of the last block when it was asked."

    def user(self, address: str) -> int | None:
        """An account's number, None when it never appeared."""
        return self.number("SELECT id FROM users WHERE address = ?", bytes.fromhex(address[2:]))

    def asset(self, coin: str) -> int | None:
        """Number of a market or pair, None when there is none of that name."""
        for terms in self.terms.values():
            if coin == terms.name or (
                isinstance(terms, PairTerms) and coin == f"@{terms.asset - SPOT_FIRST}"
            ):
                return terms.asset
        return None

    def number(self, query: str, *values: Any) -> int | None:
        """The number that a query gives, or None."""
        row = self.connection.execute(query, values).fetchone()
        return None if row is None or row[0] is None else int(row[0])


class Page(NamedTuple):
    """Rows up to a limit, and where the next ones begin when there are more."""

    rows: list[Any]
    next_cursor: int | None


class Answer(NamedTuple):
    """The document of an answer, and where a list that was cut continues."""

    name: str
    document: Any
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class Query:
    """One question: its keys, who answers it, and how fully.

    Exactly one of three: `answer` alone (the state), `look` alone (the index), or `look` and then
    `combine` with what it found (both).
    """

    name: str
    fields: tuple[Field, ...] = ()
    answer: Callable[[Context, Fields], Any] | None = None
    look: Callable[[Past, Fields], Any] | None = None
    combine: Callable[[Context, Fields, Any], Any] | None = None
    prepare: Callable[[Context], Awaitable[None]] | None = None
    "What is to be waited for first."
    weight: int = WEIGHT_ELSE
    grade: Grade = "full"
    note: str = ""


class Registry:
    """All questions by name; `refused` are those that the real exchange answers and we do not."""

    def __init__(self, queries: list[Query]) -> None:
        self.queries = {query.name: query for query in queries if query.grade != "refused"}
        self.refused = {query.name: query for query in queries if query.grade == "refused"}
        self._shapes = {name: shape(*query.fields) for name, query in self.queries.items()}

    def read(self, request: object) -> tuple[Query, Fields]:
        """The question of a request and its checked keys. Raises BadRequest."""
        if type(request) is not dict:
            raise Misfit("wrong_type", f"an object is wanted, was {shown(request)}", "request")
        name = request.get("type")
        query = self.queries.get(name) if type(name) is str else None
        if query is None:
            raise self._unknown(name)
        known = {key for key, _, _ in query.fields}
        given = {key: value for key, value in request.items() if key in known}
        fields: Fields = self._shapes[query.name](given)
        return query, fields

    async def ask(self, context: Context, request: object) -> tuple[str, Any]:
        """Name of the question and its answer's document. Raises BadRequest, IndexUnavailable."""
        answer = await self.answer(context, request)
        return answer.name, answer.document

    async def answer(self, context: Context, request: object) -> Answer:
        """The answer to a request. Raises BadRequest, IndexUnavailable."""
        query, fields = self.read(request)
        if query.prepare is not None:
            await query.prepare(context)
        await context.settled()
        if query.answer is not None:
            found = query.answer(context, fields)
        else:
            found = await _look(context, query, fields)
        if query.combine is not None:
            await context.settled()
            found = query.combine(context, fields, found)
        if isinstance(found, Page):
            return Answer(query.name, found.rows, found.next_cursor)
        return Answer(query.name, found, None)

    def _unknown(self, name: object) -> BadRequest:
        if type(name) is not str:
            wanted = f"the name of a query is wanted, was {shown(name)}"
            return Misfit("unknown_type", wanted, "type")
        refused = self.refused.get(name)
        if refused is not None:
            why = f"{name} is not offered by this exchange: {refused.note}"
            return Misfit("not_offered", f"{why}; see docs/compatibility.md", "type")
        near = get_close_matches(name[:64], [*self.queries], n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        return Misfit("unknown_type", f"unknown variant {shown(name)}{hint}", "type")


async def _look(context: Context, query: Query, fields: Fields) -> Any:
    """Ask the index, once it has reached the last published block."""
    look = query.look
    if look is None:
        raise IndexUnavailable(f"{query.name} has nobody to answer it")
    index = context.index()
    state = context.state()
    await index.reached(state.height)
    now_ms = max(state.time_ms, 0)
    terms = index.coins
    return await index.read(lambda connection: look(Past(connection, terms, now_ms), fields))
