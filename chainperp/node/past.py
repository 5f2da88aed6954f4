"""Keeps every checkpoint that a running node publishes (`storage.history`)."""

from collections.abc import Callable
from pathlib import Path

from chainperp.base.errors import ChainperpError
from chainperp.node.producer import Producer
from chainperp.storage.history import History
from chainperp.storage.tiles import load_checkpoint

Say = Callable[[str], None]


class Past:
    """Looks after every block whether a checkpoint came with it.

    A history that cannot be written is said once and ends nothing: it is no part of the log.
    """

    def __init__(self, producer: Producer, say: Say) -> None:
        self.producer = producer
        self.say = say
        self._data: Path | None = None
        self._history: History | None = None
        self._tried = 0
        self._is_told = False

    def look(self, _published: object = None) -> None:
        """Keep the checkpoint that is published now, unless it is kept already."""
        store = self.producer.store
        if store.signed_size == self._tried and store.data.path == self._data:
            return
        self._tried = store.signed_size
        try:
            history = self._open(store.data.path)
            if store.signed_size <= history.size:
                return
            note = load_checkpoint(store.data.log)
            if note is not None:
                history.add(note, self.producer.engine.state.time_ms)
        except (ChainperpError, OSError) as error:
            self._fail(error)

    def keep(self, note: bytes) -> None:
        """Keep a checkpoint that has got cosignatures."""
        try:
            history = self._open(self.producer.store.data.path)
            history.add(note, self.producer.engine.state.time_ms)
        except (ChainperpError, OSError) as error:
            self._fail(error)

    def _open(self, data: Path) -> History:
        """The history of the chain that is run now: a developer control may change the chain."""
        if self._history is None or self._data != data:
            self._history = History(data)
            self._data = data
        return self._history

    def _fail(self, error: Exception) -> None:
        if not self._is_told:
            self._is_told = True
            self.say(f"the history of checkpoints is not kept: {error}")
