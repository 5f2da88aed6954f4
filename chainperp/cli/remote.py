"""What `chainperp verify URL` does around `client.log_check`: whose key, what was kept, the answer.

The state file is that of `examples/watch_checkpoints.py`: the log's verifier key in the first
line, then the last checkpoint that was checked. It is what the log cannot take back.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from chainperp.base.errors import BadRequest, InvalidFile, InvalidProof, NotFound
from chainperp.cli import output
from chainperp.cli.proof_files import load_trust
from chainperp.cli.witnessing import read_key
from chainperp.client.log import open_log
from chainperp.client.log_check import LogAnswer, Wishes, check_log
from chainperp.evidence.note import KIND_ED25519, VerifierKey, format_vkey, parse_vkey
from chainperp.evidence.policy import Policy
from chainperp.evidence.tiles import WIDTH, Fetch
from chainperp.storage.files import Files, read_file
from chainperp.storage.logkey import find_verifier
from chainperp.storage.tiles import VKEY

VKEY_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says."""

    policy: Path | None
    key: str | None
    state: Path | None
    entries: str | None
    sample: int


def verify_url(url: str, given: Given) -> LogAnswer:
    """Check a served log, and keep its checkpoint when everything that was checked holds.

    Raises: NotFound when nobody answers; BadRequest; InvalidFile for a damaged state file.
    """
    fetch = open_log(url)
    kept_key, kept = _load_state(given.state)
    policy = load_trust(given.policy).policy
    wishes = Wishes(
        _choose_key(url, fetch, given.key, kept_key, policy),
        find_verifier(),
        secrets.randbelow,
        policy,
        kept,
        _span(given.entries),
        max(1, (given.sample + WIDTH - 1) // WIDTH),
    )
    answer = check_log(fetch, wishes)
    if given.state is not None:
        _keep(given.state, wishes, answer)
    return answer


def _choose_key(
    url: str, fetch: Fetch, key: str | None, kept: VerifierKey | None, policy: Policy | None
) -> VerifierKey:
    """The log's key: as given, as kept, as the policy names it, else as the node itself says.

    Raises: InvalidProof when two of the first three are different keys.
    """
    given = None if key is None else read_key(key, "key")
    if given is not None and given.kind != KIND_ED25519:
        raise BadRequest("key", f"{given.name} is a cosigner's key, a log's has kind 01")
    if given is not None and kept is not None and given != kept:
        raise InvalidProof(
            f"the state file is of the log key {format_vkey(kept)}, given is {format_vkey(given)}"
        )
    known = given or kept
    if policy is None or not policy.logs:
        return known or _first_use(url, fetch)
    named = [row.key for row in policy.logs]
    if known is not None:
        if known not in named:
            raise InvalidProof(f"the policy does not name the log key {format_vkey(known)}")
        return known
    if len(named) == 1:
        return named[0]
    said = _served_key(url, fetch)
    if said not in named:
        raise InvalidProof(f"the node's key {format_vkey(said)} is none that the policy names")
    return said


def _first_use(url: str, fetch: Fetch) -> VerifierKey:
    key = _served_key(url, fetch)
    output.say(
        f"warning: no key was given, so the node's own word is taken: {format_vkey(key)}. Compare "
        "it with one that you got another way; --state FILE keeps it for the next time"
    )
    return key


def _served_key(url: str, fetch: Fetch) -> VerifierKey:
    raw = fetch(VKEY)
    if raw is None:
        raise NotFound(f"{url} does not say the log's key: give --key VKEY")
    return parse_vkey(raw[:VKEY_BYTES_MAX].decode("utf-8", "replace").removesuffix("\n"))


def _load_state(path: Path | None) -> tuple[VerifierKey | None, bytes | None]:
    raw = None if path is None else read_file(path)
    if raw is None:
        return None, None
    vkey, _newline, note = raw.partition(b"\n")
    try:
        return parse_vkey(vkey.decode("utf-8", "replace")), note or None
    except InvalidProof as error:
        raise InvalidFile(f"{path} does not begin with a log's key: {error}") from error


def _keep(path: Path, wishes: Wishes, answer: LogAnswer) -> None:
    """Move on to a checkpoint that holds; beside the state file, two that contradict."""
    if answer.conflict is not None:
        conflict = path.with_name(path.name + ".conflict")
        Files().replace(conflict, b"\n".join(answer.conflict))
        output.say(f"SPLIT VIEW: show both signed checkpoints to everybody: {conflict}")
    elif answer.verdict.holds and not answer.verdict.not_checked:
        Files().replace(path, format_vkey(wishes.key).encode() + b"\n" + answer.note)


def _span(text: str | None) -> tuple[int, int] | None:
    """FIRST:LAST, both included, as first and behind last."""
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if not colon or not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise BadRequest("entries", f"a range is FIRST:LAST, was {text[:40]!r}")
    return int(first), int(last) + 1
