"""Actions read straight from their bytes are those that the general reader makes of them."""

from typing import Any

import msgpack as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from chainperp.base.msgpack import pack, unpack
from chainperp.base.units import Address, strip_decimal
from chainperp.chain.decode import decode_action, transaction_of
from chainperp.chain.plain_actions import plain_action
from chainperp.model.actions import Action, CancelOrders, PlaceOrders
from chainperp.model.envelope import L1, MULTI_SIG, USER_SIGNED, Envelope, encode_envelope
from chainperp.wire.actions import canonical_action

FIXED = settings(derandomize=True, database=None, deadline=None, max_examples=400)
EDGES = [n + d for n in (1, 2**7, 2**8, 2**16) for d in (-1, 0, 1)]

assets = st.integers(0, 200) | st.integers(0, 2**32 - 1) | st.sampled_from(EDGES)
numbers = st.integers(0, 2**64 - 1) | st.sampled_from([*EDGES, 2**32 - 1, 2**32])
plain_decimals = st.integers(0, 10**18 - 1).map(lambda one: strip_decimal(one, 8))
odd_decimals = st.sampled_from(
    ["0.0", "10000000000", "00", "1.", ".5", "-1", "1e3", "0.000000001", "1.50", "", "9" * 40]
)


def orders_of(
    numbers: st.SearchStrategy[str], tifs: tuple[str, ...]
) -> st.SearchStrategy[dict[str, Any]]:
    """Limit orders with such prices and sizes, in canonical key order."""
    cloids = st.none() | st.binary(min_size=16, max_size=16)
    return st.builds(one_order, assets, st.booleans(), numbers, numbers, st.booleans(),
                     st.sampled_from(tifs), cloids)  # fmt: skip


def one_order(*fields: Any) -> dict[str, Any]:
    """An order of these fields; the last one is the client id."""
    found = dict(zip(("a", "b", "p", "s", "r", "t", "c"), fields, strict=True))
    found["t"] = {"limit": {"tif": found["t"]}}
    cloid = found.pop("c")
    return found if cloid is None else {**found, "c": "0x" + cloid.hex()}


TIFS = ("Gtc", "Ioc", "Alo")
plain_orders = orders_of(plain_decimals, TIFS)
orders = orders_of(plain_decimals | odd_decimals, (*TIFS, "FrontendMarket", "Day"))
placements = st.builds(
    lambda rows, grouping: {"type": "order", "orders": rows, "grouping": grouping},
    st.lists(orders, max_size=3) | st.builds(lambda one, n: [one] * n, orders, st.integers(14, 17)),
    st.sampled_from(["na", "na", "na", "normalTpsl"]),
)
cancels = st.lists(
    st.builds(lambda asset, oid: {"a": asset, "o": oid}, assets, numbers), max_size=17
).map(lambda rows: {"type": "cancel", "cancels": rows})  # fmt: skip
actions = placements | cancels


def shown(value: Any) -> Any:
    """All fields of an action, however deep."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    # A compiled class has its fields under another name.
    names = getattr(type(value), "__slots__", getattr(type(value), "__mypyc_attrs__", ()))
    if names and not isinstance(value, int):
        return {name: shown(getattr(value, name)) for name in names}
    return value


def fields(action: Action) -> tuple[type, Any]:
    return type(action), shown(action)


def read(raw: bytes) -> Action | None:
    return plain_action(b"head" + raw + b"tail", 4, 4 + len(raw))


def packed(action: dict[str, Any]) -> bytes:
    """The library's bytes."""
    return bytes(reference.packb(action))


@FIXED
@given(st.lists(plain_orders, min_size=1, max_size=15))
def test_every_placement_of_plain_orders_is_read(rows: list[dict[str, Any]]) -> None:
    """Field for field what the general reader makes of it."""
    action = {"type": "order", "orders": rows, "grouping": "na"}
    raw = packed(action)
    found = read(raw)
    assert found is not None
    assert fields(found) == fields(decode_action(action, L1))


@FIXED
@given(actions)
def test_a_plain_action_is_what_the_general_reader_makes_of_it(action: dict[str, Any]) -> None:
    """Field for field; and its bytes are their own canonical form."""
    raw = packed(action)
    found = read(raw)
    if found is not None:
        assert fields(found) == fields(decode_action(unpack(raw), L1))
        assert pack(canonical_action(unpack(raw))) == raw


@FIXED
@given(actions, st.data())
def test_damaged_bytes_are_never_read_as_something_else(
    action: dict[str, Any], data: st.DataObject
) -> None:
    """What is read of them is still what the general reader says."""
    raw = bytearray(packed(action))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(len(raw) - 2, len(raw)))])
    found = read(cut)
    if found is not None:
        assert fields(found) == fields(decode_action(unpack(cut), L1))
        assert pack(canonical_action(unpack(cut))) == cut


def order(**changes: Any) -> dict[str, Any]:
    kind = {"limit": {"tif": "Alo"}}
    return {"a": 3, "b": True, "p": "29300", "s": "0.01", "r": False, "t": kind, **changes}


def test_the_usual_actions_are_plain() -> None:
    """The quick way is taken where it should be: one order, some orders, some cancels."""
    for rows in ([order()], [order(a=10_000, c="0x" + "ab" * 16), order(p="0.5", b=False)]):
        raw = pack({"type": "order", "orders": rows, "grouping": "na"})
        assert isinstance(read(raw), PlaceOrders)
    raw = pack({"type": "cancel", "cancels": [{"a": 0, "o": 2**40}, {"a": 70_000, "o": 5}]})
    assert isinstance(read(raw), CancelOrders)


def test_every_other_action_is_left_to_the_general_reader() -> None:
    """Groups, builders, triggers, more than fifteen of them, and what is not canonical."""
    place = {"type": "order", "orders": [order()], "grouping": "na"}
    trigger = {"trigger": {"isMarket": True, "triggerPx": "1", "tpsl": "sl"}}
    for other in (
        {**place, "grouping": "normalTpsl"},
        {**place, "builder": {"b": "0x" + "11" * 20, "f": 1}},
        {**place, "orders": []},
        {**place, "orders": [order()] * 16},
        {**place, "orders": [order(t=trigger)]},
        {**place, "orders": [order(p="1.0")]},
        {**place, "orders": [order(c="0x" + "AB" * 16)]},
        {"type": "cancel", "cancels": []},
        {"type": "cancel", "cancels": [{"a": 0, "o": 1}], "f": True},
        {"type": "noop"},
    ):
        assert read(pack(other)) is None


@FIXED
@given(
    actions.map(packed) | st.just(b""),
    st.sampled_from([L1, L1, USER_SIGNED, MULTI_SIG]),
    st.none() | st.binary(min_size=20, max_size=20),
    st.none() | st.integers(0, 2**64 - 1),
)
def test_a_transaction_is_the_same_whichever_way_it_was_read(
    raw: bytes, scheme: int, vault: bytes | None, expires_after: int | None
) -> None:
    """Cut at fixed places, or through its envelope and the general reader."""
    envelope = Envelope(scheme, 7, vault, expires_after, raw, 27, bytes(32), bytes(32))
    signed = encode_envelope(envelope)
    found = read(raw)
    if scheme == MULTI_SIG or found is None:
        return
    made = transaction_of(signed, b"s" * 20)
    assert fields(made.action) == fields(decode_action(unpack(raw), scheme))
    assert (made.nonce, made.envelope, made.signer) == (7, signed, Address(b"s" * 20))
    assert (made.vault, made.expires_after) == (vault, expires_after)
    assert (made.is_user_signed, made.multi_sig) == (scheme == USER_SIGNED, None)
