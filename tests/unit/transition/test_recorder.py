"""The numbers of an order's record, which are packed in words, are those that were compared."""

import pytest

from chainperp.base.units import Address
from chainperp.model.accounts import Account, Exposure
from chainperp.model.actions import GTC
from chainperp.model.decisions import OrderStatus, Rejection
from chainperp.model.entries import decode_entry, decode_payload
from chainperp.model.orders import Order
from chainperp.node.effects import order_record
from chainperp.transition.recorder import Recorder

WORD = 2**63


@pytest.mark.parametrize("cloid", [None, b"c" * 16])
@pytest.mark.parametrize(
    "number",
    [0, 1, -1, WORD - 1, WORD, WORD + 1, -WORD, -WORD - 1, 2 * WORD - 1, 2 * WORD, -2 * WORD,
     -2 * WORD - 1, 2**127 - 1, -(2**127)],
)  # fmt: skip
def test_numbers_of_any_size_are_recorded(number: int, cloid: bytes | None) -> None:
    """Up to the ends of an i128, either number, with and without a client id."""
    account = Account(Address(b"a" * 20))
    order = Order(7, account, Exposure(3, True, 1), True, 100, 5, False, GTC, cloid)
    recorder = Recorder(9, 1_000)
    recorder.order(order, OrderStatus.REJECTED, Rejection.PERP_MARGIN, number, -5)
    recorder.order(order, OrderStatus.REJECTED, Rejection.PERP_MARGIN, 12, number)
    for raw, seq, numbers in zip(recorder.entries, (0, 1), ((number, -5), (12, number)),
                                 strict=True):  # fmt: skip
        entry = decode_entry(raw)
        fields = decode_payload(entry)
        assert (entry.height, entry.seq) == (9, seq)
        assert (fields["found"], fields["needed"], fields["cloid"]) == (*numbers, cloid)
        read = order_record(raw)
        assert (read.found, read.needed, read.cloid) == (*numbers, cloid)
