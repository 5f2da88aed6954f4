"""Replay, verify and fsck as an auditor runs them, on honest and on damaged chains."""

import os
import shutil
from pathlib import Path

import pytest

from chainperp.cli.demo.forge import forge_fee
from chainperp.storage.segments import encode_block, list_segments, walk_segment
from tests.support.chain import DemoChain, build_chain, run_cli

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
PYTHONS = sorted(
    {found for name in ("3.11", "3.12", "3.13") if (found := shutil.which(f"python{name}"))}
    | {str(found) for found in PYENV.glob("3.1[1-9].*/bin/python3")}
)


def test_replay_gives_the_same_bytes_and_recovers_every_signature(demo_chain: DemoChain) -> None:
    """A second process reaches the root that the first one sealed."""
    outcome = run_cli("replay", str(demo_chain.path), "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["equal"] is True
    assert outcome.document["log_root"] == demo_chain.log_root
    assert outcome.document["signatures_checked"] == demo_chain.signatures
    assert outcome.document["signatures_not_checked"] == 0


def test_replay_with_two_processes_gives_the_same(demo_chain: DemoChain) -> None:
    """The number of workers changes no byte of the answer."""
    one = run_cli("replay", str(demo_chain.path), "--json")
    two = run_cli("replay", str(demo_chain.path), "--jobs", "2", "--json")
    assert two.code == 0, two.err
    assert two.document == one.document


def test_replay_from_a_snapshot_reaches_the_same_root(demo_chain: DemoChain) -> None:
    """Beginning at the newest snapshot gives the same end with less work."""
    outcome = run_cli("replay", str(demo_chain.path), "--from", "99999999", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["log_root"] == demo_chain.log_root
    assert 0 < outcome.document["blocks"] < demo_chain.height
    assert "snapshot" in outcome.document["notes"][0]


def test_replay_stops_at_the_height_asked_for(demo_chain: DemoChain) -> None:
    """`--to` re-executes a prefix."""
    outcome = run_cli("replay", str(demo_chain.path), "--to", "20", "--json")
    assert outcome.code == 0
    assert outcome.document["height"] == 20


@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        ((), {"PYTHONHASHSEED": "0"}),
        ((), {"PYTHONHASHSEED": "4294967295", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"}),
        (("-O",), {"PYTHONHASHSEED": "1"}),
        (("-OO", "-X", "utf8=0"), {"PYTHONHASHSEED": "random"}),
    ],
)
def test_replay_does_not_depend_on_the_environment(
    demo_chain: DemoChain, flags: tuple[str, ...], environment: dict[str, str]
) -> None:
    """Hash seed, optimisation, time zone and locale change nothing."""
    outcome = run_cli(
        "replay", str(demo_chain.path), "--json", flags=flags, environment=environment
    )
    assert outcome.code == 0, outcome.err
    assert outcome.document["log_root"] == demo_chain.log_root


@pytest.mark.parametrize("python", PYTHONS)
def test_bare_interpreter_replays_and_says_what_it_did_not_check(
    demo_chain: DemoChain, python: str
) -> None:
    """`python -S` has no packages: the same root, signatures reported as not checked."""
    probe = run_cli("fsck", "--help", python=python, flags=("-S",))
    if probe.code != 0 and "not found" in probe.err + probe.out:
        pytest.skip(f"{python} is only a shim here")
    outcome = run_cli("replay", str(demo_chain.path), "--json", python=python, flags=("-S",))
    assert outcome.code == 0, outcome.err
    assert outcome.document["equal"] is True
    assert outcome.document["log_root"] == demo_chain.log_root
    assert outcome.document["signatures_checked"] == 0
    assert outcome.document["signatures_not_checked"] == demo_chain.signatures
    text = run_cli("replay", str(demo_chain.path), python=python, flags=("-S",))
    assert "NOT CHECKED" in text.out


def test_bare_interpreter_verifies_all_but_the_signature(demo_chain: DemoChain) -> None:
    """Roots, seals and conservation need nothing installed."""
    outcome = run_cli("verify", str(demo_chain.path), "--json", flags=("-S",))
    assert outcome.code == 0, outcome.err
    results = {row["check"]: row["result"] for row in outcome.document["checks"]}
    assert results["checkpoint signature"] == "not checked"
    assert results["conservation"] == "ok"


def test_verify_checks_the_signature(demo_chain: DemoChain) -> None:
    """With cryptography installed the checkpoint's signature is verified."""
    outcome = run_cli("verify", str(demo_chain.path), "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["checks"][0]["result"] == "verified"


def test_fsck_of_a_good_directory_is_clean(demo_chain: DemoChain) -> None:
    """Nothing to report, exit 0."""
    outcome = run_cli("fsck", str(demo_chain.path))
    assert outcome.code == 0, outcome.out
    assert outcome.out.startswith("clean")


def test_same_seed_makes_the_same_chain(demo_chain: DemoChain, tmp_path: Path) -> None:
    """The demo is a function of its seed, signatures included."""
    again = build_chain(tmp_path / "again", 7)
    assert again.log_root == demo_chain.log_root
    other = build_chain(tmp_path / "other", 8)
    assert other.log_root != demo_chain.log_root


def test_a_flipped_byte_is_found_with_its_place(demo_chain: DemoChain, tmp_path: Path) -> None:
    """A checksum names the file and the offset; both fsck and replay refuse."""
    copy = demo_chain.copy(tmp_path / "copy")
    segment = list_segments(copy / "segments")[0]
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 3] ^= 0x10
    segment.write_bytes(raw)
    checked = run_cli("fsck", str(copy), "--json")
    assert checked.code == 1
    assert segment.name in checked.document["problems"][0]["file"]
    replayed = run_cli("replay", str(copy))
    assert replayed.code == 1
    assert segment.name in replayed.err
    assert "Traceback" not in replayed.err


def test_a_forged_fee_is_named_to_the_field(demo_chain: DemoChain, tmp_path: Path) -> None:
    """With the checksum repaired, replay names block, entry, record and field, with both values."""
    copy = demo_chain.copy(tmp_path / "copy")
    forge_fee(copy)
    outcome = run_cli("replay", str(copy), "--json")
    assert outcome.code == 1
    found = outcome.document["divergence"]
    assert found["collection"] == "FILL"
    assert found["field"] == "taker_fee"
    assert int(found["expected"]) == int(found["found"]) + 1
    assert found["record"].startswith("tid ")


def test_a_block_of_another_chain_is_refused(demo_chain: DemoChain, tmp_path: Path) -> None:
    """A block with good checksums from a stranger's chain does not pass."""
    copy = demo_chain.copy(tmp_path / "copy")
    stranger = build_chain(tmp_path / "stranger", 9)
    path = list_segments(copy / "segments")[0]
    raw = path.read_bytes()
    mine = list(walk_segment(path))[10]
    theirs = list(walk_segment(list_segments(stranger.path / "segments")[0]))[10]
    path.write_bytes(raw[: mine.offset] + encode_block(theirs.block.entries) + raw[mine.end :])
    outcome = run_cli("replay", str(copy), "--json")
    assert outcome.code == 1
    assert outcome.document["divergence"]["height"] == 10
    assert run_cli("fsck", str(copy)).code == 1


def test_a_forged_signature_is_named(demo_chain: DemoChain, tmp_path: Path) -> None:
    """A transaction attributed to somebody else: its signature gives the thief away."""
    copy = demo_chain.copy(tmp_path / "copy")
    path = list_segments(copy / "segments")[0]
    raw = path.read_bytes()
    placed = next(one for one in list(walk_segment(path))[5:] if _user(one.block.entries))
    entries = list(placed.block.entries)
    index = _user(entries)[0]
    entries[index] = entries[index][:-20] + bytes(19) + b"\x01"
    path.write_bytes(raw[: placed.offset] + encode_block(entries) + raw[placed.end :])
    outcome = run_cli("replay", str(copy), "--json")
    assert outcome.code == 1
    assert outcome.document["divergence"]["field"] == "signer"


def _user(entries: list[bytes]) -> list[int]:
    """Places of the user transactions in a block."""
    return [place for place, raw in enumerate(entries) if raw[1:3] == b"\x00\x10"]


def test_a_truncated_segment_is_refused_by_replay(demo_chain: DemoChain, tmp_path: Path) -> None:
    """A segment that ends inside a block is a named error, not a shorter chain."""
    copy = demo_chain.copy(tmp_path / "copy")
    path = list_segments(copy / "segments")[0]
    path.write_bytes(path.read_bytes()[:-50])
    outcome = run_cli("fsck", str(copy))
    assert outcome.code == 1
    assert path.name in outcome.out
    assert "Traceback" not in outcome.err


def test_a_checkpoint_of_another_origin_is_refused(demo_chain: DemoChain, tmp_path: Path) -> None:
    """The checkpoint names its log: another one's is not taken."""
    copy = demo_chain.copy(tmp_path / "copy")
    checkpoint = copy / "log" / "checkpoint"
    text = checkpoint.read_text(encoding="utf-8")
    checkpoint.write_text(text.replace("chainperp.example/demo", "other.example/log", 1))
    outcome = run_cli("verify", str(copy))
    assert outcome.code == 1
    assert "other.example/log" in outcome.out + outcome.err
    assert "chainperp.example/demo" in outcome.out + outcome.err


def test_a_changed_snapshot_is_refused(demo_chain: DemoChain, tmp_path: Path) -> None:
    """Replay from a snapshot believes the seal, not the file."""
    copy = demo_chain.copy(tmp_path / "copy")
    newest = sorted((copy / "snapshots").iterdir())[-1]
    raw = bytearray(newest.read_bytes())
    raw[len(raw) // 2] ^= 0x01
    newest.write_bytes(raw)
    outcome = run_cli("replay", str(copy), "--from", "99999999")
    assert outcome.code == 1
    assert "snapshot" in outcome.err
    from_genesis = run_cli("replay", str(copy), "--json")
    assert from_genesis.code == 1
    assert from_genesis.document["divergence"]["field"] != ""


def test_a_missing_directory_is_not_found(tmp_path: Path) -> None:
    """Exit 3 and one sentence."""
    for command in ("replay", "verify", "fsck"):
        outcome = run_cli(command, str(tmp_path / "nothing"))
        assert outcome.code == 3, command
        assert outcome.err.startswith("error: ")
        assert outcome.err.count("\n") == 1
