"""A data directory: where things live, who may write, and whether it is whole.

    FORMAT          "chainperp 1\\n", written last: without it the directory was never finished
    LOCK            pid of the writer; the lock itself is the kernel's and ends with the process
    genesis.json    the beginning of the chain, hashed as it stands
    log.key         the log's Ed25519 seed in hex, readable by its owner only
    log.signed      the checkpoint text that was about to be signed last
    segments/       the blocks: the truth
    log/            checkpoint, vkey, tile/…: static files to serve
    snapshots/      <height, 12 digits>.snap: accelerators, believed only against a SEAL

Never decides whether the contents agree with each other, beyond one thing: the genesis file, the
log's key and the first block must be of one chain.

Source: ARCHITECTURE 3; audit-log-and-consensus 17; reliability 7.3 W12.
"""

import fcntl
import os
import re
from pathlib import Path
from typing import Final, Self

from chainperp.base.errors import DirectoryError, InvalidFile, InvalidGenesis
from chainperp.base.hashing import leaf_hash
from chainperp.chain.genesis import Genesis, parse_genesis
from chainperp.model.decisions import Kind
from chainperp.model.entries import ENTRY_SIZE_MAX, encode_entry
from chainperp.storage.files import (
    PRIVATE_MODE,
    DamagedFile,
    Files,
    StorageFault,
    naming,
    read_file,
)
from chainperp.storage.logkey import SEED_LENGTH, LogKey
from chainperp.storage.segments import BATCH, LENGTH, RECORD, encode_record, list_segments
from chainperp.storage.tiles import VKEY, load_vkey, save_vkey

FORMAT: Final = b"chainperp 1\n"
SIGNED: Final = "log.signed"
SNAPSHOT: Final = re.compile(r"([0-9]{12})\.snap", re.ASCII)
OURS: Final = ("LOCK", "genesis.json", "log.key", "segments", "snapshots", "FORMAT.tmp")

_writing: dict[Path, None] = {}
"""Directories that this process writes; the kernel's lock does not stop its own process."""


