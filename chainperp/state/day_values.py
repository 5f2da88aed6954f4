"""The collection `mm`: what a child of the liquidity vault was worth when its day began."""

from collections.abc import Iterable

from chainperp.base.canonical import Record
from chainperp.base.units import Address
from chainperp.state.store import State


def keys(state: State) -> Iterable[bytes]:
    """Children that have begun a day."""
    return state.day_values


def write(state: State, key: bytes) -> Record | None:
    """Fields of a child's leaf, None when it has none."""
    value = state.day_values.get(Address(key))
    return None if value is None else {"value": value}


def read(state: State, key: bytes, value: Record) -> None:
    """Take a leaf of a snapshot over."""
    state.day_values[state.accounts[Address(key)].address] = value["value"]
