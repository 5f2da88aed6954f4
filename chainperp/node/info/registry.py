"""`POST /info`: one question, one answer. The table of questions, and how each is asked.

A question has a shape (keys that nobody knows are ignored, null is absent: hyperliquid-api 1.2), a
weight for the rate limit, and one function. Questions about the present are answered from the
engine's state between two blocks; questions about the past from the index, in a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Literal

from chainperp.base.errors import BadRequest
from chainperp.node.clock import Clock
from chainperp.state.store import State
from chainperp.wire.shapes import Field, Misfit, shape, shown

Fields = dict[str, Any]
Grade = Literal["full", "partial", "refused"]
WEIGHT_ELSE: Final = 20


@dataclass(slots=True)
class Context:
    """What questions are answered from."""

    state: Callable[[], State]
    clock: Clock
    settled: Callable[[], Awaitable[object]]
    "Returns when the state is that of a durable block."


@dataclass(frozen=True, slots=True)
class Query:
    """One question: its keys, who answers it, and how fully."""

    name: str
    fields: tuple[Field, ...]
    answer: Callable[[Context, Fields], Any]
    is_history: bool = False
    weight: int = WEIGHT_ELSE
    grade: Grade = "full"
    note: str = ""


class Registry:
    """All questions by name."""

    def __init__(self, queries: list[Query]) -> None:
        self.queries = {query.name: query for query in queries}
        self._shapes = {query.name: shape(*query.fields) for query in queries}

    def read(self, request: object) -> tuple[Query, Fields]:
        """The question of a request and its checked keys. Raises BadRequest."""
        if type(request) is not dict:
            raise Misfit("wrong_type", f"an object is wanted, was {shown(request)}", "request")
        name = request.get("type")
        query = self.queries.get(name) if type(name) is str else None
        if query is None:
            raise _unknown(name, list(self.queries))
        known = {key for key, _, _ in query.fields}
        given = {key: value for key, value in request.items() if key in known}
        fields: Fields = self._shapes[query.name](given)
        return query, fields

    async def ask(self, context: Context, request: object) -> tuple[str, Any]:
        """Name of the question and its answer. Raises BadRequest."""
        query, fields = self.read(request)
        await context.settled()
        if query.is_history:
            return query.name, await asyncio.to_thread(query.answer, context, fields)
        return query.name, query.answer(context, fields)


def _unknown(name: object, names: list[str]) -> BadRequest:
    if type(name) is not str:
        return Misfit("unknown_type", f"the name of a query is wanted, was {shown(name)}", "type")
    near = get_close_matches(name[:64], names, n=1)
    hint = f", did you mean {near[0]}?" if near else ""
    return Misfit("unknown_type", f"unknown variant {shown(name)}{hint}", "type")