class DataDir:
    """An open data directory. With `write` it holds the lock until `close`."""

    __slots__ = ("_lock", "files", "genesis", "path")

    def __init__(self, path: Path, genesis: Genesis, lock: int | None, files: Files) -> None:
        self.path = path
        self.genesis = genesis
        self.files = files
        self._lock = lock

    @property
    def segments(self) -> Path:
        """Directory of the blocks."""
        return self.path / "segments"

    @property
    def log(self) -> Path:
        """Directory of the log's static files, as they may be served."""
        return self.path / "log"

    @property
    def snapshots(self) -> Path:
        """Directory of the snapshots."""
        return self.path / "snapshots"

    @property
    def signed(self) -> Path:
        """File with the checkpoint text that was about to be signed last."""
        return self.path / SIGNED

    @property
    def index(self) -> Path:
        """Database of indexes; it may be deleted."""
        return self.path / "index.db"

    @staticmethod
    def create(
        path: Path, genesis_raw: bytes, log_seed: bytes, files: Files | None = None
    ) -> "DataDir":
        """Make a data directory and open it for writing.

        FORMAT comes last, so a crash on the way leaves a directory that `open` refuses.
        Raises: InvalidGenesis, BadRequest for a bad seed, DirectoryError when something is there.
        """
        files = files or Files()
        genesis = parse_genesis(genesis_raw)
        key = LogKey(genesis.origin, log_seed)
        _refuse_existing(path)
        for parent in files.make_directories(path):
            files.sync_directory(parent)
        lock = take_lock(path)
        made = DataDir(path, genesis, lock, files)
        finished = False
        try:
            for directory in (made.segments, made.log, made.snapshots):
                files.make_directory(directory)
            files.replace(path / "genesis.json", genesis_raw)
            files.replace(path / "log.key", log_seed.hex().encode() + b"\n", PRIVATE_MODE)
            save_vkey(made.log, key.verifier, files)
            files.replace(path / "FORMAT", FORMAT)
            finished = True
        finally:
            if not finished:
                made.close()
        return made

    @staticmethod
    def open(path: Path, *, write: bool, files: Files | None = None) -> "DataDir":
        """Open an existing data directory.

        Raises: DirectoryError when it is none, half made, of another format, locked by another
        process, without genesis, or of two chains; InvalidGenesis, InvalidFile for damaged files.
        """
        files = files or Files()
        check_format(path)
        genesis = load_genesis(path)
        _check_chain(path, genesis)
        if not write:
            return DataDir(path, genesis, None, files)
        lock = take_lock(path)
        return DataDir(path, genesis, lock, files)

    @property
    def is_writer(self) -> bool:
        """This process holds the lock through this object."""
        return self._lock is not None

    def load_log_key(self) -> LogKey:
        """The log's private key. Raises InvalidFile when missing, malformed or not the log's."""
        path = self.path / "log.key"
        raw = read_file(path)
        if raw is None:
            raise InvalidFile(f"{path} is missing: the log cannot be signed without it")
        if re.fullmatch(rb"[0-9a-f]{%d}\n" % (2 * SEED_LENGTH), raw) is None:
            raise DamagedFile(path, 0, f"{SEED_LENGTH} bytes in hex and a newline",
                              f"{len(raw)} other bytes")  # fmt: skip
        key = LogKey(self.genesis.origin, bytes.fromhex(raw.decode("ascii").strip()))
        public = load_vkey(self.log)
        if key.verifier != public:
            raise InvalidFile(
                f"{path} is the key {key.verifier.key_id.hex()}, {self.log / VKEY} says "
                f"{public.key_id.hex()}"
            )
        return key

    def list_snapshots(self) -> list[tuple[int, Path]]:
        """Height and file of each snapshot, newest first. Names only: nothing is read."""
        return list_snapshots(self.snapshots)

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            free_lock(self.path, self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def snapshot_path(directory: Path, height: int) -> Path:
    """File of a height's snapshot."""
    return directory / f"{height:012d}.snap"


def list_snapshots(directory: Path) -> list[tuple[int, Path]]:
    """Height and file of each snapshot in a directory, newest first."""
    if not directory.is_dir():
        return []
    found: list[tuple[int, Path]] = []
    with naming("list", directory):
        for path in directory.iterdir():
            match = SNAPSHOT.fullmatch(path.name)
            if match is not None and path.is_file() and not path.is_symlink():
                found.append((int(match[1]), path))
    return sorted(found, reverse=True)


def check_format(path: Path) -> None:
    """The directory is a finished one of our format. Raises DirectoryError saying what it is."""
    if not path.is_dir():
        raise DirectoryError(f"{path} is not a data directory: there is no directory")
    found = read_file(path / "FORMAT")
    if found is None and any((path / name).exists() for name in OURS):
        raise DirectoryError(f"{path} was never finished: delete it and make it anew")
    if found is None:
        raise DirectoryError(f"{path} is not a data directory: it has no FORMAT file")
    if found != FORMAT:
        raise DirectoryError(
            f"{path} has format {found[:40]!r}, this version reads only {FORMAT!r}"
        )


def load_genesis(path: Path) -> Genesis:
    """Genesis of a data directory. Raises DirectoryError when missing, InvalidGenesis."""
    file = path / "genesis.json"
    raw = read_file(file)
    if raw is None:
        raise DirectoryError(f"{file} is missing: without it the chain cannot be checked")
    try:
        return parse_genesis(raw)
    except InvalidGenesis as error:
        raise InvalidGenesis(f"{file}: {error}") from error


def _refuse_existing(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_dir():
        raise DirectoryError(f"{path} is not a directory")
    if (path / "FORMAT").exists():
        raise DirectoryError(f"{path} already holds a chain")
    if any((path / name).exists() for name in OURS):
        raise DirectoryError(f"{path} was never finished: delete it and make it anew")
    if any(path.iterdir()):
        raise DirectoryError(f"{path} is not empty: a new chain needs a directory of its own")


def _check_chain(path: Path, genesis: Genesis) -> None:
    """The log's key and its first entry are of the chain that genesis.json begins."""
    key = load_vkey(path / "log")
    if key.name != genesis.origin:
        raise DirectoryError(
            f"{path / 'genesis.json'} begins {genesis.origin!r}, the log's key is of {key.name!r}"
        )
    first = _first_entry(path / "segments")
    expected = encode_entry(Kind.GENESIS, 0, 0, genesis.raw)
    if first is not None and first != expected:
        raise DirectoryError(
            f"{path / 'genesis.json'} is the genesis of another chain than the log: its leaf "
            f"hash is {leaf_hash(expected).hex()}, the log's first is {leaf_hash(first).hex()}"
        )


def _first_entry(directory: Path) -> bytes | None:
    """First entry of the segments; None when block 0 is not there or not whole.

    Damage is for whoever reads the segments to name.
    """
    if not directory.is_dir():
        raise DirectoryError(f"{directory} is missing: the chain's blocks are gone")
    paths = list_segments(directory)
    raw = b""
    if paths:
        with naming("read", paths[0]), paths[0].open("rb") as file:
            raw = file.read(RECORD.size + LENGTH.size + ENTRY_SIZE_MAX)
    if len(raw) < RECORD.size:
        return None
    _magic, _kind, length, _check = RECORD.unpack_from(raw)
    payload = raw[RECORD.size : RECORD.size + length]
    if raw[: RECORD.size + length] != encode_record(BATCH, payload):
        return None
    return payload[LENGTH.size :]


def take_lock(path: Path) -> int:
    """Lock a directory for this process and write its pid. The lock ends with the process.

    Forked children do not hold it, so a pool that outlives its killed node blocks nobody. The
    price: a process that opens and closes LOCK once more, by whatever means, loses its lock.
    """
    real = path.resolve()
    if real in _writing:
        raise DirectoryError(f"{path} is locked by pid {os.getpid()}, this process itself")
    with naming("open", path / "LOCK"):
        number = os.open(path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(number, 0)
        os.pwrite(number, b"%d\n" % os.getpid(), 0)
    except BlockingIOError as error:
        owner = os.pread(number, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(number)
        raise DirectoryError(f"{path} is locked by pid {owner}") from error
    except OSError as error:
        os.close(number)
        raise StorageFault(f"{path / 'LOCK'}: cannot lock: {error.strerror}") from error
    _writing[real] = None
    return number


def free_lock(path: Path, number: int) -> None:
    """Give back the lock of a directory."""
    _writing.pop(path.resolve(), None)
    os.close(number)
