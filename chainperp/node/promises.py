"""Signs promises of inclusion for whoever asks for one with his request."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from chainperp.evidence.promise import Promise, sign_promise
from chainperp.model.envelope import transaction_hash
from chainperp.node.room import Place
from chainperp.storage.logkey import LogKey
from chainperp.storage.store import ChainStore

DEADLINE_MS: Final = 10_000
"""Chain time after a block by which a checkpoint covers it: one is published each second."""


class Promiser:
    """The log's key of the chain that is run now, and what it promises with it."""

    def __init__(self, store: Callable[[], ChainStore]) -> None:
        self.store = store
        self._path: Path | None = None
        self._key: LogKey | None = None

    def promise(self, place: Place) -> str:
        """The signed note about a transaction that is in a durable block."""
        key = self._load()
        promise = Promise(
            key.verifier.name,
            transaction_hash(place.envelope),
            place.height,
            place.index,
            place.size,
            place.time_ms + DEADLINE_MS,
        )
        return sign_promise(promise, key.verifier, key.sign).decode()

    def _load(self) -> LogKey:
        data = self.store().data
        if self._key is None or self._path != data.path:
            self._key = data.load_log_key()
            self._path = data.path
        return self._key
