"""The four families of error, and nothing else.

    ChainperpError
    ├── BadRequest         what came from outside is malformed           -> usage error, 4xx
    ├── NotFound           a file, directory, key or node that is not there       -> not found
    ├── Invalid            something that claims to be ours is not       -> checked and false
    │   ├── InvalidBytes       not the canonical form of a record
    │   ├── InvalidGenesis     a genesis file that cannot start a chain
    │   ├── InvalidBlock       re-execution disagrees with the log
    │   ├── InvalidProof       a proof, checkpoint or note that does not verify
    │   ├── InvalidSnapshot    a snapshot that is not the state it claims
    │   └── InvalidFile        a damaged file, with its offset
    └── InvariantBroken    the state is wrong: the process stops, nothing is published

A refused order is none of these: it is a `Rejection`, a value (`model/decisions.py`).
Messages say what was found, the values on both sides, and where.
"""

from typing import Final

EXIT_OK: Final = 0
EXIT_FALSE: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_REFUSED: Final = 4
EXIT_FAULT: Final = 70


class ChainperpError(Exception):
    """Root of every error that chainperp raises on purpose."""


class BadRequest(ChainperpError):
    """Input from outside is malformed; `code` is a stable word for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFound(ChainperpError):
    """What was asked for is not there, or cannot be opened by us."""


class Invalid(ChainperpError):
    """Something that claims to be ours does not check out."""


class InvalidBytes(Invalid):
    """The bytes are not the one canonical form of the record they claim to be."""


class InvalidGenesis(Invalid):
    """A genesis file cannot start a chain; names the field and the value."""


class InvalidProof(Invalid):
    """A proof, checkpoint or signed note does not verify; names the step."""


class InvalidSnapshot(Invalid):
    """A snapshot is not the state that its seal commits to."""


class InvalidFile(Invalid):
    """A file of the data directory is damaged; names the file and the offset."""


class DirectoryError(Invalid):
    """A directory cannot be used as a data directory; one sentence says why and what to do."""


class InvalidBlock(Invalid):
    """Re-execution disagrees with the log, or a block breaks the chain's form.

    `where` names block, entry, record and field; `expected` is our value, `found` the log's.
    """

    def __init__(self, where: str, expected: str, found: str) -> None:
        super().__init__(f"{where}: expected {expected}, found {found}")
        self.where = where
        self.expected = expected
        self.found = found


class InvariantBroken(ChainperpError):
    """The state contradicts itself. Never caught below the process's last line."""

    def __init__(self, code: str, sentence: str, /, **numbers: object) -> None:
        detail = ", ".join(f"{name}={value}" for name, value in numbers.items())
        super().__init__(f"{code}: {sentence}" + (f" ({detail})" if detail else ""))
        self.code = code
        self.numbers = numbers


def ensure(condition: bool, code: str, sentence: str, /, **numbers: object) -> None:
    """Stop the process when an invariant does not hold (asserts vanish under `-O`)."""
    if not condition:
        raise InvariantBroken(code, sentence, **numbers)
