"""The node's own record types follow the schemas of the log."""

from chainperp.model.decisions import Kind
from chainperp.model.records import SCHEMAS
from chainperp.node.effects import FillRecord, OrderRecord


def _names(kind: Kind) -> list[str]:
    return [field[0] for field in SCHEMAS[kind]]


def test_records_have_the_fields_of_their_entries() -> None:
    """A field that the engine adds to an entry is added here, in the same place."""
    assert list(FillRecord._fields) == _names(Kind.FILL)
    assert list(OrderRecord._fields) == [name for name in _names(Kind.ORDER) if name != "rule"]
