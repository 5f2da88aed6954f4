"""The collector is off while a chain runs, and yet nothing that ended is kept."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from chainperp.storage import collector


class Knot:
    """A cycle: what an account and its orders are to each other."""

    def __init__(self) -> None:
        self.other = self


def test_what_a_chain_leaves_behind_is_freed_at_its_end() -> None:
    """The next part of a replay does not find the state of the one before it in memory."""
    before = Knot()
    with collector.one_chain():
        assert not gc.isenabled()
        found = ref(Knot())
        assert found() is not None
    assert gc.isenabled()
    assert found() is None
    assert before.other is before


def test_the_collector_stays_as_it_was_found() -> None:
    """A caller who has turned it off does not find it on."""
    gc.disable()
    try:
        with collector.one_chain():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_cycles_do_not_pile_up_between_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by what a pass waits for, however long the chain is."""
    monkeypatch.setattr(collector, "NEW_MAX", 500)
    knots: list[ref[Knot]] = []

    def blocks() -> Iterator[int]:
        for height in range(100):
            knots.extend(ref(Knot()) for _ in range(20))
            yield height

    alive = 0
    with collector.one_chain():
        for _height in collector.between_blocks(blocks()):
            alive = max(alive, sum(knot() is not None for knot in knots))
    assert len(knots) == 2_000
    assert 20 <= alive <= 1_000
