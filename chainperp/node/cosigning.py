"""A node's checkpoints, shown to witnesses in the background.

Each witness is asked from a thread of its own, one submission at a time, always with the newest
checkpoint; what was published meanwhile is passed over. Commits wait for none of it: cosignatures
are put onto the served checkpoint between two blocks, and dropped when a later checkpoint has
taken its place. A witness that is away is asked again after a growing pause. One that says that
the log contradicts itself is shouted about, and what was said is kept in `D/evidence`.

Decides nothing about trust: how many witnesses suffice is for each reader's policy.

Source: C2SP tlog-witness; audit-log-and-consensus 8.2, 11.1.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry, Counter

from chainperp.base.errors import ChainperpError, InvalidProof, NotFound
from chainperp.client.witness import Outcome, Witness, post, submit
from chainperp.evidence.checkpoint import parse_checkpoint, read_checkpoint
from chainperp.evidence.merkle import prove_consistency
from chainperp.evidence.note import Line, VerifierKey, format_vkey, parse_note
from chainperp.node.producer import Producer
from chainperp.storage.datadir import DataDir
from chainperp.storage.files import StorageFault
from chainperp.storage.logkey import verify_ed25519
from chainperp.storage.tiles import load_checkpoint, load_vkey, open_reader

T = TypeVar("T")
Say = Callable[[str], None]

WITNESSES_MAX: Final = 32
"""Each cosignature is a line of the served checkpoint, which has at most 64."""
TIMEOUT_S: Final = 5.0
"""For each connection and read: nobody waits for a witness but its own thread."""
PAUSE_FIRST_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
FINISH_S: Final = 2.0
"""How long a stopping node waits for the cosignatures of its last checkpoint."""
EVIDENCE: Final = "evidence"
EVIDENCE_MAX: Final = 100
"""Files kept: a few are enough, and a witness must not fill the node's disk."""


class _Follower:
    """One witness and where it stands. Only the event loop touches it."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.due = asyncio.Event()
        self.is_busy = False
        self.pause_s = 0.0
        """Above zero while the witness does not sign."""

    @property
    def is_idle(self) -> bool:
        """Nothing is under way that could end soon."""
        return self.pause_s > 0 or not (self.is_busy or self.due.is_set())


class Cosigning:
    """Keeps the witnesses of one node up with its log. Lives on the event loop's thread."""

    def __init__(self, producer: Producer, witnesses: Sequence[Witness], say: Say) -> None:
        self.producer = producer
        self.say = say
        self.size = 0
        """Size of the last checkpoint that was seen published."""
        self.cosigned_size = 0
        """Largest size that a witness has cosigned since the node began."""
        self._followers = [_Follower(witness) for witness in witnesses]
        self._arrived: list[tuple[bytes, Witness, tuple[Line, ...]]] = []
        self._something_arrived = asyncio.Event()
        self._moved = asyncio.Event()
        """Some follower or the adder has done something."""
        self._tasks: list[asyncio.Task[None]] = []
        self._submissions: Counter | None = None

    def register(self, registry: CollectorRegistry) -> None:
        """Count submissions among a node's figures."""
        self._submissions = Counter(
            "chainperp_witness_submissions",
            "Checkpoints shown to witnesses",
            ("witness", "outcome"),
            registry=registry,
        )

    def start(self) -> None:
        """Begin with the checkpoint that is published now."""
        if self._followers:
            self._tasks = [asyncio.create_task(self._follow(one)) for one in self._followers]
            self._tasks.append(asyncio.create_task(self._add_arrived()))
            self.look()

    def look(self, _published: object = None) -> None:
        """Notice a checkpoint that has been published since the last look."""
        size = self.producer.store.signed_size
        if size != self.size:
            self.size = size
            for follower in self._followers:
                follower.due.set()

    async def finish(self) -> None:
        """Publish the last block and give the witnesses a moment to cosign it; then end.

        Raises: StorageFault when the checkpoint cannot be written.
        """
        if not self._tasks:
            return
        async with self.producer.between_blocks():
            await asyncio.to_thread(self.producer.store.publish)
        self.look()
        try:
            async with asyncio.timeout(FINISH_S):
                while self._arrived or not all(one.is_idle for one in self._followers):
                    self._moved.clear()
                    await self._moved.wait()
                # Lines that were taken are being written.
                async with self.producer.between_blocks():
                    pass
        except TimeoutError:
            self.say("stopped before every witness had cosigned the last checkpoint")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- asking ----------------------------------------------------------------------------------

    async def _follow(self, follower: _Follower) -> None:
        """Submit the newest checkpoint whenever there is one that the witness has not seen."""
        while True:
            await follower.due.wait()
            follower.due.clear()
            follower.is_busy = True
            await self._submit_newest(follower)
            follower.is_busy = False
            self._moved.set()
            if follower.pause_s:
                await asyncio.sleep(follower.pause_s)
                follower.due.set()

    async def _submit_newest(self, follower: _Follower) -> None:
        data = self.producer.store.data
        witness = follower.witness
        try:
            note, outcome = await _in_thread(lambda: _submission(data.log, witness))
        except ChainperpError as error:
            # Nothing that a witness does, and no file that we cannot write, ends the node.
            note, outcome = b"", Outcome(witness, (), str(error))
        if outcome.contradicts:
            await self._accuse(outcome, note)
        self._pace(follower, outcome)
        if outcome.lines:
            self._arrived.append((parse_note(note).text, witness, outcome.lines))
            self._something_arrived.set()
        else:
            self._count(witness, _word(outcome))

    def _pace(self, follower: _Follower, outcome: Outcome) -> None:
        """Set the pause before the next submission, and say when a witness goes or comes back."""
        who = f"witness {outcome.witness.key.name}"
        if outcome.lines:
            if follower.pause_s:
                self.say(f"{who} cosigns again")
            follower.pause_s = 0.0
            return
        if not follower.pause_s and not outcome.contradicts:
            self.say(f"{who} does not cosign: {outcome.problem}; it is asked again")
        longer = max(2 * follower.pause_s, PAUSE_FIRST_S)
        follower.pause_s = PAUSE_MAX_S if outcome.contradicts else min(longer, PAUSE_MAX_S)

    async def _accuse(self, outcome: Outcome, note: bytes) -> None:
        """Keep what contradicts and shout, in this order: the files are what a person looks at."""
        data = self.producer.store.data
        try:
            kept = await _in_thread(lambda: keep_contradiction(data, outcome, note))
            where = f"kept in {kept}" if kept else f"{EVIDENCE_MAX} files of it are kept already"
        except ChainperpError as error:
            where = f"it could not be kept: {error}"
        self.say(
            f"CONTRADICTION: witness {outcome.witness.key.name} at {outcome.witness.url} says that "
            f"this log is not the one it knows: {outcome.problem}. Find out why; {where}"
        )

    def _count(self, witness: Witness, word: str) -> None:
        if self._submissions is not None:
            self._submissions.labels(witness.key.name, word).inc()

    # --- adding ----------------------------------------------------------------------------------

    async def _add_arrived(self) -> None:
        """Put what has arrived onto the served checkpoint, between two blocks."""
        while True:
            await self._something_arrived.wait()
            self._something_arrived.clear()
            async with self.producer.between_blocks():
                arrived, self._arrived = self._arrived, []
                store = self.producer.store
                try:
                    for text, lines in _by_text(arrived).items():
                        is_current = await asyncio.to_thread(store.add_cosignatures, text, lines)
                        self._note_added(text, arrived, is_current)
                except StorageFault as error:
                    # The store takes no further block: the engine loop ends the node.
                    self.say(f"cosignatures cannot be written: {error}")
            self._moved.set()

    def _note_added(
        self, text: bytes, arrived: list[tuple[bytes, Witness, tuple[Line, ...]]], is_current: bool
    ) -> None:
        self.cosigned_size = max(self.cosigned_size, parse_checkpoint(text).size)
        for one, witness, _lines in arrived:
            if one == text:
                self._count(witness, "cosigned" if is_current else "late")


