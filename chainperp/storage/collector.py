"""When Python's collector of cycles runs. It finds next to nothing here and walks over everything.

Nearly all of a chain's objects live as long as the chain, and what does end, ends without a cycle.
A pass over a million accounts takes seconds, in the middle of a block. Never decides a byte.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_MAX: Final = 50_000
"""New objects without a pass; Python's own 700 are made within one batch of requests."""


@contextmanager
def collector_off() -> Iterator[None]:
    """Run without the collector: while a state is loaded, or a block executed and committed."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def seldom() -> None:
    """From now on let a pass wait for as many new objects as a few full blocks leave behind."""
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])


def settle() -> None:
    """Tell the collector that what has been loaded stays: later passes leave it out."""
    gc.collect()
    gc.freeze()
