"""A witness on disk: its key, the logs it knows, and the last tree it cosigned of each.

    LOCK                        one process at a time
    witness.key, vkey           the cosigner key, and its public half in one line
    logs                        verifier keys of the logs it knows, one a line
    trees/<hex>/latest          the last accepted checkpoint, with the log's signature
    trees/<hex>/checkpoint      the same with our cosignature: what is served
    trees/<hex>/history         the accepted checkpoints before it, 108 bytes each, sizes rising
    evidence/<hex>/…            signed checkpoints that contradict accepted ones, as JSON

where <hex> is SHA-256 of the log's origin. Decides the order of effects: `latest` is durable
before the key signs, so a witness that was killed at any moment never signs a smaller tree, or
another one of the same size, afterwards. Comparing with `latest` and replacing it happen under one
lock. A signature is made only through `WitnessStore.answer`.

Source: C2SP tlog-witness; audit-log-and-consensus 8.2, 11.1.
"""

import json
import struct
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Final, Self

from chainperp.base.errors import BadRequest, InvalidFile, InvalidProof
from chainperp.evidence.cosignature import add_lines, format_lines
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    KIND_ED25519,
    Line,
    Note,
    Sign,
    VerifierKey,
    cosign_text,
    encode_note,
    format_vkey,
    parse_note,
    parse_vkey,
)
from chainperp.evidence.witness import (
    Answer,
    Judgement,
    Request,
    TreeHead,
    is_split,
    judge,
    parse_request,
    read_tree_head,
)
from chainperp.storage.datadir import free_lock, take_lock
from chainperp.storage.files import Files, StorageFault, naming, read_file
from chainperp.storage.logkey import load_key_file, save_key_file, verify_ed25519

KEY: Final = "witness.key"
LOGS: Final = "logs"
RECORD: Final = struct.Struct(">Q32s68s")
"""Size, root, and the first signature line's payload: a note of three lines can be made again."""

EVIDENCE_MAX: Final = 1000
"""Files kept for one log: two are enough to convict, and a log must not fill the disk."""

Warn = Callable[[str], None]