def _by_text(
    arrived: list[tuple[bytes, Witness, tuple[Line, ...]]],
) -> dict[bytes, list[Line]]:
    found: dict[bytes, list[Line]] = {}
    for text, _witness, lines in arrived:
        found.setdefault(text, []).extend(lines)
    return found


def _word(outcome: Outcome) -> str:
    """Label of a submission that brought no cosignature."""
    if outcome.contradicts:
        return "contradiction"
    return "refused" if outcome.is_reached else "away"


def _submission(log: Path, witness: Witness) -> tuple[bytes, Outcome]:
    """Show a witness the checkpoint that is published now. In a thread."""
    note = load_checkpoint(log)
    if note is None:
        raise NotFound("no checkpoint is published yet")

    def prove(old: int, new: int) -> list[bytes]:
        return prove_consistency(open_reader(log, new).node, old, new)

    return note, submit(witness, note, prove, verify_ed25519, TIMEOUT_S)


def keep_contradiction(data: DataDir, outcome: Outcome, note: bytes) -> Path | None:
    """Keep what a witness said against the log; the file, or None when there are enough already.

    Beside our note it holds the checkpoint that the witness serves for this log, when it is signed
    by the log's own key: two signed trees of one size convict the log of two histories.
    Raises: StorageFault, InvalidProof.
    """
    directory = data.path / EVIDENCE
    witness = outcome.witness
    size = parse_checkpoint(parse_note(note).text).size
    name = f"witness-{witness.key.key_id.hex()}-{size:020d}.json"
    if directory.is_dir() and len(list(directory.glob("*.json"))) >= EVIDENCE_MAX:
        return None
    theirs = _checkpoint_of(witness, load_vkey(data.log))
    document: dict[str, Any] = {
        "witness": format_vkey(witness.key),
        "url": witness.url,
        "said": outcome.problem,
        "submitted": note.decode(),
        "known_to_witness": None if theirs is None else theirs.decode(),
    }
    data.files.replace(directory / name, json.dumps(document, indent=1).encode() + b"\n")
    return directory / name


def _checkpoint_of(witness: Witness, log_key: VerifierKey) -> bytes | None:
    """The last checkpoint that a witness serves for a log, if the log's key signed it."""
    path = f"{sha256(log_key.name.encode()).hexdigest()}/checkpoint"
    try:
        status, _kind, body = post(witness.url, path, None, TIMEOUT_S)
        if status != 200:
            return None
        read_checkpoint(body, log_key, verify_ed25519)
    except (NotFound, InvalidProof):
        return None
    return body


async def _in_thread(work: Callable[[], T]) -> T:
    """Run work in a thread that nobody waits for at exit: a witness may hold it for long."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if done.done() else set_it())
        except RuntimeError:
            return  # The node has stopped meanwhile.

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 (told to whoever waits)
            fault = error
            settle(lambda: done.set_exception(fault))
        else:
            settle(lambda: done.set_result(result))

    threading.Thread(target=run, daemon=True, name="witness").start()
    return await done
