"""A witness as a process: real HTTP, two logs, the protocol's status codes, kill -9, evidence."""

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from chainperp.evidence.checkpoint import read_checkpoint
from chainperp.evidence.cosignature import take_cosignatures
from chainperp.evidence.note import (
    Note,
    check_note,
    encode_note,
    format_vkey,
    parse_note,
    sign_text,
)
from chainperp.evidence.witness import format_request
from chainperp.storage.logkey import verify_ed25519
from chainperp.storage.store import ChainStore
from tests.support.chain import DemoChain, run_cli
from tests.support.witness import NAME, MadeLog, Reply, RunningWitness, witness_process

ONE = MadeLog("one.example/log", 1)
TWO = MadeLog("two.example/log", 2)
STRANGER = MadeLog("three.example/log", 3)
FORK = MadeLog("one.example/log", 1, fork_at=90)
ARGUMENTS = ("--name", NAME, "--log", ONE.vkey, "--log", TWO.vkey)
KILLER = Path("tests/simulation/killed_witness.py").resolve()


def cosigned(witness: RunningWitness, log: MadeLog, size: int, reply: Reply) -> int:
    """Time of the cosignature in an answer, which must be over this tree."""
    assert reply.status == 200, reply.body
    text = parse_note(log.note(size)).text
    (line,) = take_cosignatures(text, reply.body, [witness.key], verify_ed25519)
    return int.from_bytes(line.signature[:8], "big")


def test_two_logs_are_cosigned_and_served(tmp_path: Path) -> None:
    """First checkpoint, growth, the same size again, and what monitors read."""
    with witness_process(tmp_path / "w", *ARGUMENTS) as witness:
        cosigned(witness, ONE, 5, witness.add(ONE.request(0, 5)))
        cosigned(witness, TWO, 0, witness.add(TWO.request(0, 0)))
        cosigned(witness, TWO, 7, witness.add(TWO.request(0, 7)))
        for old, size in ((5, 6), (6, 6), (6, 256), (256, 599)):
            time = cosigned(witness, ONE, size, witness.add(ONE.request(old, size)))
        assert time > 1_700_000_000
        path = f"/{sha256(ONE.origin.encode()).hexdigest()}/checkpoint"
        served = witness.call("GET", path)
        assert served.status == 200
        signed = read_checkpoint(served.body, ONE.key.verifier, verify_ed25519, [witness.key])
        assert signed.checkpoint.size == 599
        assert [one.time for one in signed.cosignatures] == [time]
        assert witness.call("GET", f"/{'0' * 64}/checkpoint").status == 404
        assert witness.call("GET", "/add-checkpoint").status == 405
        code, said = witness.stop()
    assert (code, said) == (0, "stopped\n")


def test_each_refusal_has_the_status_of_the_protocol(tmp_path: Path) -> None:
    """In the order of the protocol: an earlier reason wins over a later one."""
    forged = STRANGER.note(9).replace(b"three.example", b"one.example")
    garbled = ONE.note(9)[:-12] + b"AAAAAAAAAA=\n"
    with witness_process(tmp_path / "w", *ARGUMENTS) as witness:
        cosigned(witness, ONE, 20, witness.add(ONE.request(0, 20)))
        refused = {
            "not a request": (b"hello", 400),
            "no note": (b"old 20\n", 400),
            "a size with zeros": (b"old 020\n\n" + ONE.note(30), 400),
            "a hash too short": (b"old 20\nAAAA\n\n" + ONE.note(30), 400),
            "64 hashes": (format_request(20, [bytes(32)] * 64, ONE.note(30)), 400),
            "a body too long": (b"old 20\n\n" + b"x" * 80_000, 400),
            "no signature line": (b"old 20\n\none.example/log\n30\n", 400),
            "an origin that is unknown": (STRANGER.request(0, 9), 404),
            "a foreign key under the origin": (format_request(0, [], forged), 403),
            "a signature that fails": (format_request(0, [], garbled), 403),
            "an old size above the new": (ONE.request(21, 20), 400),
            "an old size above, before 409": (ONE.request(9, 8), 400),
            "an old size below the last": (ONE.request(5, 30), 409),
            "an old size of zero": (ONE.request(0, 30), 409),
            "an old size above the last": (ONE.request(25, 30), 409),
            "a rollback": (ONE.request(10, 10), 409),
            "a proof of another size": (
                format_request(20, ONE.proof(19, 30), ONE.note(30)), 422),
            "no proof": (format_request(20, [], ONE.note(30)), 422),
            "a proof for the same size": (format_request(20, [bytes(32)], ONE.note(20)), 422),
            "a proof for old 0": (format_request(0, [bytes(32)], TWO.note(5)), 422),
        }  # fmt: skip
        for what, (body, status) in refused.items():
            reply = witness.add(body)
            assert (what, reply.status) == (what, status)
            if status == 409:
                assert (reply.kind, reply.body) == ("text/x.tlog.size", b"20\n")
        # Nothing of it moved the witness.
        cosigned(witness, ONE, 21, witness.add(ONE.request(20, 21)))


