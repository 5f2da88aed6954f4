"""Other people's witness and other people's log judge ours.

`litewitness` (filippo.io/torchwood) is a C2SP witness in Go: our client has a checkpoint cosigned
by it. Tessera's `posix-oneshot` is a log in Go that publishes a checkpoint only when its policy of
witnesses is met: our witness must satisfy it. Neither shares code with us. Both are fetched and
built once for each test process; without Go, ssh-agent or the network the tests skip.
"""

import functools
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chainperp.client.witness import Witness, submit
from chainperp.evidence.checkpoint import read_checkpoint
from chainperp.evidence.cosignature import add_lines
from chainperp.evidence.note import KIND_ED25519, format_vkey, parse_vkey
from chainperp.evidence.policy import check_policy, parse_policy
from chainperp.storage.logkey import load_key_file, save_key_file, verify_ed25519
from tests.support.chain import DemoChain, run_cli
from tests.support.witness import MadeLog, RunningWitness, witness_process

PROGRAMS = (
    "filippo.io/torchwood/cmd/litewitness@v0.6.1",
    "github.com/transparency-dev/tessera/cmd/examples/posix-oneshot@v1.0.4",
)
ORIGIN = "tessera.example/log"
LOG = MadeLog("one.example/log", 1)
FORK = MadeLog("one.example/log", 1, fork_at=90)


@functools.cache
def program(package: str) -> Path:
    """Path of a built Go program; skips when it cannot be had here."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    folder = Path(tempfile.mkdtemp(prefix="chainperp-go-"))
    environment = {**os.environ, "GOBIN": str(folder)}
    try:
        done = subprocess.run(
            [go, "install", package], cwd=folder, env=environment, capture_output=True, text=True,
            timeout=240, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip(f"go install {package} took more than four minutes")
    if done.returncode != 0:
        pytest.skip(f"go install {package}: {done.stderr[-300:]}")
    return folder / package.partition("@")[0].rpartition("/")[2]


@contextmanager
def lite_witness(folder: Path, log_vkeys: list[str]) -> Iterator[Witness]:
    """A running litewitness that knows these logs; its key lives in an ssh-agent."""
    binary = program(PROGRAMS[0])
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed")
    key, agent_socket = folder / "key", folder / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    listed = subprocess.run(
        ["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, text=True, check=True
    )
    command: list[str | Path] = [binary, "-name", "lite.example/w", "-db", folder / "lite.db"]
    command += ["-ssh-agent", agent_socket, "-key", listed.stdout.split()[1], "-listen"]
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", agent_socket], stdout=subprocess.DEVNULL)
    try:
        _wait_for(agent_socket.exists)
        variables = {**os.environ, "SSH_AUTH_SOCK": str(agent_socket)}
        subprocess.run(["ssh-add", "-q", key], env=variables, check=True)
        port = _free_port()
        process = subprocess.Popen(
            [*command, f"127.0.0.1:{port}"], stderr=subprocess.PIPE, text=True
        )
        try:
            vkey = _said(process, "vkey=")
            _said(process, "listening")
            # It says so a moment before it does.
            _wait_for(lambda: _accepts(port))
            _know(folder / "lite.db", log_vkeys)
            yield Witness(f"http://127.0.0.1:{port}", parse_vkey(vkey))
        finally:
            process.kill()
            process.communicate()
    finally:
        agent.kill()
        agent.wait()


def _wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(200):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened for ten seconds")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _said(process: "subprocess.Popen[str]", word: str) -> str:
    """The rest of a word that the program says on stderr."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return line.partition(word)[2].split()[0] if word.endswith("=") else line
    raise AssertionError(f"the program ended without saying {word}")


def _know(database: Path, vkeys: list[str]) -> None:
    """Tell litewitness about logs: what its own witnessctl writes."""
    empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    with sqlite3.connect(database) as rows:
        for vkey in vkeys:
            origin = vkey.partition("+")[0]
            rows.execute("INSERT INTO log VALUES (?, 0, ?)", (origin, empty))
            rows.execute("INSERT INTO key VALUES (?, ?)", (origin, vkey))
    rows.close()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="cp") as folder:
        yield Path(folder)


