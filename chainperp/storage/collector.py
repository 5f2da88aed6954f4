"""When Python's collector of cycles runs. It finds next to nothing here and walks over everything.

Nearly all of a chain's objects live as long as the chain, and what does end, ends without a cycle:
a day of every kind of action leaves none. A pass over a million accounts takes seconds, in the
middle of a block. Never decides a byte.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

YOUNG_MAX: Final = 50_000
"""New objects without a pass; Python's own 700 are made within one batch of requests."""

NEW_MAX: Final = 200_000
"""Objects that are new in a chain before `between_blocks` looks at them: some tens of megabytes,
if all of them were garbage."""


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


@contextmanager
def one_chain() -> Iterator[None]:
    """Load and execute one chain, or one part of it, without the collector but for the passes of
    `between_blocks`. At the end whatever the chain leaves behind is freed: its accounts and orders
    know each other, so a whole state is one cycle. What was there before is never looked at."""
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        if was_on:
            gc.enable()


def between_blocks(blocks: Iterator[T]) -> Iterator[T]:
    """The same blocks. Between two of them, where enough is new, one pass over what is new: memory
    stays bounded even where a cycle is left, and no object is looked at twice."""
    for block in blocks:
        yield block
        if gc.get_count()[0] >= NEW_MAX:
            gc.collect(0)
