"""Private keys on disk: one encrypted file for each, in the format that wallets share.

A file is Web3 Secret Storage version 3 (scrypt, AES-128-CTR, Keccak MAC), so a key can be moved to
any Ethereum wallet. Files are readable by their owner only and are never overwritten; a file that
others can read is refused. The password comes from a callable and is asked for last, so that a
mistyped name costs nobody a password. No message holds a key or a password.
Source: SEC 6; Web3 Secret Storage Definition.
"""

import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final

from chainperp.base.errors import BadRequest, InvalidFile
from chainperp.base.units import Address

Password = Callable[[], str]

SUFFIX: Final = ".json"
OWNER_ONLY: Final = 0o600
FILE_BYTES_MAX: Final = 16_384
# scrypt's n: about a second and 256 MiB for each guess. Tests use less.
WORK_FACTOR: Final = 1 << 18
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key file, as it can be listed without its password."""

    name: str
    address: Address
    path: Path


def new_key(
    directory: Path, name: str, password: Password, *, work_factor: int = WORK_FACTOR
) -> StoredKey:
    """Make a key from the system's randomness and keep it under a name."""
    # Chance of a number outside the curve's range: 2^-128; the library refuses it then.
    return import_key(directory, name, token_bytes(32), password, work_factor=work_factor)


def import_key(
    directory: Path,
    name: str,
    private_key: bytes,
    password: Password,
    *,
    work_factor: int = WORK_FACTOR,
) -> StoredKey:
    """Keep a key that exists under a name.

    Raises: BadRequest `key_name`, `key_exists`, `private_key` or `password`, in this order.
    """
    path = _path(directory, name)
    if path.exists():
        raise BadRequest("key_exists", f"key {name} exists already; nothing is overwritten")
    address = _address_of(private_key)
    word = password()
    if not word:
        raise BadRequest("password", "an empty password protects nothing")
    document = _keyfile().create_keyfile_json(
        private_key, word.encode(), kdf="scrypt", iterations=work_factor
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_new(path, json.dumps(document, indent=1).encode())
    return StoredKey(name, address, path)


def list_keys(directory: Path) -> list[StoredKey]:
    """Keys of a directory in the order of their names. A directory that is not there has none."""
    if not directory.is_dir():
        return []
    names = sorted(path.stem for path in directory.iterdir() if path.suffix == SUFFIX)
    found = [name for name in names if _NAME.fullmatch(name)]
    return [
        StoredKey(name, _read(_path(directory, name))[1], _path(directory, name)) for name in found
    ]


def load_key(directory: Path, name: str, password: Password) -> bytes:
    """Private key of a name.

    Raises: BadRequest `key_name`, `key_unknown` or `password`; InvalidFile when the file can be
    read by others or is not a key file.
    """
    path = _path(directory, name)
    if not path.exists():
        raise BadRequest("key_unknown", f"no key {name} in {directory}")
    document, address = _read(path)
    word = password()
    try:
        key: bytes = _keyfile().decode_keyfile_json(document, word.encode())
    except (ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError) as error:
        if str(error) == "MAC mismatch":
            raise BadRequest("password", f"the password does not open key {name}") from error
        raise InvalidFile(f"{path}: not a version 3 key file") from error
    if _address_of(key) != address:
        raise InvalidFile(f"{path}: holds the key of another address than it says")
    return key


def _keyfile() -> Any:
    """The library's module, imported late because it costs a second; untyped because it declares
    passwords as text, encodes text as Latin-1, and takes the UTF-8 bytes that other wallets use.
    """
    from eth_keyfile import keyfile

    return keyfile


def _path(directory: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise BadRequest(
            "key_name",
            "a key's name has 1 to 64 letters, digits, - or _, and starts with a letter or "
            f"digit: was {name[:64]!a}",
        )
    return directory / (name + SUFFIX)


def _read(path: Path) -> tuple[dict[str, Any], Address]:
    """The document of a key file and the address that it names."""
    details = path.lstat()
    if not stat.S_ISREG(details.st_mode):
        raise InvalidFile(f"{path}: not a plain file")
    mode = stat.S_IMODE(details.st_mode)
    if mode & 0o077:
        raise InvalidFile(f"{path}: mode is {mode:04o}, others can read it; chmod 600 it")
    if details.st_size > FILE_BYTES_MAX:
        raise InvalidFile(f"{path}: {details.st_size} bytes are too many for a key file")
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != 3 or document["crypto"]["cipher"] != "aes-128-ctr":
            raise ValueError("version")
        address = bytes.fromhex(document["address"].removeprefix("0x"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidFile(f"{path}: not a version 3 key file") from error
    if len(address) != 20:
        raise InvalidFile(f"{path}: its address has {len(address)} bytes")
    return document, Address(address)


def _write_new(path: Path, content: bytes) -> None:
    """Create a file that did not exist, for its owner only, and have it on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, OWNER_ONLY)
    except FileExistsError as error:
        raise BadRequest("key_exists", f"{path.name} exists already") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _address_of(private_key: bytes) -> Address:
    from eth_keys.datatypes import PrivateKey
    from eth_utils.exceptions import ValidationError

    try:
        return Address(PrivateKey(private_key).public_key.to_canonical_address())
    except (ValidationError, ValueError) as error:
        raise BadRequest(
            "private_key", "a private key is 32 bytes, between 1 and the order"
        ) from error