def test_a_witness_in_go_cosigns_for_our_client(short_folder: Path) -> None:
    """From nothing, over a restart of what the client knows, and never for a fork."""
    with lite_witness(short_folder, [LOG.vkey]) as witness:
        policy = parse_policy(
            f"log {LOG.vkey}\nwitness lite {format_vkey(witness.key)}\nquorum lite\n".encode()
        )
        for size in (1, 64, 65, 300):
            outcome = submit(witness, LOG.note(size), LOG.proof, verify_ed25519)
            assert outcome.problem == ""
            raw = add_lines(LOG.note(size), outcome.lines)
            assert check_policy(policy, raw, verify_ed25519).is_verified
        forgetful = Witness(witness.url, witness.key)
        assert submit(forgetful, LOG.note(301), LOG.proof, verify_ed25519).lines
        assert forgetful.size == 301
        fork = submit(forgetful, FORK.note(400), FORK.proof, verify_ed25519)
        assert fork.contradicts
        back = submit(forgetful, LOG.note(200), LOG.proof, verify_ed25519)
        assert "has cosigned size 301 of this log, which here has 200" in back.problem


def test_a_witness_in_go_cosigns_the_chain_of_the_demo(
    demo_chain: DemoChain, short_folder: Path
) -> None:
    chain = demo_chain.copy(short_folder / "chain")
    log_vkey = (chain / "log" / "vkey").read_text().strip()
    with lite_witness(short_folder, [log_vkey]) as witness:
        done = run_cli("witness", "submit", str(chain), "--to", witness.url, "--key",
                       format_vkey(witness.key))  # fmt: skip
        assert done.code == 0, done.out
    signed = read_checkpoint(
        (chain / "log" / "checkpoint").read_bytes(), parse_vkey(log_vkey), verify_ed25519,
        [witness.key],
    )  # fmt: skip
    assert [one.key.name for one in signed.cosignatures] == ["lite.example/w"]


def _tessera(
    folder: Path, policy: str, entries: int, patience_s: int = 60
) -> "subprocess.CompletedProcess[str]":
    """Add entries to a Tessera log; it publishes only what the policy's witnesses cosigned."""
    binary = program(PROGRAMS[1])
    (folder / "policy").write_text(policy)
    files = folder / f"entries{entries}"
    files.mkdir()
    for number in range(entries):
        (files / f"{number}").write_text(f"entry {entries} {number}")
    return subprocess.run(
        [binary, "--storage_dir", folder / "log", "--entries", f"{files}/*", "--private_key",
         folder / "log.key", "--witness_policy_file", folder / "policy", "--witness_timeout", "5s"],
        capture_output=True, text=True, timeout=patience_s, check=False,
    )  # fmt: skip


def _policy(witnesses: list[RunningWitness]) -> str:
    rows = [f"witness w{at} {format_vkey(one.key)} {one.url}\n" for at, one in enumerate(witnesses)]
    names = " ".join(f"w{at}" for at in range(len(witnesses)))
    return "".join(rows) + f"group both all {names}\nquorum both\n"


def test_our_witnesses_satisfy_a_log_in_go(tmp_path: Path) -> None:
    """Tessera gets both cosignatures for three growths of its log, and we read the result."""
    log = save_key_file(tmp_path / "log.key", ORIGIN, bytes(range(32)), KIND_ED25519)
    vkey = format_vkey(log.verifier)
    program(PROGRAMS[1])
    with (
        witness_process(tmp_path / "a", "--name", "a.example/w", "--log", vkey) as one,
        witness_process(tmp_path / "b", "--name", "b.example/w", "--log", vkey) as two,
    ):
        policy = _policy([one, two])
        size = 0
        for entries in (3, 70, 300):
            done = _tessera(tmp_path, policy, entries)
            assert done.returncode == 0, done.stderr[-2000:]
            size += entries
            raw = (tmp_path / "log" / "checkpoint").read_bytes()
            answer = check_policy(parse_policy(policy.encode()), raw, verify_ed25519, log.verifier)
            assert answer.is_verified
            assert answer.checkpoint.size == size
        assert one.stop() == (0, "stopped\n")
        # With one witness gone the log in Go is not satisfied: it waits and publishes nothing.
        with pytest.raises(subprocess.TimeoutExpired) as waited:
            _tessera(tmp_path, policy, 5, patience_s=5)
        assert b"witness policy was not satisfied" in (waited.value.stderr or b"")
        assert (tmp_path / "log" / "checkpoint").read_bytes() == raw
    assert load_key_file(tmp_path / "log.key").verifier == log.verifier


def test_the_recorded_cosignature_of_the_witness_in_go_verifies() -> None:
    """What litewitness once answered, byte for byte: needs neither Go nor the network."""
    recorded = json.loads(Path("fixtures/log/cosignature-litewitness.json").read_text())
    witness = parse_vkey(recorded["witness_vkey"])
    log = parse_vkey(recorded["log_vkey"])
    raw = (recorded["checkpoint"] + recorded["answer"]).encode()
    signed = read_checkpoint(raw, log, verify_ed25519, [witness])
    assert [(one.key.name, one.time) for one in signed.cosignatures] == [
        (recorded["witness_vkey"].partition("+")[0], recorded["time"])
    ]
