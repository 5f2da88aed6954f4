"""A node that has its checkpoints cosigned: real witnesses, real node, real HTTP."""

import json
from pathlib import Path

import pytest

from chainperp.evidence.checkpoint import read_checkpoint
from chainperp.evidence.note import VerifierKey, format_vkey, parse_note, parse_vkey
from chainperp.storage.logkey import LogKey, verify_ed25519
from tests.support.chain import run_cli
from tests.support.live_node import until
from tests.support.node import NodeProcess, account, limit_order, running_node
from tests.support.witness import RunningWitness, witness_process


def log_vkey(path: Path, seed: int) -> str:
    """Key of the log of a node that is made with a seed: made here once, and stopped."""
    with running_node(path, "--seed", str(seed)) as node:
        return node.request("GET", "/log/vkey").text.strip()


def option(witness: RunningWitness) -> str:
    """A witness as `--witness` takes it."""
    return f"{format_vkey(witness.key)}={witness.url}"


def signers(node: NodeProcess) -> list[str]:
    """Who signed the checkpoint that the node serves."""
    note = parse_note(node.request("GET", "/log/checkpoint").body)
    return [line.name for line in note.lines]


def figures(node: NodeProcess, name: str) -> dict[str, float]:
    """Labels and values of one counter."""
    rows = [one for one in node.request("GET", "/metrics").text.splitlines() if one[:1] != "#"]
    pairs = (row.rsplit(" ", 1) for row in rows if row.startswith(name))
    return {label: float(value) for label, value in pairs}


def write_policy(path: Path, vkey: str, *witnesses: tuple[VerifierKey, str]) -> Path:
    """A policy that wants every one of these witnesses."""
    names = [f"w{place}" for place in range(len(witnesses))]
    rows = [
        f"witness {name} {format_vkey(key)} {url}"
        for name, (key, url) in zip(names, witnesses, strict=True)
    ]
    group = f"group every all {' '.join(names)}"
    path.write_text("\n".join([f"log {vkey}", *rows, group, "quorum every", ""]))
    return path


def test_checkpoints_are_cosigned_while_the_node_trades(tmp_path: Path) -> None:
    """The witness's line is on the served checkpoint, a policy is met, and a kill stops nothing."""
    chain = tmp_path / "chain"
    vkey = log_vkey(chain, 5)
    with witness_process(tmp_path / "w", "--name", "a.example/w", "--log", vkey) as witness:
        policy = write_policy(tmp_path / "policy", vkey, (witness.key, witness.url))
        with running_node(chain, "--witness", option(witness)) as node:
            until(lambda: "a.example/w" in signers(node))
            raw = node.request("GET", "/log/checkpoint").body
            node.act(account(0), limit_order(0, True, "90000", "0.1"))
            until(lambda: "a.example/w" in signers(node) and _size(node) > _size_of(raw))
            read_checkpoint(
                node.request("GET", "/log/checkpoint").body,
                parse_vkey(vkey), verify_ed25519, [witness.key],
            )  # fmt: skip
            outside = run_cli("verify", node.url, "--policy", str(policy), "--json")
            assert outside.code == 0, outside.out + outside.err
            assert outside.document["not_checked"] == []
            counted = figures(node, "chainperp_witness_submissions_total")
            name = 'chainperp_witness_submissions_total{outcome="cosigned",witness="a.example/w"}'
            assert counted[name] >= 2
        # The last checkpoint of a node that stops is cosigned, too.
        done = run_cli("verify", str(chain), "--policy", str(policy))
        assert done.code == 0, done.out + done.err
        assert "quorum every is met, cosigned by w0" in done.out
        with running_node(chain, "--policy", str(policy)) as node:
            until(lambda: "a.example/w" in signers(node))
            witness.process.kill()
            witness.process.wait()
            until(lambda: "a.example/w" not in signers(node))
            until(lambda: "does not cosign" in node.stderr())
            reply = node.act(account(0), limit_order(0, True, "90000", "0.2"))
            assert "resting" in reply["response"]["data"]["statuses"][0]
            counted = figures(node, "chainperp_witness_submissions_total")
            assert any('outcome="away"' in label for label in counted)
    assert not (chain / "evidence").exists()
    refused = run_cli("verify", str(chain), "--policy", str(policy))
    assert refused.code == 1
    assert "quorum every is NOT met" in refused.out


def _size_of(raw: bytes) -> int:
    return int(raw.split(b"\n")[1])


def _size(node: NodeProcess) -> int:
    return _size_of(node.request("GET", "/log/checkpoint").body)


def test_a_witness_that_knows_another_history_is_evidence(tmp_path: Path) -> None:
    """One log key, two chains: the second node shouts, keeps both notes, and goes on."""
    vkey = log_vkey(tmp_path / "one", 6)
    log_vkey(tmp_path / "two", 6)
    with witness_process(tmp_path / "w", "--name", "a.example/w", "--log", vkey) as witness:
        with running_node(tmp_path / "one", "--witness", option(witness)) as node:
            for number in range(5):
                node.act(account(0), limit_order(0, True, "90000", f"0.{number + 1}"))
            until(lambda: "a.example/w" in signers(node))
        with running_node(tmp_path / "two", "--witness", option(witness)) as node:
            until(lambda: "CONTRADICTION: witness a.example/w" in node.stderr())
            node.act(account(0), limit_order(0, True, "90000", "0.2"))
            counted = figures(node, "chainperp_witness_submissions_total")
            assert any('outcome="contradiction"' in label for label in counted)
            assert signers(node) == [parse_vkey(vkey).name]
    (kept,) = (tmp_path / "two" / "evidence").iterdir()
    document = json.loads(kept.read_text())
    for part in ("submitted", "known_to_witness"):
        read_checkpoint(document[part].encode(), parse_vkey(vkey), verify_ed25519)
    assert document["submitted"] != document["known_to_witness"]
    assert run_cli("verify", str(tmp_path / "two")).code == 0


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("a.example/w", "VKEY=URL"),
        ("nonsense+1+2=http://127.0.0.1:1", "verifier key"),
        ("LOG=http://127.0.0.1:1", "is a log's key"),
        ("COSIGNER=httpx://a", "http or https"),
    ],
)
def test_a_wrong_witness_is_refused_before_anything_is_made(
    tmp_path: Path, value: str, word: str
) -> None:
    log = format_vkey(LogKey("x.example/log", bytes(32)).verifier)
    cosigner = format_vkey(LogKey("x.example/w", bytes(32), 4).verifier)
    text = value.replace("LOG", log).replace("COSIGNER", cosigner)
    done = run_cli("node", "--dir", str(tmp_path / "chain"), "--port", "0", "--witness", text)
    assert done.code == 2, done.err
    assert word in done.err
    assert not (tmp_path / "chain").exists()
