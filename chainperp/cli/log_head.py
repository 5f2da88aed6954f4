"""The last checkpoint of a log, read from a node or from a data directory."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainperp.base.errors import EXIT_REFUSED, EXIT_UNREACHABLE, InvalidProof
from chainperp.cli import output
from chainperp.cli.signing import node_of
from chainperp.evidence.checkpoint import parse_checkpoint, read_checkpoint
from chainperp.evidence.note import VerifierKey, parse_note, parse_vkey

if TYPE_CHECKING:
    from chainperp.cli.asking import Asking


def log_head(options: "Asking", directory: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Origin, size, root and signers. With the log's key at hand its signature is checked too.

    Raises: InvalidProof when the checkpoint is none, or the log's own key did not sign it.
    """
    if directory is None:
        where, raw, vkey = _from_node(options)
    else:
        where, raw, vkey = _from_directory(directory)
    note = parse_note(raw)
    checkpoint = parse_checkpoint(note.text)
    key = _key(vkey)
    document: dict[str, Any] = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "signers": [line.name for line in note.lines],
        "vkey": vkey,
        "signature": _signature(raw, key),
        "source": where,
    }
    lines = [
        f"log        {checkpoint.origin}",
        f"size       {checkpoint.size}",
        f"root       {checkpoint.root.hex()}",
        f"signed by  {', '.join(document['signers'])}",
        f"signature  {document['signature']}",
    ]
    return document, lines


def _signature(raw: bytes, key: VerifierKey | None) -> str:
    from chainperp.storage.logkey import find_verifier

    verify = find_verifier()
    if key is None:
        return "not checked: the log's key is not published beside it"
    if verify is None:
        return "not checked: cryptography is not installed"
    read_checkpoint(raw, key, verify)
    return "holds, under the key published beside it"


def _key(vkey: str | None) -> VerifierKey | None:
    return None if vkey is None else parse_vkey(vkey)


def _from_node(options: "Asking") -> tuple[str, bytes, str | None]:
    from chainperp.client.refusal import Refused

    node = node_of(options.url, options.timeout)
    try:
        raw = node.get("/log/checkpoint")
    except Refused as error:
        output.fail(EXIT_REFUSED, f"{node.url} does not offer its log ({error.status})", error.text)
    try:
        vkey = node.get("/log/vkey").decode("utf-8").strip()
    except (Refused, UnicodeDecodeError):
        vkey = None
    return node.url, raw, vkey


def _from_directory(directory: Path) -> tuple[str, bytes, str | None]:
    path = directory / "log" / "checkpoint"
    try:
        raw = path.read_bytes()
        vkey = (directory / "log" / "vkey").read_text(encoding="utf-8").strip()
    except OSError as error:
        output.fail(EXIT_UNREACHABLE, f"no checkpoint in {directory} ({error.strerror})", str(path))
    except UnicodeDecodeError as error:
        raise InvalidProof(f"{directory}/log/vkey is not text") from error
    return str(directory), raw, vkey