def test_split_views_are_refused_kept_and_printed(tmp_path: Path) -> None:
    """Same size with another root, at the last size and at one long before; a growing fork."""
    with witness_process(tmp_path / "w", *ARGUMENTS) as witness:
        for old, size in ((0, 100), (100, 200), (200, 300)):
            cosigned(witness, ONE, size, witness.add(ONE.request(old, size)))
        same = witness.add(format_request(300, [], FORK.note(300)))
        assert same.status == 422
        past = witness.add(format_request(100, [], FORK.note(100)))
        assert (past.status, past.body) == (409, b"300\n")
        grown = witness.add(FORK.request(300, 400))
        assert grown.status == 422
        # Before the fork both are one log, and a fork of another size than any seen shows nothing.
        assert witness.add(format_request(80, [], FORK.note(80))).status == 409
        assert witness.add(format_request(150, [], FORK.note(150))).status == 409
        cosigned(witness, ONE, 301, witness.add(ONE.request(300, 301)))
        code, said = witness.stop()
    assert code == 0
    kept = sorted((tmp_path / "w" / "evidence").rglob("*.json"))
    assert [path.name[:31] for path in kept] == [
        "inconsistent-000000000000000004",
        "split-00000000000000000100-" + _root(FORK, 100)[:4],
        "split-00000000000000000300-" + _root(FORK, 300)[:4],
    ]
    assert said.count("SPLIT VIEW: one.example/log signed two trees") == 2
    assert said.count("INCONSISTENT: one.example/log") == 1
    for path in kept[1:]:
        assert str(path) in said
        evidence = json.loads(path.read_text())
        notes = [parse_note(evidence[part].encode()) for part in ("accepted", "submitted")]
        for note in notes:
            assert check_note(note, [ONE.key.verifier], verify_ed25519)
        one, other = (note.text.split(b"\n") for note in notes)
        assert one[:2] == other[:2]
        assert one[2] != other[2]


def _root(log: MadeLog, size: int) -> str:
    signed = read_checkpoint(log.note(size), log.key.verifier, verify_ed25519)
    return signed.checkpoint.root.hex()


def test_a_tree_of_size_zero_has_one_root(tmp_path: Path) -> None:
    text = b"two.example/log\n0\n" + b"A" * 43 + b"=\n"
    raw = encode_note(Note(text, (sign_text(text, TWO.key.verifier, TWO.key.sign),)))
    with witness_process(tmp_path / "w", *ARGUMENTS) as witness:
        assert witness.add(b"old 0\n\n" + raw).status == 422


def test_lines_that_a_log_adds_are_cosigned_with_the_rest(tmp_path: Path) -> None:
    """Other logs put lines of their own below the root; they are part of what is signed."""
    text = parse_note(TWO.note(5)).text + b"some line\n"
    raw = encode_note(Note(text, (sign_text(text, TWO.key.verifier, TWO.key.sign),)))
    with witness_process(tmp_path / "w", *ARGUMENTS) as witness:
        reply = witness.add(b"old 0\n\n" + raw)
        assert reply.status == 200
        take_cosignatures(text, reply.body, [witness.key], verify_ed25519)
        cosigned(witness, TWO, 6, witness.add(TWO.request(5, 6)))


