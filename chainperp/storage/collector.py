"""When Python's collector of cycles runs. It finds next to nothing here and walks over everything.

Nearly all of a chain's objects live as long as the chain, and what does end, ends without a cycle.
A pass over a million accounts takes seconds, in the middle of a block. Never decides a byte.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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


def settle() -> None:
    """Tell the collector that what has been loaded stays: later passes leave it out."""
    gc.collect()
    gc.freeze()
