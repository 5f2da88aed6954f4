"""The node's own record types follow the schemas of the log."""

from chainperp.model.decisions import Kind, OrderStatus
from chainperp.model.entries import HEADER_SIZE
from chainperp.model.records import SCHEMAS
from chainperp.node.effects import (
    STATUS,
    Effects,
    FillRecord,
    OrderRecord,
    asset_of,
    cloid_of,
    fill_record,
    oid_of,
    order_record,
)
from chainperp.transition.recorder import FILL, ORDER_HEAD


def _names(kind: Kind) -> list[str]:
    return [field[0] for field in SCHEMAS[kind]]


def test_records_have_the_fields_of_their_entries() -> None:
    """A field that the engine adds to an entry is added here, in the same place."""
    assert list(FillRecord._fields) == _names(Kind.FILL)
    assert list(OrderRecord._fields) == [name for name in _names(Kind.ORDER) if name != "rule"]


def test_what_is_read_at_a_place_is_what_the_whole_record_says() -> None:
    """Answers look at single places of an entry; reading all of it gives the same."""
    client_id = bytes(range(16))
    for cloid in (None, client_id):
        fields = (1, Kind.ORDER, 7, 3, 0, 2**63 + 5, OrderStatus.FILLED, 2, 4, b"\x11" * 20, 70_001,
                  True, 900, 80, 70, 1, False, bytes(16), bytes(16), cloid is not None)  # fmt: skip
        raw = ORDER_HEAD.pack(*fields) + (cloid or b"")
        record = order_record(raw)
        assert (oid_of(raw), asset_of(raw), cloid_of(raw)) == (2**63 + 5, 70_001, cloid)
        assert (record.oid, record.asset, record.cloid) == (2**63 + 5, 70_001, cloid)
        assert raw[STATUS] == record.status == OrderStatus.FILLED
    trade = FILL.pack(1, Kind.FILL, 7, 4, 0, 11, 70_001, 12_345, 678, b"\x22" * 20, 99, 1, 2, 3, 4,
                      b"\x33" * 20, 2**63 + 5, 5, 6, 7, 8, 9, 10)  # fmt: skip
    effects = Effects(0, bytes(HEADER_SIZE) + b"\x00\x00")
    effects.entries = [raw, trade]
    fill = fill_record(trade)
    assert effects.traded(2**63 + 5) == [(fill.price, fill.lots)] == [(12_345, 678)]
    assert effects.traded(99) == []
    assert effects.new_orders(2**63) == [raw]
    assert effects.new_orders(2**63 + 6) == []
    assert effects.next_oid(1) == 2**63 + 6
