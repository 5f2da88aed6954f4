"""Follow a log that somebody else runs: every new checkpoint must continue the one seen before.

Decides what contradicts and what is merely no answer. Two notes that the log's key signed and that
no append-only log can both have are a `Contradiction`: keep both and show them. A stale or damaged
answer is not: an older checkpoint, or tiles that do not have the signed root, can be the work of
whoever stands between.

Source: audit-log-and-consensus 7, 11.1, 11.4 (light mode).
"""

from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from chainperp.base.errors import BadRequest, InvalidProof, NotFound
from chainperp.evidence.checkpoint import Checkpoint, read_checkpoint
from chainperp.evidence.merkle import root_at
from chainperp.evidence.note import VerifierKey, Verify
from chainperp.evidence.tiles import Fetch, TileReader
from chainperp.storage.tiles import CHECKPOINT, fetch_from

TIMEOUT_S: Final = 10
ANSWER_BYTES_MAX: Final = 32 << 20


class Contradiction(InvalidProof):
    """The log signed two trees that cannot both be its own. `notes` are older first."""

    def __init__(self, sentence: str, notes: tuple[bytes, bytes]) -> None:
        super().__init__(sentence)
        self.notes = notes


def open_log(source: str) -> Fetch:
    """Reads files of a log by path: below a URL that serves /log, or in a data directory.

    The function returns None for what is not there, and raises NotFound when nobody answers.
    """
    if "://" not in source:
        return fetch_from(Path(source) / "log")
    if not source.startswith(("http://", "https://")):
        raise BadRequest("url", f"a log has an http or https URL, was {source[:80]!r}")

    def fetch(path: str) -> bytes | None:
        try:
            with urlopen(f"{source.rstrip('/')}/log/{path}", timeout=TIMEOUT_S) as reply:  # noqa: S310 - the scheme is checked above
                return bytes(reply.read(ANSWER_BYTES_MAX))
        except HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise NotFound(f"{source} answered {error.code} to log/{path}") from error
        except (URLError, OSError, ValueError) as error:
            raise NotFound(f"{source} does not answer: {error}") from error

    return fetch


def follow(
    fetch: Fetch, key: VerifierKey, verify: Verify, seen: bytes | None
) -> tuple[Checkpoint, bytes]:
    """The log's checkpoint of now, with its note to keep, after checking it against the one seen.

    Raises: Contradiction; InvalidProof for a note that the log did not sign, tiles without the
    signed root, or a checkpoint older than the one seen; NotFound.
    """
    raw = fetch(CHECKPOINT)
    if raw is None:
        raise NotFound("the log has no checkpoint there")
    new = read_checkpoint(raw, key, verify).checkpoint
    if seen is None:
        return new, raw
    old = read_checkpoint(seen, key, verify).checkpoint
    if new.size == old.size:
        if new.root != old.root:
            text = f"{new.origin} signed two trees of size {new.size}"
            raise Contradiction(text, (seen, raw))
        return new, raw
    small, large = (old, new) if old.size < new.size else (new, old)
    node = TileReader(fetch, large.size).node
    if root_at(node, large.size) != large.root:
        raise InvalidProof(f"the tiles do not have the signed root of size {large.size}")
    if root_at(node, small.size) != small.root:
        text = f"size {large.size} of {new.origin} does not continue size {small.size}"
        raise Contradiction(text, (seen, raw))
    if new.size < old.size:
        raise InvalidProof(f"the answer is old: size {new.size}, seen was {old.size}")
    return new, raw
