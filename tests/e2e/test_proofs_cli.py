"""Proofs as a person handles them: made from a directory, kept in a file, checked anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chainperp.base.units import address_text
from chainperp.chain.proving.liquidation import liquidation_tests
from chainperp.chain.proving.rounds import rounds_of
from chainperp.evidence.note import format_vkey, parse_vkey
from chainperp.evidence.policy import check_policy, parse_policy
from chainperp.storage.logkey import find_verifier, save_key_file
from chainperp.storage.proof_source import open_source
from chainperp.storage.segments import list_segments
from tests.support.chain import DemoChain, Outcome, run_cli


@pytest.fixture(scope="module")
def policy(demo_chain: DemoChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that trusts the chain's log alone."""
    path = tmp_path_factory.mktemp("policy") / "trust.policy"
    vkey = (demo_chain.path / "log" / "vkey").read_text().strip()
    path.write_text(f"log {vkey}\nquorum none\n")
    return path


@pytest.fixture(scope="module")
def adl_proof(demo_chain: DemoChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The proof of the first account that was auto-deleveraged in the chain."""
    source = open_source(demo_chain.path)
    for height in range(1, source.height + 1):
        for one in rounds_of(source.block(height)):
            row = next(row for row in one.rows if row["take_lots"])
            out = tmp_path_factory.mktemp("adl") / "adl.proof"
            made = run_cli("prove", "adl", str(demo_chain.path), address_text(row["account"]),
                           "--block", str(height), "--out", str(out))  # fmt: skip
            assert made.code == 0, made.err
            return out
    raise AssertionError("the chain has no ADL round")


def test_adl_proof_is_small_and_says_yes_with_reasons(adl_proof: Path, policy: Path) -> None:
    assert adl_proof.stat().st_size < 20_000
    answer = run_cli("verify", str(adl_proof), "--policy", str(policy), "--json")
    assert answer.code == 0, answer.out + answer.err
    document = answer.document
    assert (document["ok"], document["kind"], document["not_checked"]) == (True, "adl", [])
    rules = {one["rule"] for one in document["sentences"]}
    assert {"ADL-1", "ADL-2", "ADL-4", "ADL-11"} <= rules


def test_directory_is_held_to_a_policy_too(
    demo_chain: DemoChain, policy: Path, tmp_path: Path
) -> None:
    met = run_cli("verify", str(demo_chain.path), "--policy", str(policy), "--json")
    assert met.code == 0, met.err
    assert met.document["checks"][-1]["check"] == "policy"
    stranger = save_key_file(tmp_path / "key", "stranger.example/w", bytes(32))
    strict = tmp_path / "strict.policy"
    text = policy.read_text().replace("quorum none", "")
    strict.write_text(f"{text}witness w {format_vkey(stranger.verifier)}\nquorum w\n")
    missing = run_cli("verify", str(demo_chain.path), "--policy", str(strict))
    assert missing.code == 1
    assert "quorum w is NOT met" in missing.out


def test_tampered_proof_names_the_step_and_exits_1(adl_proof: Path, tmp_path: Path) -> None:
    raw = adl_proof.read_bytes()
    damaged = tmp_path / "damaged.proof"
    damaged.write_bytes(raw.replace(b'"leverage_default', b'"leverage_Default'))
    answer = run_cli("verify", str(damaged), "--json")
    assert answer.code == 1
    assert answer.document["failed_step"] == "genesis is the chain's"


def test_stand_alone_script_needs_no_package(adl_proof: Path, policy: Path, tmp_path: Path) -> None:
    script = tmp_path / "verify.py"
    assert run_cli("verify", "--emit-script", str(script)).code == 0
    alone = _run_script(script, adl_proof, "--policy", str(policy), "--json")
    assert alone.code == 0, alone.err
    assert alone.document["not_checked"] == ["checkpoint signature"]
    text = adl_proof.read_text().replace('"kind": "adl"', '"kind": "liquidation"')
    other = tmp_path / "other.proof"
    other.write_text(text)
    assert _run_script(script, other).code == 1
    assert _run_script(script, tmp_path / "nothing").code == 3


def _run_script(script: Path, *arguments: str | Path) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-S", "-I", str(script), *map(str, arguments)],
        capture_output=True, text=True, cwd=script.parent, timeout=60, check=False,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_victims_proof_takes_under_50_ms_on_a_bare_interpreter(
    adl_proof: Path, tmp_path: Path
) -> None:
    """Timed inside `python -S -I`, best of ten, start of the interpreter apart."""
    script = tmp_path / "verify.py"
    assert run_cli("verify", "--emit-script", str(script)).code == 0
    code = (
        "import runpy, sys, time\n"
        f"found = runpy.run_path({str(script)!r})\n"
        "sys.meta_path.insert(0, found['Embedded']())\n"
        "from chainperp.evidence.verifier.verify import verify_proof\n"
        "from chainperp.evidence.verifier.trust import Trust\n"
        f"raw = open({str(adl_proof)!r}, 'rb').read()\n"
        "best = 9.0\n"
        "for _ in range(10):\n"
        "    start = time.perf_counter()\n"
        "    assert verify_proof(raw, Trust()).holds\n"
        "    best = min(best, time.perf_counter() - start)\n"
        "print(best)\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.050


def test_every_prove_command_makes_a_proof_that_holds(
    demo_chain: DemoChain, policy: Path, tmp_path: Path
) -> None:
    path = str(demo_chain.path)
    source = open_source(demo_chain.path)
    tests = {
        height: tests
        for height in range(1, source.height + 1)
        if (tests := liquidation_tests(source.block(height)))
    }
    height, found = next(iter(tests.items()))
    victim = address_text(next(iter(found))[0])
    old = tmp_path / "old"
    old.write_bytes(source.note)
    commands = [
        ("entry", path, "5"),
        ("account", path, victim),
        ("account", path, victim, "--height", str(height)),
        ("absence", path, "0x" + "01" * 20),
        ("liq", path, victim, "--block", str(height)),
        ("solvency", path, victim),
        ("consistency", path, str(old)),
    ]
    for words in commands:
        out = tmp_path / "one.proof"
        made = run_cli("prove", *words, "--out", str(out))
        assert made.code == 0, (words, made.err)
        answer = run_cli("verify", str(out), "--policy", str(policy))
        assert answer.code == 0, (words, answer.out)
        assert answer.out.startswith("yes")


def test_prove_says_when_there_is_nothing_to_prove(demo_chain: DemoChain) -> None:
    path = str(demo_chain.path)
    nobody = "0x" + "01" * 20
    for words in (
        ("tx", path, "0x" + "00" * 32),
        ("account", path, nobody),
        ("adl", path, nobody, "--block", "3"),
        ("refute", path, "--block", "3"),
        ("entry", path, "99999999"),
    ):
        answer = run_cli("prove", *words)
        assert (answer.code, answer.out) == (3, ""), words
        assert answer.err.startswith("error: "), words


def test_bare_interpreter_verifies_a_proof_and_audits(
    demo_chain: DemoChain, adl_proof: Path
) -> None:
    answer = run_cli("verify", str(adl_proof), flags=("-S",))
    assert answer.code == 0, answer.err
    assert "NOT CHECKED: checkpoint signature" in answer.out
    audit = run_cli("audit", str(demo_chain.path), flags=("-S",))
    assert audit.code == 0, audit.err
    assert "signers taken as logged: NOT CHECKED" in audit.out


def test_audit_of_segments_equals_the_audit_of_the_whole(
    demo_chain: DemoChain, tmp_path: Path
) -> None:
    """And the cosignature that says so, which the chain's policy then accepts."""
    key = save_key_file(tmp_path / "auditor.key", "auditor.example/replay", bytes(range(32)))
    out = tmp_path / "checkpoint"
    whole = run_cli("audit", str(demo_chain.path), "--json").document
    parts = run_cli("audit", str(demo_chain.path), "--jobs", "2", "--json",
                    "--cosign", str(tmp_path / "auditor.key"), "--out", str(out))  # fmt: skip
    assert parts.code == 0, parts.err
    document = parts.document
    assert document.pop("cosigned_checkpoint") == out.read_text()
    assert document == whole
    assert whole["rounds"] > 0
    vkey = (demo_chain.path / "log" / "vkey").read_text().strip()
    text = f"log {vkey}\nwitness a {format_vkey(key.verifier)}\nquorum a\n"
    assert parse_vkey(vkey)
    answer = check_policy(parse_policy(text.encode()), out.read_bytes(), find_verifier())
    assert answer.is_verified


def test_audit_of_a_damaged_chain_says_no_and_signs_nothing(
    demo_chain: DemoChain, tmp_path: Path
) -> None:
    copy = demo_chain.copy(tmp_path / "copy")
    save_key_file(tmp_path / "auditor.key", "auditor.example/replay", bytes(range(32)))
    from chainperp.cli.demo.forge import forge_fee

    assert list_segments(copy / "segments")
    forge_fee(copy)
    answer = run_cli("audit", str(copy), "--json", "--cosign", str(tmp_path / "auditor.key"))
    assert answer.code == 1, answer.err
    assert answer.document["cosigned_checkpoint"] == ""
    assert {one["check"] for one in answer.document["findings"]} >= {"execution"}
    assert "not cosigned" in answer.err


def test_emitted_script_is_the_sources_word_for_word(tmp_path: Path) -> None:
    from chainperp.cli.emit import ENTRY, PACKAGE, closure, script

    text = script()
    for name in closure(ENTRY):
        source = PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py").read_text()
        assert f"r'''{source}'''" in text
    assert json.dumps(closure(ENTRY)).count("chainperp.transition") == 0
