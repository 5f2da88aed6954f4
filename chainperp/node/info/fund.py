"""The assistance fund: a question of our own, which the real exchange does not know."""

from typing import Final

from chainperp.model.decisions import Kind
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.fund import NATIVE
from chainperp.node.documents.fund import fund_document, purchase_document
from chainperp.node.documents.texts import Document
from chainperp.node.info.registry import Context, Fields, Past, Query
from chainperp.wire.shapes import boolean, optional

HISTORY_MAX: Final = 2_000
"""Purchases in one answer, the newest ones."""


def purchases_due(past: Past, fields: Fields) -> list[tuple[int, int, int, bytes]]:
    """Height, time, log index and BUYBACK entry of the newest purchases, oldest first."""
    if not fields.get("history", False):
        return []
    rows = past.connection.execute(
        "SELECT height, time_ms, idx, entry FROM buybacks ORDER BY idx DESC LIMIT ?",
        (HISTORY_MAX,),
    )
    return [(height, time_ms, index, entry) for height, time_ms, index, entry in rows][::-1]


def assistance_fund(
    context: Context, fields: Fields, rows: list[tuple[int, int, int, bytes]]
) -> Document:
    """The fund's books now, and with `history` its purchases."""
    state = context.state()
    document = fund_document(state)
    if fields.get("history", False):
        document["history"] = [
            purchase_document(
                height, time_ms, index, decode_payload(decode_entry(entry)), state.tokens[NATIVE]
            )
            for height, time_ms, index, entry in rows
        ]
    return document


QUERIES: Final = [
    Query(
        "assistanceFund",
        (optional("history", boolean),),
        look=purchases_due,
        combine=assistance_fund,
        note=f"our own: books and purchases ({Kind.BUYBACK.name}), the newest {HISTORY_MAX:,}",
    )
]