class WitnessStore:
    """An open witness directory. `sign` makes the cosigner key's signatures."""

    def __init__(self, path: Path, files: Files, lock: int, warn: Warn) -> None:
        self.path = path
        self.files = files
        self.warn = warn
        key = load_key_file(path / KEY)
        if key.verifier.kind != KIND_COSIGNATURE:
            raise InvalidFile(f"{path / KEY} is a log's key, a witness signs with kind 04")
        self.key: VerifierKey = key.verifier
        self.sign: Sign = key.sign
        self.logs: dict[str, list[VerifierKey]] = {}
        for log in _load_logs(path):
            self.logs.setdefault(log.name, []).append(log)
        self._lock = lock
        self._turn = Lock()
        self._spoiled = False
        files.remove_temporary([path, *(self.tree(origin) for origin in self.logs)])
        self._latest = {origin: self._load_latest(origin) for origin in self.logs}

    @classmethod
    def open(cls, path: Path, warn: Warn, files: Files | None = None) -> "WitnessStore":
        """Open a witness directory that `create` has made.

        Raises: DirectoryError when another process has it; NotFound, InvalidFile.
        """
        files = files or Files()
        lock = take_lock(path)
        opened = False
        try:
            store = cls(path, files, lock, warn)
            opened = True
        finally:
            if not opened:
                free_lock(path, lock)
        return store

    def tree(self, origin: str) -> Path:
        """Directory of a log's last accepted checkpoint."""
        return self.path / "trees" / sha256(origin.encode()).hexdigest()

    def latest(self, origin: str) -> TreeHead | None:
        """The last accepted tree of a log; None before the first."""
        return self._latest.get(origin)

    def answer(self, raw: bytes, time: int) -> tuple[Judgement, bytes]:
        """Judge a submission at a time in Unix seconds; the body is what a 200 or 409 carries.

        One submission at a time.
        Raises: StorageFault; nothing is answered then, and nothing more is signed until a restart,
        because memory and disk may differ.
        """
        with self._turn:
            if self._spoiled:
                raise StorageFault(f"{self.path}: a write failed before; start the witness again")
            self._spoiled = True
            answered = self._answer(raw, time)
            self._spoiled = False
            return answered

    def _answer(self, raw: bytes, time: int) -> tuple[Judgement, bytes]:
        try:
            request = parse_request(raw)
        except InvalidProof as error:
            return Judgement(Answer.MALFORMED, str(error)), b""
        judged = judge(request, self.logs, self.latest, verify_ed25519)
        if judged.head is not None:
            self._look_for_split(judged, request)
        if judged.answer is Answer.OTHER_SIZE:
            return judged, b"%d\n" % judged.known_size
        if judged.answer is not Answer.COSIGNED or judged.head is None:
            return judged, b""
        return judged, self._accept(judged.head, time)

    def checkpoint(self, name: str) -> bytes | None:
        """The last cosigned checkpoint under the hex SHA-256 of its origin; None when unknown."""
        for origin in self.logs:
            if sha256(origin.encode()).hexdigest() == name:
                return read_file(self.tree(origin) / "checkpoint")
        return None

    def close(self) -> None:
        """Give the lock back."""
        free_lock(self.path, self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _accept(self, head: TreeHead, time: int) -> bytes:
        """Make the tree durable, and only then sign it."""
        known = self._latest[head.origin]
        tree = self.tree(head.origin)
        if known is None or known.size != head.size:
            if known is not None:
                self._append_history(tree, known)
            self.files.replace(tree / "latest", head.note)
            self._latest[head.origin] = head
        text = parse_note(head.note).text
        line = cosign_text(text, self.key, time, self.sign)
        self.files.replace(tree / "checkpoint", add_lines(head.note, [line]))
        return format_lines([line])

    def _load_latest(self, origin: str) -> TreeHead | None:
        path = self.tree(origin) / "latest"
        raw = read_file(path)
        if raw is None:
            return None
        try:
            head = read_tree_head(parse_note(raw))
        except InvalidProof as error:
            raise InvalidFile(f"{path} at byte 0: {error}") from error
        if head.origin != origin:
            raise InvalidFile(f"{path} at byte 0: expected the log {origin}, found {head.origin}")
        return head

    def _append_history(self, tree: Path, head: TreeHead) -> None:
        """Remember an accepted tree that is about to be replaced. A torn record is cut away."""
        note = parse_note(head.note)
        if note.text.count(b"\n") != 3 or len(note.lines[0].signature) != 64:
            return
        path = tree / "history"
        count, last = _count_records(path)
        if last is not None and last[0] >= head.size:
            return
        line = note.lines[0]
        handle = self.files.open_append(path)
        try:
            self.files.truncate(handle, count * RECORD.size)
            self.files.write(
                handle, RECORD.pack(head.size, head.root, line.key_id + line.signature)
            )
            self.files.sync(handle)
        finally:
            self.files.close(handle)

    def _accepted_at(self, head: TreeHead) -> TreeHead | None:
        """The tree that was accepted at a size, if one was."""
        known = self._latest[head.origin]
        if known is None or known.size == head.size:
            return known
        path = self.tree(head.origin) / "history"
        count, _last = _count_records(path)
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            size, root, payload = _read_record(path, middle)
            if size == head.size:
                return self._rebuild(head.origin, size, root, payload)
            low, high = (middle + 1, high) if size < head.size else (low, middle)
        return None

    def _rebuild(self, origin: str, size: int, root: bytes, payload: bytes) -> TreeHead:
        from chainperp.evidence.checkpoint import Checkpoint, format_checkpoint

        text = format_checkpoint(Checkpoint(origin, size, root))
        note = Note(text, (Line(origin, payload[:4], payload[4:]),))
        return TreeHead(origin, size, root, encode_note(note))

    def _look_for_split(self, judged: Judgement, request: Request) -> None:
        """Keep and report a signed checkpoint that contradicts one accepted before."""
        head = judged.head
        if head is None:
            return
        accepted = self._accepted_at(head)
        if accepted is not None and is_split(accepted, head):
            self._keep("split", accepted, head, request)
        elif judged.answer is Answer.INCONSISTENT:
            self._keep("inconsistent", self._latest[head.origin], head, request)

    def _keep(self, kind: str, known: TreeHead | None, head: TreeHead, request: Request) -> None:
        folder = self.path / "evidence" / sha256(head.origin.encode()).hexdigest()
        path = folder / f"{kind}-{head.size:020d}-{head.root.hex()}.json"
        what = (
            f"SPLIT VIEW: {head.origin} signed two trees of size {head.size}"
            if kind == "split"
            else f"INCONSISTENT: {head.origin} signed size {head.size} without a valid proof "
            f"from size {request.old_size}"
        )
        if path.exists() or (folder.is_dir() and len(list(folder.iterdir())) >= EVIDENCE_MAX):
            self.warn(f"{what}; kept before, or too much is kept: {folder}")
            return
        document = {
            "kind": kind,
            "origin": head.origin,
            "size": head.size,
            "accepted": None if known is None else known.note.decode(),
            "submitted": head.note.decode(),
            "old_size": request.old_size,
            "proof": [piece.hex() for piece in request.proof],
        }
        self.files.replace(path, json.dumps(document, indent=1, ensure_ascii=False).encode())
        self.warn(f"{what}; both notes are kept in {path}")


def create(path: Path, name: str, seed: bytes, files: Files | None = None) -> None:
    """Make a witness directory with a new key, unless it is one already.

    Raises: BadRequest for a bad name, or when the directory has a key of another name.
    """
    files = files or Files()
    for parent in files.make_directories(path):
        files.sync_directory(parent)
    if read_file(path / KEY) is None:
        key = save_key_file(path / KEY, name, seed, KIND_COSIGNATURE, files).verifier
    else:
        key = load_key_file(path / KEY).verifier
        if key.name != name:
            raise BadRequest("name", f"{path} is the witness {key.name}, not {name}")
    files.replace(path / "vkey", format_vkey(key).encode() + b"\n")


def add_logs(path: Path, keys: list[VerifierKey], files: Files | None = None) -> None:
    """Let a witness know logs. Raises BadRequest for a key that is no log's."""
    known = _load_logs(path)
    for key in keys:
        if key.kind != KIND_ED25519:
            raise BadRequest("log", f"{format_vkey(key)} is a cosigner's key, not a log's")
    fresh = [key for key in dict.fromkeys(keys) if key not in known]
    if fresh:
        lines = "".join(format_vkey(key) + "\n" for key in [*known, *fresh])
        (files or Files()).replace(path / LOGS, lines.encode())


def _load_logs(path: Path) -> list[VerifierKey]:
    raw = read_file(path / LOGS)
    try:
        return [] if raw is None else [parse_vkey(line) for line in raw.decode().splitlines()]
    except (InvalidProof, UnicodeDecodeError) as error:
        raise InvalidFile(f"{path / LOGS}: {error}") from error


def _count_records(path: Path) -> tuple[int, tuple[int, bytes, bytes] | None]:
    """Whole records of a history file, and the last of them."""
    if not path.exists():
        return 0, None
    count = path.stat().st_size // RECORD.size
    return count, _read_record(path, count - 1) if count else None


def _read_record(path: Path, place: int) -> tuple[int, bytes, bytes]:
    with naming("read", path), path.open("rb") as file:
        file.seek(place * RECORD.size)
        size, root, payload = RECORD.unpack(file.read(RECORD.size))
    return size, root, payload
