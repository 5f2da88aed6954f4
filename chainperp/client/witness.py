"""The log's side of the witness protocol: have a checkpoint cosigned by others.

Decides what to send and which answers count. Never decides how many suffice (`evidence.policy`)
and never publishes: a node hands the lines to `ChainStore.add_cosignatures` on the thread that
publishes. Block production does not wait for any of this.

A witness that answers 409 with its size is asked again with a proof from that size. One that says
that the log contradicts itself (422, or 409 without a size) is reported as such: either somebody
showed it another log under this name, or this log has been rewritten.

Source: C2SP tlog-witness; audit-log-and-consensus 8.2.
"""

import http.client
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from chainperp.base.errors import BadRequest, InvalidProof, NotFound
from chainperp.evidence.checkpoint import parse_checkpoint
from chainperp.evidence.cosignature import take_cosignatures
from chainperp.evidence.note import Line, VerifierKey, Verify, parse_count, parse_note
from chainperp.evidence.witness import SIZE_TYPE, format_request

Prove = Callable[[int, int], Sequence[bytes]]
"""Consistency proof from an old size to the checkpoint's."""

TIMEOUT_S: Final = 1.0
TRIES_MAX: Final = 3
ANSWER_BYTES_MAX: Final = 16 * 1024


@dataclass(slots=True)
class Witness:
    """A witness and where it was when it last answered.

    Invariant: used by one submission at a time.
    """

    url: str
    key: VerifierKey
    size: int = field(default=0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one witness did: its lines, or why there are none.

    `contradicts` is set when it says that this log is not the one it knows: show it to a person.
    """

    witness: Witness
    lines: tuple[Line, ...]
    problem: str = ""
    is_reached: bool = True
    contradicts: bool = False


def collect(
    witnesses: Sequence[Witness],
    note: bytes,
    prove: Prove,
    verify: Verify,
    timeout_s: float = TIMEOUT_S,
) -> list[Outcome]:
    """Ask all witnesses at once; outcomes in the order of the witnesses, errors as outcomes.

    `timeout_s` holds for each connection and read. `prove` is called from several threads.
    Raises: InvalidProof only for a note of ours that is malformed.
    """
    text = parse_note(note).text
    parse_checkpoint(text)
    if not witnesses:
        return []

    def ask(witness: Witness) -> Outcome:
        return submit(witness, note, prove, verify, timeout_s)

    with ThreadPoolExecutor(min(16, len(witnesses))) as pool:
        return list(pool.map(ask, witnesses))


def submit(
    witness: Witness, note: bytes, prove: Prove, verify: Verify, timeout_s: float = TIMEOUT_S
) -> Outcome:
    """Have one witness cosign a checkpoint that the log's own key has signed."""
    text = parse_note(note).text
    checkpoint = parse_checkpoint(text)
    # A witness that was ahead once may have been another log's: begin with what it said itself.
    old = min(witness.size, checkpoint.size)
    for _try in range(TRIES_MAX):
        proof = prove(old, checkpoint.size)
        try:
            status, kind, body = post(
                witness.url, "add-checkpoint", format_request(old, proof, note), timeout_s
            )
        except NotFound as error:
            return Outcome(witness, (), str(error), is_reached=False)
        if status == 200:
            return _cosigned(witness, text, body, verify)
        if status != 409 or kind != SIZE_TYPE:
            return _refused(witness, status, body)
        try:
            old = parse_count(body.removesuffix(b"\n"), "size of the witness")
        except InvalidProof as error:
            return Outcome(witness, (), str(error))
        witness.size = old
        if old > checkpoint.size:
            return Outcome(
                witness,
                (),
                f"it has cosigned size {old} of this log, which here has {checkpoint.size}",
                contradicts=True,
            )
    return Outcome(witness, (), f"its size was another each of {TRIES_MAX} times")


def _cosigned(witness: Witness, text: bytes, body: bytes, verify: Verify) -> Outcome:
    try:
        lines = take_cosignatures(text, body, [witness.key], verify)
    except InvalidProof as error:
        return Outcome(witness, (), str(error))
    witness.size = parse_checkpoint(text).size
    return Outcome(witness, lines)


def _refused(witness: Witness, status: int, body: bytes) -> Outcome:
    said = body[:200].decode("utf-8", "replace").strip()
    return Outcome(
        witness, (), f"it answered {status}: {said or 'nothing'}", contradicts=status in (409, 422)
    )


def post(url: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, str, bytes]:
    """Status, content type and body of a POST below a URL prefix, or of a GET without a body.

    Redirects are not followed: a witness is who its URL says.
    Raises: BadRequest for a URL that is not http or https; NotFound when nobody answers.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest("url", f"a witness has an http or https URL, was {url[:80]!r}")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname, parts.port, timeout=timeout_s)
        try:
            target = f"{parts.path.rstrip('/')}/{path}"
            connection.request("GET" if body is None else "POST", target, body)
            reply = connection.getresponse()
            content = reply.read(ANSWER_BYTES_MAX)
            return reply.status, reply.getheader("Content-Type", ""), content
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotFound(f"{url} does not answer: {error or type(error).__name__}") from error
