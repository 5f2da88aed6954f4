"""What `chainperp witness` does: run a witness, and submit a data directory's checkpoint."""

import json
import secrets
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chainperp.base.errors import (
    EXIT_FALSE,
    EXIT_OK,
    EXIT_UNREACHABLE,
    BadRequest,
    InvalidProof,
    NotFound,
)
from chainperp.cli import output
from chainperp.client.witness import Outcome, Witness, collect, post
from chainperp.evidence.checkpoint import read_checkpoint
from chainperp.evidence.cosignature import add_lines
from chainperp.evidence.merkle import prove_consistency
from chainperp.evidence.note import (
    KIND_COSIGNATURE,
    VerifierKey,
    format_vkey,
    parse_note,
    parse_vkey,
)
from chainperp.evidence.policy import Policy, PolicyAnswer, check_policy, parse_policy
from chainperp.storage.datadir import DataDir
from chainperp.storage.files import read_file
from chainperp.storage.logkey import verify_ed25519
from chainperp.storage.tiles import add_cosignatures, load_checkpoint, load_vkey, open_reader


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which witnesses to ask: URLs, keys to believe, a policy file, seconds to wait."""

    urls: tuple[str, ...]
    keys: tuple[str, ...]
    policy: Path | None
    timeout_s: float


def run_witness(
    path: Path, place: tuple[str, int], name: str, logs: list[str], as_json: bool
) -> None:
    """Serve a witness until SIGTERM or SIGINT. Says its key and address once it listens."""
    from chainperp.node.witness import serve_witness
    from chainperp.storage.witness import KEY, WitnessStore, add_logs, create

    keys = [read_key(text, "log") for text in logs]
    if name:
        create(path, name, secrets.token_bytes(32))
    elif not (path / KEY).exists():
        raise BadRequest("name", f"{path} has no key yet: give --name, such as witness.example/w")
    add_logs(path, keys)
    listener = _listen(*place)
    with WitnessStore.open(path, lambda sentence: output.say(sentence)) as store:
        url = f"http://{place[0]}:{listener.getsockname()[1]}"
        vkey = format_vkey(store.key)
        origins = sorted(store.logs)
        if as_json:
            document = {"vkey": vkey, "url": url, "logs": origins}
            sys.stdout.write(json.dumps(document) + "\n")
        else:
            sys.stdout.write(f"vkey   {vkey}\nurl    {url}\n")
            sys.stdout.write("".join(f"log    {origin}\n" for origin in origins))
        sys.stdout.flush()
        if not origins:
            output.say("no log is known here: every submission is answered 404; give --log VKEY")
        # The server raises the signal again once it has stopped: that must not kill the process.
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda _number, _frame: None)
        serve_witness(store, lambda: int(time.time()), listener)
    output.say("stopped")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise NotFound(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def read_key(text: str, what: str) -> VerifierKey:
    """Verifier key of an argument: the key itself, or a file that holds it in one line."""
    raw = None if "+" in text else read_file(Path(text))
    if raw is None and "+" not in text:
        raise NotFound(f"--{what} is a verifier key or a file that holds one: no file {text}")
    try:
        return parse_vkey(text if raw is None else raw.decode("utf-8", "replace").strip())
    except InvalidProof as error:
        raise BadRequest(what, str(error)) from error


def submit_checkpoint(path: Path, wanted: Wanted) -> tuple[dict[str, Any], list[str], int]:
    """Have a data directory's checkpoint cosigned and save it: document, lines, exit code.

    Exit code 0: every witness cosigned, or the policy's quorum is met; 1: somebody refused, or
    the quorum is not met; 3: nobody could be reached.
    """
    policy = None if wanted.policy is None else load_policy(wanted.policy)
    witnesses = _witnesses(wanted, policy)
    with DataDir.open(path, write=True) as data:
        note = load_checkpoint(data.log)
        if note is None:
            raise NotFound(f"{data.log} has no checkpoint yet")
        log_key = load_vkey(data.log)
        checkpoint = read_checkpoint(note, log_key, verify_ed25519).checkpoint

        def prove(old: int, new: int) -> list[bytes]:
            return prove_consistency(open_reader(data.log, new).node, old, new)

        outcomes = collect(witnesses, note, prove, verify_ed25519, wanted.timeout_s)
        lines = [line for outcome in outcomes for line in outcome.lines]
        cosigned = add_lines(note, lines)
        add_cosignatures(data.log, parse_note(note).text, lines, data.files)
    answer = None if policy is None else check_policy(policy, cosigned, verify_ed25519, log_key)
    document = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "witnesses": [_outcome_document(outcome) for outcome in outcomes],
        "quorum": None if answer is None else {"name": answer.quorum, "met": answer.is_met},
    }
    said = [_outcome_line(outcome) for outcome in outcomes]
    if answer is not None:
        said.append(f"{'policy':<12}{answer.sentence()}")
    return document, said, _exit_code(outcomes, answer)


def load_policy(path: Path) -> Policy:
    """Policy of a file. Raises NotFound, BadRequest."""
    raw = read_file(path)
    if raw is None:
        raise NotFound(f"there is no policy file {path}")
    return parse_policy(raw)


def _witnesses(wanted: Wanted, policy: Policy | None) -> list[Witness]:
    """The witnesses to ask, each with the key that its lines must be of."""
    by_url = {
        row.url.rstrip("/"): row.key
        for row in (policy.witnesses if policy else ())
        if row.url is not None
    }
    keys = [read_key(text, "key") for text in wanted.keys]
    for key in keys:
        if key.kind != KIND_COSIGNATURE:
            raise BadRequest("key", f"{format_vkey(key)} is a log's key, a witness has kind 04")
    if not wanted.urls:
        if not by_url:
            raise BadRequest("to", "no witness is named: give --to URL, or a policy with URLs")
        return [Witness(url, key) for url, key in by_url.items()]
    if keys and len(keys) != len(wanted.urls):
        raise BadRequest("key", f"{len(wanted.urls)} --to need as many --key, were {len(keys)}")
    named = keys or [
        by_url.get(url.rstrip("/")) or _ask_key(url, wanted.timeout_s) for url in wanted.urls
    ]
    return [Witness(url, key) for url, key in zip(wanted.urls, named, strict=True)]


def node_witnesses(named: list[str], policy: Path | None) -> tuple[Witness, ...]:
    """Witnesses that a node shows its checkpoints to: VKEY=URL each, and those of a policy file
    that have a URL there.

    Raises: NotFound, BadRequest naming what is wrong, also for one key twice or too many.
    """
    from chainperp.node.cosigning import WITNESSES_MAX

    found = [_named_witness(text) for text in named]
    if policy is not None:
        rows = [row for row in load_policy(policy).witnesses if row.url is not None]
        if not rows:
            raise BadRequest("policy", f"{policy} has no witness with a URL")
        found += [Witness(row.url or "", row.key) for row in rows]
    for place, witness in enumerate(found):
        if urlsplit(witness.url).scheme not in ("http", "https"):
            raise BadRequest("url", f"a witness has an http or https URL, was {witness.url[:80]!r}")
        if any(other.key == witness.key for other in found[:place]):
            raise BadRequest("witness", f"the witness {witness.key.name} is named twice")
    if len(found) > WITNESSES_MAX:
        raise BadRequest("witness", f"{len(found)} witnesses, at most {WITNESSES_MAX}")
    return tuple(found)


def _named_witness(text: str) -> Witness:
    vkey, equals, rest = text.partition("=http")
    if not equals:
        raise BadRequest(
            "witness", f"a witness is VKEY=URL with an http or https URL: {text[:80]!r}"
        )
    key = read_key(vkey, "witness")
    if key.kind != KIND_COSIGNATURE:
        raise BadRequest("witness", f"{key.name} is a log's key, a witness has kind 04")
    return Witness("http" + rest, key)


def _ask_key(url: str, timeout_s: float) -> VerifierKey:
    """The key that a witness says is its own: enough to see it sign, not to trust it."""
    status, _kind, body = post(url, "vkey", None, timeout_s)
    try:
        key = parse_vkey(body.decode("utf-8", "replace").strip())
    except InvalidProof as error:
        raise BadRequest(
            "key", f"{url} does not say its key (status {status}): give --key VKEY"
        ) from error
    output.say(f"no key was given for {url}; it says it is {format_vkey(key)}")
    return key


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    return {
        "url": outcome.witness.url,
        "name": outcome.witness.key.name,
        "cosigned": bool(outcome.lines),
        "problem": outcome.problem,
        "contradicts": outcome.contradicts,
    }


def _outcome_line(outcome: Outcome) -> str:
    word = "cosigned" if outcome.lines else "CONTRADICTS" if outcome.contradicts else "not signed"
    who = f"{outcome.witness.key.name} at {outcome.witness.url}"
    return f"{word:<12}{who}" + (f": {outcome.problem}" if outcome.problem else "")


def _exit_code(outcomes: list[Outcome], answer: PolicyAnswer | None) -> int:
    if outcomes and not any(outcome.is_reached for outcome in outcomes):
        return EXIT_UNREACHABLE
    if any(outcome.contradicts for outcome in outcomes):
        return EXIT_FALSE
    if answer is not None:
        return EXIT_OK if answer.is_met else EXIT_FALSE
    return EXIT_OK if all(outcome.lines for outcome in outcomes) else EXIT_FALSE
