"""Processes that a node starts for work that must not hold up its loop.

They are started fresh (spawn), end soon after the node has ended however that happened, and leave
the terminal's interrupt to the node, which stops them itself.
"""

import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

WATCH_SECONDS: Final = 1


def child_pool(processes: int) -> ProcessPoolExecutor:
    """A pool of so many processes of this node. They start with the first work."""
    return ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(os.getpid(),),
    )


def _begin(parent: int) -> None:
    """In the child: watch the node, and do not end in the middle of an interrupted line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