@pytest.mark.parametrize("killed_at", [0, 1, 2])
def test_a_witness_killed_after_signing_never_goes_back(
    tmp_path: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 between signature and answer: the signature may be out, so the size must stand."""
    steps = [(0, 50), (50, 120), (120, 200)]
    monkeypatch.setenv("KILL_AFTER", str(killed_at))
    with witness_process(tmp_path / "w", *ARGUMENTS, script=KILLER) as witness:
        for old, size in steps[:killed_at]:
            cosigned(witness, ONE, size, witness.add(ONE.request(old, size)))
        old, size = steps[killed_at]
        with pytest.raises((ConnectionError, OSError)):
            witness.add(ONE.request(old, size))
        assert witness.process.wait(20) == -9
    with witness_process(tmp_path / "w") as witness:
        for lower in range(0, size, 25):
            reply = witness.add(ONE.request(lower, max(lower, old)))
            assert (reply.status, reply.body) == (409, b"%d\n" % size)
        other = witness.add(format_request(size, [], FORK.note(size)))
        assert other.status == (422 if size > 90 else 200)
        cosigned(witness, ONE, size, witness.add(ONE.request(size, size)))
        cosigned(witness, ONE, size + 1, witness.add(ONE.request(size, size + 1)))
        assert witness.stop()[0] == 0


def test_racing_submissions_never_roll_back(tmp_path: Path) -> None:
    """Many clients at once: of two that start from one size, one is cosigned."""
    with witness_process(tmp_path / "w", *ARGUMENTS) as witness:
        cosigned(witness, ONE, 10, witness.add(ONE.request(0, 10)))
        sizes = range(11, 51)
        with ThreadPoolExecutor(8) as pool:
            replies = list(pool.map(lambda size: witness.add(ONE.request(10, size)), sizes))
        done = [size for size, reply in zip(sizes, replies, strict=True) if reply.status == 200]
        assert len(done) == 1
        assert {reply.status for reply in replies} == {200, 409}
        assert {reply.body for reply in replies if reply.status == 409} == {b"%d\n" % done[0]}


def test_a_second_process_and_wrong_starts_are_refused(tmp_path: Path) -> None:
    folder = str(tmp_path / "w")
    nameless = run_cli("witness", "--dir", folder, "--port", "0")
    assert (nameless.code, nameless.out) == (2, "")
    assert "--name" in nameless.err
    assert run_cli("witness").code == 2
    with witness_process(tmp_path / "w", *ARGUMENTS) as witness:
        second = run_cli("witness", "--dir", folder, "--port", "0")
        assert second.code == 3
        assert f"locked by pid {witness.process.pid}" in second.err
        renamed = run_cli("witness", "--dir", folder, "--name", "other.example/w")
        assert renamed.code == 2
        assert f"is the witness {NAME}" in renamed.err
        bad = run_cli("witness", "--dir", folder, "--log", "nonsense+1+2")
        assert bad.code == 2
        port = witness.url.rpartition(":")[2]
        taken = run_cli("witness", "--dir", str(tmp_path / "v"), "--name", "v", "--port", port)
        assert taken.code == 3
        assert "cannot listen" in taken.err


def test_a_chain_gathers_cosignatures_and_stays_whole(
    demo_chain: DemoChain, tmp_path: Path
) -> None:
    """Two witnesses and a policy; the cosigned checkpoint passes `verify`, and a restart."""
    chain = demo_chain.copy(tmp_path / "chain")
    vkey = str(chain / "log" / "vkey")
    with (
        witness_process(tmp_path / "a", "--name", "a.example/w", "--log", vkey) as one,
        witness_process(tmp_path / "b", "--name", "b.example/w", "--log", vkey) as two,
    ):
        policy = tmp_path / "policy"
        policy.write_text(
            f"log {Path(vkey).read_text().strip()}\n"
            f"witness a {format_vkey(one.key)} {one.url}\n"
            f"witness b {format_vkey(two.key)} {two.url}/\n"
            f"group both all a b\nquorum both\n"
        )
        first = run_cli("witness", "submit", str(chain), "--to", one.url, "--json")
        assert first.code == 0, first.err
        assert "it says it is a.example/w+" in first.err
        assert first.document["size"] == demo_chain.log_size
        assert [row["cosigned"] for row in first.document["witnesses"]] == [True]
        half = run_cli(
            "witness", "submit", str(chain), "--to", one.url, "--policy", str(policy), "--json"
        )
        assert half.code == 1
        assert half.document["quorum"] == {"name": "both", "met": False}
        full = run_cli("witness", "submit", str(chain), "--policy", str(policy))
        assert full.code == 0, full.out
        assert "quorum both is met, cosigned by a, b" in full.out
        note = parse_note((chain / "log" / "checkpoint").read_bytes())
        assert [line.name for line in note.lines][1:] == ["a.example/w", "b.example/w"]
        assert run_cli("verify", str(chain)).code == 0
        two.stop()
        alone = run_cli("witness", "submit", str(chain), "--to", two.url, "--key",
                        format_vkey(two.key))  # fmt: skip
        assert alone.code == 3
        assert "does not answer" in alone.out
        wrong = run_cli("witness", "submit", str(chain), "--to", one.url, "--key",
                        format_vkey(two.key))  # fmt: skip
        assert wrong.code == 1
        assert "has no line of b.example/w" in wrong.out
    with ChainStore.open(chain) as store:
        assert store.mended == []
        assert store.signed_size == demo_chain.log_size
