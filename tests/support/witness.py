"""Logs made of a list of leaves, and a witness process to show them to."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from chainperp.base.hashing import leaf_hash
from chainperp.evidence.checkpoint import Checkpoint, sign_checkpoint
from chainperp.evidence.merkle import CompleteNodes, prove_consistency, root_at
from chainperp.evidence.note import VerifierKey, format_vkey, parse_vkey
from chainperp.evidence.witness import format_request
from chainperp.storage.logkey import LogKey
from tests.support.chain import ROOT

NAME = "witness.example/w"


class MadeLog:
    """A log whose entry n is a function of n and of the branch it is on."""

    def __init__(self, origin: str, seed: int, fork_at: int = 10**9) -> None:
        self.key = LogKey(origin, bytes([seed]) * 32)
        leaves = [
            leaf_hash(b"%s %d %d" % (origin.encode(), number, number >= fork_at))
            for number in range(600)
        ]
        self.nodes = CompleteNodes(leaves)
        self.origin = origin

    @property
    def vkey(self) -> str:
        return format_vkey(self.key.verifier)

    def note(self, size: int) -> bytes:
        checkpoint = Checkpoint(self.origin, size, root_at(self.nodes.node, size))
        return sign_checkpoint(checkpoint, self.key.verifier, self.key.sign)

    def proof(self, old: int, size: int) -> list[bytes]:
        return prove_consistency(self.nodes.node, old, size)

    def request(self, old: int, size: int) -> bytes:
        return format_request(old, self.proof(old, size) if old <= size else [], self.note(size))


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    kind: str
    body: bytes


@dataclass
class RunningWitness:
    """A witness process that listens."""

    process: "subprocess.Popen[str]"
    url: str
    key: VerifierKey

    def call(self, method: str, path: str, body: bytes | None = None) -> Reply:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers["Content-Type"] or "", reply.read())
        finally:
            connection.close()

    def add(self, body: bytes) -> Reply:
        return self.call("POST", "/add-checkpoint", body)

    def stop(self) -> tuple[int, str]:
        """Exit code and stderr after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        _out, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@contextmanager
def witness_process(
    directory: Path, *arguments: str, script: Path | None = None
) -> Iterator[RunningWitness]:
    """A witness started as a person starts it, or by a script that takes the same arguments."""
    start = ["-m", "chainperp", "witness"] if script is None else [str(script)]
    process = subprocess.Popen(
        [sys.executable, *start, "--dir", str(directory), "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.stderr.read())
        said = json.loads(line)
        yield RunningWitness(process, said["url"], parse_vkey(said["vkey"]))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
